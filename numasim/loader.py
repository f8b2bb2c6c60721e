"""Files and options → `Scenario`, every complaint at once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from numasim import library
from numasim.checking import Collector, plain
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.formats import masim
from numasim.machine import accessor_of
from numasim.monitors import check_runnable
from numasim.overrides import apply_overrides, substitute
from numasim.policies import Policy
from numasim.policy_data import build_policy, policy_data, policy_title, self_contained
from numasim.scenario import Event, Scenario
from numasim.timed_events import events_of, inline_kdamonds
from numasim.topology import Topology
from numasim.units import parse_duration_ns, parse_ratio
from numasim.workload import Workload

T = TypeVar("T")

KEYS = (
    "name", "description", "topology", "workload", "policy", "policies", "events", "duration", "seed",
    "seeds", "record", "hot_ratio", "exact_ticks", "snapshots",
)  # fmt: skip
OVERRIDABLE = ("topology.", "workload.", "policy.", "scenario.")


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


def workload_data(name: str | Mapping[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Plain data of a workload with its parameters filled in."""
    if isinstance(name, str) and name.endswith(".cfg"):
        path = masim_path(name)
        data = masim.to_workload(masim.read(path), path.stem)
    elif isinstance(name, str):
        data = library.read(library.find("workloads", name))
    else:
        data = copy.deepcopy(dict(name))
    if not isinstance(data, Mapping):
        raise ConfigError(
            Problem("", "expected a mapping", "see workloads/ for examples"), str(name)
        )
    return substitute(apply_overrides(dict(data), overrides, "workload"))


def masim_path(name: str) -> Path:
    """The masim configuration at a path, or shipped under that file name."""
    shipped = library.folder("workloads") / "masim" / name
    return Path(name) if Path(name).is_file() or not shipped.is_file() else shipped


def _load(kind: str, name: str | Mapping[str, Any], make: Callable[[Any, str], T]) -> T:
    if not isinstance(name, str):
        return make(dict(name), "")
    path = library.find(kind, name)
    try:
        return make(library.read(path), str(path))
    except ConfigError as error:
        raise library.with_lines(error, path) from None


