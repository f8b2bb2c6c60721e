"""DAMON and DAMOS as Linux 7.3.4 runs them, in integers, without a clock of its own.

Read in this order: `spec` (what a user asks), `regions`, `splitting` and `ranges` (what DAMON
believes), `attrs` (intervals), `context` (the kdamond's loop), `schemes`, `filters`, `quota`,
`goals`, `scores`, `adjust` and `apply` (what it does about it), `commit` and `walk` (what may come
from outside), `ops` (what it needs from the memory it watches).
"""
