"""Threads get ids and CPUs by rules that a user can work out."""

from __future__ import annotations

import numpy as np

from numasim.threads import NOBODY, device_cpus, threads_of, who
from numasim.workload import Workload
from tests import eyes, worlds


def test_ids_and_cpus():
    work = eyes.workload(
        [
            eyes.actor("a", "cpu0", eyes.visit("m", 1)),
            eyes.actor("g", "gpu0", eyes.visit("m", 1)),
            eyes.actor("b", "cpu0", eyes.visit("m", 1), threads=2),
            eyes.actor("c", "cpu1", eyes.visit("m", 1), threads=5),
        ],
        worlds.mapping("m", "4 MiB"),
    )
    a, g, b, c = threads_of(work, eyes.topology(gpu=True))
    assert a.tids.tolist() == [1000, 1001, 1002, 1003] and a.cpus.tolist() == [0, 1, 2, 3]
    assert (g.tids.tolist(), g.cpus.tolist(), g.is_cpu) == ([NOBODY], [8], False)
    assert b.tids.tolist() == [1004, 1005] and b.cpus.tolist() == [0, 1], "CPUs are shared then"
    assert c.tids.tolist() == [1006, 1007, 1008, 1009, 1010]
    assert c.cpus.tolist() == [4, 5, 6, 7, 4] and c.accessor == 1
    assert device_cpus(eyes.topology(gpu=True)) == [-1, -1, 8]


def test_ids_are_nobody_elses():
    one = {"name": "m", "size": "1 MiB"}
    process = {"mappings": [one], "actors": [eyes.actor("a", "cpu0")]}
    work = Workload.from_dict(
        {"name": "w", "processes": [{**process, "name": "p"}, {**process, "name": "q"}]}
    )
    p, q = threads_of(work, eyes.topology())
    assert p.tids.tolist() == [1000, 1002, 1003, 1004]
    assert q.tids.tolist() == [1001, 1005, 1006, 1007]


def test_an_access_is_of_any_thread_of_its_actor():
    work = eyes.workload(
        [eyes.actor("a", "cpu0"), eyes.actor("b", "cpu1")], worlds.mapping("m", "4 MiB")
    )
    threads = threads_of(work, eyes.topology())
    actors = np.repeat([1, 0], 400)
    cpu, tid = who(threads, actors, np.random.default_rng(1))
    assert set(tid[:400]) == {1004, 1005, 1006, 1007} and set(cpu[400:]) == {0, 1, 2, 3}
    assert (tid - 1000 == cpu).all(), "a thread stays on its CPU"
