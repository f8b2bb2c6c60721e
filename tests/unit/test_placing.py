"""The best placement: exact for fixed prices, and near the closed forms where load counts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from numasim.placing import Placing, Want, Worker, transport
from tests import worlds


def by_linear_programming(price, total, room) -> float:
    """The least cost, by a solver that knows nothing of chains."""
    nr_nodes, nr_classes = price.shape
    every = np.tile(np.eye(nr_classes), nr_nodes)
    each = np.kron(np.eye(nr_nodes), np.ones(nr_classes))
    found = linprog(price.ravel(), A_ub=each, b_ub=room, A_eq=every, b_eq=total)
    assert found.success
    return float(found.fun)


@pytest.mark.parametrize("seed", range(40))
def test_a_transport_problem_is_solved_exactly(seed):
    rng = np.random.default_rng(seed)
    nodes, classes = rng.integers(2, 6), rng.integers(1, 30)
    price = rng.random((nodes, classes)) * rng.choice([1, 100], classes)
    total = rng.integers(0, 1000, classes).astype(float)
    room = rng.dirichlet(np.ones(nodes)) * total.sum() * rng.uniform(1.001, 2) + 1
    placed = transport(price, total, room)
    assert placed.min() >= 0
    assert placed.sum(axis=0) == pytest.approx(total)
    assert (placed.sum(axis=1) <= room + 1e-6 * total.sum()).all()
    best = by_linear_programming(price, total, room)
    assert (price * placed).sum() == pytest.approx(best, rel=1e-9, abs=1e-9)


def test_for_one_accessor_the_most_missed_come_first():
    """By hand: 10 near frames, then 10 middle ones; classes of 6 pages with 9, 5, 3, 1 misses."""
    price = np.outer([100.0, 200.0, 400.0], [3.0, 9.0, 1.0, 5.0])
    placed = transport(price, np.full(4, 6.0), np.array([10.0, 10.0, 10.0]))
    assert placed.tolist() == [[0, 6, 0, 4], [6, 0, 2, 2], [0, 0, 4, 0]]


def worker(accessor: int, *lines: float, threads: float = 1, **more) -> Worker:
    want = Want(np.array(lines), more.pop("parallelism", 1.0), 0.0, "dynamic")
    given = {"compute_ns": 0.0, "pace_per_ns": np.inf, "wants": (want,), **more}
    return Worker(accessor=accessor, threads=threads, **given)


def two_sockets():
    common = {"capacity": "32 MiB", "latency": "100 ns", "bandwidth": "500 GB/s"}
    nodes = [{"name": f"n{i}", "at": f"s{i}", **common} for i in range(2)]
    accessors = [{"name": f"c{i}", "cpus": f"{4 * i}-{4 * i + 3}", "at": f"s{i}"} for i in range(2)]
    links = [{"between": ["s0", "s1"], "latency": "200 ns", "bandwidth": "500 GB/s"}]
    return worlds.topology(*nodes, accessors=accessors, links=links)


def test_of_two_accessors_each_has_its_own_and_who_needs_it_more_has_what_is_shared():
    """Classes: mine, yours, shared 3:1; every whole placement is tried."""
    machine, total = two_sockets(), np.array([10.0, 10.0, 10.0])
    workers = [worker(0, 0.05, 0, 0.03, compute_ns=10), worker(1, 0, 0.05, 0.01, compute_ns=10)]
    room = np.array([25.0, 25.0])
    search = Placing(machine)
    plan = search.plan(workers, np.array([[0.0, 10, 10], [10, 0, 0]]), room)
    assert plan.pages == pytest.approx(np.array([[10.0, 0, 10], [0, 10, 0]]), abs=0.1)
    worth = search._worth(workers, plan.pages)
    for split in itertools.product(range(0, 11, 2), repeat=3):
        other = np.array([split, total - split], float)
        if (other.sum(axis=1) <= room).all():
            assert search._worth(workers, other) <= worth + 1e-6


@pytest.mark.parametrize("bandwidths", [(72, 26), (60, 60), (100, 10)])
def test_where_bandwidth_alone_counts_it_ends_at_the_split_by_bandwidth(bandwidths):
    common = {"capacity": "64 MiB", "at": "socket0"}
    nodes = [
        {"name": f"n{i}", "latency": f"{100 + 150 * i} ns", "bandwidth": f"{speed} GB/s", **common}
        for i, speed in enumerate(bandwidths)
    ]
    machine = worlds.topology(*nodes, accessors=[{"name": "c", "cpus": "0-127", "at": "socket0"}])
    search = Placing(machine)
    workers = [worker(0, 8 / 1000, threads=128, parallelism=12.0, compute_ns=10)]
    now = np.array([[1000.0], [0.0]])
    plan = search.plan(workers, now, np.array([1000.0, 1000.0]))
    assert plan.pages[0, 0] / 1000 == pytest.approx(bandwidths[0] / sum(bandwidths), abs=0.02)
    gain = np.exp(search._worth(workers, plan.pages) - search._worth(workers, now))
    assert gain == pytest.approx(sum(bandwidths) / bandwidths[0], rel=0.01)


def test_what_nobody_visits_stays_where_it_is_while_there_is_room():
    machine = two_sockets()
    now = np.array([[10.0, 4.0], [0.0, 6.0]])
    plan = Placing(machine).plan([worker(0, 0.1, 0.0)], now, np.array([20.0, 20.0]))
    assert plan.pages.tolist() == now.tolist()
    plan = Placing(machine).plan([worker(1, 0.1, 0.0)], now, np.array([20.0, 12.0]))
    assert plan.pages.tolist() == [[0.0, 8.0], [10.0, 2.0]]


def test_a_near_node_that_is_still_nearer_under_load_gives_some_away_all_the_same():
    """At 226 of 271 ns the near node has the lower latency; one more line costs more there."""
    nodes = [
        {"name": "near", "capacity": "64 MiB", "latency": "114 ns", "bandwidth": "218 GB/s"},
        {"name": "far", "capacity": "64 MiB", "latency": "271 ns", "bandwidth": "26 GB/s"},
    ]
    nodes = [{**node, "at": "s0"} for node in nodes]
    cpu = {"name": "c", "cpus": "0-95", "at": "s0", "max_outstanding": 48}
    placing = Placing(worlds.topology(*nodes, accessors=[cpu]))
    all_near = np.array([[4096.0], [0.0]])
    one = worker(0, 4 / 4096, threads=96, compute_ns=40.0, parallelism=12.0)
    plan = placing.plan([one], all_near, np.array([12_000.0, 12_000.0]))
    assert 0.03 < plan.pages[1, 0] / 4096 < 0.12
    assert plan.pages.sum() == pytest.approx(4096)
    gain = placing._worth([one], plan.pages) - placing._worth([one], all_near)
    assert 0.015 < gain < np.log((218 + 26) / 218)
    tried = np.linspace(0, 0.3, 61)
    best = max(placing._worth([one], np.array([[4096 * (1 - t)], [4096 * t]])) for t in tried)
    assert placing._worth([one], plan.pages) > best - 1e-3
