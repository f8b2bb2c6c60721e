"""What sources have in common that read reports which are made whether they read them or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from numasim.counting import BlockCounter, CounterRule
from numasim.damon.reports import Reports, Stream, checked_within, region_hits
from numasim.errors import Problem, did_you_mean
from numasim.law import Law
from numasim.sources import Ticking
from numasim.sources.scene import Scene
from numasim.view import View

PAGE_BYTES = 4096


@dataclass
class Dues:
    """Kdamond time that a window took beside looking, spread over the samples of the next.

    Parameters
    ----------
    unpaid_ns, rate_ns : int
        Not spread yet; in every sample now.
    """

    unpaid_ns: int = 0
    rate_ns: int = 0

    def spend(self, busy_ns: int, nr_ticks: int) -> None:
        """The kdamond was busy for so long with a window of so many samples."""
        self.unpaid_ns += busy_ns - self.rate_ns * nr_ticks
        self.rate_ns = max(0, self.unpaid_ns // nr_ticks)


@dataclass
class Reading:
    """Reports, read at every check: a region was accessed if one since its preparation is in it.

    Parameters
    ----------
    views : list of View
    law : Law
    rng : numpy.random.Generator
        Not drawn from: hardware has a stream of its own.
    check_cost_ns : int
        Of looking at a page; not needed here.
    addr_unit : int
    exact_ticks : bool
        No matter: there is no shortcut.
    scene : Scene

    Notes
    -----
    Whatever the source, reports of the open door (`damon_report_access`) count too.

    A sample of a region is 0 or 1, as in the proposal, but any report in the region makes it 1,
    where bits and faults ask one page of it. Of samples of one in n accesses at a rate r to each of
    m pages a region shows ``1 - exp(-r m t / n)`` in an interval t: its count goes with its *size*
    as well as its heat, splitting it halves the count, and the same threshold asks less of large
    regions. Whoever compares regions for heat has to divide by size (`accesses_per_page`).
    """

    views: list[View]
    law: Law
    rng: np.random.Generator
    check_cost_ns: int
    addr_unit: int
    exact_ticks: bool
    scene: Scene

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        self.size = 1  # bytes that a report is about
        self.dues = Dues()
        scene = self.scene
        scene.observing.door.marks[scene.name] = scene.since_ns
        self.joined = self.streams()
        for stream in self.joined:
            stream.join(scene.name, scene.since_ns)

    def streams(self) -> list[Stream]:
        """What it reads beside the open door; shared by all contexts."""
        return []

    def read(self, window: Ticking) -> list[Reports]:
        """Reports of a window from all streams; one that is not read any more is left."""
        lots: list[Reports] = []
        streams = self.streams()
        for stream in self.joined:
            if stream not in streams:
                stream.forget(self.scene.name)
        self.joined = streams
        for stream in streams:
            lots += stream.read(self.scene.name, window.starts_ns, window.ends_ns)
        return lots

    def places(self, reports: Reports) -> np.ndarray:
        """int64[N]: where reports lie on the line of the views' slots."""
        return self.scene.places_of(reports.page, reports.offset)

    def accesses_per_page(self, region_bytes: np.ndarray) -> np.ndarray:
        """float64[R]: accesses to one page (4 KiB) that a report about a region stands for."""
        each: np.ndarray = self.accesses_per_report * PAGE_BYTES / (region_bytes + self.size - 1)
        return each

    @property
    def accesses_per_report(self) -> float:
        """How many accesses made one report: as many as somebody chose to report."""
        return 1.0

    def check_ns(self, nr_regions: int) -> int:
        """CPU time of reading reports once: there is nothing to prepare.

        What reading a window took is spread over the samples of the next. Assumption: finding the
        region of a report is lost beside what making it costs.
        """
        return self.dues.rate_ns

    def hits(
        self, start: np.ndarray, end: np.ndarray, target: np.ndarray, window: Ticking
    ) -> np.ndarray:
        """int64[R]: samples in which each region got a report that the filters let pass."""
        scene, (starts, ends) = self.scene, (window.starts_ns, window.ends_ns)
        lots = self.read(window)
        lots += scene.observing.door.read(scene.name, int(starts[0]), int(ends[-1]))
        reports = Reports.joined(lots)
        found = np.zeros(len(start), np.int64)
        for view in self.views:
            view.arrivals.clear()  # first touches make no report of this kind
        if not len(reports):
            return found
        report, tick = checked_within(reports.time_ns, starts, ends)
        passing = scene.passes(reports, getattr(scene.settings, "filters", "intent"))[report]
        report, tick = report[passing], tick[passing]
        scene.observing.tally(self.kind, scene.name).reports += len(report)
        places = self.places(reports.at(report))
        bounds = np.stack([start, end]) * self.addr_unit
        for t, view in enumerate(self.views):
            own = np.flatnonzero(target == t)
            low, high = view.addresses.linear(bounds[:, own])
            found[own] = region_hits(places, tick, low, high, len(ends), self.size)
        return found


class Sampling(Reading):
    """Records of the machine's only sampler of a kind."""

    def streams(self) -> list[Stream]:
        """That sampler's."""
        return [self.scene.observing.shared(self.kind, self._start)]

    @property
    def accesses_per_report(self) -> float:
        """Its period; of a controlled one where that began, the same for all contexts."""
        return float(self.scene.settings.period)

    def _start(self) -> Stream:
        raise NotImplementedError


class Counting(Reading):
    """Notifications of counters in devices, which tell blocks of frames; taking one costs time.

    Notes
    -----
    Reads and writes are counted alike and no thread is known: reports carry thread -1 and say
    "read", so filters of kinds or threads would have nothing to go by and are refused.
    """

    physical_only: ClassVar[bool] = True
    tells: ClassVar[tuple[str, ...]] = ()

    @property
    def accesses_per_report(self) -> float:
        """A notification comes after so many."""
        return float(self.scene.settings.threshold)

    def read(self, window: Ticking) -> list[Reports]:
        """Notifications of the window, drawn once for all contexts of a device.

        Of several contexts with one device who comes first takes them, and pays. What a device
        lost is taken by nobody.
        """
        tally = self.scene.observing.tally(self.kind)
        before = tally.events - tally.lost
        lots = super().read(window)
        busy_ns = (tally.events - tally.lost - before) * self.scene.settings.notification
        self.dues.spend(busy_ns, len(window.starts_ns))
        return lots

    def places(self, reports: Reports) -> np.ndarray:
        """int64[N]: where blocks begin on the line of frames."""
        return reports.offset

    def counter(
        self, nodes: Sequence[int], accessor: int | None, granularity: int, cpu: int
    ) -> Stream:
        """Counters of one device; see `CounterRule`."""
        own = self.scene.settings
        rule = CounterRule(
            self.kind, tuple(nodes), accessor, granularity, own.threshold, own.drain, own.batch, cpu
        )
        return Stream(BlockCounter(rule, self.scene.observing).draw)


def unknown(place: str, names: Sequence[str], known: Sequence[str], what: str) -> list[Problem]:
    """A complaint about each name in a setting that nothing has."""
    return [
        Problem(f"{place}[{i}]", f'no {what} "{name}"', did_you_mean(name, known))
        for i, name in enumerate(names)
        if name not in known
    ]
