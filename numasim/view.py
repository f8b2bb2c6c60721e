"""What an observer may read: addresses of a monitored target, pages there, the truth of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from numasim.addresses import AddressSpace
from numasim.blockwise import Bounds
from numasim.counts import BlockCounts
from numasim.law import Law


@dataclass
class Arrivals:
    """Pages first touched between two instants, at slots (int64[N], ascending)."""

    from_ns: int
    to_ns: int
    slots: np.ndarray


def ascending(slots: np.ndarray) -> np.ndarray:
    """int64[N], sorted; fresh memory comes sorted already, which is cheap to see."""
    return slots if (slots[1:] > slots[:-1]).all() else np.sort(slots)


@dataclass
class View:
    """One target's memory, seen by address.

    Parameters
    ----------
    addresses : AddressSpace
    pages_at : callable
        int64[N] slots → int64[N] pages, negative where there is none.
    counts : BlockCounts
        Present pages of each class by slot.
    law : Law
    arrivals : list of Arrivals
        First touches that no tick has accounted for yet.
    """

    addresses: AddressSpace
    pages_at: Callable[[np.ndarray], np.ndarray]
    counts: BlockCounts
    law: Law
    arrivals: list[Arrivals] = field(default_factory=list)

    @cached_property
    def bounds(self) -> Bounds:
        """What is remembered of the counts, from window to window."""
        return Bounds(self.counts, self.addresses.slot_bytes)
