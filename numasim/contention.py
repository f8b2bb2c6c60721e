"""When two accessors want one page: the order between them, written down once.

DAMOS knows no such order: each context moves what its own schemes say. This is an extension of
ours, asked by the migrator before anything moves. It judges by what the contexts have observed,
never by the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numasim.damon.context import ContextState
    from numasim.damon.spec import Kdamond
    from numasim.memory import Memory
    from numasim.migration import Migrator

Order = Literal["first", "hotter", "least", "leave", "interleave"]


@dataclass(frozen=True)
class Control:
    """One kdamond of a policy: whose accesses it sees, and of which node."""

    kdamond: Kdamond
    accessor: int
    node: int


@dataclass(frozen=True)
class Contention:
    """Who gives way to whom.

    Parameters
    ----------
    order : str
        ``hotter``, ``least``, ``leave`` or ``interleave``; see `numasim.policies.holistic`.
    controls : tuple of Control
    hot : float
        Share of samples from which a page counts as hot.
    lead : float
        How many times the other's access rate the mover's has to be to win.
    """

    order: Order
    controls: tuple[Control, ...]
    hot: float
    lead: float


class Arbiter:
    """Contention in one run.

    Parameters
    ----------
    rules : Contention
    memory : Memory
    latency_ns : float64[accessor, node]
        Idle latencies.

    Notes
    -----
    A page is contended if another accessor finds it hot, by its own kdamond on the page's node, and
    would be farther from it after the move; ``least`` asks everybody, hot or not, for the rate to
    be expected times how much farther the page would be. Moves of what is cold are not asked about:
    filters say what may be demoted.

    Assumption: accesses that a context misses because another accessor's came first in the same
    sample (page faults) are not made up for, so of two contexts the one whose tuned interval is
    shorter looks hotter than it is. And who has a page near runs faster and is hotter for that:
    an order by heat favours whoever got there first. A region that was hit in all samples is
    taken for little more: sources that saturate (counters of GPUs) are underrated.
    """

    def __init__(self, rules: Contention, memory: Memory, latency_ns: np.ndarray) -> None:
        self._rules, self._memory, self._latency_ns = rules, memory, latency_ns
        self._contexts: dict[tuple[int, int], ContextState] = {}  # (accessor, node)
        self._accessor_of: dict[str, int] = {}
        self.refused_bytes = 0

    @classmethod
    def over(cls, rules: Contention | None, migrator: Migrator) -> Arbiter | None:
        """Let the migrator ask before it moves; None where nothing is contended."""
        if rules is None:
            return None
        memory = migrator.memory
        arbiter = cls(rules, memory, memory.topology.idle_latency_ns)
        migrator.allowed = arbiter.allowed
        return arbiter

    def meet(self, kdamond: Kdamond, context: ContextState) -> None:
        """A kdamond has started; those of others do not matter."""
        for control in self._rules.controls:
            if control.kdamond == kdamond:
                self._contexts[control.accessor, control.node] = context
                self._accessor_of[context.name] = control.accessor
                return

    def allowed(self, heads: np.ndarray, target: int, cause: str) -> np.ndarray:
        """Which folios may go to a node.

        Parameters
        ----------
        heads : int64[N]
            First pages of present folios.
        target : int
        cause : str
            Name of the kdamond that asks.

        Returns
        -------
        bool[N]
        """
        free = np.ones(len(heads), bool)
        mover = self._accessor_of.get(cause)
        if mover is None or not len(heads):
            return free
        frames = self._memory.frame_of[heads].astype(np.int64)
        nodes = self._memory.node_of(frames)
        for node in np.unique(nodes).tolist():
            latency_ns = self._latency_ns
            if latency_ns[mover, target] >= latency_ns[mover, node]:
                continue  # no promotion
            own = np.flatnonzero(nodes == node)
            farther = latency_ns[:, target] - latency_ns[:, node]
            if self._rules.order == "least":
                free[own] = self._least(farther, node, frames[own])
                continue
            rivals = np.flatnonzero(farther > 0).tolist()  # the mover is none of them
            free[own] = self._judge(mover, rivals, node, heads[own], frames[own])
        self.refused_bytes += int(np.count_nonzero(~free)) * self._memory.frame_bytes
        return free

    def _judge(
        self, mover: int, rivals: Sequence[int], node: int, heads: np.ndarray, frames: np.ndarray
    ) -> np.ndarray:
        address = self._memory.addresses_of(frames)
        rate, _ = self._seen(mover, node, address)
        found = np.ones(len(heads), bool)
        contenders = np.ones(len(heads), np.int64)  # the mover and all who find the page hot
        before = np.zeros(len(heads), np.int64)  # of these, accessors of a lower number
        for rival in rivals:
            other, hot = self._seen(rival, node, address)
            if self._rules.order == "leave":
                found &= ~hot
            elif self._rules.order == "hotter":
                found &= ~hot | (rate >= self._rules.lead * other)
            contenders += hot
            before += hot & (rival < mover)
        if self._rules.order == "interleave":
            found = heads % contenders == before
        return found

    def _least(self, farther: np.ndarray, node: int, frames: np.ndarray) -> np.ndarray:
        """bool[N]: whether all accessors together wait less after the move."""
        address = self._memory.addresses_of(frames)
        waits = np.zeros(len(frames))
        for accessor, more_ns in enumerate(farther.tolist()):
            waits += more_ns * self._likely(accessor, node, address)
        return waits < 0

    def _likely(self, accessor: int, node: int, address: np.ndarray) -> np.ndarray:
        """Accesses per us to be expected of an accessor to a page at addresses.

        That nobody was seen in n samples does not make a rate zero: of k in n the mean under
        Jeffreys' prior is taken, (k + 1/2) / (n + 1). Samples count from when the region came to
        look as it does (its age), so patience tells the quiet from the absent. Where one node is
        thirty times as far for another, that is what decides.
        """
        context = self._contexts.get((accessor, node))
        if context is None or not context.nr_regions:
            return np.zeros(len(address))
        place, seen = self._found(context, address)
        spans = 1.0 + context.regions[0].age[np.maximum(place, 0)] * (place >= 0)
        share = (seen * spans + 0.5) / (max(1, context.aggr_samples) * spans + 1)
        rate: np.ndarray = -np.log1p(-share) / max(1, context.attrs.sample_us)
        return rate * _to_a_page(context, place)

    def _seen(self, accessor: int, node: int, address: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Accesses to a page per us that its kdamond found at addresses; which are hot."""
        context = self._contexts.get((accessor, node))
        nothing = np.zeros(len(address))
        if context is None or not context.nr_regions:
            return nothing, nothing > 0
        place, seen = self._found(context, address)
        share = seen / max(1, context.aggr_samples)
        # a sample is 0 or 1: a share that is nearly all of them stands for many accesses in each
        rate = -np.log1p(-np.minimum(share, 1 - 0.5 / max(1, context.aggr_samples)))
        rate = rate / max(1, context.attrs.sample_us) * _to_a_page(context, place)
        return rate, share >= self._rules.hot

    def _found(self, context: ContextState, address: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Region at each address, -1 before the first, and in how many samples it was accessed."""
        regions = context.regions[0]
        place = np.searchsorted(regions.start, address // context.addr_unit, "right") - 1
        return place, context.mvsum(regions)[np.maximum(place, 0)] * (place >= 0)


def _to_a_page(context: ContextState, place: np.ndarray) -> np.ndarray | float:
    """float64[N] or 1: accesses to a page for each of those that a context saw in its regions.

    Bits and faults look at one page of a region, so what they find holds for any of its pages.
    Reports count wherever in the region they are: the larger it is, the more of them.
    """
    accesses_per_page = getattr(context.source, "accesses_per_page", None)
    if accesses_per_page is None:
        return 1.0
    regions, own = context.regions[0], np.maximum(place, 0)
    size = (regions.end[own] - regions.start[own]) * context.addr_unit
    found: np.ndarray = accesses_per_page(size)
    return found
