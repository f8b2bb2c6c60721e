"""Monitoring contexts on a machine: targets become views, descriptions become running contexts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np

from numasim.addresses import AddressSpace
from numasim.damon.context import ContextState
from numasim.damon.folios import FUTILE, RUNNABLE, RUNNABLE_FILTERS, Folios
from numasim.damon.ops import min_region_size
from numasim.damon.paddr import Paddr
from numasim.damon.spec import Context, Kdamond, SampleControl, Scheme, Target
from numasim.damon.splitting import Shared
from numasim.damon.vaddr import ProcessView, Vaddr
from numasim.errors import ConfigError, Problem
from numasim.machine import Machine
from numasim.memory import Memory
from numasim.observing import Observing
from numasim.seeds import Seeds
from numasim.sources import AccessSource, default_settings, knows_accessors, registry, tells
from numasim.sources.scene import Scene
from numasim.topology import Topology
from numasim.view import View
from numasim.workload import Workload

NO_TARGET = -1
UNTOLD = {"cpumask": "on which CPU", "threads": "by which thread", "write": "what is a write"}


class Metrics:
    """What quota goals and watermarks look at, read from the machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine, self._memory = machine, machine.memory

    def node_pages(self, nid: int) -> tuple[int, int] | None:
        """Managed and free 4 KiB pages of a node; None where there is no such node."""
        memory = self._memory
        if not 0 <= nid < len(memory.topology.nodes):
            return None
        per = memory.pages_per_frame
        return memory.managed_frames(nid) * per, memory.free_frames(nid) * per

    def node_memcg_pages(self, nid: int, path: str | None) -> int | None:
        """Pages that processes of a cgroup have on a node; None where none is in it."""
        processes = self._machine.workload.processes
        own = {p for p, process in enumerate(processes) if process.cgroup == path}
        if not own or not 0 <= nid < len(self._memory.topology.nodes):
            return None
        space = self._machine.space
        of_class = np.array([m.process in own for m in space.mappings])[space.mapping_of_class]
        return (
            int(self._machine.migrator.node_counts[nid][of_class].sum())
            * self._memory.pages_per_frame
        )

    def system_pages(self) -> tuple[int, int]:
        """Managed and free pages of all nodes together."""
        pairs = [self.node_pages(n) or (0, 0) for n in range(len(self._memory.topology.nodes))]
        return sum(m for m, _ in pairs), sum(f for _, f in pairs)

    def eligible_bytes(self, ranges: list[tuple[int, int]]) -> dict[int, int]:
        """Bytes of pages present on each node, within physical address ranges."""
        memory = self._memory
        found: dict[int, int] = {}
        for start, end in ranges:
            for first, last in memory.frames_in(start, end):
                frames = first + np.flatnonzero(memory.page_of[first:last] >= 0)
                nodes, counts = np.unique(memory.node_of(frames), return_counts=True)
                for node, nr in zip(nodes.tolist(), counts.tolist(), strict=True):
                    found[node] = found.get(node, 0) + nr * memory.frame_bytes
        return found

    def lru_pages(self) -> tuple[int, int] | None:
        """Active and inactive pages; None where no reclaim keeps lists."""
        residents = self._machine.migrator.residents
        return None if residents is None else residents.lru_pages()

    def psi_some_us(self) -> int | None:
        """For how long some task has waited for memory; None where no reclaim counts it."""
        residents = self._machine.migrator.residents
        return None if residents is None else residents.stall_us


def check_runnable(
    kdamonds: tuple[Kdamond, ...],
    topology: Topology,
    workload: Workload,
    place: str = "",
    access_source: str = "accessed_bits",
) -> list[Problem]:
    """What stands in the way of running these kdamonds here; all of it.

    Parameters
    ----------
    kdamonds : tuple of Kdamond
    topology : Topology
    workload : Workload
    place : str
        Where they were given.
    access_source : str
        What contexts see with where their sample control leaves it to the page table.

    Returns
    -------
    list of Problem
    """
    found: list[Problem] = []
    pids = {workload.pid(p): process.name for p, process in enumerate(workload.processes)}
    for k, kdamond in enumerate(kdamonds):
        at = f"{place}kdamonds[{k}]"
        if len(kdamond.contexts) > 1:
            found.append(Problem(f"{at}.contexts", "expected one, as the kernel does"))
        for c, context in enumerate(kdamond.contexts):
            where = f"{at}.contexts[{c}]"
            found += _context_problems(context, where, pids, access_source)
            for s, scheme in enumerate(context.schemes):
                physical = context.ops == "paddr"
                found += _scheme_problems(scheme, f"{where}.schemes[{s}]", topology, physical)
    return found


