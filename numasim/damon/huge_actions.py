"""DAMOS's ``hugepage``, ``nohugepage`` and ``collapse``: madvise() on a region of a process.

Source: DAMON operations specification, section 6.2 (Linux 7.3.4), and madvise(2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from numasim.damon.arith import align_up
from numasim.damon.ops import PAGE_SIZE, Applied

if TYPE_CHECKING:
    from numasim.huge.folding import HugePages
    from numasim.pages import MappingPages

CALL_NS = 1_000
"""Of finding and marking the mappings of a range; a prior from memory, 0.5-2 us."""


def advise(
    huge: HugePages,
    mappings: Sequence[MappingPages],
    action: str,
    start: int,
    end: int,
    cause: str,
) -> Applied:
    """One call for a region; it succeeds on all of it or, as far as counters tell, on nothing.

    Parameters
    ----------
    huge : HugePages
    mappings : sequence of MappingPages
        Of the process, by address.
    action : str
    start, end : int
        Of the region, bytes.
    cause : str
        For the ledger.

    Returns
    -------
    Applied
        All bytes, or 0 where the call would fail: with a hole in the region (which does not keep
        the rest of it from being marked or collapsed), and where a block could not be collapsed.
        Filters for pages are not asked.
    """
    low = align_up(start, PAGE_SIZE)
    high = low + align_up(end - start, PAGE_SIZE)
    mapped, busy, good = 0, CALL_NS, True
    for pages in mappings:
        first = max(low, pages.address) - pages.address
        last = min(high, pages.address + pages.mapping.size) - pages.address
        if first >= last:
            continue
        mapped += last - first
        if action == "collapse":
            good, spent = _collapse(huge, pages, first, last, cause)
            busy += spent
            if not good:
                break
        else:
            huge.advise(pages, first, last, action == "hugepage")
    complete = good and mapped == high - low
    return Applied(high - low if complete else 0, 0, busy)


def _collapse(
    huge: HugePages, pages: MappingPages, first: int, last: int, cause: str
) -> tuple[bool, int]:
    """Collapse what lies of a mapping in a region; whether all of it is huge, and time.

    Blocks that reach beyond the region are left out. One that must not be huge ends the call.
    """
    if not huge.can_collapse(pages):
        return False, 0
    heads = huge.blocks_within(pages, first, last)
    allowed = huge.allowed_blocks(heads)
    found = huge.collapse(pages, heads[:allowed], cause)
    return found.complete and allowed == len(heads), found.busy_ns
