"""What published hotness policies are made of: samples, cooled counts, movers, control laws.

Each part is a mechanism of its own, tested by calling it; a policy of `numasim.policies` puts some
of them together. They observe through the same hardware models as DAMON's access sources, and pay
what those cost.
"""
