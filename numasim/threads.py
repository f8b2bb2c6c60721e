"""Threads of actors as the kernel numbers them: which thread, on which CPU.

Source: Linux numbers threads and processes from one counter; a process's first thread has its pid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numasim.actors import accessor_of
from numasim.topology import Topology
from numasim.workload import Workload

NOBODY = -1  # CPU and thread of whoever has none, or is not known


@dataclass(frozen=True)
class Threads:
    """Threads of one actor.

    Parameters
    ----------
    tids : int64[N]
        Thread ids, ascending; one `NOBODY` for an actor that runs on no CPU.
    cpus : int64[N]
        Kernel CPU number that each runs on; see `device_cpus` for a GPU or another device.
    accessor : int
    is_cpu : bool
    """

    tids: np.ndarray
    cpus: np.ndarray
    accessor: int
    is_cpu: bool


def device_cpus(topology: Topology) -> list[int]:
    """A number to name each accessor by in a list of CPUs; -1 for accessors that have CPUs.

    Parameters
    ----------
    topology : Topology

    Returns
    -------
    list of int

    Notes
    -----
    Extension of ours: devices are numbered on from the machine's last CPU, in the topology's order,
    so that sample filters can tell them apart. Linux has no such numbers.
    """
    free = max((cpu for a in topology.accessors for cpu in a.cpus), default=-1) + 1
    found = []
    for accessor in topology.accessors:
        found.append(NOBODY if accessor.cpus else free)
        free += not accessor.cpus
    return found


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
    devices = device_cpus(topology)
    turn = [0] * len(topology.accessors)
    found: list[Threads] = []
    for pid, process in zip(pids, workload.processes, strict=True):
        first, free = True, pid + 1
        for actor in process.actors:
            number = accessor_of(topology, actor.on)
            cpus = topology.accessors[number].cpus
            if not cpus:
                place = np.array([devices[number]])
                found.append(Threads(np.array([NOBODY]), place, number, False))
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
            found.append(Threads(np.array(tids, np.int64), np.array(cpus)[places], number, True))
    return found


def who(
    threads: Sequence[Threads], actors: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """CPU and thread of accesses of given actors, drawn: threads of an actor do the same.

    Parameters
    ----------
    threads : sequence of Threads
        Of every actor.
    actors : int64[N]
    rng : numpy.random.Generator

    Returns
    -------
    cpu, tid : int64[N]
    """
    cpu, tid = np.full(len(actors), NOBODY), np.full(len(actors), NOBODY)
    u = rng.random(len(actors))
    for a, own_threads in enumerate(threads):
        own = np.flatnonzero(actors == a)
        if len(own):
            thread = (u[own] * len(own_threads.tids)).astype(np.int64)
            cpu[own], tid[own] = own_threads.cpus[thread], own_threads.tids[thread]
    return cpu, tid
