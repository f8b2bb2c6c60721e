"""Page faults: the sampled page is made inaccessible; who touches it first, faults and is known.

Sees CPU, thread, read or write, and the page itself within a huge one; no translation stays cached,
as installing the protection flushes it. Sees only the *first* access after arming: a page that one
accessor keeps touching hides what others do to it. Says nothing while NUMA balancing is on.
"""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.arming import Armed, Faults, faults_within
from numasim.damon.report_array import ReportArray
from numasim.damon.reports import RFC_CAPACITY, Reports, checked_within, region_hits
from numasim.damon.sample_filters import Semantics
from numasim.law import Law
from numasim.patterns import STRICT
from numasim.sources import Ticking, register
from numasim.sources.reading import Dues
from numasim.sources.scene import Scene
from numasim.threads import who
from numasim.units import DurationNs
from numasim.view import View

BASE_BYTES = 4096
HUGE_ENTRIES = 512  # page-table entries that take the place of one of 2 MiB


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PageFaultSettings:
    """Parameters of sampling by page faults.

    Parameters
    ----------
    filters : str
        ``intent`` (as documented) or ``rfc`` (as the proposed code evaluates them).
    array : str
        ``ideal`` keeps every report and counts it in the sample it came in, for the context that
        armed the page; ``rfc`` is the one array of `capacity` entries that all contexts share,
        forgets all when full and is read by age in jiffies.
    capacity : int
    numa_balancing : bool
        NUMA balancing is on: faults happen, but report nothing. Also while the machine's own
        ``kernel.numa_balancing`` is not 0.
    shared_fault : bool
        Extension of ours: with NUMA balancing on, both learn from one fault. Faults on pages that
        its scans armed are reported too, when it handles them (up to its `batch` later, and as
        reads: it does not tell); what DAMON armed tells NUMA balancing nothing.
    leftover : str
        Pages that nobody touched by the time of their check are ``disarmed``, or stay ``armed``
        until somebody does, whose report then counts: nothing in the proposed code takes the
        protection back. Cold regions then look warm, the more the longer they are monitored.
    flush : str
        TLB flushes that arming takes: one for ``each`` page as proposed, one for the ``batch`` of a
        sample, or ``none`` (counterfactual). Whoever arms waits for them.
    interrupt : int
        What one flush takes from every running thread of the page's process, ns.

    Notes
    -----
    Assumption: `interrupt`; the sender's wait is the machine's ``tlb_shootdown``.
    """

    filters: Semantics = "intent"
    array: Literal["ideal", "rfc"] = "ideal"
    capacity: Annotated[int, Field(ge=1)] = RFC_CAPACITY
    numa_balancing: bool = False
    shared_fault: bool = False
    leftover: Literal["disarmed", "armed"] = "disarmed"
    flush: Literal["each", "batch", "none"] = "each"
    interrupt: DurationNs = 500


