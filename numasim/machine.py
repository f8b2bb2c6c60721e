"""The state of one run: who works how fast on what, with every question answered by calling it.

The machine knows no events. The engine tells it that time has passed (`advance`), that something
changed (`settle`), and asks when the workload changes by itself (`next_change_ns`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from numasim.actors import EPSILON_WORK, ActorState, PhaseRun, actors_of
from numasim.bursts import BurstOrder
from numasim.cost import Background, CostModel, Solution
from numasim.demands import Demands
from numasim.huge.folding import HugePages
from numasim.load import Load
from numasim.memory import Memory
from numasim.migration import Migrator
from numasim.observing import Observing
from numasim.pages import CompiledPattern, PageSpace
from numasim.populate import Populating, Populator
from numasim.rates import Rates, burst_chances
from numasim.seeds import Seeds
from numasim.topology import Topology
from numasim.workload import Workload


class Machine:
    """Memory, law, actors and speed of one run.

    Parameters
    ----------
    topology : Topology
    workload : Workload
    seeds : Seeds
    before_change : callable
        Handed to the migrator.
    huge : bool
        Whether small pages may become huge ones in the course of the run.
    """

    def __init__(
        self,
        topology: Topology,
        workload: Workload,
        seeds: Seeds,
        before_change: Callable[[], None],
        huge: bool = False,
    ) -> None:
        self.topology, self.workload, self.seeds = topology, workload, seeds
        self.space = PageSpace(workload, seeds, huge)
        promised = [
            pfn + np.arange(nr) for m in self.space.mappings for _, pfn, nr in m.mapping.frames
        ]
        self.memory = Memory(
            topology,
            self.space.nr_pages,
            workload.frame_bytes,
            np.concatenate(promised) if promised else None,
        )
        self.rates = Rates(self.space, workload, topology)
        self.law = self.rates.law
        self.migrator = Migrator(self.memory, self.space, self.law, self._migrate_ns, before_change)
        self.cost = CostModel(topology)
        kinds = [accessor.kind for accessor in topology.accessors]
        self.kernel_accessor = kinds.index("CPU") if "CPU" in kinds else 0  # where kdamonds run
        self.copiers = [a for a, kind in enumerate(kinds) if kind == "CPU"] or [0]
        self.actors = actors_of(workload, topology)
        owner = np.array([m.process for m in self.space.mappings])
        self.load = Load(
            topology.costs.tlb_shootdown,
            self.space.pages_per_bit,
            owner[self.space.mapping_of_class],
            len(workload.processes),
            self.memory.pages_per_frame,
        )
        self.policies = {m.first: m.mapping.policy for m in self.space.mappings}
        self.populator = Populator(self.migrator, topology.costs, self.policies)
        if huge:
            heeded = topology.kernel.transparent_hugepage != "never"
            self.populator.huge = HugePages(self.migrator, topology.costs, heeded)
        self.alive = [False] * len(workload.processes)
        self.populators: dict[int, Populating] = {}
        self.solution: Solution | None = None
        self.now_ns = 0
        self.weights: dict[tuple[int, int], list[np.ndarray]] = {}
        self.demands = Demands(self.rates, self.migrator, self.weights)
        self.phase_log: list[tuple[int, str, str]] = []
        self.phase_runs: list[PhaseRun] = []
        self._present: dict[int, PhaseRun] = {}
        self.observing: Observing | None = None  # see `monitors.observing_of`
        self.node_bytes = np.zeros((len(topology.nodes), 2))  # read, written
        self.link_bytes = np.zeros((len(topology.links), 2))  # forward, backward

    # -- construction ------------------------------------------------------------------------------

    def _migrate_ns(self, source: int, target: int, order: int) -> int:
        """Time to migrate one folio: the measured one, its copying stretched by slower memory.

        Assumption: one thread copies at fixed parallelism, on the CPUs that are nearest to source
        and target together, wherever the scheme that asked was meant for. So the copying part goes
        with their loaded latencies against idle near memory, where it was measured.
        """
        idle = self.topology.idle_latency_ns[self.copiers]
        loaded = idle if self.solution is None else self.solution.loaded_latency_ns[self.copiers]
        who = int(np.argmin(idle[:, source] + idle[:, target]))
        stretch = float(loaded[who, source] + loaded[who, target]) / (2 * float(idle[who].min()))
        return self.topology.costs.migrate_ns(order, stretch)

    def patterns_of(self, actor: ActorState) -> list[CompiledPattern]:
        """Patterns of the actor's current phase."""
        return self.rates.patterns_of(actor)

    # -- processes ---------------------------------------------------------------------------------

    def start_process(self, p: int, now_ns: int) -> None:
        """A process begins: it populates its mappings, then its actors run."""
        process = self.workload.processes[p]
        self.alive[p] = True
        own = [m for m in self.space.mappings if m.process == p and m.mapping.populate]
        for actor in self._actors_of(p):
            actor.state = "populating"
        if own:
            tasks = [(m, 0, m.nr) for m in own]
            self.populators[p] = Populating(tasks, self._home(p), process.populate_threads, now_ns)
            self._log(now_ns, process.name, "populates")
        else:
            self._begin(p, now_ns)

    def stop_process(self, p: int, now_ns: int) -> None:
        """A process ends and gives its memory back."""
        if not self.alive[p]:
            return
        self.advance(now_ns)
        self.alive[p] = False
        self.populators.pop(p, None)
        for actor in self._actors_of(p):
            actor.state, actor.populating = "ended", None
            self._end_phase(actor, now_ns)
        for pages in self.space.mappings:
            if pages.process == p:
                self.migrator.unmap(pages)
        self._log(now_ns, self.workload.processes[p].name, "ends")

    def is_alive(self, p: int) -> bool:
        """Whether a process has begun and not ended."""
        return self.alive[p]

    def _actors_of(self, p: int) -> list[ActorState]:
        return [a for a in self.actors if a.process == p]

    def _home(self, p: int) -> int:
        actors = self._actors_of(p)
        return self.topology.tiers(actors[0].accessor if actors else 0)[0]

    def _begin(self, p: int, now_ns: int) -> None:
        for actor in self._actors_of(p):
            self._enter(actor, 0, now_ns)

    def _enter(self, actor: ActorState, phase: int, now_ns: int) -> None:
        self._end_phase(actor, now_ns)
        actor.phase, actor.phase_start_ns, actor.phase_operations = phase, now_ns, 0.0
        run = PhaseRun(actor.name, actor.current.name or str(phase), now_ns, actor.operations)
        self.phase_runs.append(run)
        self._present[actor.index] = run
        self._log(now_ns, actor.name, f"phase {actor.current.name or phase}")
        actor.entered += 1
        if actor.current.burst:
            column = self.rates.burst_columns[actor.process, actor.number]
            salt = self.seeds.salt(f"{actor.name}/bursts/{actor.entered}")
            chances = burst_chances(actor.current)
            actor.burst_order = BurstOrder(chances, salt, actor.current.burst)
            actor.burst_first = float(self.law.exposure.at(np.array([now_ns]))[0, column])
        self._refresh(actor, now_ns)

    def _end_phase(self, actor: ActorState, now_ns: int) -> None:
        run = self._present.pop(actor.index, None)
        if run is not None:
            run.ended_ns, run.after = now_ns, actor.operations

    def end_phases(self, now_ns: int) -> None:
        """The run is over, in the midst of what is going on."""
        self.advance(now_ns)
        for actor in self.actors:
            self._end_phase(actor, now_ns)

    def _refresh(self, actor: ActorState, now_ns: int) -> None:
        """Take up the patterns' present shares; first touch what is not there yet."""
        compiled = self.patterns_of(actor)
        work = actor.phase_operations
        self.weights[actor.process, actor.number] = [p.page_weights(work) for p in compiled]
        tasks = self.populator.missing((p, work) for p in compiled)
        actor.state = "populating" if tasks else "running"
        if tasks:
            home = self.topology.tiers(actor.accessor)[0]
            actor.populating = Populating(tasks, home, actor.actor.threads, now_ns)

    def _log(self, now_ns: int, who: str, what: str) -> None:
        self.phase_log.append((now_ns, who, what))

    # -- time --------------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> None:
        """Integrate progress up to now at the present speeds."""
        span = now_ns - self.now_ns
        if span <= 0:
            return
        for actor in self.actors:
            if actor.state == "running":
                actor.advance(self.now_ns, now_ns)
        if self.solution is not None:
            solution = self.solution
            self.node_bytes[:, 0] += solution.node_read_bytes_per_ns * span
            self.node_bytes[:, 1] += solution.node_write_bytes_per_ns * span
            self.link_bytes += solution.link_bytes_per_ns * span
        self.now_ns = now_ns

    def next_change_ns(self) -> float:
        """The next instant at which the workload changes by itself."""
        found: list[float] = [math.inf]
        found += [self.populator.due_ns(one) for one in self._all_populating()]
        found += [self._actor_change_ns(a) for a in self.actors if a.state == "running"]
        if self.observing is not None:
            found.append(self.observing.tolls.paid_off_ns())
        return min(found)

    def _all_populating(self) -> list[Populating]:
        return [*self.populators.values(), *(a.populating for a in self.actors if a.populating)]

    def _actor_change_ns(self, actor: ActorState) -> float:
        phase = actor.current
        ends = [math.inf]
        more = actor.phase + 1 < len(actor.actor.phases) or actor.actor.repeat
        if phase.duration is not None and more:
            ends.append(actor.phase_start_ns + phase.duration)
        if actor.rate_per_ns > 0:
            works = [p.next_change(actor.phase_operations) for p in phase.access]
            works += [phase.operations] if phase.operations is not None and more else []
            left = min(works, default=math.inf) - actor.phase_operations
            if left < math.inf:
                ends.append(self.now_ns + max(1, math.ceil(left / actor.rate_per_ns)))
        return min(ends)

    def change(self, now_ns: int) -> None:
        """Do what was due by now: populate a step, enter the next phase, move a window on."""
        self.advance(now_ns)
        for p, populating in list(self.populators.items()):
            if self.populator.step(populating, now_ns):
                del self.populators[p]
                self._log(now_ns, self.workload.processes[p].name, "is populated")
                self._begin(p, now_ns)
        for actor in self.actors:
            if actor.populating is not None:
                if self.populator.step(actor.populating, now_ns):
                    actor.populating, actor.state = None, "running"
            elif actor.state == "running":
                self._change_actor(actor, now_ns)

    def _change_actor(self, actor: ActorState, now_ns: int) -> None:
        phase, done = actor.current, actor.phase_operations * (1 + EPSILON_WORK)
        by_time = phase.duration is not None and now_ns >= actor.phase_start_ns + phase.duration
        by_work = phase.operations is not None and done >= phase.operations
        following = actor.phase + 1
        if (by_time or by_work) and (following < len(actor.actor.phases) or actor.actor.repeat):
            self._enter(actor, following % len(actor.actor.phases), now_ns)
        elif any(math.isfinite(p.next_change(0.0)) for p in phase.access):
            actor.snap()
            self._refresh(actor, now_ns)

    def set_interleave(self, settings: dict[str, Any]) -> None:
        """New weights of weighted interleave for pages touched from now on, by mapping."""
        for pages in self.space.mappings:
            weights = settings.get(pages.mapping.name)
            if weights is not None:
                old = self.policies[pages.first]
                self.policies[pages.first] = replace(old, weights=tuple(weights))

    def set_available(self, settings: dict[str, int]) -> None:
        """Others take or give back memory until a node has so many bytes free or in our use."""
        for name, nr_bytes in settings.items():
            nid = self.topology.node_id(name)
            in_use = int(self.migrator.node_counts[nid].sum())
            self.memory.set_available(nid, nr_bytes // self.memory.frame_bytes, in_use)

    # -- migration as load -------------------------------------------------------------------------

    def begin_migration(self, name: str, busy_ns: int) -> None:
        """What a kdamond moved is on the wires while it is busy, and stalls who touches it."""
        rates = self.law.all_visits_per_ns()
        self.load.begin(name, self.migrator.take_traffic(), busy_ns, rates)

    def end_migration(self, name: str) -> None:
        """The kdamond sleeps again."""
        self.load.end(name)

    # -- speed -------------------------------------------------------------------------------------

    def settle(self, now_ns: int) -> None:
        """Find the speeds that follow from the present state and let the law run at them."""
        self.advance(now_ns)
        if self.observing is not None:
            self.observing.tolls.settled(now_ns)
        driven = [a for a in self.actors if a.state == "running" and a.course is not None]
        running = [a for a in self.actors if a.state == "running" and a.course is None]
        demands = [self.demands.demand(a, self._working_share(a, running), now_ns) for a in running]
        flows = self.load.flows + [self._populate_flow(p) for p in self._all_populating()]
        flows += [flow for a in driven for flow in self.demands.traffic(a, now_ns)]
        cores = [0.0] * len(self.topology.accessors)
        cores[self.kernel_accessor] += sum(self.load.cores.values())
        self.solution = self.cost.solve(demands, flows, cores)
        rates = np.zeros(self.law.exposure.rates.shape)
        self.law.visits[:] = 0.0
        counts = self.migrator.node_counts.sum(axis=0)
        for actor in self.actors:
            if actor.state != "running" and actor.course is None:
                actor.rate_per_ns = 0.0
                actor.lines_per_ns = np.zeros(len(self.topology.nodes))
        solution = self.solution
        op_ns = np.stack([solution.op_ns, solution.op_p50_ns, solution.op_p99_ns], axis=1)
        for i, (actor, demand) in enumerate(zip(running, demands, strict=True)):
            speed = float(solution.ops_per_ns[i])
            actor.rate_per_ns, actor.op_ns = speed, op_ns[i]
            lines = sum((flow.lines for flow in demand.flows), np.zeros(len(self.topology.nodes)))
            actor.lines_per_ns = speed * lines
            actor.line_wait_per_ns = float(
                actor.lines_per_ns @ self.solution.loaded_latency_ns[actor.accessor]
            )
            weights = self.weights[actor.process, actor.number]
            self.rates.add(rates, actor, weights, counts)
        self.rates.add_busy(rates, self.actors)
        gains = np.zeros((len(self.rates.course_rows), len(rates)))
        for actor in driven:
            self.rates.gain(gains, actor, self.weights[actor.process, actor.number], counts)
        self.law.exposure.set_rates(now_ns, rates, gains)
        if self.observing is not None:
            self.observing.settled(now_ns, self.weights, self.solution.loaded_latency_ns)

    def _working_share(self, actor: ActorState, running: list[ActorState]) -> float:
        threads = sum(a.actor.threads for a in running if a.process == actor.process)
        is_cpu = self.topology.accessors[actor.accessor].kind == "CPU"
        share = self.load.working_share(actor.process, threads, is_cpu)
        tolls = self.observing.tolls if self.observing is not None else None
        return share if tolls is None else share * tolls.working_share(actor.index)

    def _populate_flow(self, populating: Populating) -> Background:
        speed = self.populator.write_bytes_per_ns(populating)
        return Background(node=populating.home, write_bytes_per_ns=speed)
