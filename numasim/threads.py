"""Threads of actors as the kernel numbers them: which thread, on which CPU.

Source: Linux numbers threads and processes from one counter; a process's first thread has its pid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.actors import accessor_of
from numasim.topology import Topology
from numasim.workload import Workload

NOBODY = -1  # CPU and thread of whoever has none, such as a GPU or a device


@dataclass(frozen=True)
class Threads:
    """Threads of one actor.

    Parameters
    ----------
    tids : int64[N]
        Thread ids, ascending; one `NOBODY` for an actor that runs on no CPU.
    cpus : int64[N]
        Kernel CPU number that each runs on.
    accessor : int
    """

    tids: np.ndarray
    cpus: np.ndarray
    accessor: int


def threads_of(workload: Workload, topology: Topology) -> list[Threads]:
    """Threads of every actor, in order of processes and actors.

    Parameters
    ----------
    workload : Workload
    topology : Topology

    Returns
    -------
    list of Threads

    Notes
    -----
    The first CPU thread of a process has its pid; every further one the next number above it that
    is no process's pid and not taken yet. Assumption: threads stay where they are, one after the
    other on the CPUs of their accessor, around again when there are more threads than CPUs.
    """
    pids = [workload.pid(p) for p in range(len(workload.processes))]
    taken = set(pids)
    turn = [0] * len(topology.accessors)
    found: list[Threads] = []
    for pid, process in zip(pids, workload.processes, strict=True):
        first, free = True, pid + 1
        for actor in process.actors:
            number = accessor_of(topology, actor.on)
            cpus = topology.accessors[number].cpus
            if not cpus:
                nobody = np.array([NOBODY])
                found.append(Threads(nobody, nobody, number))
                continue
            tids = []
            for _ in range(actor.threads):
                if first:
                    tids.append(pid)
                    first = False
                    continue
                while free in taken:
                    free += 1
                taken.add(free)
                tids.append(free)
            places = (turn[number] + np.arange(actor.threads)) % len(cpus)
            turn[number] += actor.threads
            found.append(Threads(np.array(tids, np.int64), np.array(cpus)[places], number))
    return found
