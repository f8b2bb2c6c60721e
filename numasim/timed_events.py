"""Timed events as a scenario file gives them: what the experimenter does at which instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numasim import library
from numasim.checking import Collector
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.formats import kdamonds
from numasim.policy_data import parse_damo
from numasim.scenario import SYSCTLS, Event
from numasim.topology import Topology
from numasim.units import parse_duration_ns
from numasim.workload import Workload

EVENT_KEYS = ("at", "damo", "kdamonds", "commit", "sysctl", "interleave", "stop_process")
"""``kdamonds`` starts the threads of a kdamonds file, ``commit`` tunes running ones to it."""
VERBS = {"start": "start", "tune": "commit", "stop": "stop"}


def inline_kdamonds(document: dict[str, Any], base: Path) -> None:
    """Replace names of kdamonds files by their content, so that the document stands alone."""
    for entry in document.get("events") or []:
        for key in ("kdamonds", "commit"):
            if isinstance(entry, dict) and isinstance(entry.get(key), str):
                entry[key] = library.read(base / entry[key])


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
        event = step(f"[{i}]", lambda entry=entry: _event(entry, topology, workload))
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
        return Event(at, "sysctl", settings=_sysctls(value), text=str(dict(value)))
    if key == "interleave":
        names = {m.name for p in workload.processes for m in p.mappings}
        bad = [
            Problem(f"interleave.{m}", "no such mapping", did_you_mean(m, names))
            for m in value
            if m not in names
        ]
        if bad:
            raise ConfigError(bad)
        return Event(at, "interleave", settings=dict(value), text=str(dict(value)))
    processes = [p.name for p in workload.processes]
    if value not in processes:
        raise ConfigError(
            Problem("stop_process", f'no process "{value}"', did_you_mean(str(value), processes))
        )
    return Event(at, "stop_process", settings={"process": processes.index(value)}, text=str(value))


def _sysctls(value: Any) -> dict[str, int]:
    problems = [
        Problem(f"sysctl.{key}", "not simulated", did_you_mean(str(key), SYSCTLS))
        for key in value
        if key not in SYSCTLS
    ]
    problems += [
        Problem(f"sysctl.{key}", f"got {number!r}, expected a whole number")
        for key, number in value.items()
        if not isinstance(number, int)
    ]
    if problems:
        raise ConfigError(problems)
    return {str(k): int(v) for k, v in value.items()}
