"""Each policy where its authors say it helps, and where they admit that it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numasim as ns

MIB = 1 << 20
HEMEM = {"kind": "hemem", "least": "4 MiB"}
MEMTIS = {"kind": "memtis", "adaptation": 5000, "cooling": 100_000}  # few pages need few samples


def machine(bandwidth: str = "50 GB/s", slow: str = "250 ns") -> dict[str, Any]:
    """Two memories of one CPU."""
    near = {"bandwidth": bandwidth, "at": "s"}
    nodes = [
        {"name": "fast", "capacity": "128 MiB", "latency": "100 ns", **near},
        {"name": "slow", "capacity": "512 MiB", "latency": slow, **near},
    ]
    cpu = {"name": "cpu0", "cpus": "0-9", "at": "s", "max_outstanding": 16}
    kernel = {"min_free_kbytes": 256, "transparent_hugepage": "never"}
    return {"name": "small", "nodes": nodes, "accessors": [cpu], "kernel": kernel}


def work(page: str = "2 MiB", threads: int = 4, **access: Any) -> dict[str, Any]:
    """A mapping twice as large as the fast memory; its hot quarter is touched first last."""
    hot = {"pattern": "hot_cold", "hot": 0.25, "hot_visits": 0.9, "at": 0.75, "parallelism": 4}
    pattern = {"mapping": "m", **(access if "pattern" in access else {**hot, **access})}
    actor = {
        "name": "main", "threads": threads, "phases": [{"compute": "20 ns", "access": [pattern]}],
    }  # fmt: skip
    mapping = {"name": "m", "size": "256 MiB", "page": page}
    return {"name": "w", "processes": [{"name": "app", "mappings": [mapping], "actors": [actor]}]}


def run(policy: Any, on: dict[str, Any], program: dict[str, Any], duration: str = "3 s") -> Any:
    return ns.run(on, program, policy, duration=duration, record="500 ms", seed=1)


def speed(found: Any) -> float:
    return float(found.actors.ops_per_s.iloc[-1])


def local(found: Any) -> float:
    return float(found.actors.local_share.iloc[-1])


def last(found: Any, counter: str) -> float:
    rows = found.vmstat[found.vmstat.counter == counter]
    return float(rows.value.iloc[-1])


@pytest.mark.parametrize("page", ["2 MiB", "4 KiB"])
@pytest.mark.parametrize("policy", [HEMEM, MEMTIS, {"kind": "colloid", "on": HEMEM}])
def test_the_hot_set_comes_to_the_fast_memory(policy, page):
    on, program = machine(), work(page)
    before, after = run("no_tiering", on, program), run(policy, on, program)
    assert local(before) < 0.1 and local(after) > 0.9
    assert speed(after) > 1.3 * speed(before)


def test_hemem_packs_a_saturated_memory_and_colloid_balances_it():
    """Two equally narrow memories: all hot data in one of them is half of what there is."""
    on, program = machine("12 GB/s", "150 ns"), work(threads=8, parallelism=16)
    packed = run(HEMEM, on, program)
    latency = packed.nodes[packed.nodes.t_s == packed.nodes.t_s.max()].loaded_latency_ns
    assert latency.iloc[0] > 1.5 * latency.iloc[1], "the default tier is the slower one"
    balanced = run({"kind": "colloid", "on": HEMEM}, on, program)
    latency = balanced.nodes[balanced.nodes.t_s == balanced.nodes.t_s.max()].loaded_latency_ns
    assert latency.max() < 1.25 * latency.min()
    assert speed(balanced) > 1.2 * speed(packed)


def test_colloid_balances_with_the_eyes_of_memtis_too():
    on, program = machine("12 GB/s", "150 ns"), work(threads=8, parallelism=16)
    packed, balanced = run(MEMTIS, on, program), run({"kind": "colloid", "on": MEMTIS}, on, program)
    assert speed(balanced) > 1.1 * speed(packed)
    ratio = last(balanced, "default_latency_ns") / last(balanced, "alternate_latency_ns")
    assert 0.6 < ratio < 1.6


def test_memtis_moves_nothing_where_all_pages_are_alike():
    """No bin of a flat histogram fits the fast memory, so nothing is hot; HeMem swaps in vain."""
    on, program = machine(), work(pattern="uniform", parallelism=4)
    still, restless = run(MEMTIS, on, program), run(HEMEM, on, program)
    assert last(still, "moved_bytes") < 16 * MIB, "what seemed hot before the first histogram"
    assert last(restless, "moved_bytes") > 256 * MIB
    assert local(restless) == pytest.approx(local(still), abs=0.02)
    assert speed(restless) <= speed(still)


def test_memtis_holds_its_sampling_to_its_share_of_a_core():
    found = run(MEMTIS, machine(), work(), "6 s")
    samples = found.vmstat[found.vmstat.counter == "samples"].set_index("t_s").value
    rate = (samples.iloc[-1] - samples.loc[2.0]) / (samples.index[-1] - 2.0)
    assert 0.02 < rate * 300e-9 < 0.04, "a record takes its thread 300 ns"


@pytest.mark.parametrize(("parallelism", "share"), [(1, 1.0), (16, 0.0)])
def test_alto_lets_promote_only_where_misses_are_waited_for(parallelism, share):
    """100 to 250 ns at 2.5 GHz, hidden behind one another or not."""
    policy = {"kind": "alto", "on": HEMEM, "interval": "50 ms"}
    found = run(policy, machine(), work(parallelism=parallelism))
    assert last(found, "promotion_share_bp") == share * 10_000
    moved = last(found, "moved_bytes")
    if share:
        assert local(found) > 0.9
    else:
        assert moved < 64 * MIB, "only what went before the first measurement"


def test_samples_are_charged_once():
    found = run(HEMEM, machine(), work())
    rows = found.sources[found.sources.t_s == found.sources.t_s.max()]
    assert set(rows.source) == {"hemem/loads"}, "nobody writes"
    loads = rows[rows.source == "hemem/loads"].iloc[0]
    assert loads.events > 1000
    assert loads.stall_ns == pytest.approx(loads.events * 200), "0.4 of 500 ns are the program's"
    missed = float(found.actors.lines.iloc[-1] - found.actors.lines.iloc[0])
    assert loads.events == pytest.approx(missed / 10_007, rel=0.05)
    tolls = found.tolls[found.tolls.t_s == found.tolls.t_s.max()]
    assert tolls.owed_ns.sum() == pytest.approx(rows.stall_ns.sum())


@pytest.mark.parametrize("policy", [{"kind": "colloid", "on": HEMEM}, MEMTIS])
def test_a_run_can_be_repeated_to_the_last_bit(policy):
    first, again = (run(policy, machine(), work(), "1 s") for _ in range(2))
    for name in ("actors", "moves", "vmstat", "sources"):
        assert first.tables[name].equals(again.tables[name])


def newcomers(nr: int, each_s: int) -> dict[str, Any]:
    """Programs that come one after the other, each with memory of its own."""
    pattern = {"pattern": "uniform", "mapping": "m", "parallelism": 16}
    actor = {"name": "main", "threads": 8, "phases": [{"compute": "5 ns", "access": [pattern]}]}
    mapping = {"name": "m", "size": "64 MiB"}
    processes = [
        {
            "name": f"app{i}", "mappings": [mapping], "actors": [actor],
            "start": f"{i * each_s} s", "stop": f"{(i + 1) * each_s} s",
        }
        for i in range(nr)
    ]  # fmt: skip
    return {"name": "newcomers", "processes": processes}


def test_caption_finds_a_ratio_between_two_narrow_memories():
    """Equal bandwidth: half of the pages each would be best; steps of 9 % come near it."""
    on = machine("12 GB/s", "130 ns")
    policy = {"kind": "caption", "interval": "200 ms"}
    found = ns.run(on, newcomers(20, 1), policy, duration="20 s", record="1 s", seed=1)
    shares = found.vmstat[found.vmstat.counter == "slow_share_bp"].value.to_numpy() / 10_000
    assert shares[0] < 0.2
    assert 0.25 < shares[-8:].mean() < 0.75
    done = found.phases.operations.to_numpy(float)
    assert done[-5:].mean() > 1.3 * done[0], "later programs are faster than the first"


def test_nothing_that_is_there_moves_under_caption():
    found = run({"kind": "caption", "interval": "100 ms"}, machine(), work())
    assert not len(found.moves)
    assert np.ptp(found.actors.local_share.dropna().to_numpy()) == 0
