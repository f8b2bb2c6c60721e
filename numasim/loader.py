"""Files and options → `Scenario`, every complaint at once."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from numasim import library, sources
from numasim.checking import Collector, build, plain
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.feasible import doubtful, impossible
from numasim.formats import masim, page_trace
from numasim.overrides import apply_overrides, substitute
from numasim.policy_data import build_policy, policy_data, policy_title, self_contained
from numasim.recorded_clock import ClockRecord
from numasim.scenario import Event, Scenario, seeds_of
from numasim.settings import KEYS, in_full
from numasim.timed_events import events_of, inline_kdamonds, take_process_starts
from numasim.topology import Topology
from numasim.units import parse_duration_ns, parse_ratio
from numasim.workload import Workload

T = TypeVar("T")

NEED_A_WORKLOAD = {"interleave", "start_process", "stop_process"}
NEED_A_MACHINE = {"available"}
ANY_MACHINE = cast(
    Topology,
    SimpleNamespace(
        name="the machine",
        nodes=range(1 << 16),
        node_ranges=lambda nid: [(nid << 44, (nid + 1) << 44)],
        default_range=lambda: (0, 1 << 60),
    ),
)
"""Stands for a machine that is itself wrong: has every node a command may name."""
NO_PROGRAM = cast(Workload, SimpleNamespace(processes=()))


def load_topology(name: str | Mapping[str, Any] | Topology) -> Topology:
    """A topology by name, path or plain data.

    Raises
    ------
    ConfigError
    """
    if isinstance(name, Topology):
        return name
    return _load("topologies", name, lambda data, source: Topology.from_dict(data, source))


def load_workload(
    name: str | Mapping[str, Any] | Workload, overrides: Sequence[str] = ()
) -> Workload:
    """A workload by name, path (YAML), masim configuration (``*.cfg``) or plain data.

    Raises
    ------
    ConfigError
    """
    if isinstance(name, Workload):
        return name
    return Workload.from_dict(
        workload_data(name, overrides), str(name) if isinstance(name, str) else ""
    )


def workload_data(
    name: str | Mapping[str, Any], overrides: Sequence[str] = (), base: Path = Path(".")
) -> dict[str, Any]:
    """Plain data of a workload with its parameters filled in."""
    if isinstance(name, str) and name.endswith(".cfg"):
        path = masim_path(name, base)
        data = masim.to_workload(masim.read(path), path.stem)
    elif isinstance(name, str):
        path = library.find("workloads", name, base)
        data = page_trace.found_beside(library.read(path), path.parent)
    else:
        data = copy.deepcopy(cast(Any, name))  # may be anything: checked below
    if not isinstance(data, Mapping):
        source = name if isinstance(name, str) else ""
        raise ConfigError(Problem("", "expected a mapping", "see workloads/ for examples"), source)
    data = dict(data)
    problems: list[Problem] = []
    collect = Collector(problems)
    collect("", lambda: apply_overrides(data, overrides, "workload"))
    filled = collect("", lambda: substitute(data))
    if problems or filled is None:
        raise ConfigError(problems)
    return filled


def masim_path(name: str, base: Path = Path(".")) -> Path:
    """The masim configuration at a path, or shipped under that file name."""
    shipped = library.folder("workloads") / "masim" / name
    return next((p for p in (base / name, Path(name), shipped) if p.is_file()), Path(name))


def _load(kind: str, name: str | Mapping[str, Any], make: Callable[[Any, str], T]) -> T:
    if not isinstance(name, str):
        return make(dict(name) if isinstance(name, Mapping) else name, "")
    path = library.find(kind, name)
    try:
        return make(library.read(path), str(path))
    except ConfigError as error:
        raise library.with_lines(error, path) from None


def load_scenario(
    document: dict[str, Any],
    *,
    overrides: Sequence[str] = (),
    policy: Any = None,
    source: str = "",
    base: Path = Path("."),
) -> Scenario:
    """The scenario a document describes.

    Parameters
    ----------
    document : mapping
        Keys: topology, workload, policy (or one of policies), events, duration, seed, record,
        snapshots (``thinned`` or ``all``), hot_ratio, access_source, sources (parameters of each
        by its name), accessor_truth, exact_ticks, clocks (of kdamonds by name, as recorded).
        Topology and workload by name, path or in place.
    overrides : sequence of str
        ``KEY=VALUE``, where the key begins with ``topology.``, ``workload.``, ``policy.`` or
        ``scenario.``, or is one that only one of them has (``source=pebs``).
    policy : str or mapping, optional
        Instead of the document's.
    source : str
        Name of the document in messages.
    base : Path
        Where files named in it are looked for.

    Raises
    ------
    ConfigError
        With every mistake found.
    """
    document = copy.deepcopy(document)
    chosen = policy if policy is not None else document.get("policy", "no_tiering")
    overrides, problems = in_full(overrides, document, [chosen], base)
    collect = Collector(problems)
    collect("", lambda: apply_overrides(document, _under("scenario.", overrides), "scenario"))
    problems += [
        Problem(str(key), "unknown key", did_you_mean(str(key), KEYS))
        for key in document
        if key not in KEYS
    ]
    topology = collect("topology", lambda: _topology(document, overrides, base))
    given = document.get("workload")
    programs = collect("workload", lambda: _inline_workload(document, overrides, base))
    workload, numbers = None, _numbers(document.get("events"))
    if programs is not None:
        collect("", lambda: take_process_starts(document))
        workload = collect("workload", lambda: _workload(programs, given, base))
    duration = collect("duration", lambda: _some_time(_needed(document, "duration")))
    collect("", lambda: seeds_of(document.get("seeds", 1)))
    plain_keys: dict[str, Any] = {
        key: collect(key, partial(read, document.get(key, default)))
        for key, (default, read) in _PLAIN.items()
    }
    eye, settings = plain_keys["access_source"], plain_keys["sources"]
    data = collect("policy", lambda: policy_data(chosen, overrides, base))
    made = None
    if data is not None:
        made = collect("policy", lambda: build_policy(data, topology or ANY_MACHINE, base))
    wrong: list[Problem] = []
    events = _events(document, topology, workload, duration, base, wrong)
    if topology is not None and settings is not None:
        problems += sources.misfits(settings, topology)
    if topology is not None and workload is not None:
        agreed = None if wrong else events
        wrong += impossible(topology, workload, made, agreed, duration, eye or DEFAULT_SOURCE)
    problems += wrong if programs is None else [_renumbered(p, numbers) for p in wrong]
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)), source)
    assert topology is not None and workload is not None and data is not None and made is not None
    assert duration is not None
    for plural in ("policies", "seeds"):  # what a comparison runs; this is one run
        document.pop(plural, None)
    document["policy"] = self_contained(data, topology, base)
    return Scenario(
        topology,
        workload,
        made,
        policy_title(chosen, data),
        duration,
        plain_keys["seed"],
        tuple(events or ()),
        plain_keys["record"],
        plain_keys["hot_ratio"],
        plain_keys["exact_ticks"],
        plain_keys["snapshots"] == "all",
        (
            *_warnings(given, base),
            *doubtful(topology, workload, made, tuple(events or ()), eye, settings),
        ),
        eye,
        plain_keys["clocks"],
        plain_keys["accessor_truth"],
        settings,
        document,
    )


def _numbers(entries: Any) -> list[int]:
    """Which of the document's events remain once the starts of processes are taken out."""
    entries = entries if isinstance(entries, list) else []
    starts = [isinstance(e, Mapping) and "start_process" in e for e in entries]
    return [i for i, start in enumerate(starts) if not start]


