"""Timed events as a scenario file gives them: what the experimenter does at which instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from numasim import library
from numasim.checking import Collector, build
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.formats import kdamonds
from numasim.mapping import Mempolicy
from numasim.policy_data import parse_damo
from numasim.scenario import SYSCTLS, Event
from numasim.topology import Topology
from numasim.units import parse_bytes, parse_duration_ns
from numasim.workload import Workload

EVENT_KEYS = (
    "at", "damo", "kdamonds", "commit", "sysctl", "interleave", "available", "start_process",
    "stop_process",
)  # fmt: skip
"""``kdamonds`` starts the threads of a kdamonds file, ``commit`` tunes running ones to it."""
VERBS = {"start": "start", "tune": "commit", "stop": "stop"}


def inline_kdamonds(document: dict[str, Any], base: Path) -> None:
    """Replace names of kdamonds files by their content, so that the document stands alone."""
    for entry in document.get("events") or []:
        for key in ("kdamonds", "commit"):
            if isinstance(entry, dict) and isinstance(entry.get(key), str):
                entry[key] = library.read(base / entry[key])


def take_process_starts(document: dict[str, Any]) -> None:
    """Move ``start_process`` events of a document into its workload: its start is its own.

    Raises
    ------
    ConfigError
        If there is no such process.
    """
    entries = document.get("events")
    processes = document["workload"].get("processes")
    if not isinstance(entries, list) or not isinstance(processes, list):
        return
    named = {str(p.get("name")): p for p in processes if isinstance(p, dict)}
    kept, problems = [], []
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict) or "start_process" not in entry:
            kept.append(entry)
            continue
        name = str(entry["start_process"])
        extra = sorted(set(entry) - {"at", "start_process"})
        if name not in named or "at" not in entry or extra:
            message = f'no process "{name}"' if name not in named else "expected at beside it only"
            hint = did_you_mean(name, named) if name not in named else ""
            problems.append(Problem(f"events[{i}].start_process", message, hint))
        else:
            named[name]["start"] = entry["at"]
    document["events"] = kept
    if problems:
        raise ConfigError(problems)


def events_of(entries: Any, topology: Topology, workload: Workload) -> list[Event]:
    """Events from plain data: a list of mappings with ``at`` and one action.

    Raises
    ------
    ConfigError
        With every mistake found.
    """
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise ConfigError(Problem("", "expected a list"))
    problems: list[Problem] = []
    found = []
    for i, entry in enumerate(entries):
        step = Collector(problems)
        event = step(f"[{i}]", partial(_event, entry, topology, workload))
        if event is not None:
            found.append(event)
    if problems:
        raise ConfigError(problems)
    return found


def _event(entry: Any, topology: Topology, workload: Workload) -> Event:
    if not isinstance(entry, Mapping):
        raise ConfigError(Problem("", f"got {entry!r}, expected a mapping with at and an action"))
    unknown = [k for k in entry if k not in EVENT_KEYS]
    if unknown:
        raise ConfigError(
            [Problem(str(k), "unknown key", did_you_mean(str(k), EVENT_KEYS)) for k in unknown]
        )
    what = [k for k in EVENT_KEYS[1:] if k in entry]
    if "at" not in entry or len(what) != 1:
        raise ConfigError(Problem("", "expected at and one of " + ", ".join(EVENT_KEYS[1:])))
    at, key = parse_duration_ns(entry["at"]), what[0]
    value = entry[key]
    if key == "damo":
        parsed = parse_damo(str(value), topology)
        action = VERBS.get(parsed.verb or "start")
        if action is None:
            raise ConfigError(
                Problem("damo", f'"{parsed.verb}" does nothing here', "use start, tune or stop")
            )
        return Event(at, action, tuple(parsed.kdamonds), text=str(value))
    if key in ("kdamonds", "commit"):
        specs = tuple(kdamonds.from_raw(value).kdamonds)
        action = "start" if key == "kdamonds" else "commit"
        return Event(at, action, specs, text=f"{len(specs)} kdamonds")
    if key == "sysctl":
        settings = _sysctls(value)
        return Event(at, "sysctl", settings=settings, text=str(settings))
    if key == "interleave":
        weights = _interleave(value, workload)
        return Event(at, "interleave", settings=weights, text=str(weights))
    if key == "available":
        room = _available(value, topology)
        return Event(at, "available", settings=room, text=str(value))
    processes = [p.name for p in workload.processes]
    if value not in processes:
        raise ConfigError(
            Problem("stop_process", f'no process "{value}"', did_you_mean(str(value), processes))
        )
    return Event(at, "stop_process", settings={"process": processes.index(value)}, text=str(value))


def _available(value: Any, topology: Topology) -> dict[str, int]:
    """Bytes of each node that are free or the workload's, as a real machine had them."""
    problems: list[Problem] = []
    collect, found = Collector(problems), {}
    names = {node.name: node for node in topology.nodes}
    for name, size in _mapping(value, "available").items():
        if name not in names:
            hint = did_you_mean(str(name), names)
            problems.append(Problem(f"available.{name}", "no such node", hint))
            continue
        nr_bytes = collect(f"available.{name}", partial(parse_bytes, size))
        if nr_bytes is not None and nr_bytes > names[name].capacity:
            problems.append(Problem(f"available.{name}", f"got {size}, more than the node has"))
        elif nr_bytes is not None:
            found[str(name)] = nr_bytes
    if problems:
        raise ConfigError(problems)
    return found


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not value:
        raise ConfigError(Problem(key, f"got {value!r}, expected names with values"))
    return value


def _sysctls(value: Any) -> dict[str, int]:
    problems = []
    for key, number in _mapping(value, "sysctl").items():
        if key not in SYSCTLS:
            hint = did_you_mean(str(key), SYSCTLS)
            problems.append(Problem(f"sysctl.{key}", "not simulated", hint))
            continue
        low, high = SYSCTLS[key]
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            expected = f"a whole number in {low}..{high}"
            problems.append(Problem(f"sysctl.{key}", f"got {number!r}, expected {expected}"))
    if problems:
        raise ConfigError(problems)
    return {str(k): int(v) for k, v in value.items()}


def _interleave(value: Any, workload: Workload) -> dict[str, tuple[int, ...]]:
    """New weights by mapping, checked as those of the workload are."""
    policies: dict[str, list[Mempolicy]] = {}
    for process in workload.processes:
        for mapping in process.mappings:
            policies.setdefault(mapping.name, []).append(mapping.policy)
    problems: list[Problem] = []
    collect, found = Collector(problems), {}
    for name, weights in _mapping(value, "interleave").items():
        place = f"interleave.{name}"
        if name not in policies:
            problems.append(Problem(place, "no such mapping", did_you_mean(str(name), policies)))
        for old in policies.get(name, ()):
            if old.mode != "weighted_interleave":
                message = f"the mapping's policy is {old.mode}, expected weighted_interleave"
                problems.append(Problem(place, message))
                continue
            fields = {"mode": old.mode, "nodes": old.nodes, "weights": weights}
            new = collect(place, partial(build, Mempolicy, fields))
            if new is not None:
                found[str(name)] = new.weights
    if problems:
        raise ConfigError(problems)
    return found
