"""Whose pages are whose: fault statistics of threads and groups, and what moves by them.

Everything here is for mode bit 1, and for pages of the top tier.
"""

from __future__ import annotations

import numpy as np

from numasim.balancing.periods import Locality, Sharing, adapted_period, scan_max, scan_min
from numasim.balancing.tasks import Tasks
from numasim.balancing.tunables import Tunables

UNSET = -1  # a page's last CPU and thread: nobody's
PID_MASK = 0xFF
EARLY_SEQUENCES = 4
ACTIVE_FACTOR = 3
SHARED, PRIVATE = 0, 1


def cpupid(cpu: np.ndarray, tid: np.ndarray) -> np.ndarray:
    """int64[N]: what a page remembers of a CPU and a thread."""
    joined: np.ndarray = cpu << 8 | tid & PID_MASK
    return joined


class Statistics:
    """Faults of the threads of one process.

    Parameters
    ----------
    tasks : Tasks
    nr_nodes : int

    Attributes
    ----------
    mem, cpu : int64[T, N, 2]
        Decaying counts of faults by node of the page, and of the thread's CPU; shared, private.
    preferred : int64[T]
        -1: none yet.
    sequence : int64[T]
        Scan sequence of the last placement.
    member : bool[T]
        Who is in the process's group.

    Notes
    -----
    Source: numa-balancing-tiering specification, section 3 (Linux 7.3.4).
    Assumption: threads of a process that share are in one group from the first shared fault on;
    processes share no pages. Threads stay where they are.
    """

    def __init__(self, tasks: Tasks, nr_nodes: int) -> None:
        shape = (len(tasks), nr_nodes, 2)
        self._tasks = tasks
        self.mem, self.cpu = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._mem_buffer, self._cpu_buffer = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self.locality = np.zeros((len(tasks), 3), np.int64)  # remote, local, failed
        self.preferred = np.full(len(tasks), -1, np.int64)
        self.sequence = np.zeros(len(tasks), np.int64)
        self.member = np.zeros(len(tasks), bool)
        self._placed_ns = np.zeros(len(tasks))
        self._ran_ns = np.zeros(len(tasks))

    def sharing(self, task: int) -> Sharing | None:
        """Of the task's group, if it is in one."""
        if not self.member[task]:
            return None
        faults = self.mem[self.member].sum(axis=(0, 1))
        return Sharing(int(self.member.sum()), int(faults[PRIVATE]), int(faults[SHARED]))

    def should_migrate(
        self, task: np.ndarray, last: np.ndarray, last_node: np.ndarray, source: np.ndarray,
        refused: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """bool[N]: which faulting pages are to come to the node of the CPU that faulted.

        Parameters
        ----------
        task : int64[N]
        last : int64[N]
            What the page remembered, from `cpupid`; `UNSET`.
        last_node : int64[N]
            Node of that CPU.
        source : int64[N]
            Node of the page.
        refused : bool[N]
            Slow pages, where the mode does not promote them, that nobody has touched yet.
        """
        target = self._tasks.node[task]
        unset, same = last == UNSET, last & PID_MASK == self._tasks.tid[task] & PID_MASK
        early = (self.preferred[task] < 0) | (self.sequence[task] <= EARLY_SEQUENCES)
        at_once = early & (unset | same)
        strayed = ~unset & (last_node != target)
        own = (~unset & same) | ~self.member[task]
        wanted = at_once | (~strayed & (own | self._group_wants(source, target)))
        found: np.ndarray = ~refused & wanted
        return found

    def _group_wants(self, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """bool[N]: whether the group's faults speak for the way from node to node."""
        mem = self.mem[self.member].sum(axis=(0, 2))
        cpu = self.cpu[self.member].sum(axis=(0, 2))
        active = cpu[target] > ACTIVE_FACTOR * cpu[source]
        balance = cpu[target] * mem[source] * 3 > cpu[source] * mem[target] * 4
        wants: np.ndarray = active | balance
        return wants

    def account(
        self, task: np.ndarray, last: np.ndarray, node: np.ndarray, local: np.ndarray,
        failed: np.ndarray, nr: np.ndarray,
    ) -> None:  # fmt: skip
        """Count faults.

        Parameters
        ----------
        task, last : int64[N]
        node : int64[N]
            Where the page is now.
        local, failed : bool[N]
            Whether it was at the faulting CPU's, and whether its migration failed.
        nr : int64[N]
            4 KiB pages.
        """
        private = (last == UNSET) | (last & PID_MASK == self._tasks.tid[task] & PID_MASK)
        shared = np.flatnonzero(~private)
        if len(shared) and len(self._tasks) > 1:
            self.member[task[shared]] = True
            peers = np.isin(self._tasks.tid & PID_MASK, np.unique(last[shared] & PID_MASK))
            self.member |= peers
        kind = private.astype(np.int64)
        np.add.at(self._mem_buffer, (task, node, kind), nr)
        np.add.at(self._cpu_buffer, (task, self._tasks.node[task], kind), nr)
        np.add.at(self.locality, (task, local.astype(np.int64)), nr)
        np.add.at(self.locality, (task[failed], 2), nr[failed])

    def place(
        self, task: int, sequence: int, now_ns: int, rss_pages: int, tunables: Tunables
    ) -> bool:
        """Placement of a task once its address space was scanned again; whether scans rest.

        Parameters
        ----------
        task, sequence, now_ns, rss_pages : int
        tunables : Tunables
        """
        self.sequence[task] = sequence
        runtime = float(self._tasks.runtime_ns[task])
        ran, passed = runtime - self._ran_ns[task], now_ns - self._placed_ns[task]
        self._ran_ns[task], self._placed_ns[task] = runtime, now_ns
        total = int(self.locality[task, :2].sum())
        weight = (int(max(ran, 0)) << 16) // (int(passed) + 1)
        came = self._mem_buffer[task].copy()
        weighed = weight * self._cpu_buffer[task] // (total + 1)
        self.mem[task] += came - self.mem[task] // 2
        self.cpu[task] += weighed - self.cpu[task] // 2
        self._mem_buffer[task], self._cpu_buffer[task] = 0, 0
        whose = self.member if self.member[task] else np.arange(len(self.member)) == task
        faults = self.mem[whose].sum(axis=(0, 2))
        if faults.max() > 0:
            self.preferred[task] = int(faults.argmax())
        remote, local, failed = self.locality[task].tolist()
        types = came.sum(axis=0)
        seen = Locality(remote, local, failed, int(types[PRIVATE]), int(types[SHARED]))
        least = scan_min(rss_pages, tunables)
        most = scan_max(rss_pages, tunables, self.sharing(task))
        period, rests = adapted_period(int(self._tasks.period_ms[task]), least, most, seen)
        self._tasks.adapt(task, period)
        self.locality[task] = 0
        return rests
