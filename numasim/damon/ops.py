"""What stands between DAMON's core and the memory it watches: protocols, and rules without state.

Operations sets (``vaddr``, ``fvaddr``, ``paddr``) and access sources are handed in; the core knows
them by these protocols only. Source: DAMON operations specification (Linux 7.3.4).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from numasim.damon.arith import align_up
from numasim.damon.spec import Dest
from numasim.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from numasim.damon.schemes import SchemeState

PAGE_SIZE = 4096
_PAGE_SHIFT = 12


@dataclass(frozen=True)
class Window:
    """Sampling ticks that elapsed under one state of the world.

    Attributes
    ----------
    starts_ns : int64[T]
        Instants at which addresses were chosen and bits cleared (prepare).
    ends_ns : int64[T]
        Instants at which they were checked.
    """

    starts_ns: np.ndarray
    ends_ns: np.ndarray

    def __len__(self) -> int:
        return len(self.starts_ns)

    @classmethod
    def tick(cls, start_ns: int, end_ns: int) -> Window:
        """A window of a single tick."""
        return cls(np.array([start_ns], dtype=np.int64), np.array([end_ns], dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Applied:
    """Outcome of one action on one region.

    Attributes
    ----------
    applied_bytes : int
        On which the action succeeded. May exceed the region (large folios).
    passed_bytes : int
        That passed the filters handled by the operations set.
    busy_ns : int
        Time for which the kdamond was kept.
    """

    applied_bytes: int
    passed_bytes: int = 0
    busy_ns: int = 0


@runtime_checkable
class AccessSource(Protocol):
    """The eye of one context."""

    def hits(
        self, start: np.ndarray, end: np.ndarray, target: np.ndarray, window: Window
    ) -> np.ndarray:
        """In how many of the window's ticks each region's sampled address was found accessed.

        `start`, `end` int64[R] in core units and `target` int64[R] (target index) list the regions
        of all targets in order. Returns int64[R].
        """

    def check_ns(self, nr_regions: int) -> int:
        """CPU time of one prepare and check over that many regions."""


class Ops(Protocol):
    """An operations set bound to one context.

    `score_kind` says how an action's regions are ranked: ``"hot"``, ``"cold"``, ``"flat"`` (all
    the same) or None (the set has no score function). `updates` is whether `update_ranges` may
    ever give something; the core does not wake up for it otherwise.
    """

    name: str
    updates: bool

    def init_ranges(self, target_index: int) -> list[tuple[int, int]] | None:
        """Ranges of a target that was given none, core units; None where there are none."""

    def update_ranges(self, target_index: int) -> list[tuple[int, int]] | None:
        """Ranges of a target now, core units; None where nothing changes."""

    def target_valid(self, target_index: int) -> bool:
        """Whether the target can still be monitored."""

    def apply(
        self, scheme: SchemeState, target_index: int, start: int, end: int, now_ns: int
    ) -> Applied:
        """Act on a region ``[start, end)``, core units."""

    def does_nothing(self, scheme: SchemeState) -> bool:
        """Whether `apply` would neither look at nor change anything, and give ``Applied(0)``."""

    def end_pass(self, scheme: SchemeState) -> None:
        """The scheme's pass over all regions is over."""

    def score_kind(self, action: str) -> str | None:
        """How regions are ranked for an action."""


class GoalMetrics(Protocol):
    """What quota goals and watermarks look at. Pages; None where there is no such thing."""

    def node_pages(self, nid: int) -> tuple[int, int] | None:
        """(managed, free) of a node."""

    def node_memcg_pages(self, nid: int, path: str | None) -> int | None:
        """LRU pages of a cgroup on a node."""

    def system_pages(self) -> tuple[int, int]:
        """(managed, free) of the machine."""

    def eligible_bytes(self, ranges: list[tuple[int, int]]) -> dict[int, int]:
        """Bytes of LRU folios on each node within physical address ranges (bytes)."""

    def lru_pages(self) -> tuple[int, int] | None:
        """(active, inactive) of the machine."""

    def psi_some_us(self) -> int | None:
        """Total time for which some task was stalled on memory."""


