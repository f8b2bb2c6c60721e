"""Published results held against the same runs, simulated.

A case is a file of data: what was published, under which conditions, which runs answer to it, how
it is read off them, and how far off it may be. What comes of it is computed from the runs alone.
"""