def _scheme_problems(
    scheme: Scheme, where: str, topology: Topology, physical: bool
) -> Iterator[Problem]:
    kind = "paddr" if physical else "vaddr"
    runnable = RUNNABLE[kind]
    if scheme.action not in (*runnable, *FUTILE[kind]):
        hint = f"{'physical' if physical else 'virtual'} memory knows {', '.join(runnable)}"
        yield Problem(f"{where}.action", f'"{scheme.action}" is not simulated yet', hint)
    nodes = [d.nid for d in scheme.dests]
    if not nodes and scheme.action.startswith("migrate"):
        if scheme.target_nid == NO_TARGET:
            known = ", ".join(f"{i} ({n.name})" for i, n in enumerate(topology.nodes))
            hint = f"name it after the action (target_nid in a file); nodes are {known}"
            yield Problem(where, f"{scheme.action} needs a target node", hint)
        else:
            nodes = [scheme.target_nid]
    nodes += [g.nid for g in scheme.quota.goals if g.nid is not None]
    for nid in nodes:
        if not 0 <= nid < len(topology.nodes):
            known = ", ".join(f"{i} ({n.name})" for i, n in enumerate(topology.nodes))
            yield Problem(where, f"no node {nid} on {topology.name}", f"nodes are {known}")
    for goal in scheme.quota.goals:
        if goal.complement:
            message = "the complement of a goal is not simulated yet"
            yield Problem(f"{where}.quotas.goals", message)
    for one in scheme.filters:
        if one.type not in RUNNABLE_FILTERS:
            hint = "this version knows " + ", ".join(RUNNABLE_FILTERS)
            yield Problem(f"{where}.filters", f'"{one.type}" is not simulated yet', hint)


def _context_problems(
    context: Context, at: str, pids: dict[int, str], access_source: str
) -> Iterator[Problem]:
    control = context.sample_control
    name = control.source(access_source)
    if not (control.page_table or control.page_fault or control.extension):
        hint = "enable page_table or page_fault"
        yield Problem(f"{at}.sample_control", "no sampling primitive is enabled", hint)
    elif control.filters:
        yield from _filter_problems(control, f"{at}.sample_control", name)
    if getattr(registry.get(name), "physical_only", False) and context.ops != "paddr":
        yield Problem(f"{at}.ops", f"{name} knows physical addresses only", "monitor paddr")
    if context.ops == "paddr":
        return
    for t, target in enumerate(context.targets):
        if target.pid not in pids:
            hint = "there are " + ", ".join(f"{pid} ({name})" for pid, name in pids.items())
            yield Problem(f"{at}.targets[{t}].pid", f"no process {target.pid}", hint)


def _filter_problems(control: SampleControl, at: str, name: str) -> Iterator[Problem]:
    """Sample filters that a source's reports do not say enough for."""
    known = tells(registry.get(name))
    hint = "sample by page_fault, or by hardware, or leave the filters out"
    if not known:
        message = f"{name} do not say who accessed, so sample filters have nothing to go by"
        yield Problem(at, message, hint)
        return
    for kind in sorted({one.type for one in control.filters} - set(known)):
        message = f"{name} does not say {UNTOLD[kind]}, so a {kind} filter has nothing to go by"
        yield Problem(at, message, hint)


def build_context(
    machine: Machine,
    spec: Context,
    name: str,
    seeds: Seeds,
    shared: Shared,
    alive: Callable[[int], bool],
    exact_ticks: bool = False,
    access_source: str = "accessed_bits",
    source_settings: Mapping[str, Any] | None = None,
) -> ContextState:
    """A running context on the machine.

    Parameters
    ----------
    machine : Machine
    spec : Context
    name : str
        The kdamond's; names its random streams and its entries in the ledger.
    seeds : Seeds
    shared : Shared
        What the kernel shares between contexts.
    alive : callable
        Whether the process at a position runs.
    exact_ticks : bool
        Force the twin of the sampling shortcut.
    access_source : str
        Registered name of what the context sees with where its sample control does not say so.
    source_settings : mapping, optional
        Parameters of sources that know accessors, by name.
    """
    space, memory, law = machine.space, machine.memory, machine.law
    costs = machine.topology.costs
    cgroups = [p.cgroup for p in machine.workload.processes]
    rng = seeds.stream(f"{name}/young")
    folios = Folios(space, law, machine.migrator, cgroups, costs.young_check, rng, name)
    views, processes = _watch(machine, spec, spec.targets, alive)
    ops: Paddr | Vaddr
    if spec.ops == "paddr":
        ops = Paddr(folios, physical_addresses(memory), memory.page_of, spec.addr_unit)
        check = costs.check_paddr
    else:
        fixed = spec.ops == "fvaddr"
        huge = machine.populator.huge
        ops = Vaddr(folios, processes, memory.frame_of, memory.frame_bytes, fixed, huge)
        check = costs.check_vaddr
    eye = spec.sample_control.source(access_source)
    made = registry.get(eye)
    more: dict[str, Any] = {}
    if knows_accessors(made):
        settings = (source_settings or {}).get(eye)
        more["scene"] = Scene(
            name=name,
            observing=observing_of(machine),
            costs=costs,
            settings=default_settings(made) if settings is None else settings,
            filters=spec.sample_control.filters,
            physical=spec.ops == "paddr",
            jiffy_ns=1_000_000_000 // machine.topology.kernel.hz,
            sample_us=lambda: context.sample_us,
            since_ns=machine.now_ns,
        )
    source = made(
        views=views,
        law=law,
        rng=seeds.stream(f"{name}/sampling"),
        check_cost_ns=check,
        addr_unit=spec.addr_unit,
        exact_ticks=exact_ticks,
        **more,
    )
    context = ContextState(
        spec,
        ops=ops,
        source=source,
        metrics=Metrics(machine),
        shared=shared,
        rng=seeds.stream(f"{name}/split"),
        min_region_sz=min_region_size(spec.ops, spec.addr_unit),
        tick_ns=1_000_000_000 // machine.topology.kernel.hz,
        name=name,
    )
    return context


