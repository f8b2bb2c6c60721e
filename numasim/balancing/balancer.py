"""NUMA balancing at work: scans when they are due, hint faults in batches, what they decide."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numasim.agents import Stage
from numasim.balancing.batch import Batch
from numasim.balancing.foresight import Foresight
from numasim.balancing.hinting import HintFaults, Hinting
from numasim.balancing.judging import Judge
from numasim.balancing.moving import Moving
from numasim.balancing.promotion import Promotion, access_time_bits, hint_latency_ms
from numasim.balancing.scanner import pid_bit
from numasim.balancing.sharing import UNSET, cpupid
from numasim.balancing.space import AddressSpace
from numasim.balancing.tasks import Tasks
from numasim.balancing.tunables import Tunables
from numasim.reclaim.tiers import memory_tiers
from numasim.threads import NOBODY, who

UPTIME_MS = 3_600_000
"""The machine has been up for an hour when the run begins."""
MAX_CPUS = 8192  # that distributions' kernels are configured for
FEW_FAULTS = 512  # a longer batch may have one in so many resident pages,
MOST_BATCHES = 10  # and be so many usual ones long
IDLE_NS = 100_000_000  # a process that begins is noticed so soon


class Balancer:
    """The agent.

    Parameters
    ----------
    stage : Stage
    now_ns : int
    tunables : Tunables
    batch_ns : int
        Hint faults are looked at so often, and up to ten times later while they are few.
    interrupt_ns : int
        What a scan's TLB flush takes from every other running thread of the process.
    max_cpus : int
        The kernel's configuration; its width decides when access times wrap.
    judge : Judge, optional
        Decides instead of the kernel which faults move pages.
    """

    def __init__(
        self, stage: Stage, now_ns: int, tunables: Tunables, batch_ns: int, interrupt_ns: int,
        max_cpus: int = MAX_CPUS, judge: Judge | None = None,
    ) -> None:  # fmt: skip
        self._stage, self.tunables, self._judge = stage, tunables, judge
        self.name = "numa_balancing" if judge is None else judge.name
        self._batch_ns, self._interrupt_ns = batch_ns, interrupt_ns
        self._longest_ns = min(MOST_BATCHES * batch_ns, max(batch_ns, IDLE_NS))
        self._bits = access_time_bits(max_cpus)
        self._top = np.array(memory_tiers(stage.topology).top)
        self._spared = self._top if judge is None else judge.spared
        self._rng = stage.seeds.stream("numa_balancing/faults")
        self._chance = stage.seeds.stream("numa_balancing/scans")
        self._hinting, self._foresight = Hinting(stage, now_ns, self._rng), Foresight(stage)
        self.moving = Moving(stage, self.name, "high" if judge is None else judge.mark)
        self.nodes = [Promotion() for _ in stage.topology.nodes]
        self._spaces: dict[int, AddressSpace] = {}
        self._access_ms = np.zeros(stage.space.nr_pages, np.int32)
        self._last = np.full(stage.space.nr_pages, UNSET, np.int32)
        self._cpu_node = self._nodes_of_cpus()
        self._scan_ns = self._updates = self._faults = self._local = 0
        self._stall = np.zeros(len(stage.actors))
        self._events, self._scanned = 0, False
        self._lately = (0, 0)  # faults, and length, of the last batch
        self.due_ns: float = now_ns
        self._switched(now_ns)

    def _nodes_of_cpus(self) -> np.ndarray:
        topology = self._stage.topology
        cpus = [(cpu, topology.tiers(a)[0]) for a, one in enumerate(topology.accessors)
                for cpu in one.cpus]  # fmt: skip
        table = np.full(max((cpu for cpu, _ in cpus), default=0) + 1, -1, np.int64)
        for cpu, node in cpus:
            table[cpu] = node
        return table

    def _switched(self, now_ns: int) -> None:
        """The mode has been written."""
        self._stage.observing.numa_balancing = self.tunables.mode != 0
        self._stage.memory.promo_headroom = self.tunables.tiering and self._judge is None
        if self.tunables.tiering:  # the kernel begins to count anew
            for node in self.nodes:
                node.threshold, node.th_nr_cand = 0, node.candidate
                node.th_start = self._ms(now_ns)

    def _ms(self, now_ns: Any) -> Any:
        """An instant as the kernel's tick count in ms."""
        hz = self._stage.topology.kernel.hz
        return UPTIME_MS + now_ns * hz // 1_000_000_000 * 1000 // hz

    # -- the agent ---------------------------------------------------------------------------------

    def settings(self, changed: dict[str, Any]) -> None:
        """Take up sysctls that have been written."""
        old, self.tunables = self.tunables, self.tunables.written(changed)
        if old.mode != self.tunables.mode:
            self._switched(self._hinting.now_ns)
        self.due_ns = 0.0

    def act(self, now_ns: int) -> bool:
        """Handle the faults since the last act, and scan where that is due."""
        self._begin_processes(now_ns)
        before = self._hinting.now_ns
        for space in self._spaces.values():
            space.tasks.advance(now_ns)
        if now_ns > before and self._hinting.nr_armed:
            faults = self._hinting.until(now_ns)
            if len(faults):
                others = self._stall.copy()
                self._handle(faults, now_ns)
                self._foresight.learn(faults.actor, self._stall - others)
            self._lately = len(faults), now_ns - before
        else:
            self._hinting.skip(now_ns)
        if self.tunables.mode:
            for space in self._spaces.values():
                self._scan_if_due(space, now_ns)
        if self._judge is not None:
            self._judge.tick(now_ns)
        self._charge(max(now_ns - before, 1))
        self.due_ns = self._next_ns(now_ns)
        tolls, span_ns = self._stage.observing.tolls, int(min(self.due_ns - now_ns, IDLE_NS))
        changed = self.moving.on_the_wires(span_ns)
        tolls.foresee(np.zeros_like(self._stall), now_ns)
        tolls.foresee(self._foresight.threads(self._hinting, now_ns, span_ns), now_ns)
        return changed or tolls.changed(now_ns)

    def counters(self) -> dict[str, int]:
        """What it did so far, by the kernel's names; pages are of 4 KiB."""
        own = {} if self._judge is None else self._judge.counters()
        return {
            "numa_pte_updates": self._updates,
            "numa_hint_faults": self._faults,
            "numa_hint_faults_local": self._local,
            "numa_pages_migrated": self.moving.migrated,
            "pgmigrate_fail": self.moving.failed,
            "pgpromote_success": self.moving.promoted,
            "pgpromote_candidate": sum(n.candidate for n in self.nodes),
            "pgpromote_candidate_nrl": sum(n.candidate_nrl for n in self.nodes),
            "hot_threshold_ms": max(n.threshold for n in self.nodes),
            "scan_ns": self._scan_ns,
            **own,
        }

    def _begin_processes(self, now_ns: int) -> None:
        """Take notice of processes that have begun."""
        for actor in self._stage.actors:
            p = actor.process
            if p in self._spaces or actor.state not in ("populating", "running"):
                continue
            own = [a for a in self._stage.actors if a.process == p]
            threads = self._stage.observing.threads
            own = [a for a in own if threads[a.index].is_cpu]
            tasks = Tasks(own, threads, self._stage.topology, self.tunables, now_ns)
            self._spaces[p] = AddressSpace(
                self._stage, p, tasks, self.tunables, self._spared, now_ns
            )

    def _next_ns(self, now_ns: int) -> float:
        later: float = now_ns + (self._next_batch_ns() if self._hinting.nr_armed else IDLE_NS)
        if not self.tunables.mode:
            return later if self._hinting.nr_armed or self.moving.waits else math.inf
        due = [
            max(space.tasks.next_due_ns(now_ns), space.scanner.next_ns)
            for space in self._spaces.values()
            if len(space.tasks)
        ]
        rule_ns = math.inf if self._judge is None else self._judge.next_ns
        return max(min([later, rule_ns, self.moving.cut_ns(now_ns), *due]), now_ns + 1)

    def _next_batch_ns(self) -> int:
        """Batches are longer while few pages fault, but at most twice as long as the last."""
        if self._hinting.quiet_for(IDLE_NS):
            return IDLE_NS
        nr, span_ns = self._lately
        most = max(self._batch_ns, min(2 * span_ns, self._longest_ns))
        if most == self._batch_ns or self._stage.observing.tolls.foreseen.any():
            return self._batch_ns  # faults hold the program up: not few, however long they take
        few = max(sum(space.rss_pages() for space in self._spaces.values()) // FEW_FAULTS, 1)
        if self._scanned:  # what was armed just now faults soon
            self._scanned = False
            return self._hinting.span_of(few, most, self._batch_ns)
        return min(max(span_ns * few // max(nr, 1), self._batch_ns), most)

    # -- scans -------------------------------------------------------------------------------------

    def _scan_if_due(self, space: AddressSpace, now_ns: int) -> None:
        tasks, tunables = space.tasks, self.tunables
        ticks = max(1, (now_ns - space.looked_ns) // tasks.tick_ns)
        space.looked_ns = now_ns
        due = tasks.due(ticks, space.start_period_ms(tunables))
        if not len(due) or not space.may_scan(now_ns, tunables):
            return
        task = int(due[self._chance.integers(len(due))]) if len(due) > 1 else int(due[0])
        space.scanner.next_ns = now_ns + int(tasks.period_ms[task]) * 1_000_000
        space.scan(now_ns, task, self._hinting, tunables, self._access_ms, self._ms(now_ns))
        self._scanned = True
        costs = self._stage.costs
        cost = space.armed * costs.pte_scan + (space.looked - space.armed) * costs.pte_walk
        cost += space.flushes * costs.tlb_shootdown
        tasks.scanned(task, cost)
        self._updates += space.updates
        self._scan_ns += cost
        self._stall[tasks.tasks[task].actor] += cost
        if space.flushes:
            for actor, own in tasks.of_actor.items():
                if self._stage.actors[actor].state == "running":
                    others = len(own) - int(tasks.tasks[task].actor == actor)
                    self._stall[actor] += others * self._interrupt_ns * space.flushes

    # -- faults ------------------------------------------------------------------------------------

    def _handle(self, faults: HintFaults, now_ns: int) -> None:
        """All faults of a batch: by process, in order of time."""
        stage = self._stage
        owner = np.array([a.process for a in stage.actors])[faults.actor]
        source = stage.nodes_of(faults.head)
        space = stage.space
        nr = space.pages_per_bit[space.class_of[faults.head]] * stage.memory.pages_per_frame
        task = np.zeros(len(faults), np.int64)
        u = self._rng.random(len(faults))
        target = np.zeros(len(faults), np.int64)
        for p in np.unique(owner).tolist():
            tasks = self._spaces[p].tasks
            for actor in np.unique(faults.actor[owner == p]).tolist():
                mine = np.flatnonzero(faults.actor == actor)
                own = tasks.of_actor[actor]
                task[mine] = own[(u[mine] * len(own)).astype(np.int64)]
            at = np.flatnonzero(owner == p)
            target[at] = tasks.node[task[at]]
        batch = Batch(faults.head, faults.time_ns, faults.actor, task, source, target, nr)
        self._faults += len(batch.head)
        self._local += int((source == target).sum())
        self._events += len(batch.head)
        np.add.at(self._stall, batch.actor, float(stage.costs.hint_fault))
        for p in np.unique(owner).tolist():
            at = np.flatnonzero(owner == p)
            bits = np.array([pid_bit(t) for t in self._spaces[p].tasks.tid.tolist()], np.uint64)
            self._spaces[p].touched_by(batch.head[at], bits[task[at]])
        if stage.observing.shares_faults:
            cpu, tid = who(stage.observing.threads, faults.actor, self._rng)
            stage.observing.report_access(now_ns, faults.head, cpu, tid)
        self._decide(batch, owner, now_ns)

    def _decide(self, batch: Batch, owner: np.ndarray, now_ns: int) -> None:
        """What the faults decide: who moves, and what is counted of whom."""
        if self._judge is not None:
            batch, chosen = self._judge.decide(batch, now_ns)
            self._stall += self.moving.migrate(batch, chosen, self._top, self.tunables)[1]
            return
        by_time = np.flatnonzero(~self._top[batch.source]) if self.tunables.tiering else None
        wanted = np.zeros(len(batch.head), bool)
        near = np.ones(len(batch.head), bool)
        if by_time is not None:
            near[by_time] = False
            wanted[by_time] = self._hot(batch.at(by_time))
        last = np.full(len(batch.head), UNSET, np.int64)
        other = np.flatnonzero(near)
        if len(other):
            last[other], wanted[other] = self._near(batch.at(other), owner[other])
        wanted &= batch.source != batch.target
        failed, busy = self.moving.migrate(batch, wanted, self._top, self.tunables)
        self._stall += busy
        moved = wanted & ~failed
        crossed = batch.head[moved & (self._top[batch.source] != self._top[batch.target])]
        self._last[crossed] = UNSET
        node = np.where(moved, batch.target, batch.source)
        counted = np.flatnonzero(near | self._top[node])
        if len(counted):
            self._account(batch, owner, counted, last, node, failed, now_ns)

    def _hot(self, batch: Batch) -> np.ndarray:
        """bool[N]: which slow pages are to be promoted, by latency, threshold and rate limit."""
        now_ms = self._ms(batch.time_ns)
        access = self._access_ms[batch.head].astype(np.int64)
        latency = hint_latency_ms(now_ms, access, self._bits)
        self._access_ms[batch.head] = now_ms
        wanted = np.zeros(len(batch.head), bool)
        for target in np.unique(batch.target).tolist():
            own = np.flatnonzero(batch.target == target)
            node = self.nodes[target]
            free = self.moving.free_pass(target, batch.nr[own])
            if free:
                wanted[own[:free]] = True
                node.plenty(int(batch.nr[own[:free]].sum()))
            own = own[free:]
            if len(own):
                wanted[own] = node.hot(now_ms[own], latency[own], batch.nr[own], self.tunables)
        return wanted

    def _near(self, batch: Batch, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What pages remembered (int64[N]), and which (bool[N]) are to come near who faulted."""
        last = self._last[batch.head].astype(np.int64)
        wanted = np.zeros(len(batch.head), bool)
        for p in np.unique(owner).tolist():
            own = np.flatnonzero(owner == p)
            space, task = self._spaces[p], batch.task[own]
            then = last[own]
            refused = (then == UNSET) & ~self._top[batch.source[own]] & (not self.tunables.tiering)
            nodes = np.where(then == UNSET, NOBODY, self._cpu_node[np.maximum(then, 0) >> 8])
            wanted[own] = space.statistics.should_migrate(
                task, then, nodes, batch.source[own], refused
            )
            self._last[batch.head[own]] = cpupid(space.tasks.cpu[task], space.tasks.tid[task])
        return last, wanted

    def _account(
        self, batch: Batch, owner: np.ndarray, other: np.ndarray, last: np.ndarray,
        node: np.ndarray, failed: np.ndarray, now_ns: int,
    ) -> None:  # fmt: skip
        """Statistics of faults on pages that are not slow by now in tiering mode; placement.

        Source: numa-balancing-tiering specification, section 3.2: a fault counts for the node where
        its page is afterwards, and in tiering mode not for a slow one. So promotions count: as
        remote and private, which is why periods double while they go on. Recordings E6_nb2: scans
        that come every second at first are five seconds apart in the end.
        """
        for p in np.unique(owner[other]).tolist():
            own = other[owner[other] == p]
            space = self._spaces[p]
            statistics, sequence = space.statistics, space.scanner.sequence
            for task in np.unique(batch.task[own]).tolist():
                if statistics.sequence[task] != sequence:
                    rss = space.rss_pages()
                    if statistics.place(task, sequence, now_ns, rss, self.tunables):
                        period = int(space.tasks.period_ms[task])
                        space.scanner.next_ns = now_ns + period * 1_000_000
            statistics.account(
                batch.task[own], last[own], node[own], batch.source[own] == batch.target[own],
                failed[own], batch.nr[own],
            )  # fmt: skip

    def _charge(self, span_ns: int) -> None:
        """Take from applications what faults, migrations and scans took of their time."""
        if self._events or self._stall.any():
            observing = self._stage.observing
            observing.charge(observing.tally(self.name), self._events, self._stall, span_ns)
            self._events, self._stall = 0, np.zeros_like(self._stall)