@register("page_fault")
@plain_dataclass
class PageFault:
    """Page faults on the pages under a context's targets.

    Parameters
    ----------
    views : list of View
    law : Law
    rng : numpy.random.Generator
    check_cost_ns : int
        One region, prepared and checked, without the flush.
    addr_unit : int
    exact_ticks : bool
        No matter: every sampled page is drawn.
    scene : Scene

    Notes
    -----
    Assumption: what a fault reports is its first access; disarming costs nothing. A page not yet
    there cannot be armed. A page that faulted is young for whoever asks next, as its translation
    was flushed before: no TLB, however far it reaches, hides that access.

    One piece of 4 KiB is armed, so the mapping of a huge page is split for it: the first time in a
    run `HUGE_ENTRIES` entries are written, on the kdamond's time. Assumption: nobody collapses it
    again (khugepaged would), and the translations that the application then needs are left out.

    With ``array: rfc`` each of *k* contexts on the same memory also counts what happens to pages
    that the others armed, as the proposal's array is global: a region with a chance *p* per sample
    shows ``1 - (1 - p) ** k`` where regions and intervals are alike, and the array forgets *k*
    times as often. So a warm region looks the hotter the more accessors are watched.
    """

    views: list[View]
    law: Law
    rng: np.random.Generator
    check_cost_ns: int
    addr_unit: int
    exact_ticks: bool
    scene: Scene

    kind: ClassVar[str]
    Settings: ClassVar[type] = PageFaultSettings

    def __post_init__(self) -> None:
        self._armed: dict[int, Armed] = {}  # by target, where pages stay armed
        self._dues = Dues()
        scene, own = self.scene, self.scene.settings
        scene.observing.shares_faults |= own.shared_fault
        self._array: ReportArray | None = None
        if own.array == "rfc":
            make = partial(ReportArray, own.capacity)
            self._array = scene.observing.shared(("report array", own.capacity), make)
            self._number = self._array.join(scene.name, scene.since_ns)
        scene.observing.door.marks[scene.name] = scene.since_ns

    def check_ns(self, nr_regions: int) -> int:
        """CPU time of preparing and checking that many regions once, flushes included."""
        flushes = {"each": nr_regions, "batch": min(1, nr_regions), "none": 0}
        return (
            self.check_cost_ns * nr_regions
            + flushes[self.scene.settings.flush] * self.scene.costs.tlb_shootdown
            + self._dues.rate_ns
        )

    def hits(
        self, start: np.ndarray, end: np.ndarray, target: np.ndarray, window: Ticking
    ) -> np.ndarray:
        """int64[R]: ticks in which each region got a report that the filters let pass."""
        starts, ends = window.starts_ns, window.ends_ns
        bounds = np.stack([start, end]) * self.addr_unit
        found = np.zeros(len(start), np.int64)
        lots: list[Reports] = []
        split = 0
        regions: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for t, view in enumerate(self.views):
            own = np.flatnonzero(target == t)
            view.arrivals.clear()  # a page that is not there cannot be armed
            low, high = view.addresses.linear(bounds[:, own])
            regions.append((own, low, high))
            armed = self._arm(view, low, high, bounds[1, own] - bounds[0, own], len(starts))
            split += self._split(armed[0])
            lots.append(self._touched(*armed, t, window))
        self._dues.spend(split * HUGE_ENTRIES * self.scene.costs.pte_scan, len(starts))
        reports, report, tick = self._counted([lot for lot in lots if len(lot)], window)
        passing = self.scene.passes(reports, self.scene.settings.filters)[report]
        report, tick = report[passing], tick[passing]
        self.scene.observing.tally(self.kind, self.scene.name).reports += len(report)
        places = self.scene.places_of(reports.page[report], reports.offset[report])
        for own, low, high in regions:
            found[own] = region_hits(places, tick, low, high, len(ends))
        return found

    def _counted(
        self, lots: list[Reports], window: Ticking
    ) -> tuple[Reports, np.ndarray, np.ndarray]:
        """Reports that checks may count, and pairs of report and tick where one does."""
        scene, door = self.scene, self.scene.observing.door
        starts, ends = window.starts_ns, window.ends_ns
        array = self._array
        if array is None:
            more = door.read(scene.name, int(starts[0]), int(ends[-1]))
            reports = Reports.joined([*lots, *more])
            return reports, *checked_within(reports.time_ns, starts, ends)
        own = Reports.joined(lots)
        array.write(own, self._number)
        scene.observing.migrator.before_change()  # all others draw, too, up to this instant
        told_ns = max(array.told_ns, scene.since_ns)
        array.write(Reports.joined(door.read(scene.name, told_ns, int(ends[-1]))), -1)
        array.told_ns = max(array.told_ns, int(ends[-1]))
        reports, writer, report, tick = array.read(
            scene.name, ends, scene.sample_us(), scene.jiffy_ns
        )
        heard = np.unique(report[(writer == self._number)[report]])
        new = reports.time_ns[heard] > starts[0]
        scene.observing.tally(self.kind, scene.name).lost += len(own) - int(new.sum())
        return reports, report, tick

    def _arm(
        self, view: View, low: np.ndarray, high: np.ndarray, size: np.ndarray, nr_ticks: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pages sampled in every tick and region that are there: page, offset, tick, int64[N]."""
        nr = len(size)
        place = (self.rng.random((nr_ticks, nr)) * size).astype(np.int64)
        cells = np.flatnonzero(place < high - low)  # what is not mapped is behind what is
        place = (place + low).reshape(-1)[cells]
        slots, offset = np.divmod(place, view.addresses.slot_bytes)
        pages = view.pages_at(slots).astype(np.int64)
        there = np.flatnonzero(pages >= 0)
        offset = offset[there] // BASE_BYTES * BASE_BYTES
        return pages[there], offset, cells[there] // max(nr, 1)

    def _split(self, pages: np.ndarray) -> int:
        """How many huge mappings have to be split to arm these pages, that never were before."""
        space, memory = self.law.space, self.scene.observing.memory
        folio_bytes = space.pages_per_bit * memory.frame_bytes
        if folio_bytes.max() < HUGE_ENTRIES * BASE_BYTES:
            return 0
        huge = folio_bytes[space.class_of[pages]] >= HUGE_ENTRIES * BASE_BYTES
        heads = frozenset(space.folio_heads(pages[huge]).tolist())
        known: set[int] = self.scene.observing.shared("split mappings", set)
        new = heads - known
        known |= new
        return len(new)

    def _touched(
        self,
        pages: np.ndarray,
        offset: np.ndarray,
        tick: np.ndarray,
        target: int,
        window: Ticking,
    ) -> Reports:
        """What faults on armed pages report; charges what arming and faulting take."""
        truth, starts, ends = self.scene.observing.truth, window.starts_ns, window.ends_ns
        settings = self.scene.settings
        if settings.leftover == "armed":
            state = self._armed.setdefault(target, Armed(truth))
            faults = state.faults(pages, offset, tick, starts, ends, self.rng)
        else:
            faults = faults_within(truth, pages, offset, tick, starts, ends, self.rng)
        self._charge(faults, pages, tick, window)
        self.law.note_touched(self.law.space.folio_heads(faults.page), faults.time_ns)
        silent = settings.numa_balancing or self.scene.observing.numa_balancing
        if silent and not settings.shared_fault:
            return Reports.none()
        cpu, tid = who(self.scene.observing.threads, faults.actor, self.rng)
        return Reports.of(faults.time_ns, faults.page, faults.offset, cpu, tid, faults.is_write)

    def _charge(self, found: Faults, pages: np.ndarray, tick: np.ndarray, window: Ticking) -> None:
        """Each fault takes time of who faulted, each flush of all threads of the process."""
        observing, settings = self.scene.observing, self.scene.settings
        actors = observing.actors
        faults = np.bincount(found.actor, minlength=len(actors)).astype(float)
        costs = self.scene.costs
        each = [costs.hint_fault if t.is_cpu else costs.gpu_fault for t in observing.threads]
        stall = faults * np.array(each)
        if settings.flush != "none" and len(pages):
            space = self.law.space
            owner = np.array([m.process for m in space.mappings])
            process = owner[space.mapping_index_of(pages)]
            if settings.flush == "batch":
                process = np.unique(tick * len(owner) + process) % len(owner)
            flushes = np.bincount(process, minlength=int(owner.max()) + 1)
            for actor in actors:
                if actor.state == "running" and observing.threads[actor.index].is_cpu:
                    interrupts = float(flushes[actor.process]) * actor.actor.threads
                    stall[actor.index] += interrupts * settings.interrupt
        span = int(window.ends_ns[-1] - window.starts_ns[0])
        tally = observing.tally(self.kind, self.scene.name)
        observing.charge(tally, len(found.page), stall, span)
