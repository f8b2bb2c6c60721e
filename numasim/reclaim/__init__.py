"""Page reclaim: who is cold by the kernel's own aging, and where it goes: a lower tier, or swap.

`tiers` forms the kernel's memory tiers. `fifo` and `records` are lists that cost what is scanned of
them; `mglru` and `two_lists` are the two ways in which a node knows its cold folios. `reclaimer`
demotes, swaps out or puts back what a scan has found; `kswapd` says when, in a thread of its own or
in the task that allocates. `swap` brings back what is touched.

What is drawn and when: an accessed bit is drawn from the law when somebody reads it, from the
visits since it was last cleared. A walk of page tables keeps its instant only; what it found of a
folio is drawn when the folio's turn comes, or when DAMON is about to read its bit. The lists
themselves are in the kernel's order: they hold ranges where memory was touched in order, and single
folios where somebody has scanned. `tests/statistics/test_reclaim.py` holds both models against
plain lists.

Simplified: work of one act is done at once and then takes its time, in slices of 5 ms; a wait of
one act for another (locks, isolated pages, writeback) does not occur; page cache that belongs to
nobody in the workload is dropped at once; files of the workload are demoted, never dropped; cgroups
share one list.
"""
