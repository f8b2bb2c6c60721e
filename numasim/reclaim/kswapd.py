"""kswapd, one per node: it sleeps until allocation runs low, and works until the node is balanced.

Source: numa-balancing-tiering specification, sections 5 and 5.4 (Linux 7.3.4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from numasim.agents import Agent, Stage
from numasim.kernel import KernelSettings
from numasim.ledger import Traffic
from numasim.reclaim.mglru import BATCH
from numasim.reclaim.reclaimer import CLUSTER, DEFAULT_PRIORITY, Reclaimer, Work

MAX_FAILURES = 16
NAP_NS = 100_000_000
SLICE_NS = 5_000_000
"""What is moved in one act takes about so long; the world goes on meanwhile."""
ABORT_PAGES = 64
LEAST_NS = 10_000
LEAST_YIELD = 1 / 16
MOST_JOINED = 2048  # pages of rounds that are gone through together: about a slice


class Kswapd:
    """The kswapd of one node.

    Parameters
    ----------
    reclaimer : Reclaimer
    nid : int

    Attributes
    ----------
    name : str
    due_ns : float
        Infinite while it sleeps.
    failures : int
        Runs in a row that reclaimed nothing; from 16 on the node is left to direct reclaim.
    """

    def __init__(self, reclaimer: Reclaimer, nid: int) -> None:
        self._reclaimer, self._stage, self.nid = reclaimer, reclaimer.stage, nid
        self.name, self.due_ns = f"kswapd{nid}", math.inf
        self.failures = self.runs = self.cpu_ns = 0
        self._priority = 0  # of the run in progress; 0 between runs
        self._left = 0  # pages to scan in the round in progress
        self._round, self._least = Work(), CLUSTER  # pages of a scan, more while none is cold
        self._reclaimed = 0  # in this run
        self._busy = self._napping = False
        self._late = Traffic({}, np.zeros(self._stage.space.nr_classes, np.int64))
        self._late_ns, self._loads = 0, False
        self._yield = 1.0  # pages reclaimed of those scanned, lately

    def wake(self) -> None:
        """Somebody found too little free memory here."""
        hopeless = self.failures >= MAX_FAILURES
        if not hopeless and (self.due_ns == math.inf or self._napping):
            self.due_ns, self._napping = 0.0, False

    def act(self, now_ns: int) -> bool:
        """Work for a while, or see whether it may sleep."""
        was_busy, self._busy = self._busy, False
        if was_busy:
            self._stage.end_work(self.name)
        busy_ns = self._slice(now_ns)
        if not busy_ns:
            return was_busy
        self._stage.begin_work(self.name, busy_ns)
        self._busy = True
        return True

    def _slice(self, now_ns: int) -> int:
        """Work for a while from an instant on, unless it may sleep; the time that it takes."""
        if self._priority == 0 and not self._start(now_ns):
            return 0
        self._reclaimer.now_ns = now_ns
        done = self._work(now_ns)
        busy_ns = max(done.busy_ns, LEAST_NS)
        self.cpu_ns += busy_ns
        self.due_ns = now_ns + busy_ns
        return busy_ns

    # -- between faults ----------------------------------------------------------------------------

    @property
    def busy_until_ns(self) -> float:
        """When the slice in progress ends; infinite while it naps or sleeps."""
        return math.inf if self._napping else self.due_ns

    def catch_up(self, now_ns: int) -> None:
        """Do all that is due by an instant of a span that somebody goes through afterwards."""
        migrator = self._stage.migrator
        others = migrator.take_traffic()
        if self._busy and self.due_ns <= now_ns:
            self._stage.end_work(self.name)  # of the slice before, which had a load of its own
            self._busy, self._loads = False, True
        while self.due_ns <= now_ns:
            self._late_ns += self._slice(now_ns if self.due_ns <= 0 else int(self.due_ns))
        self._late.add(migrator.take_traffic())
        migrator.traffic = others

    def unload(self, span_ns: int) -> bool:
        """What was moved in catching up is on the wires for so long from now; whether loads change.

        Notes
        -----
        Assumption: it comes one span late, as what faults moved in that span does.
        """
        name, busy_ns = f"{self.name} (between faults)", self._late_ns
        changed, self._loads = self._loads or busy_ns > 0, busy_ns > 0
        if changed:
            self._stage.end_work(name)
        if busy_ns:
            migrator = self._stage.migrator
            others, migrator.traffic = migrator.take_traffic(), self._late
            self._stage.begin_work(name, span_ns, min(1.0, busy_ns / span_ns))
            self._late, self._late_ns, migrator.traffic = migrator.traffic, 0, others
        return changed

    def _start(self, now_ns: int) -> bool:
        """Begin a run, unless there is none to do: then it naps, and sleeps if that still holds."""
        if self._stage.memory.is_balanced(self.nid) or self.failures >= MAX_FAILURES:
            self.due_ns = math.inf if self._napping else now_ns + NAP_NS
            self._napping = not self._napping
            return False
        self._napping = False
        self._priority, self._left, self._reclaimed = DEFAULT_PRIORITY, 0, 0
        self._round, self._least = Work(), CLUSTER
        self.runs += 1
        return True

    # -- a run -------------------------------------------------------------------------------------

    def _work(self, now_ns: int) -> Work:
        """Scan for about a slice of time."""
        reclaimer, done = self._reclaimer, Work()
        while self._priority and done.busy_ns < SLICE_NS:
            step, last, most = self._pages_to_scan()
            if step:
                at = now_ns + done.busy_ns
                one = reclaimer.scan(self.nid, step, self._priority, "kswapd", at, most)
                part = min(last / step, 1.0)
                share = Work(round(one.scanned * part), round(one.reclaimed * part))
                self._round, done = self._round + share, done + one
                self._reclaimed += one.reclaimed
                self._least = CLUSTER if one.reclaimed else 2 * self._least
                cold = one.reclaimed / max(one.scanned, 1)
                self._yield = max(LEAST_YIELD, (self._yield + cold) / 2)
            if not self._left or self._is_enough():
                self._end_round()
        return done

    def _pages_to_scan(self) -> tuple[int, int, int]:
        """Pages of the next scan, those of them in the round in progress, and pages to reclaim.

        A run is over when a round ends and the node is balanced. Rounds that are too short for
        that end one after the other, each looking harder; they are gone through in one scan where
        that finds the same folios.
        """
        reclaimer, lru = self._reclaimer, self._reclaimer.lrus[self.nid]
        kinds, swappiness = reclaimer.kinds(self.nid), reclaimer.swappiness
        more = ABORT_PAGES // self._stage.memory.pages_per_frame
        missing = max(self._least, self._missing(more))
        short = max(1 if self._least == CLUSTER else self._least, self._missing(0))
        cold = self._yield if lru.joins_rounds else 1.0
        target, step = self._target(), 0
        while True:
            if not self._left and kinds:
                self._left = lru.begin(self._priority, kinds, swappiness)
            last = min(self._left, max(0, round((short if step else missing) / cold) - step))
            self._left -= last
            joined = step > 0
            step += max(last, BATCH) if last and lru.joins_rounds else last
            further = lru.joins_rounds and 1 < self._priority < DEFAULT_PRIORITY
            if not further or self._left or step >= min(round(short / cold), MOST_JOINED):
                beyond = round(BATCH * cold / 2)  # of the last batch of a scan, on average
                return step, last, (short if joined else missing) + beyond
            if self._round.scanned + last < target:
                self._priority -= 1
            self._round = Work()

    def _missing(self, more: int) -> int:
        """Frames short of where scanning stops: of balance, and some `more` within a round."""
        memory = self._stage.memory
        return sum(
            max(0, memory.goal_of(zone) + 1 + more - zone.free)
            for zone in memory.zones_of_node(self.nid)
        )

    def _target(self) -> int:
        zones = self._stage.memory.zones_of_node(self.nid)
        return sum(max(zone.marks.high, CLUSTER) for zone in zones)

    def _is_enough(self) -> bool:
        more = ABORT_PAGES // self._stage.memory.pages_per_frame
        return self._missing(more) == 0 or self._round.reclaimed >= self._target()

    def _end_round(self) -> None:
        """Look harder next time if this round found little; see whether the run is over."""
        scanned_enough = self._round.scanned >= self._target()
        if not scanned_enough or not self._round.reclaimed:
            self._priority -= 1
        self._left, self._round, self._least = 0, Work(), CLUSTER
        if self._reclaimed:
            self.failures = 0
        if self._stage.memory.is_balanced(self.nid):
            self._priority = 0
        elif self._priority == 0 and not self._reclaimed:
            self.failures += 1

    # -- as an agent -------------------------------------------------------------------------------

    def settings(self, changed: dict[str, Any]) -> None:
        """``numa/demotion_enabled`` and ``vm.swappiness``."""
        reclaimer = self._reclaimer
        if "numa/demotion_enabled" in changed:
            reclaimer.demotion = bool(changed["numa/demotion_enabled"])
            self.failures = 0
        reclaimer.swappiness = int(changed.get("vm.swappiness", reclaimer.swappiness))

    def counters(self) -> dict[str, int]:
        """Its runs and CPU time; what it scanned and demoted is counted for the machine."""
        return {"pageoutrun": self.runs, "kswapd_cpu_ns": self.cpu_ns}


class Direct:
    """Reclaim by tasks that allocate: it takes the bandwidth, and tells the counters of all.

    Parameters
    ----------
    reclaimer : Reclaimer
    """

    name = "reclaim"

    def __init__(self, reclaimer: Reclaimer) -> None:
        self._reclaimer, self.due_ns = reclaimer, math.inf
        self._pending_ns, self._busy = 0, False

    def make_room(self, nodes: Sequence[int], nr: int) -> int:
        """Direct reclaim; frames freed."""
        migrator = self._reclaimer.stage.migrator
        before = migrator.stall_ns
        freed = self._reclaimer.direct(nodes, nr)
        self._pending_ns += migrator.stall_ns - before
        if self._pending_ns and not self._busy:
            self.due_ns = 0.0
        return freed

    def act(self, now_ns: int) -> bool:
        """What was moved has arrived; what has been moved meanwhile is on its way."""
        stage = self._reclaimer.stage
        if self._busy:
            stage.end_work(self.name)
        self._busy, self.due_ns = self._pending_ns > 0, math.inf
        if self._busy:
            stage.begin_work(self.name, self._pending_ns, 0.0)
            self.due_ns, self._pending_ns = now_ns + self._pending_ns, 0
        return True

    def settings(self, changed: dict[str, Any]) -> None:
        """Those of kswapd hold here as well."""

    def counters(self) -> dict[str, int]:
        """Counters of the machine's reclaim."""
        return dict(self._reclaimer.counts)


def kernel_agents(stage: Stage, kernel: KernelSettings) -> list[Agent]:
    """What the kernel has running for reclaim.

    Parameters
    ----------
    stage : Stage
    kernel : KernelSettings

    Returns
    -------
    list of Agent
        A kswapd for each node, direct reclaim, and swap if there is some.
    """
    reclaimer = Reclaimer(stage, kernel)
    threads = [Kswapd(reclaimer, nid) for nid in range(len(stage.topology.nodes))]
    direct = Direct(reclaimer)

    def wake(nid: int) -> None:
        threads[nid].wake()

    stage.memory.kswapd, stage.memory.direct_reclaim = wake, direct.make_room
    reclaimer.threads = threads
    swap: list[Agent] = [] if reclaimer.swap is None else [reclaimer.swap]
    return [*threads, direct, *swap]
