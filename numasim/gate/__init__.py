"""A gate for CI of policies: experiments, a committed baseline, decisions with stated error rates.

`suite` reads what to run, `baseline` what it came to before, `decision` says whether it got worse,
`gating` does it all, `reports` write it down, and `plugin` brings it into pytest.
"""