class PointSource:
    """A source that is asked tick by tick: where to look, and whether that was accessed.

    Parameters
    ----------
    choose : callable
        ``choose(start, end, target)`` gives the sampling addresses, int64[R].
    accessed : callable
        ``accessed(addr, target, tick)`` gives bool[R]; `tick` counts from 1 since the start.
    cost_ns : int
        CPU time of one prepare and check of one region.
    """

    def __init__(
        self,
        choose: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
        accessed: Callable[[np.ndarray, np.ndarray, int], np.ndarray],
        cost_ns: int = 0,
    ) -> None:
        self._choose, self._accessed, self._cost_ns = choose, accessed, cost_ns
        self.ticks = 0
        self.sampling_addr: np.ndarray | None = None

    def hits(
        self, start: np.ndarray, end: np.ndarray, target: np.ndarray, window: Window
    ) -> np.ndarray:
        """See `AccessSource.hits`."""
        total = np.zeros(len(start), dtype=np.int64)
        for _ in range(len(window)):
            self.ticks += 1
            self.sampling_addr = self._choose(start, end, target)
            total += self._accessed(self.sampling_addr, target, self.ticks)
        return total

    def check_ns(self, nr_regions: int) -> int:
        """See `AccessSource.check_ns`."""
        return nr_regions * self._cost_ns


class OpsRegistry:
    """Operations sets by name; each name can be claimed once."""

    def __init__(self) -> None:
        self._known: dict[str, Callable[..., Any]] = {}

    def register(self, name: str, factory: Callable[..., Any]) -> None:
        """Claim a name.

        Raises
        ------
        ConfigError
            If the name is taken.
        """
        if name in self._known:
            raise ConfigError(f'operations set "{name}" is registered already')
        self._known[name] = factory

    def unregister(self, name: str) -> None:
        """Give a name back."""
        self.select(name)
        del self._known[name]

    def select(self, name: str) -> Callable[..., Any]:
        """What was registered under a name.

        Raises
        ------
        ConfigError
            If nothing was.
        """
        if name not in self._known:
            raise ConfigError(f'no operations set "{name}"; {did_you_mean(name, self._known)}')
        return self._known[name]


def min_region_size(ops: str, addr_unit: int = 1) -> int:
    """Smallest region of a context, core address units (core specification, section 1.1)."""
    return max(PAGE_SIZE // addr_unit, 1) if ops == "paddr" else PAGE_SIZE


def three_regions(vmas: Sequence[tuple[int, int]]) -> list[tuple[int, int]] | None:
    """An address space without its two largest gaps.

    Parameters
    ----------
    vmas : sequence of (int, int)
        Mappings in address order, bytes.

    Returns
    -------
    list of (int, int) or None
        Three page-aligned ranges; None where the mappings have fewer than two gaps.

    Notes
    -----
    Source: DAMON operations specification, section 2.1 (Linux 7.3.4).
    """
    first = second = (0, 0)  # gaps as (start, end); of equal ones the lower stays
    for (_, left), (right, _) in itertools.pairwise(vmas):
        size = right - left
        if size > first[1] - first[0]:
            first, second = (left, right), first
        elif size > second[1] - second[0]:
            second = (left, right)
    if second[1] == second[0]:
        return None
    low, high = sorted((first, second))
    bounds = (vmas[0][0], low[0], low[1], high[0], high[1], vmas[-1][1])
    a, b, c, d, e, f = (align_up(bound, PAGE_SIZE) for bound in bounds)
    return [(a, b), (c, d), (e, f)]


def choose_dests(
    dests: Sequence[Dest], addr: np.ndarray, vma_start: int, vma_page_offset: int, order: int
) -> np.ndarray:
    """The node each folio of a mapping belongs on, by weighted interleave over its page index.

    Parameters
    ----------
    dests : sequence of Dest
    addr : int64[F]
        Addresses of the folios, bytes.
    vma_start : int
        Where the mapping begins, bytes.
    vma_page_offset : int
        Page offset of the mapping: that of the file, or ``vma_start / 4096`` at creation.
    order : int
        Folio order; 0 for base pages, 9 for 2 MiB.

    Returns
    -------
    int64[F]
        Node ids; -1 where the weights sum to 0.

    Notes
    -----
    Source: DAMON operations specification, section 6.3 (Linux 7.3.4).
    """
    bounds = np.cumsum([dest.weight for dest in dests], dtype=np.int64)
    if not len(bounds) or bounds[-1] == 0:
        return np.full(len(addr), -1, dtype=np.int64)
    index = (vma_page_offset >> order) + (((addr - vma_start) >> _PAGE_SHIFT) >> order)
    nodes = np.array([dest.nid for dest in dests], dtype=np.int64)
    chosen: np.ndarray = nodes[np.searchsorted(bounds, index % bounds[-1], side="right")]
    return chosen
