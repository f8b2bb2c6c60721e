"""What cannot be: machine, workload, policy and events that do not go together, told beforehand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from numasim.actors import accessor_of
from numasim.balancing.tunables import SYSCTLS as NUMA_BALANCING
from numasim.blindness import hidden, no_device, unseeing
from numasim.damon.folios import FUTILE
from numasim.damon.spec import Kdamond
from numasim.errors import ConfigError, Problem
from numasim.monitors import check_runnable
from numasim.policies import Policy
from numasim.scenario import Event
from numasim.topology import Topology
from numasim.units import format_bytes
from numasim.workload import Workload

MOST_FRAMES = 2**31 - 1
"""Frames and pages are numbered by int32."""
BYTES_OF_A_FRAME, BYTES_OF_A_PAGE = 4, 4 + 2 + 4
"""What is kept of each: who holds the frame; where the page is, its class, and a first touch."""


def impossible(
    topology: Topology,
    workload: Workload,
    policy: Policy | None,
    events: Sequence[Event] | None,
    duration_ns: int | None,
    access_source: str = "accessed_bits",
) -> list[Problem]:
    """Everything that would stop a run, or make an event void.

    What is itself wrong is None, and what would need it is left out.

    Parameters
    ----------
    topology : Topology
    workload : Workload
    policy : Policy or None
    events : sequence of Event or None
    duration_ns : int or None
    access_source : str
        What contexts see with where they do not say so.
    """
    found = [*_too_large(topology, workload), *_unknown_places(topology, workload)]
    found += _too_many(topology, workload)
    if duration_ns is not None:
        found += _too_short(workload, duration_ns)
    wrong: list[Problem] = []
    kdamonds: tuple[Kdamond, ...] = ()
    accessor = getattr(policy, "accessor", 0)
    if accessor >= len(topology.accessors):
        hint = f"there are {len(topology.accessors)}"
        wrong.append(Problem("policy.accessor", f"no accessor {accessor}", hint))
    elif policy is not None and not (wrong := _unknown_to(policy, topology, workload)):
        kdamonds = policy.kdamonds(topology)
        wrong += check_runnable(kdamonds, topology, workload, "policy.", access_source)
        wrong += no_device(kdamonds, topology, "policy.", access_source)
    for i, event in enumerate(events or ()):
        where = f"events[{i}]."
        wrong += check_runnable(event.kdamonds, topology, workload, where, access_source)
        wrong += no_device(event.kdamonds, topology, where, access_source)
        wrong += _unread(event, policy, where)
    if not wrong and policy is not None and events is not None:
        start = Event(policy.start, "start", kdamonds)
        timed = [("policy.start", start), *((f"events[{i}]", e) for i, e in enumerate(events))]
        wrong += _out_of_order(workload, sorted(timed, key=lambda pair: pair[1].at_ns))
    return found + wrong


def doubtful(
    topology: Topology,
    workload: Workload,
    policy: Policy,
    events: Sequence[Event],
    access_source: str,
    settings: Mapping[str, Any],
) -> Iterator[str]:
    """What can be run, but may not be meant.

    Parameters
    ----------
    topology : Topology
    workload : Workload
    policy : Policy
    events : sequence of Event
    access_source : str
        What contexts see with where they do not say so.
    settings : mapping
        Parameters of sources, by name.
    """
    threads = [0] * len(topology.accessors)
    for process in workload.processes:
        for actor in process.actors:
            threads[accessor_of(topology, actor.on)] += actor.threads
    for accessor, asked in zip(topology.accessors, threads, strict=True):
        if asked > accessor.nr_cores:
            cores = f"{accessor.nr_cores} cores, which they share"
            yield f"workload: {asked} threads on {accessor.name}, which has {cores}"
    placed = [("policy.", policy.kdamonds(topology))]
    placed += [(f"events[{i}].", event.kdamonds) for i, event in enumerate(events)]
    for place, kdamonds in placed:
        yield from unseeing(kdamonds, topology, workload, place, access_source, settings)
        yield from _futile(kdamonds, topology, place)
    every = [kdamond for _, kdamonds in placed for kdamond in kdamonds]
    kernel = topology.kernel
    reclaim = policy.demotion or kernel.demotion or kernel.swap is not None
    yield from hidden(every, topology, workload, access_source, reclaim)


def _futile(kdamonds: Sequence[Kdamond], topology: Topology, place: str) -> Iterator[str]:
    """Schemes whose action has no effect where they are, which the kernel does not say either."""
    off = topology.kernel.transparent_hugepage == "never"
    for k, kdamond in enumerate(kdamonds):
        for c, context in enumerate(kdamond.contexts):
            kind = "paddr" if context.ops == "paddr" else "vaddr"
            for s, scheme in enumerate(context.schemes):
                at = f"{place}kdamonds[{k}].contexts[{c}].schemes[{s}]"
                if scheme.action in FUTILE[kind]:
                    yield (
                        f"{at}: {scheme.action} does nothing with {context.ops}: regions are "
                        "tried, and nothing is applied"
                    )
                elif scheme.action == "hugepage" and off:
                    yield f"{at}: hugepage has no effect: kernel.transparent_hugepage is never"


def _unread(event: Event, policy: Policy | None, where: str) -> Iterator[Problem]:
    """Settings that are written where nobody reads them."""
    if event.action != "sysctl" or policy is None:
        return
    for name in event.settings:
        if name in NUMA_BALANCING and name not in policy.sysctls:
            message = f"nothing of the policy {policy.kind} reads it"
            hint = 'use the policy numa_balancing; with "mode: 0" it waits for the event'
            yield Problem(f"{where}sysctl.{name}", message, hint)


def _too_short(workload: Workload, duration_ns: int) -> Iterator[Problem]:
    """A run that is over before there is anything to see."""
    first = min(workload.processes, key=lambda process: process.start)
    if first.start >= duration_ns:
        begins = f"{first.start / 1e9:g} s"
        message = f"the run ends before {first.name} starts, at {begins}"
        yield Problem("duration", message, f"run for longer than {begins}")


def _too_many(topology: Topology, workload: Workload) -> Iterator[Problem]:
    """More frames or pages than can be numbered, or kept in this computer's memory."""
    size = workload.frame_bytes
    frames = sum(
        max(0, end // size - -(-start // size))
        for nid in range(len(topology.nodes))
        for start, end in topology.node_ranges(nid)
    )
    pages = workload.footprint_bytes // size
    hint = "take a smaller machine, or less data"
    if size < 2 << 20:
        hint = f"give all mappings larger pages (page: 2 MiB, now {format_bytes(size)}), or {hint}"
    for place, nr, what in (("topology", frames, "frames"), ("workload", pages, "pages")):
        if nr > MOST_FRAMES:
            message = (
                f"needs {nr:,} {what} of {format_bytes(size)}, at most {MOST_FRAMES:,} are numbered"
            )
            yield Problem(place, message, hint)
    need = BYTES_OF_A_FRAME * frames + BYTES_OF_A_PAGE * pages
    have = _installed_bytes()
    if max(frames, pages) <= MOST_FRAMES and have is not None and need > have:
        message = f"simulating {frames:,} frames and {pages:,} pages takes {need / 2**30:.1f} GiB"
        yield Problem("topology", f"{message}, this computer has {have / 2**30:.1f} GiB", hint)


def _installed_bytes() -> int | None:
    """Memory of the computer that simulates; None where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _too_large(topology: Topology, workload: Workload) -> Iterator[Problem]:
    room = sum(topology.managed_pages(n) for n in range(len(topology.nodes))) * 4096
    room -= sum(node.other_memory.bytes for node in topology.nodes)
    room += 0 if topology.kernel.swap is None else topology.kernel.swap.gain
    if workload.footprint_bytes > room and all(p.stop is None for p in workload.processes):
        need, have = workload.footprint_bytes / 2**30, room / 2**30
        message = f"needs {need:.1f} GiB, {topology.name} has {have:.1f} GiB for it"
        yield Problem("workload", message, "use a larger machine, less data, or kernel.swap")


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


def _unknown_to(policy: Policy, topology: Topology, workload: Workload) -> list[Problem]:
    """What a policy names, and the machine lacks."""
    found: dict[Problem, None] = {}
    for process in workload.processes:
        for mapping in process.mappings:
            try:
                policy.mempolicy(topology, mapping)
                policy.kdamonds(topology)
            except ConfigError as error:
                places = (f"policy.{p.place}".rstrip(".") for p in error.problems)
                same = zip(places, error.problems, strict=True)
                found.update({Problem(at, p.message, p.hint): None for at, p in same})
    return list(found)


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
            elif new == old:
                yield from _other_operations(place, running, event.kdamonds)
        elif event.action == "stop_process":
            process = workload.processes[event.settings["process"]]
            if process.start >= event.at_ns:
                yield Problem(place, f"{process.name} starts only at {process.start / 1e9:g} s")


def _other_operations(
    place: str, running: Sequence[Kdamond], tuned: Sequence[Kdamond]
) -> Iterator[Problem]:
    """The kernel does not let a running context change its operations set."""
    for old, new in zip(running, tuned, strict=True):
        for one, other in zip(old.contexts, new.contexts, strict=False):
            if one.ops != other.ops:
                message = f"cannot change a running context from {one.ops} to {other.ops}"
                yield Problem(place, message, "stop it and start another")


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
        hint = f"begin at {begins} or later"
        if place == "policy.start":
            hint += f": --set policy.start='{begins}'"
        yield Problem(place, message, hint)