def load_scenario(
    document: Mapping[str, Any],
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
        snapshots (``thinned`` or ``all``), hot_ratio. Topology and workload by name, path or inline.
    overrides : sequence of str
        ``KEY=VALUE``, where the key begins with ``topology.``, ``workload.``, ``policy.`` or
        ``scenario.``.
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
    document = copy.deepcopy(dict(document))
    problems = [
        Problem(f"--set {o}", "expected KEY=VALUE, KEY beginning with " + ", ".join(OVERRIDABLE))
        for o in overrides
        if not o.startswith(OVERRIDABLE) or "=" not in o
    ]
    collect = Collector(problems)
    collect("", lambda: apply_overrides(document, _under("scenario.", overrides), "scenario"))
    problems += [
        Problem(str(key), "unknown key", did_you_mean(str(key), KEYS))
        for key in document
        if key not in KEYS
    ]
    topology = collect("topology", lambda: _topology(document, overrides))
    given = document.get("workload")
    workload = collect("workload", lambda: _workload(document, given, overrides))
    duration = collect("duration", lambda: _some_time(_needed(document, "duration")))
    record = collect("record", lambda: _some_time(document.get("record", "1 s")))
    seed = collect("seed", lambda: _seed(document.get("seed", 1)))
    snapshots = collect("snapshots", lambda: _snapshots(document.get("snapshots", "thinned")))
    hot = collect("hot_ratio", lambda: parse_ratio(document.get("hot_ratio", 0.05)))
    chosen = policy if policy is not None else document.get("policy", "no_tiering")
    data = collect("policy", lambda: policy_data(chosen, overrides, base))
    made = events = None
    if topology is not None and data is not None:
        made = collect("policy", lambda: build_policy(data, topology, base))
    if topology is not None and workload is not None:
        collect("events", lambda: inline_kdamonds(document, base))
        given_events = document.get("events") or []
        events = collect("events", lambda: events_of(given_events, topology, workload))
        if made is not None and events is not None and duration is not None:
            problems += _impossible(topology, workload, made, events, duration)
    if problems:
        raise ConfigError(problems, source)
    assert topology is not None and workload is not None and data is not None and made is not None
    assert duration is not None and record is not None and hot is not None and seed is not None
    for plural in ("policies", "seeds"):  # what a comparison runs; this is one run
        document.pop(plural, None)
    document["policy"] = self_contained(data, topology, base)
    return Scenario(
        topology,
        workload,
        made,
        policy_title(chosen, data),
        duration,
        seed,
        tuple(events or ()),
        record,
        hot,
        bool(document.get("exact_ticks", False)),
        snapshots == "all",
        _warnings(given),
        document,
    )


def _warnings(workload: Any) -> tuple[str, ...]:
    if isinstance(workload, str) and workload.endswith(".cfg"):
        return masim.read(masim_path(workload)).warnings
    return ()


def _snapshots(value: Any) -> str:
    if value not in ("thinned", "all"):
        raise ConfigError(Problem("", f'got "{value}", expected "thinned" or "all"'))
    return str(value)


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


def _under(root: str, overrides: Sequence[str]) -> list[str]:
    return [o for o in overrides if o.startswith(root) and "=" in o]


def _topology(document: dict[str, Any], overrides: Sequence[str]) -> Topology:
    """The topology, whose plain data replace its name in the document, so that it stands alone."""
    given = _needed(document, "topology")
    if isinstance(given, Topology):
        document["topology"] = given = plain(given)
    own = _under("topology.", overrides)
    if isinstance(given, str):
        found = load_topology(given)  # complains with line numbers
        document["topology"] = library.read(library.find("topologies", given))
        if not own:
            return found
    document["topology"] = apply_overrides(document["topology"], own, "topology")
    return load_topology(document["topology"])


def _workload(document: dict[str, Any], given: Any, overrides: Sequence[str]) -> Workload:
    given = _needed(document, "workload")
    if isinstance(given, Workload):
        given = plain(given)
    document["workload"] = workload_data(given, _under("workload.", overrides))
    try:
        return Workload.from_dict(
            document["workload"], str(given) if isinstance(given, str) else ""
        )
    except ConfigError as error:
        if isinstance(given, str) and not given.endswith(".cfg"):
            raise library.with_lines(error, library.find("workloads", given)) from None
        raise


# -- what cannot be --------------------------------------------------------------------------------


def _impossible(
    topology: Topology,
    workload: Workload,
    policy: Policy,
    events: Sequence[Event],
    duration_ns: int,
) -> list[Problem]:
    """Combinations refused before the first event."""
    found = []
    room = sum(topology.managed_pages(n) for n in range(len(topology.nodes))) * 4096
    room -= sum(node.other_memory.bytes for node in topology.nodes)
    if workload.footprint_bytes > room and all(p.stop is None for p in workload.processes):
        need, have = workload.footprint_bytes / 2**30, room / 2**30
        message = f"needs {need:.1f} GiB, {topology.name} has {have:.1f} GiB for it"
        found.append(Problem("workload", message, "use a larger machine or less data"))
    for p, process in enumerate(workload.processes):
        for a, actor in enumerate(process.actors):
            try:
                accessor_of(topology, actor.on, f"workload.processes[{p}].actors[{a}].on")
            except ConfigError as error:
                found += error.problems
        for m, mapping in enumerate(process.mappings):
            for node in mapping.policy.nodes:
                try:
                    topology.node_id(node)
                except ConfigError as error:
                    place = f"workload.processes[{p}].mappings[{m}].policy.nodes"
                    found += [Problem(place, q.message, q.hint) for q in error.problems]
    accessor = getattr(policy, "accessor", 0)
    if accessor >= len(topology.accessors):
        found.append(
            Problem(
                "policy.accessor", f"no accessor {accessor}", f"there are {len(topology.accessors)}"
            )
        )
    else:
        found += check_runnable(policy.kdamonds(topology), topology, workload, "policy.")
    running = bool(policy.kdamonds(topology))
    for i, event in enumerate(events):
        found += check_runnable(event.kdamonds, topology, workload, f"events[{i}].")
        if event.at_ns >= duration_ns:
            found.append(Problem(f"events[{i}].at", "is after the end of the run"))
        if (
            event.action == "commit"
            and not running
            and not any(e.action == "start" for e in events)
        ):
            found.append(Problem(f"events[{i}].damo", "tunes kdamonds, but none is ever started"))
    return found
