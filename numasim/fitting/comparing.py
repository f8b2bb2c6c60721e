"""A recording and its fit under the same monitoring and the same policy: what differs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from numasim import library
from numasim.errors import ConfigError, Problem
from numasim.fitting.model import PAGE_BYTES, Model, fitted
from numasim.fitting.seen import View, apart, emd, f1, seen, truth
from numasim.formats import page_trace
from numasim.running import run
from numasim.tape import Tape, open_tape
from numasim.workload import FIRST_ADDRESS

WANTED_BYTES = 1 << 30
"""Of a replay: recorded pages are stretched to about that."""
PID = 1000
MONITORED = "dram_cxl"
RESERVE_BYTES = 64 << 20
"""What a node needs besides the pages placed there: watermarks, and room for migration."""


@dataclass(frozen=True)
class Settings:
    """How a recording and its fit are compared.

    Parameters
    ----------
    span_s : float
        Time of one pass of the recording.
    passes : float
        Passes that are watched.
    stretch : int
        Pages for each recorded page; 0: so many that it becomes about 1 GiB.
    sample_ms, aggr_ms : float
    regions : (int, int)
    hot : float
        Share of samples from which addresses are hot.
    seeds : int
    policy : str
        Under which the local share is compared.
    fast : float
        Memory of the fast node, as a share of the footprint.
    """

    span_s: float = 10.0
    passes: float = 1.0
    stretch: int = 0
    sample_ms: float = 5.0
    aggr_ms: float = 100.0
    regions: tuple[int, int] = (10, 1000)
    hot: float = 0.05
    seeds: int = 3
    policy: str = "tpp_damon"
    fast: float = 0.4

    def check(self) -> None:
        """Refuse numbers that make no sense.

        Raises
        ------
        ConfigError
            With every one of them.
        """
        found = [
            Problem(f"--{name}", f"got {value:g}, expected {wanted}")
            for name, value, holds, wanted in (
                ("span", self.span_s, 0 < self.span_s <= 1e6, "more than 0 s"),
                ("passes", self.passes, 0 < self.passes <= 1e4, "more than 0"),
                ("stretch", self.stretch, 0 <= self.stretch <= 1 << 20, "0 or more"),
                ("seeds", self.seeds, 1 <= self.seeds <= 1000, "at least 1"),
                ("fast", self.fast, 0.01 <= self.fast <= 10, "0.01 to 10"),
            )
            if not holds
        ]
        if found:
            raise ConfigError(found)


@dataclass(frozen=True)
class Line:
    """One row of the comparison; means over seeds.

    Parameters
    ----------
    name, unit : str
    truth, replay, fit : float
        NaN where there is none.
    noise : float
        How far two seeds of the replay are apart, on average: no model can do better.
    """

    name: str
    unit: str
    truth: float
    replay: float
    fit: float
    noise: float

    @property
    def difference(self) -> float:
        """Fit minus replay."""
        return self.fit - self.replay


@dataclass(frozen=True)
class Comparison:
    """What came of it.

    Parameters
    ----------
    name : str
    model : Model
    workload : dict
        The fit, as its YAML gives it.
    settings : Settings
    lines : list of Line
    views : dict of str to View
        ``truth``, and ``replay`` and ``fit`` of the first seed.
    """

    name: str
    model: Model
    workload: dict[str, Any]
    settings: Settings
    lines: list[Line] = field(default_factory=list)
    views: dict[str, View] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "trace": self.name, "program": self.model.tape.header.program,
            "phases": len(self.model.phases) - 1, "segments": len(self.model.segments) - 1,
            "settings": {k: getattr(self.settings, k) for k in self.settings.__dataclass_fields__},
            "lines": [
                {"name": one.name, "unit": one.unit, "truth": _known(one.truth),
                 "replay": _known(one.replay), "fit": _known(one.fit),
                 "difference": _known(one.difference), "between_seeds": _known(one.noise)}
                for one in self.lines
            ],
        }  # fmt: skip


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def compare(
    path: str | Path, settings: Settings, on_done: Callable[[float], None] | None = None
) -> Comparison:
    """Fit a recording, watch replay and fit, and say how they differ.

    Parameters
    ----------
    path : str or Path
    settings : Settings
    on_done : callable, optional
        Called with the share of runs that are done.

    Returns
    -------
    Comparison

    Raises
    ------
    ConfigError
        If the recording cannot be read, or says nothing of time.
    """
    settings.check()
    tape = open_tape(path)
    if tape.header.interval_ns is None:
        raise ConfigError(Problem("est_seconds_per_interval", "is missing"), str(path))
    sample = settings.sample_ms / 1000 * tape.header.intervals / settings.span_s
    name, model = Path(path).with_suffix("").name, fitted(tape, sample)
    runs = _Runs(tape, model, settings, str(path), on_done)
    views = [(runs.watched("replay", seed), runs.watched("fit", seed)) for seed in runs.seeds]
    local = [(runs.local("replay", seed), runs.local("fit", seed)) for seed in runs.seeds]
    compute = f"{tape.header.interval_ns:.0f} ns"
    workload = model.to_workload(f"{name}_fit", compute=compute, stretch=1)
    true = runs.truth()
    lines = _lines(true, views, local, settings)
    shown = {"truth": true, "replay": views[0][0], "fit": views[0][1]}
    return Comparison(name, model, workload, settings, lines, shown)


class _Runs:
    """The simulations of one comparison."""

    def __init__(
        self, tape: Tape, model: Model, settings: Settings, path: str,
        on_done: Callable[[float], None] | None,
    ) -> None:  # fmt: skip
        self._tape, self._settings, self._on_done = tape, settings, on_done
        header, s = tape.header, settings
        self._bytes = header.pages * PAGE_BYTES
        stretch = s.stretch or max(1, round(WANTED_BYTES / self._bytes))
        self._bytes *= stretch
        self._per_s = header.intervals / s.span_s
        self.seeds = range(1, s.seeds + 1)
        pace = f"{self._per_s:.6g} /s"
        self._workloads = {
            "replay": _paced(page_trace.to_workload(path, "replay", stretch=stretch), pace),
            "fit": model.to_workload("fit", pace=pace, stretch=stretch),
        }
        self._done, self._total = 0, 4 * s.seeds

    def truth(self) -> View:
        """What the recording says."""
        s = self._settings
        sample, aggr = (ms / 1000 * self._per_s for ms in (s.sample_ms, s.aggr_ms))
        return truth(self._tape, s.passes * self._tape.header.intervals, sample, aggr)

    def watched(self, which: str, seed: int) -> View:
        """A run under a kdamond that only looks."""
        s = self._settings
        policy = (
            f"damo start --ops fvaddr --target_pid {PID} "
            f"--regions {FIRST_ADDRESS}-{FIRST_ADDRESS + self._bytes} "
            f"--monitoring_intervals {s.sample_ms:g}ms {s.aggr_ms:g}ms 1s "
            f"--monitoring_nr_regions_range {s.regions[0]} {s.regions[1]}"
        )
        result = run(
            MONITORED, self._workloads[which], policy, duration=self._duration(), seed=seed,
            snapshots="all",
        )  # fmt: skip
        self._count()
        return seen(result, FIRST_ADDRESS, self._bytes, s.passes * s.span_s)

    def local(self, which: str, seed: int) -> float:
        """Local share under a policy, with a fast node smaller than the footprint."""
        s = self._settings
        result = run(
            machine(self._bytes, s.fast), self._workloads[which], s.policy,
            duration=self._duration(), seed=seed,
        )  # fmt: skip
        self._count()
        return result.summary()["local_share"]

    def _duration(self) -> str:
        s = self._settings
        return f"{round(1000 * (s.passes * s.span_s + 2))} ms"  # until pages are there

    def _count(self) -> None:
        self._done += 1
        if self._on_done is not None:
            self._on_done(self._done / self._total)


def _paced(workload: dict[str, Any], pace: str) -> dict[str, Any]:
    """A replay at a pace instead of as fast as memory lets it."""
    for process in workload["processes"]:
        for actor in process["actors"]:
            for phase in actor["phases"]:
                phase.pop("compute")
                phase["pace"] = pace
    return workload


def machine(footprint_bytes: int, fast: float) -> dict[str, Any]:
    """The demonstration machine with a fast node for a share of a footprint.

    Parameters
    ----------
    footprint_bytes : int
    fast : float
    """
    data: dict[str, Any] = dict(library.read(library.find("topologies", MONITORED)))
    size = round((fast * footprint_bytes + RESERVE_BYTES) / (1 << 20))
    data["nodes"] = [dict(node) for node in data["nodes"]]
    data["nodes"][0]["capacity"] = f"{size} MiB"
    data["name"] = f"{MONITORED}_small"
    return data


# -- differences ---------------------------------------------------------------------------------

Pair = tuple[View, View]


def _lines(
    true: View, views: list[Pair], local: list[tuple[float, float]], s: Settings
) -> list[Line]:
    replays, fits = [v[0] for v in views], [v[1] for v in views]
    hot = true.hot(s.hot)
    found = [
        _values("regions", "", math.nan, views, lambda v: float(v.regions.mean())),
        _values("working set, median", "%", 100 * float(np.median(true.working_set)), views,
                lambda v: 100 * float(np.median(v.working_set))),
        _values("hot set", "%", 100 * float(hot.mean()), views,
                lambda v: 100 * float(v.hot(s.hot).mean())),
        _values("hot set against the trace, F1", "", 1.0, views, lambda v: f1(hot, v.hot(s.hot))),
        _values("heatmap from the trace, EMD", "", 0.0, views, lambda v: emd(true.heat, v.heat)),
        _distance("heatmap from the replay, EMD", replays, fits,
                  lambda a, b: emd(a.heat, b.heat)),
        _distance("hot set against the replay, F1", replays, fits,
                  lambda a, b: f1(a.hot(s.hot), b.hot(s.hot))),
        _distance("working set from the replay", replays, fits,
                  lambda a, b: 100 * apart(a.working_set, b.working_set), "%"),
    ]  # fmt: skip
    found.append(_means(f"local share under {s.policy}", "", math.nan, local))
    return found


def _values(
    name: str, unit: str, true: float, views: list[Pair], of: Callable[[View], float]
) -> Line:
    """A number of each view."""
    return _means(name, unit, true, [(of(replay), of(fit)) for replay, fit in views])


def _means(name: str, unit: str, true: float, pairs: list[tuple[float, float]]) -> Line:
    """Means of values of replay and fit over seeds."""
    replays, fits = zip(*pairs, strict=True)
    gaps = [abs(a - b) for a, b in combinations(replays, 2)]
    noise = float(np.mean(gaps)) if gaps else math.nan
    return Line(name, unit, true, float(np.mean(replays)), float(np.mean(fits)), noise)


def _distance(
    name: str, replays: list[View], fits: list[View], of: Callable[[View, View], float],
    unit: str = "",
) -> Line:  # fmt: skip
    """How far fits are from the replays of other seeds, and these from each other."""
    pairs = list(combinations(range(len(replays)), 2))
    between = float(np.mean([of(replays[i], replays[j]) for i, j in pairs])) if pairs else math.nan
    from_fit = [
        of(replays[i], fit) for i in range(len(replays)) for j, fit in enumerate(fits)
        if i != j or not pairs
    ]  # fmt: skip
    return Line(name, unit, math.nan, between, float(np.mean(from_fit)), between)