def _renumbered(problem: Problem, numbers: Sequence[int]) -> Problem:
    match = re.match(r"events\[(\d+)\]", problem.place)
    if match is None or int(match[1]) >= len(numbers):
        return problem
    return replace(problem, place=f"events[{numbers[int(match[1])]}]{problem.place[match.end() :]}")


def _events(
    document: dict[str, Any],
    topology: Topology | None,
    workload: Workload | None,
    duration: int | None,
    base: Path,
    problems: list[Problem],
) -> list[Event] | None:
    """Timed events, checked as far as can be without what they are about."""
    collect = Collector(problems)
    given = document.get("events") or []
    if isinstance(given, list):
        collect("events", lambda: inline_kdamonds(document, base))
        given = list(given)  # the document keeps what was written
        for i, entry in enumerate(given):
            if not isinstance(entry, Mapping):
                continue
            unknown = NEED_A_WORKLOAD if workload is None else set()
            unknown |= NEED_A_MACHINE if topology is None else set()
            given[i] = checkable = _without(entry, unknown)
            step = partial(_before_the_end, entry.get("at", "0 s"), duration)
            if collect(f"events[{i}].at", step) is None and "at" in entry:
                checkable["at"] = "0 s"  # told; what else is wrong?
    about = (topology or ANY_MACHINE, workload or NO_PROGRAM)
    return collect("events", lambda: events_of(given, *about))


