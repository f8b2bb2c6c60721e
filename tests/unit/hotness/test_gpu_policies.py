"""Managed memory and access counters where they help, and where they do not."""

from __future__ import annotations

from typing import Any

import pytest

import numasim as ns
from numasim.policies import registry
from tests.worlds import document

MIB = 1 << 20
ROWS = {"pattern": "uniform", "mapping": "m", "lines": 32, "parallelism": 32}


def machine(hbm: str = "128 MiB") -> dict[str, Any]:
    """A host and a GPU behind a slot."""
    nodes = [
        {
            "name": "ddr",
            "capacity": "1 GiB",
            "latency": "100 ns",
            "bandwidth": "200 GB/s",
            "at": "s",
        },
        {"name": "hbm", "capacity": hbm, "latency": "600 ns", "bandwidth": "2 TB/s", "at": "g"},
    ]
    accessors = [
        {"name": "cpu0", "kind": "CPU", "cpus": "0-7", "at": "s", "max_outstanding": 16},
        {"name": "gpu0", "kind": "GPU", "cores": 100, "at": "g", "in_flight_bytes": "4 MiB"},
    ]
    slot = {"name": "pcie", "between": ["s", "g"], "latency": "1 us", "bandwidth": "50 GB/s"}
    kernel = {"min_free_kbytes": 256, "transparent_hugepage": "never"}
    return {
        "name": "g", "nodes": nodes, "accessors": accessors, "links": [slot], "kernel": kernel,
    }  # fmt: skip


def work(size: str = "96 MiB", host: bool = False, **gpu: Any) -> dict[str, Any]:
    """Data that the host touched first and a GPU works on; the host too, if asked."""
    own = [{**ROWS, "lines": 5, "parallelism": 2}] if host else []
    actors = [
        {"name": "host", "on": "CPU", "threads": 2, "phases": [{"compute": "1 us", "access": own}]},
        {
            "name": "device", "on": "GPU", "threads": 2048,
            "phases": [{"compute": "1 us", "access": [{**ROWS, **gpu}]}],
        },
    ]  # fmt: skip
    policy = {"mode": "preferred", "nodes": [0]}
    mapping = {"name": "m", "size": size, "page": "64 KiB", "policy": policy}
    return {"name": "w", "processes": [{"name": "app", "mappings": [mapping], "actors": actors}]}


def run(policy: Any, on: dict[str, Any], program: dict[str, Any], duration: str = "1 s") -> Any:
    return ns.run(on, program, policy, duration=duration, record="50 ms", seed=1)


def speed(found: Any, actor: str = "app/device") -> float:
    return float(found.actors[found.actors.actor == actor].ops_per_s.iloc[-1])


def last(found: Any, counter: str) -> float:
    return float(found.vmstat[found.vmstat.counter == counter].value.iloc[-1])


def moved(found: Any) -> float:
    return float(found.moves.bytes.sum()) if len(found.moves) else 0.0


@pytest.mark.parametrize("policy", ["cuda_managed", "access_counter_migration"])
def test_what_the_gpu_uses_comes_to_it_once(policy):
    remote, near = run("no_tiering", machine(), work()), run(policy, machine(), work())
    assert speed(near) > 2 * speed(remote)
    assert moved(near) == 96 * MIB


def test_the_prefetcher_saves_faults():
    with_it = run("cuda_managed", machine(), work())
    without = run({"kind": "cuda_managed", "prefetch": False}, machine(), work())
    assert last(without, "faults") == 96 * 16, "every 64 KiB page by itself"
    assert last(with_it, "faults") < 0.75 * 96 * 16
    assert moved(with_it) == moved(without)


def test_more_than_fits_is_evicted_and_faulted_for_ever():
    """Each page is brought for one visit: slower than using it where it was."""
    remote = run("no_tiering", machine("64 MiB"), work(), "500 ms")
    thrashed = run("cuda_managed", machine("64 MiB"), work(), "500 ms")
    assert speed(thrashed) < 0.5 * speed(remote)
    assert last(thrashed, "evicted_blocks") > 1000
    assert moved(thrashed) > 50 * 96 * MIB


def test_counters_leave_what_does_not_fit_where_it_is():
    """No counter tells what is cold in a full HBM: hardly anything is evicted for the rest."""
    remote = run("no_tiering", machine("64 MiB"), work())
    half = run("access_counter_migration", machine("64 MiB"), work())
    assert speed(half) > 1.5 * speed(remote)


def test_pages_that_both_use_are_pinned():
    found = run("cuda_managed", machine(), work("8 MiB", host=True), "2 s")
    assert last(found, "pins") >= 4
    periods = 2 / 0.3
    assert last(found, "pins") < 4 * (periods + 3), "at most once per block in 300 ms"
    assert moved(found) < 60 * 8 * MIB


def test_a_sweep_faults_too():
    found = run("cuda_managed", machine(), work(pattern="sweep", lines=1024))
    assert moved(found) == 96 * MIB


def test_only_managed_mappings_move():
    policy = {"kind": "cuda_managed", "mappings": ["other"]}
    assert moved(run(policy, machine(), work())) == 0


@pytest.mark.parametrize("policy", ["cuda_managed", "access_counter_migration"])
def test_a_machine_without_gpu_is_left_alone(policy):
    small = document()
    found = ns.run(small["topology"], small["workload"], policy, duration="1 s", record="500 ms")
    assert not len(found.moves)
    made = registry.build(policy, {})
    assert "no GPU" in made.remark(ns.load_topology("skx_emulated"))
    assert not made.remark(ns.load_topology("gh200"))


@pytest.mark.parametrize("policy", ["cuda_managed", "access_counter_migration"])
def test_a_run_can_be_repeated_to_the_last_bit(policy):
    first, again = (run(policy, machine("64 MiB"), work(), "100 ms") for _ in range(2))
    for name in ("actors", "moves", "vmstat", "tolls"):
        assert first.tables[name].equals(again.tables[name])
