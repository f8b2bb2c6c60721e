"""Suite files: experiments, the numbers they are judged by, and how far those may move."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numasim import library
from numasim.checking import Collector
from numasim.documents import read_document
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.loader import load_scenario
from numasim.scenario import MOST_SEEDS, Scenario
from numasim.settings import KEYS
from numasim.sweep.parameters import read_limits
from numasim.sweep.plan import Limits
from numasim.sweep.ranking import HIGHER, known_metrics
from numasim.sweep.recordings import with_digests
from numasim.units import parse_ratio

SUITE_KEYS = ("name", "description", "experiments", "metrics", "seeds", "baseline_seeds",
              "false_alarm", "notice", "limits")  # fmt: skip
EXPERIMENT_KEYS = ("name", "metrics", "scenario", "set")
SCENARIO_KEYS = frozenset(KEYS) - {"name", "description", "policies", "seeds", "seed"}
METRIC_KEYS = ("relative", "absolute", "better")
BETTER = ("higher", "lower", "neither")
SEEDS, BASELINE_FACTOR = 20, 4
FALSE_ALARM, NOTICE = 0.001, 0.02
FEW = 5


@dataclass(frozen=True)
class Metric:
    """A number that is judged.

    Parameters
    ----------
    name : str
    within : float
        How far its mean may move for the worse: a share of the baseline's, or its own unit.
    relative : bool
        Whether `within` is a share.
    better : str
        ``higher``, ``lower``, or ``neither``: then no change is for the better.
    """

    name: str
    within: float
    relative: bool
    better: str


@dataclass(frozen=True)
class Experiment:
    """A scenario and the numbers it is judged by."""

    name: str
    scenario: Scenario
    metrics: tuple[Metric, ...]

    def content(self) -> str:
        """Hash of what is run, without code and seeds: a baseline of another is none.

        The same on every machine: recordings count by what is in them, not by where they lie.
        """
        document = {k: v for k, v in self.scenario.document.items() if k not in ("seed", "seeds")}
        text = json.dumps(with_digests(document), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Suite:
    """What a gate runs.

    Parameters
    ----------
    name : str
    experiments : tuple of Experiment
    seeds : int
        Runs of each experiment; the first seeds.
    baseline_seeds : int
        The same when a baseline is made: that is seldom, and its error is in every later decision.
    false_alarm : float
        Chance at most that anything at all is called worse if every mean moved just as far as it
        may; far less where nothing moved.
    notice : float
        Relative change for the worse that is to be noticed, nine times of ten.
    limits : Limits
    path : Path or None
    """

    name: str
    experiments: tuple[Experiment, ...]
    seeds: int = SEEDS
    baseline_seeds: int = SEEDS * BASELINE_FACTOR
    false_alarm: float = FALSE_ALARM
    notice: float = NOTICE
    limits: Limits = field(default_factory=Limits)
    path: Path | None = None

    @property
    def nr_judged(self) -> int:
        """Decisions of one gate."""
        return sum(len(experiment.metrics) for experiment in self.experiments)


def find_suite(name: str | Path) -> Path:
    """A suite by path, or a shipped one by name.

    Raises
    ------
    ConfigError
    """
    return library.find("gates", str(name))


def read_suite(given: str | Path | Mapping[str, Any]) -> Suite:
    """The suite of a file or of plain data.

    Raises
    ------
    ConfigError
        With every mistake, and the lines of those in the file.
    """
    if isinstance(given, Mapping):
        return _suite(dict(given), Path("."), None)
    path = find_suite(given)
    data = library.read(path)
    if not isinstance(data, Mapping):
        hint = "a suite has experiments and metrics"
        raise ConfigError(Problem("", "expected a mapping", hint), str(path))
    try:
        return _suite({"name": path.stem, **data}, path.parent, path)
    except ConfigError as error:
        raise library.with_lines(ConfigError(error.problems, str(path)), path) from None


def _suite(data: dict[str, Any], base: Path, path: Path | None) -> Suite:
    problems = [
        Problem(str(key), "unknown key", did_you_mean(str(key), {*SUITE_KEYS, *SCENARIO_KEYS}))
        for key in data
        if key not in SUITE_KEYS and key not in SCENARIO_KEYS
    ]
    collect = Collector(problems)
    seeds = collect("seeds", lambda: _count(data.get("seeds", SEEDS)))
    more = data.get("baseline_seeds", (seeds or SEEDS) * BASELINE_FACTOR)
    baseline_seeds = collect("baseline_seeds", lambda: _count(more))
    alarm = collect("false_alarm", lambda: _chance(data.get("false_alarm", FALSE_ALARM)))
    notice = collect("notice", lambda: _chance(data.get("notice", NOTICE)))
    limits = collect("limits", lambda: read_limits(data.get("limits", {})))
    shared = _metrics(data.get("metrics", {}), "metrics", problems)
    given = data.get("experiments")
    experiments: list[Experiment] = []
    if not isinstance(given, list) or not given:
        problems.append(Problem("experiments", "expected a list of experiments"))
        given = []
    for i, entry in enumerate(given):
        place = f"experiments[{i}]"
        if not isinstance(entry, Mapping):
            problems.append(Problem(place, "expected a mapping"))
            continue
        made = collect(place, lambda e=entry: _experiment(dict(e), data, shared, base))  # type: ignore[misc]
        if made is not None:
            if any(other.name == made.name for other in experiments):
                problems.append(Problem(f"{place}.name", f'a second "{made.name}"'))
            experiments.append(made)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    assert seeds and baseline_seeds and alarm and notice and limits is not None
    return Suite(
        str(data.get("name", "suite")), tuple(experiments), seeds, baseline_seeds, alarm, notice,
        limits, path,
    )  # fmt: skip


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not FEW <= value <= MOST_SEEDS:
        raise ConfigError(f"got {value!r}, expected a whole number of at least {FEW}")
    return value


def _chance(value: Any) -> float:
    found = parse_ratio(value)
    if not 0 < found < 1:
        raise ConfigError(f"got {value}, expected a share between 0 and 1")
    return found


def _experiment(
    data: dict[str, Any], suite: Mapping[str, Any], shared: tuple[Metric, ...], base: Path
) -> Experiment:
    """One experiment: its own keys over those of its scenario over those of the suite."""
    known = {*EXPERIMENT_KEYS, *SCENARIO_KEYS}
    problems = [
        Problem(str(key), "unknown key", did_you_mean(str(key), known))
        for key in data
        if key not in known
    ]
    collect = Collector(problems)
    own = _metrics(data.get("metrics", {}), "metrics", problems)
    document = {key: value for key, value in suite.items() if key in SCENARIO_KEYS}
    if "scenario" in data:
        named = data["scenario"]
        beside = base / str(named)
        read = collect(
            "scenario", lambda: read_document(str(beside) if beside.is_file() else named)
        )
        document.update(read.data if read is not None else {})
    document.update({key: value for key, value in data.items() if key in SCENARIO_KEYS})
    for key in ("policies", "seeds", "seed", "name", "description"):
        document.pop(key, None)
    settings = data.get("set", {})
    if not isinstance(settings, Mapping):
        problems.append(Problem("set", "expected names with their values: {workload.hot: 2 GiB}"))
        settings = {}
    overrides = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    made = collect("", lambda: load_scenario(document, overrides=overrides, base=base))
    metrics = {metric.name: metric for metric in (*shared, *own)}
    if not metrics:
        problems.append(Problem("metrics", "expected at least one, here or for the whole suite"))
    if problems:
        raise ConfigError(problems)
    assert made is not None
    name = data.get("name", f"{made.policy_name} on {made.topology.name}")
    return Experiment(str(name), made, tuple(metrics.values()))


def _metrics(given: Any, place: str, problems: list[Problem]) -> tuple[Metric, ...]:
    if not isinstance(given, Mapping):
        problems.append(Problem(place, "expected names with limits: throughput_ops_per_s: 0.5 %"))
        return ()
    collect = Collector(problems)
    found = [
        collect(f"{place}.{name}", lambda n=str(name), s=spec: _metric(n, s))  # type: ignore[misc]
        for name, spec in given.items()
    ]
    return tuple(metric for metric in found if metric is not None)


def _metric(name: str, given: Any) -> Metric:
    """``0.5 %``, or ``{relative: 0.5 %, better: higher}``, or ``{absolute: 0.01}``."""
    problems = []
    known = known_metrics()
    if name not in known:
        problems.append(Problem("", f'no number "{name}"', did_you_mean(name, known)))
    spec = given if isinstance(given, Mapping) else {"relative": given}
    problems += [
        Problem(str(key), "unknown key", did_you_mean(str(key), METRIC_KEYS))
        for key in spec
        if key not in METRIC_KEYS
    ]
    better = spec.get("better", "higher" if name in HIGHER else "lower")
    if better not in BETTER:
        hint = did_you_mean(str(better), BETTER)
        problems.append(Problem("better", f'got "{better}", expected higher, lower, neither', hint))
    if ("relative" in spec) == ("absolute" in spec):
        problems.append(Problem("", "expected either relative or absolute"))
    collect = Collector(problems)
    if "relative" in spec:
        within = collect("relative", lambda: parse_ratio(spec["relative"]))
    else:
        within = collect("absolute", lambda: _amount(spec.get("absolute", 0)))
    if problems or within is None:
        raise ConfigError(problems)
    return Metric(name, within, "relative" in spec, str(better))


def _amount(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ConfigError(f"got {value!r}, expected a number of at least 0, in the metric's unit")
    return float(value)