def observing_of(machine: Machine) -> Observing:
    """What sources of a run share, kept from the first call on: it costs a little."""
    if machine.observing is None:
        machine.observing = Observing(
            machine.rates,
            machine.actors,
            machine.workload,
            machine.topology,
            machine.memory,
            machine.migrator,
            machine.seeds,
            machine.now_ns,
        )
        latency = machine.topology.idle_latency_ns
        if machine.solution is not None:
            latency = machine.solution.loaded_latency_ns
        machine.observing.settled(machine.now_ns, machine.weights, latency)
    return machine.observing


def commit_context(
    machine: Machine, context: ContextState, new: Context, alive: Callable[[int], bool]
) -> None:
    """Change a running context: what it monitors and where its schemes act follow.

    Raises
    ------
    ConfigError
        Where the kernel would refuse.
    """
    if new.sample_control.source("") != context.spec.sample_control.source(""):
        hint = "stop the kdamond and start it anew"
        raise ConfigError(Problem("sample_control", "its primitive changed while running", hint))
    smallest = min_region_size(new.ops, new.addr_unit)
    context.commit(new, context.now_ns, min_region_sz=smallest)
    forget_context(machine, context)
    targets = [target.spec for target in context.targets]
    source, ops = _source(context), cast(Paddr | Vaddr, context.ops)
    source.views, processes = _watch(machine, new, targets, alive)
    source.addr_unit = new.addr_unit
    scene: Scene | None = getattr(source, "scene", None)
    if scene is not None:
        scene.filters = new.sample_control.filters
    ops.follow(processes, new.addr_unit)


def forget_context(machine: Machine, context: ContextState) -> None:
    """Stop feeding a context that ended."""
    views = {id(view) for view in _source(context).views}
    machine.migrator.views = [pair for pair in machine.migrator.views if id(pair[0]) not in views]
    if machine.observing is not None:
        machine.observing.forget(context.name)


def _source(context: ContextState) -> AccessSource:
    """The source `build_context` made: the core knows less of it."""
    return cast(AccessSource, context.source)


def physical_addresses(memory: Memory) -> AddressSpace:
    """Physical memory as frames."""
    columns = (memory.range_start, memory.range_end, memory.range_first)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return AddressSpace(list(rows), memory.frame_bytes)


def _watch(
    machine: Machine,
    spec: Context,
    targets: Sequence[Target],
    alive: Callable[[int], bool],
) -> tuple[list[View], list[ProcessView]]:
    """A view of each target's memory, told of first touches from now on; and its process."""
    space, memory, law, migrator = machine.space, machine.memory, machine.law, machine.migrator
    if any(f.type == "young" for s in spec.schemes for f in s.filters):
        law.track_bits()
    views: list[View] = []
    processes: list[ProcessView] = []
    if spec.ops == "paddr":
        physical = physical_addresses(memory)
        pages_at, counts = memory.page_of.take, migrator.frame_counts
        views = [View(physical, pages_at, counts, law) for _ in targets]
    else:
        counts, frame_of = migrator.watch_pages(), memory.frame_of
        for target in targets:
            number = _process_of(machine.workload, target.pid)
            own = [m for m in space.mappings if m.process == number]
            processes.append(ProcessView(own, partial(alive, number)))
            ranges = [(m.address, m.address + m.mapping.size, m.first) for m in own]
            virtual = AddressSpace(ranges, memory.frame_bytes)
            views.append(View(virtual, lambda s: np.where(frame_of[s] >= 0, s, -1), counts, law))
    migrator.views += [(view, spec.ops == "paddr") for view in views]
    return views, processes


def _process_of(workload: Workload, pid: int | None) -> int:
    return next(p for p in range(len(workload.processes)) if workload.pid(p) == pid)
