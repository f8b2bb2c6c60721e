"""Contexts that can never see anything: filters that no access passes, devices that are not there.

And programs whose every translation stays cached, so that no accessed bit is set again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from numasim.actors import accessor_of
from numasim.damon.sample_filters import passes
from numasim.damon.spec import Context, Kdamond, SampleFilter
from numasim.errors import Problem
from numasim.sources import default_settings, knows_accessors, registry
from numasim.threads import NOBODY, device_cpus, threads_of
from numasim.topology import Topology
from numasim.units import format_cpulist
from numasim.workload import Actor, Process, Workload

COUNTERS = ("gpu_counter", "cxl_counter")
"""Sources whose reports name no thread and no kind of access."""


def no_device(
    kdamonds: Sequence[Kdamond], topology: Topology, place: str, default: str
) -> Iterator[Problem]:
    """Sources that count on a device which the machine does not have.

    Parameters
    ----------
    kdamonds : sequence of Kdamond
    topology : Topology
    place : str
        Where they were given.
    default : str
        What contexts see with where they do not say so.
    """
    kinds = {accessor.kind for accessor in topology.accessors}
    for at, context in _contexts(kdamonds, place):
        if context.sample_control.source(default) == "gpu_counter" and "GPU" not in kinds:
            known = ", ".join(f"{a.name} ({a.kind})" for a in topology.accessors)
            message = f"gpu_counter needs a GPU, {topology.name} has none"
            hint = f"accessors are {known}; sample by page_fault or pebs"
            yield Problem(f"{at}.sample_control", message, hint)


def unseeing(
    kdamonds: Sequence[Kdamond],
    topology: Topology,
    workload: Workload,
    place: str,
    default: str,
    settings: Mapping[str, Any],
) -> Iterator[str]:
    """Contexts that no report can reach, with the filter or setting that is in the way.

    Parameters
    ----------
    kdamonds : sequence of Kdamond
    topology : Topology
    workload : Workload
    place : str
        Where they were given.
    default : str
        What contexts see with where they do not say so.
    settings : mapping
        Parameters of sources, by name.
    """
    tids = sorted({t for threads in threads_of(workload, topology) for t in threads.tids.tolist()})
    for at, context in _contexts(kdamonds, place):
        source = context.sample_control.source(default)
        made = registry.get(source)
        if not knows_accessors(made):
            continue
        own = settings.get(source) or default_settings(made)
        if source == "report":  # anybody may report anything
            if not own.reporters:
                yield (
                    f"{at}: sees with report, but scenario.sources names no reporters: it sees "
                    "only what code calls damon_report_access() for"
                )
            continue
        if source == "cxl_counter" and not (own.nodes or _expanders(topology)):
            kinds = ", ".join(f"{n.name} ({n.kind})" for n in topology.nodes)
            yield f"{at}: cxl_counter finds no CXL node to count on; nodes are {kinds}"
        cpus, found = _cpus(topology, source), context.sample_control.filters
        culprit = _culprit(found, cpus, tids, source, own.filters)
        if culprit is not None:
            yield (
                f"{at}: sees nothing: no access passes {_said(culprit)}; there are "
                f"{_there(culprit, cpus, tids, source)}"
            )


def _contexts(kdamonds: Sequence[Kdamond], place: str) -> Iterator[tuple[str, Context]]:
    for k, kdamond in enumerate(kdamonds):
        for c, context in enumerate(kdamond.contexts):
            yield f"{place}kdamonds[{k}].contexts[{c}]", context


def _expanders(topology: Topology) -> list[str]:
    return [n.name for n in topology.nodes if n.kind.upper().startswith("CXL")]


def _cpus(topology: Topology, source: str) -> list[int]:
    """Numbers of CPUs, and ours of devices, that reports of a source may carry."""
    devices = device_cpus(topology)
    if source == "cxl_counter":
        return [NOBODY]
    if source == "gpu_counter":
        return [devices[a] for a, own in enumerate(topology.accessors) if own.kind == "GPU"]
    cpus = {cpu for accessor in topology.accessors for cpu in accessor.cpus}
    return sorted(cpus | {cpu for cpu in devices if cpu != NOBODY})


def _culprit(
    filters: Sequence[SampleFilter], cpus: list[int], tids: list[int], source: str, semantics: Any
) -> SampleFilter | None:
    """The first filter after which nothing is left of all conceivable reports."""
    threads, kinds = ([NOBODY], [0]) if source in COUNTERS else (tids, [0, 1])
    cpu, tid, write = (a.reshape(-1) for a in np.meshgrid(cpus, threads, kinds))
    if passes(filters, cpu, tid, write > 0, semantics).any():
        return None
    for i, one in enumerate(filters):
        if not passes(filters[: i + 1], cpu, tid, write > 0, "intent").any():
            return one
    return filters[-1] if filters else None


def _said(one: SampleFilter) -> str:
    value = ",".join(map(str, one.threads)) if one.type == "threads" else one.cpumask
    what = "cpu" if one.type == "cpumask" else one.type
    non = "" if one.matching else "non "
    words = f"{'allow' if one.allow else 'reject'} {non}{what}"
    return f"`{words}`" if one.type == "write" else f"`{words} {value or repr('')}`"


def _there(one: SampleFilter, cpus: list[int], tids: list[int], source: str) -> str:
    if one.type == "write":
        return f"only reports of {source}, which do not say" if source in COUNTERS else "others"
    if one.type == "cpumask":
        known = [cpu for cpu in cpus if cpu != NOBODY]
        return f"CPUs {format_cpulist(known)}" if known else f"no CPUs in reports of {source}"
    if source in COUNTERS:
        return f"no threads in reports of {source}"
    return f"threads {format_cpulist([t for t in tids if t != NOBODY])}"


# ------------------------------------------------------------------------------ cached translations


def hidden(
    kdamonds: Sequence[Kdamond], topology: Topology, workload: Workload, default: str,
    reclaim: bool = False,
) -> Iterator[str]:  # fmt: skip
    """Actors whose pages all stay in a TLB that nothing flushes, where accessed bits matter.

    Parameters
    ----------
    kdamonds : sequence of Kdamond
    topology : Topology
    workload : Workload
    default : str
        What contexts see with where they do not say so.
    reclaim : bool
        Whether the kernel's reclaim goes by accessed bits too.
    """
    contexts = [context for _, context in _contexts(kdamonds, "")]
    looking = any(c.sample_control.source(default) == "accessed_bits" for c in contexts)
    filters = any(f.type == "young" for c in contexts for s in c.schemes for f in s.filters)
    if not looking and not filters and not reclaim:
        return
    faults = any(c.sample_control.source(default) == "page_fault" for c in contexts)
    but = " but for those that page faults sample" if faults else ""
    for process in workload.processes:
        for actor in process.actors:
            accessor = topology.accessors[accessor_of(topology, actor.on)]
            entries = accessor.tlb.entries
            folios = _folios(process, actor)
            if accessor.tlb.flush_interval or not 0 < folios <= entries:
                continue
            yield (
                f"topology: all {folios:,} folios that {process.name}/{actor.name} visits stay in "
                f"the {entries:,} entries of {accessor.name}'s TLB, which nothing flushes: their "
                f"accessed bits are set once, and then they never look young again{but}; give "
                f"{accessor.name} tlb: {{flush_interval: …}} if it loses translations otherwise"
            )


def _folios(process: Process, actor: Actor) -> int:
    """Most folios that the scattered accesses of an actor's busiest phase can reach."""
    mappings = {mapping.name: mapping for mapping in process.mappings}
    most = 0
    for phase in actor.phases:
        names = {a.mapping for a in phase.access if not (a.sweep or a.recorded)}
        most = max(most, sum(-(-mappings[n].size // mappings[n].page) for n in names))
    return most
