"""What page walks take: translations that do not fit the TLB, so that huge pages pay."""

from __future__ import annotations

import numpy as np

from numasim.actors import ActorState
from numasim.rates import Rates
from numasim.tlb import residency
from numasim.topology import Topology


class Walks:
    """Time that actors wait for translations, on accessors whose `tlb` says what a walk takes.

    Parameters
    ----------
    rates : Rates
    topology : Topology

    Notes
    -----
    Source: Che's approximation of LRU, as for accessed bits (`numasim.tlb`): a translation stays
    while as many others are used as there are entries, one for a folio of any size. Assumptions:
    each thread has a TLB of its own; walks of a pattern overlap as its misses do, and take the same
    whatever lies between; a sweep walks once for each folio of a way that does not fit; flushes add
    nothing; recordings do not walk, as the order of their accesses is not known.
    """

    def __init__(self, rates: Rates, topology: Topology) -> None:
        self._rates, self._topology = rates, topology
        self._known: dict[int, tuple[list[np.ndarray], np.ndarray, float]] = {}

    def stall_ns(self, actor: ActorState, weights: list[np.ndarray], counts: np.ndarray) -> float:
        """Waiting of one operation.

        Parameters
        ----------
        actor : ActorState
        weights : list of float64[C]
            Of each pattern of its phase: chance that a visit goes to one page of a class.
        counts : int64[C]
            Present pages of each class.
        """
        if not self._topology.accessors[actor.accessor].tlb.walk:
            return 0.0
        known = self._known.get(actor.index)
        if known is None or known[0] is not weights or not np.array_equal(known[1], counts):
            known = (weights, counts.copy(), self._found_ns(actor, weights, counts))
            self._known[actor.index] = known
        return known[2]

    def _found_ns(self, actor: ActorState, weights: list[np.ndarray], counts: np.ndarray) -> float:
        space, tlb = self._rates.space, self._topology.accessors[actor.accessor].tlb
        compiled = self._rates.patterns_of(actor)
        folios = counts / space.pages_per_bit
        visits = [np.zeros(len(folios)) for _ in compiled]  # of an operation, to one folio
        ways = np.zeros(len(compiled))  # folios of sweeps
        for k, (one, w) in enumerate(zip(compiled, weights, strict=True)):
            pattern = one.pattern
            if pattern.sweep and not pattern.recorded:
                ways[k] = float(folios[w > 0].sum())
            elif not pattern.recorded:
                visits[k] = space.of_bits(pattern.visits * w)
        swept = np.array([p.pattern.visits for p in compiled]) / np.maximum(ways, 1.0)
        stays = residency(
            np.r_[sum(visits, np.zeros(len(folios))), np.where(ways > 0, swept, 0.0)],
            np.r_[folios, ways], tlb.entries,
        )  # fmt: skip
        if not np.isfinite(stays):
            return 0.0
        found = 0.0
        walking = np.exp(-sum(visits, np.zeros(len(folios))) * stays)
        for k, one in enumerate(compiled):
            walks = float((visits[k] * folios) @ walking)
            if ways[k] > 0 and swept[k] * stays < 1.0:
                walks += one.pattern.visits
            found += walks * tlb.walk / one.pattern.parallelism
        return found