def _before_the_end(at: Any, duration: int | None) -> int:
    at_ns = parse_duration_ns(at)
    if duration is not None and at_ns >= duration:
        raise ConfigError("is after the end of the run")
    return at_ns


def _without(entry: Mapping[str, Any], unknown: set[str]) -> dict[str, Any]:
    """An entry that can be checked without what is not known."""
    rest = {key: value for key, value in entry.items() if key not in unknown}
    if len(rest) < len(entry):
        rest["sysctl"] = {"vm.min_free_kbytes": 0}  # anything that is right
    return rest


def _warnings(workload: Any, base: Path) -> tuple[str, ...]:
    if isinstance(workload, str) and workload.endswith(".cfg"):
        return masim.read(masim_path(workload, base)).warnings
    return ()


def _snapshots(value: Any) -> str:
    if value not in ("thinned", "all"):
        raise ConfigError(Problem("", f'got "{value}", expected "thinned" or "all"'))
    return str(value)


def _clocks(value: Any) -> dict[str, ClockRecord]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"got {value!r}, expected names of kdamonds with their clocks")
    return {str(name): build(ClockRecord, data, place=str(name)) for name, data in value.items()}


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"got {value!r}, expected true or false")
    return value


def _needed(document: Mapping[str, Any], key: str) -> Any:
    if key not in document:
        raise ConfigError("is missing")
    return document[key]


def _some_time(value: Any) -> int:
    duration_ns = parse_duration_ns(value)
    if duration_ns <= 0:
        raise ConfigError(f"got {value}, expected more than 0")
    return duration_ns


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"got {value!r}, expected a whole number of at least 0")
    return value


def _source(value: Any) -> str:
    name = str(value)
    sources.registry.get(name)
    return name


DEFAULT_SOURCE = "accessed_bits"
_PLAIN: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "record": ("1 s", _some_time),
    "seed": (1, _seed),
    "snapshots": ("thinned", _snapshots),
    "hot_ratio": (0.05, parse_ratio),
    "exact_ticks": (False, _flag),
    "access_source": (DEFAULT_SOURCE, _source),
    "accessor_truth": (False, _flag),
    "sources": ({}, sources.settings_of),
    "clocks": ({}, _clocks),
}
"""Keys that stand for themselves: what they are by default, and who reads them."""


def _under(root: str, overrides: Sequence[str]) -> list[str]:
    return [o for o in overrides if o.startswith(root) and "=" in o]


def _topology(document: dict[str, Any], overrides: Sequence[str], base: Path) -> Topology:
    """The topology, whose plain data replace its name in the document, so that it stands alone."""
    given = _needed(document, "topology")
    if isinstance(given, Topology):
        document["topology"] = given = plain(given)
    own = _under("topology.", overrides)
    problems: list[Problem] = []
    collect = Collector(problems)
    if isinstance(given, str):
        path = library.find("topologies", given, base)
        document["topology"] = library.read(path)
        found = collect("", lambda: load_topology(str(path)))  # complains with line numbers
        if found is not None and not own:
            return found
    if isinstance(document["topology"], dict):
        collect("", lambda: apply_overrides(document["topology"], own, "topology"))
    if problems:
        raise ConfigError(problems)
    return load_topology(document["topology"])


def _inline_workload(
    document: dict[str, Any], overrides: Sequence[str], base: Path
) -> dict[str, Any]:
    """Plain data of the workload, in the document instead of its name."""
    given = _needed(document, "workload")
    if isinstance(given, Workload):
        given = plain(given)
    own = _under("workload.", overrides)
    try:
        document["workload"] = data = workload_data(given, own, base)
    except ConfigError as error:
        problems = list(error.problems)
        if not any(problem.place.startswith("--set") for problem in problems):
            raise
        alone = Collector(problems)  # what is wrong without the settings as well?
        unset = alone("", lambda: workload_data(given, (), base))
        if unset is not None:
            alone("", lambda: _workload(unset, given, base))
        raise ConfigError(list(dict.fromkeys(problems))) from None
    return data


def _workload(data: dict[str, Any], given: Any, base: Path) -> Workload:
    source = given if isinstance(given, str) else ""
    try:
        return Workload.from_dict(data, source)
    except ConfigError as error:
        if not source or source.endswith(".cfg"):
            raise
        raise library.with_lines(error, library.find("workloads", source, base)) from None
