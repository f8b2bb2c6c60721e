"""Files and options → `Scenario`, every complaint at once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from numasim import library
from numasim.checking import build
from numasim.damon.spec import Kdamond
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.formats import damo_args, kdamonds, masim
from numasim.machine import accessor_of
from numasim.monitors import check_runnable
from numasim.overrides import apply_overrides, substitute
from numasim.policies import Policy, registry
from numasim.scenario import SYSCTLS, Event, Scenario
from numasim.topology import Topology
from numasim.units import parse_duration_ns, parse_ratio
from numasim.workload import Workload

T = TypeVar("T")

KEYS = (
    "name", "description", "topology", "workload", "policy", "policies", "events", "duration", "seed",
    "seeds", "record", "hot_ratio", "exact_ticks", "snapshots",
)  # fmt: skip
OVERRIDABLE = ("topology.", "workload.", "policy.", "scenario.")
EVENT_KEYS = ("at", "damo", "kdamonds", "sysctl", "interleave", "stop_process")


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
    collect = _Collector(problems)
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
        made = collect("policy", lambda: build_policy(data, topology))
    if topology is not None and workload is not None:
        collect("events", lambda: _inline_kdamonds(document, base))
        given_events = document.get("events") or []
        events = collect("events", lambda: _events(given_events, topology, workload))
        if made is not None and events is not None and duration is not None:
            problems += _impossible(topology, workload, made, events, duration)
    if problems:
        raise ConfigError(problems, source)
    assert topology is not None and workload is not None and data is not None and made is not None
    assert duration is not None and record is not None and hot is not None and seed is not None
    for plural in ("policies", "seeds"):  # what a comparison runs; this is one run
        document.pop(plural, None)
    document["policy"] = data
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
        document,
    )


def _snapshots(value: Any) -> str:
    if value not in ("thinned", "all"):
        raise ConfigError(Problem("", f'got "{value}", expected "thinned" or "all"'))
    return str(value)


class _Collector:
    """Runs steps and gathers what they complain about, under the step's place."""

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems

    def __call__(self, place: str, step: Callable[[], T]) -> T | None:
        try:
            return step()
        except ConfigError as error:
            source = f" ({error.source})" if error.source else ""
            for p in error.problems:
                joint = "" if p.place.startswith("[") else "."
                own = f"{place}{joint}{p.place}" if p.place else place
                where = p.place if p.place.startswith("--set") else own
                self._problems.append(Problem(where + source, p.message, p.hint))
        except ValueError as error:
            self._problems.append(Problem(place, str(error)))
        return None


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
        return given
    own = _under("topology.", overrides)
    if isinstance(given, str):
        found = load_topology(given)  # complains with line numbers
        document["topology"] = library.read(library.find("topologies", given))
        if not own:
            return found
    document["topology"] = apply_overrides(document["topology"], own, "topology")
    return load_topology(document["topology"])


def _workload(document: dict[str, Any], given: Any, overrides: Sequence[str]) -> Workload:
    if isinstance(given, Workload):
        return given
    given = _needed(document, "workload")
    document["workload"] = workload_data(given, _under("workload.", overrides))
    try:
        return Workload.from_dict(
            document["workload"], str(given) if isinstance(given, str) else ""
        )
    except ConfigError as error:
        if isinstance(given, str) and not given.endswith(".cfg"):
            raise library.with_lines(error, library.find("workloads", given)) from None
        raise


# -- policies --------------------------------------------------------------------------------------


def policy_data(
    given: Any, overrides: Sequence[str] = (), base: Path = Path(".")
) -> dict[str, Any]:
    """Plain data of a policy: a registered name, a damo command, a kdamonds or policy file, a mapping.

    Raises
    ------
    ConfigError
    """
    if isinstance(given, str):
        text = given.strip()
        if text.startswith(("damo ", "--")):
            data: dict[str, Any] = {"kind": "damos", "damo": text}
        elif text.endswith(library.SUFFIXES):
            data = _policy_file(base / text)
        else:
            registry.get(text)
            data = {"kind": text}
    elif isinstance(given, Mapping):
        data = copy.deepcopy(dict(given))
    else:
        raise ConfigError(
            Problem("", f"got {given!r}, expected a name, a damo command, a file or a mapping")
        )
    if "file" in data:
        data = {**_policy_file(base / str(data.pop("file"))), **data}
    return apply_overrides(data, _under("policy.", overrides), "policy")


def _policy_file(path: Path) -> dict[str, Any]:
    data = library.read(path)
    if isinstance(data, Mapping) and "kind" in data:
        return dict(data)
    return {"kind": "damos", "kdamonds": data, "name": path.stem.removesuffix(".kdamonds")}


def policy_title(given: Any, data: Mapping[str, Any]) -> str:
    """What tables call it."""
    if "name" in data:
        return str(data["name"])
    if isinstance(given, str) and given == data.get("kind"):
        return given
    return "damo" if "damo" in data else str(data.get("kind", "policy"))


def build_policy(data: Mapping[str, Any], topology: Topology) -> Policy:
    """The policy that plain data describe, on that machine.

    Raises
    ------
    ConfigError
    """
    fields = {key: value for key, value in data.items() if key not in ("kind", "name")}
    if "kind" not in data:
        raise ConfigError(Problem("kind", "is missing", "known: " + ", ".join(registry.names())))
    if "damo" in fields:
        fields["threads"] = parse_damo(str(fields.pop("damo")), topology).kdamonds
    elif "kdamonds" in fields:
        fields["threads"] = kdamonds.from_raw(fields.pop("kdamonds")).kdamonds
    return build(registry.get(str(data["kind"]), "kind"), fields)


def parse_damo(command: str, topology: Topology, strict: bool = False) -> Any:
    """A damo command on that machine; see `numasim.formats.damo_args.parse`."""

    def node_ranges(nid: int) -> list[tuple[int, int]] | None:
        return topology.node_ranges(nid) if 0 <= nid < len(topology.nodes) else None

    return damo_args.parse(
        command, node_ranges=node_ranges, default_range=topology.default_range, strict=strict
    )


# -- events ----------------------------------------------------------------------------------------


def _inline_kdamonds(document: dict[str, Any], base: Path) -> None:
    """Replace names of kdamonds files by their content, so that the document stands alone."""
    for entry in document.get("events") or []:
        if isinstance(entry, dict) and isinstance(entry.get("kdamonds"), str):
            entry["kdamonds"] = library.read(base / entry["kdamonds"])


def _events(entries: Any, topology: Topology, workload: Workload) -> list[Event]:
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise ConfigError(Problem("", "expected a list"))
    problems: list[Problem] = []
    found = []
    for i, entry in enumerate(entries):
        step = _Collector(problems)
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
        action = {"start": "start", "tune": "commit", "stop": "stop"}.get(parsed.verb or "start")
        if action is None:
            raise ConfigError(
                Problem("damo", f'"{parsed.verb}" does nothing here', "use start, tune or stop")
            )
        return Event(at, action, tuple(parsed.kdamonds), text=str(value))
    if key == "kdamonds":
        specs = tuple(kdamonds.from_raw(value).kdamonds)
        return Event(at, "start", specs, text=f"{len(specs)} kdamonds")
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


def all_kdamonds(policy: Policy, topology: Topology) -> tuple[Kdamond, ...]:
    """The kdamonds a policy starts on a machine."""
    return policy.kdamonds(topology)
