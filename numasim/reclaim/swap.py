"""Swap: where anonymous pages wait that were found cold, and how they come back when touched."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numasim.agents import Stage
from numasim.errors import SimulationError
from numasim.kernel import SwapSettings
from numasim.reclaim.records import Lru
from numasim.traffic import Front

SHORTEST_NS, LONGEST_NS = 1_000_000, 100_000_000
"""Bounds of the time between two looks at what was touched meanwhile."""
FAULTS_AT_ONCE, SHARE_AT_ONCE = 64, 0.01
"""A look comes after about so many faults, or that share of the swapped pages if it is more."""


class Pile:
    """Pages of one rate class, in no order, of which some are drawn by chance."""

    def __init__(self) -> None:
        self._pages = np.empty(64, np.int64)
        self.nr = 0

    @property
    def pages(self) -> np.ndarray:
        """int64[nr]: all of them (read only)."""
        own: np.ndarray = self._pages[: self.nr]
        return own

    def add(self, pages: np.ndarray) -> None:
        """Put pages (int64[N]) on the pile."""
        while self.nr + len(pages) > len(self._pages):
            self._pages = np.r_[self._pages, np.empty_like(self._pages)]
        self._pages[self.nr : self.nr + len(pages)] = pages
        self.nr += len(pages)

    def take(self, places: np.ndarray) -> np.ndarray:
        """Take the pages at these places (int64[K], each once) away; the last ones fill the gaps.

        Returns
        -------
        int64[K]
        """
        found: np.ndarray = self._pages[places].copy()
        left = self.nr - len(places)
        end = np.ones(self.nr - left, bool)
        end[places[places >= left] - left] = False
        self._pages[places[places < left]] = self._pages[left : self.nr][end]
        self.nr = left
        return found


class Swap:
    """The swap space and an agent that brings back what is touched.

    Parameters
    ----------
    stage : Stage
    settings : SwapSettings
    lrus : list of Lru
        Of every node.

    Notes
    -----
    Faults between two looks are drawn at the second: of each rate class a binomial number, at the
    rates that faults have slowed down; a sweep touches what its front has passed. Assumption: a
    device serves every fault in its latency and the page's transfer, whatever else it does; pages
    come back one by one, without readahead; a folio that is swapped out is split first.
    """

    name = "swap"

    def __init__(self, stage: Stage, settings: SwapSettings, lrus: list[Lru]) -> None:
        self._stage, self.settings_of, self._lrus = stage, settings, lrus
        self._room = settings.size // stage.memory.frame_bytes
        self._piles = [Pile() for _ in range(stage.space.nr_classes)]
        self._origin = np.zeros(stage.space.nr_pages, np.uint8)
        self._stored = np.zeros(len(stage.topology.nodes), np.int64)
        self._pool: list[list[np.ndarray]] = [[] for _ in stage.topology.nodes]
        self._rng = stage.seeds.stream("reclaim/swap")
        self._since_ns, self.some_ns = 0, 0.0
        self.due_ns = math.inf
        per = stage.memory.pages_per_frame
        self._per_page = per
        stage.migrator.swapped.fault_ns = settings.read_ns * per + stage.costs.minor_fault
        self.counts = {"pswpin": 0, "pswpout": 0, "pgmajfault": 0}
        self._tally = stage.observing.tally("swap")

    @property
    def free_pages(self) -> int:
        """Pages that still find room."""
        return self._room - int(self._stored.sum())

    # -- out ---------------------------------------------------------------------------------------

    def put(self, heads: np.ndarray, nid: int, now_ns: int) -> tuple[np.ndarray, int]:
        """Swap out folios of one node, as far as there is room.

        Parameters
        ----------
        heads : int64[N]
        nid : int
        now_ns : int

        Returns
        -------
        (int64[M], int)
            Folios for which there was no room, and the time that it took, ns.
        """
        migrator, space = self._stage.migrator, self._stage.space
        sizes = np.cumsum(space.pages_per_bit[space.class_of[heads]])
        fit = int(np.searchsorted(sizes, self.free_pages, "right"))
        going = heads[:fit]
        if not len(going):
            return heads, 0
        self.absorb(now_ns)
        pages = migrator.put_away(going)
        self._origin[pages] = nid
        self._stored[nid] += len(pages)
        for one in np.unique(space.class_of[pages]).tolist():
            self._piles[one].add(pages[space.class_of[pages] == one])
        self._fill_pool(nid)
        nr = len(pages) * self._per_page
        self.counts["pswpout"] += nr
        self.due_ns = min(self.due_ns, now_ns + SHORTEST_NS)
        return heads[fit:], round(nr * self.settings_of.write_ns)

    def _fill_pool(self, nid: int) -> None:
        """Compressed pages take memory of the node that they were on."""
        if self.settings_of.kind != "compressed":
            return
        memory, pool = self._stage.memory, self._pool[nid]
        more = math.ceil(self._stored[nid] / self.settings_of.ratio) - sum(map(len, pool))
        if more > 0:
            pool.append(memory.others.pool(nid, more))
        while more < 0 and pool:
            part = pool.pop()
            if len(part) > -more:
                pool.append(part[-more:])
                part = part[:-more]
            memory.release(part)
            more += len(part)

    # -- in ----------------------------------------------------------------------------------------

    def act(self, now_ns: int) -> bool:
        """Bring back what was touched since the last look."""
        before = self.counts["pswpin"]
        self.absorb(now_ns)
        self.due_ns = now_ns + self._pause_ns() if self._stored.any() else math.inf
        return self.counts["pswpin"] > before

    def _pause_ns(self) -> int:
        """Time until the next look."""
        rates = self._stage.law.visit_rates_per_ns()
        faults = float(rates @ self._stage.migrator.swapped.counts)
        wanted = max(FAULTS_AT_ONCE, SHARE_AT_ONCE * float(self._stored.sum()))
        pause = wanted / faults if faults > 0 else LONGEST_NS
        return round(min(max(pause, SHORTEST_NS), LONGEST_NS))

    def absorb(self, now_ns: int) -> None:
        """Account for touches until now."""
        since, self._since_ns = self._since_ns, max(now_ns, self._since_ns)
        if now_ns <= since or not self._stored.any():
            return
        self._forget_freed()
        touched = self._touched(since, now_ns)
        if len(touched):
            self._charge(touched, since, now_ns)
            self._bring_back(np.sort(touched), now_ns)

    def _forget_freed(self) -> None:
        """Pages of processes that have ended are in swap no more."""
        counts = self._stage.migrator.swapped.counts
        for one, pile in enumerate(self._piles):
            if pile.nr and not counts[one]:
                self._leave(pile.take(np.arange(pile.nr)))

    def _leave(self, pages: np.ndarray) -> None:
        self._stored -= np.bincount(self._origin[pages], minlength=len(self._stored))
        for nid in np.unique(self._origin[pages]).tolist():
            self._fill_pool(nid)

    def _touched(self, since_ns: int, now_ns: int) -> np.ndarray:
        """int64[N]: swapped pages that were touched in a window, off their piles."""
        ticks = self._stage.law.ticks(np.array([since_ns]), np.array([now_ns]))
        chance = ticks.probability[0]
        found = [np.empty(0, np.int64)]
        for one, pile in enumerate(self._piles):
            if not pile.nr:
                continue
            nr = int(self._rng.binomial(pile.nr, chance[one]))
            hit = np.zeros(0, np.int64)
            if nr:
                hit = self._rng.choice(pile.nr, nr, replace=False, shuffle=False)
            for front, before, after in ticks.fronts:
                if not isinstance(front, Front) or one in front.classes:
                    passed = front.seen(
                        pile.pages,
                        np.broadcast_to(before, pile.nr),
                        np.broadcast_to(after, pile.nr),
                        self._rng,
                    )
                    hit = np.union1d(hit, np.flatnonzero(passed))
            if len(hit):
                found.append(pile.take(hit))
        return np.concatenate(found)

    def _charge(self, pages: np.ndarray, since_ns: int, now_ns: int) -> None:
        """Count the faults; what they take of threads is part of how long operations take."""
        nr = len(pages) * self._per_page
        self.counts["pswpin"] += nr
        self.counts["pgmajfault"] += nr
        stall_ns = len(pages) * self._stage.migrator.swapped.fault_ns
        self._tally.events += len(pages)
        self._tally.stall_ns += stall_ns
        # tasks wait independently of each other: so long, none of them does not
        span_ns = now_ns - since_ns
        self.some_ns += span_ns * -math.expm1(-stall_ns / span_ns)

    def _bring_back(self, pages: np.ndarray, now_ns: int) -> None:
        stage = self._stage
        self._leave(pages)
        stage.migrator.now_ns = now_ns
        mapping = stage.space.mapping_index_of(pages)
        for index in np.unique(mapping).tolist():
            own, of = pages[mapping == index], stage.space.mappings[index]
            who = next((a.accessor for a in stage.actors if a.process == of.process), 0)
            home = stage.topology.tiers(who)[0]
            for lru, origin in zip(self._lrus, range(len(self._lrus)), strict=True):
                lru.note_refault(own[self._origin[own] == origin])
            if not stage.migrator.bring_back(own, home, of.mapping.policy):
                raise SimulationError("out of memory while swapping in", now_ns, self.name)

    # -- as an agent -------------------------------------------------------------------------------

    def settings(self, changed: dict[str, Any]) -> None:
        """No sysctl concerns it."""

    def counters(self) -> dict[str, int]:
        """pswpin, pswpout and pgmajfault, pages of 4 KiB."""
        return dict(self.counts)
