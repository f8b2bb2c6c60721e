"""What cannot be: machine, workload, policy and events that do not go together, told beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from numasim.actors import accessor_of
from numasim.damon.spec import Kdamond
from numasim.errors import ConfigError, Problem
from numasim.monitors import check_runnable
from numasim.policies import Policy
from numasim.scenario import Event
from numasim.topology import Topology
from numasim.workload import Workload


def impossible(
    topology: Topology,
    workload: Workload,
    policy: Policy,
    events: Sequence[Event],
    duration_ns: int,
) -> list[Problem]:
    """Everything that would stop a run, or make an event void.

    Parameters
    ----------
    topology : Topology
    workload : Workload
    policy : Policy
    events : sequence of Event
    duration_ns : int
    """
    found = [*_too_large(topology, workload), *_unknown_places(topology, workload)]
    accessor = getattr(policy, "accessor", 0)
    if accessor >= len(topology.accessors):
        hint = f"there are {len(topology.accessors)}"
        return [*found, Problem("policy.accessor", f"no accessor {accessor}", hint)]
    kdamonds = policy.kdamonds(topology)
    wrong = check_runnable(kdamonds, topology, workload, "policy.")
    for i, event in enumerate(events):
        wrong += check_runnable(event.kdamonds, topology, workload, f"events[{i}].")
        if event.at_ns >= duration_ns:
            wrong.append(Problem(f"events[{i}].at", "is after the end of the run"))
    if not wrong:
        start = Event(policy.start, "start", kdamonds)
        timed = [("policy.start", start), *((f"events[{i}]", e) for i, e in enumerate(events))]
        wrong += _out_of_order(workload, sorted(timed, key=lambda pair: pair[1].at_ns))
    return found + wrong


def _too_large(topology: Topology, workload: Workload) -> Iterator[Problem]:
    room = sum(topology.managed_pages(n) for n in range(len(topology.nodes))) * 4096
    room -= sum(node.other_memory.bytes for node in topology.nodes)
    if workload.footprint_bytes > room and all(p.stop is None for p in workload.processes):
        need, have = workload.footprint_bytes / 2**30, room / 2**30
        message = f"needs {need:.1f} GiB, {topology.name} has {have:.1f} GiB for it"
        yield Problem("workload", message, "use a larger machine or less data")


def _unknown_places(topology: Topology, workload: Workload) -> Iterator[Problem]:
    for p, process in enumerate(workload.processes):
        for a, actor in enumerate(process.actors):
            try:
                accessor_of(topology, actor.on, f"workload.processes[{p}].actors[{a}].on")
            except ConfigError as error:
                yield from error.problems
        for m, mapping in enumerate(process.mappings):
            for node in mapping.policy.nodes:
                try:
                    topology.node_id(node)
                except ConfigError as error:
                    place = f"workload.processes[{p}].mappings[{m}].policy.nodes"
                    yield from (Problem(place, q.message, q.hint) for q in error.problems)


def _out_of_order(workload: Workload, timed: list[tuple[str, Event]]) -> Iterator[Problem]:
    """Events that come before what they are about."""
    running: list[Kdamond] = []
    for place, event in timed:
        if event.action == "start":
            running += event.kdamonds
            yield from _no_process_yet(workload, place, event)
        elif event.action == "stop":
            running = []
        elif event.action == "commit":
            immortal = all(c.ops == "paddr" for k in running for c in k.contexts)
            new, old = len(event.kdamonds), len(running)
            if not running:
                yield Problem(place, "tunes kdamonds, but none is running then")
            elif new > old or (new < old and immortal):
                yield Problem(place, f"tunes {new} kdamonds, but {old} are running then")
        elif event.action == "stop_process":
            process = workload.processes[event.settings["process"]]
            if process.start >= event.at_ns:
                yield Problem(place, f"{process.name} starts only at {process.start / 1e9:g} s")


def _no_process_yet(workload: Workload, place: str, event: Event) -> Iterator[Problem]:
    pids = {workload.pid(p): process for p, process in enumerate(workload.processes)}
    late = {
        target.pid: pids[target.pid]
        for kdamond in event.kdamonds
        for context in kdamond.contexts
        if context.ops != "paddr"
        for target in context.targets
        if target.pid in pids and pids[target.pid].start > event.at_ns
    }
    for pid, process in late.items():
        begins = f"{process.start / 1e9:g} s"
        message = f"monitors process {pid} ({process.name}), which starts only at {begins}"
        yield Problem(place, message, f"begin at {begins} or later")
