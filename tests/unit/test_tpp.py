"""TPP in whole runs: what its authors claim, and the failure that they admit."""

from __future__ import annotations

from functools import cache

import pandas as pd

from numasim.loader import load_scenario
from numasim.result import Result
from numasim.running import run_scenario
from tests.unit.balancing import scenes

MIB = 1 << 20
LISTS = {**scenes.KERNEL, "lru": "active_inactive"}


def machine(**more: str) -> dict:
    return {**scenes.two_tiers(), "kernel": LISTS, **more}


@cache
def spilled(policy: str) -> Result:
    """Cold data came first and fills the fast node, hot data fell on the slow one."""
    return scenes.run(machine(), scenes.spilled(lines=4), policy, "10 s", record="500 ms")


def on_fast(result: Result, mapping: str) -> float:
    """MiB of a mapping on the fast node in the end."""
    rows = result.residency
    rows = rows[(rows.mapping == mapping) & (rows.node == "fast") & (rows.t_s == rows.t_s.max())]
    return float(rows.bytes.sum()) / MIB


def test_hot_memory_comes_up_where_nothing_moves_it_otherwise():
    plain, tiered = spilled("no_tiering"), spilled("tpp")
    assert on_fast(plain, "hot") < 1
    assert on_fast(tiered, "hot") > 60
    gain = scenes.operations(tiered, "app/main") / scenes.operations(plain, "app/main")
    assert gain > 1.3
    causes = set(tiered.moves.cause)
    assert causes == {"tpp", "kswapd0"}


def test_two_percent_of_the_fast_node_stay_free():
    free = spilled("tpp").nodes
    free = free[(free.node == "fast") & (free.t_s >= 5)].free_bytes
    goal = 64 * MIB * 200 // 10_000
    assert (free > 0.5 * goal).all() and free.median() >= 0.9 * goal
    assert (free < 3 * goal).all(), "and not much more"


def test_promotion_takes_two_faults():
    """No page moves in the first scan; every page that moved had faulted twice."""
    found = scenes.counters(spilled("tpp"), "tpp")
    assert found["pgpromote_success"] <= found["pgpromote_candidate"]
    promoted, faults = found["pgpromote_success"], found["numa_hint_faults"]
    assert faults >= promoted + found["pgactivate"] - 15 * 2
    assert found["pgpromote_candidate_demoted"] < 0.05 * promoted


def test_each_fault_and_move_is_charged_once():
    found = scenes.counters(spilled("tpp"), "tpp")
    tiered = spilled("tpp")
    moved = tiered.moves[tiered.moves.cause == "tpp"].bytes.sum()
    assert found["pgpromote_success"] * 4096 == moved
    rows = tiered.sources[tiered.sources.source == "tpp"]
    least = found["numa_hint_faults"] * 1000 + found["scan_ns"]
    copies = float(rows.stall_ns.iloc[-1]) - least
    assert 1 < copies / (1100 * found["pgpromote_success"]) < 4, "slow memory is slower to copy"


def test_a_hot_set_that_does_not_fit_goes_up_and_down_for_ever():
    """Its admitted failure: pages that are demoted are hot again at once."""
    flat = scenes.run(machine(), scenes.flat(), "tpp", "10 s", record="500 ms")
    plain = scenes.run(machine(), scenes.flat(), "no_tiering", "10 s", record="500 ms")
    found = scenes.counters(flat, "tpp")
    assert found["pgpromote_candidate_demoted"] > 0.3 * found["pgpromote_candidate"]
    late = flat.moves[flat.moves.t_s > 5].groupby("direction").bytes.sum()
    assert late["promotion"] > 16 * MIB and late["demotion"] > 16 * MIB
    assert scenes.operations(flat, "app/main") < scenes.operations(plain, "app/main")


def files() -> dict:
    """A program that reads a large file, then uses memory of its own."""
    access = [
        {"pattern": "uniform", "mapping": "cache", "visits": 0.01},
        {"pattern": "uniform", "mapping": "heap", "lines": 4},
    ]
    mappings = [
        {"name": "cache", "size": "64 MiB", "kind": "file"}, {"name": "heap", "size": "48 MiB"}
    ]  # fmt: skip
    actor = {"name": "main", "threads": 2, "phases": [{"compute": "1 us", "access": access}]}
    return {"name": "f", "processes": [{"name": "app", "mappings": mappings, "actors": [actor]}]}


def test_pages_of_files_start_on_the_slow_node_if_asked():
    """Memory of its own then finds room at once; without, it has to be promoted."""
    aware = {"kind": "tpp", "file_to_slow": True}
    plain, typed = (
        scenes.run(machine(), files(), policy, "1 s", record="500 ms") for policy in ("tpp", aware)
    )
    assert on_fast(typed, "heap") == 48 and on_fast(typed, "cache") < 1
    assert on_fast(plain, "heap") < 8
    assert scenes.operations(typed, "app/main") > scenes.operations(plain, "app/main")


def test_it_is_the_same_twice():
    again = run_scenario(spilled("tpp").scenario())
    for name, table in spilled("tpp").tables.items():
        pd.testing.assert_frame_equal(table, again.tables[name])


def test_alto_refuses_its_promotions_and_lets_reclaim_demote():
    """Where misses overlap perfectly, nothing is worth a promotion."""
    policy = {"kind": "alto", "on": "tpp", "low": 1e6, "high": 2e6}
    document = {
        "topology": machine(), "workload": scenes.spilled(lines=4), "policy": policy,
        "duration": "6 s",
    }  # fmt: skip
    result = run_scenario(load_scenario(document))
    assert scenes.counters(result, "alto")["refused_folios"] > 1000
    assert scenes.counters(result, "tpp")["pgpromote_success"] < 0.2 * 16_384
    assert set(result.moves.direction) >= {"demotion"}


def crowded(hogs: int) -> tuple[dict, dict]:
    """Hot data would fit the fast node, which others may keep busy; the slow one is hardly slower.

    Both nodes have the same bandwidth, so that the kernel's tiers follow the latencies.
    """
    topology = machine()
    topology["accessors"] = [{"name": "cpu0", "cpus": "0-15", "at": "socket0"}]
    topology["nodes"] = [
        {"name": name, "capacity": size, "latency": latency, "bandwidth": "20 GB/s",
         "at": "socket0"}
        for name, size, latency in [("fast", "112 MiB", "100 ns"), ("slow", "256 MiB", "150 ns")]
    ]  # fmt: skip
    work = scenes.spilled(lines=64, parallelism=8, compute="10 ns")
    work["processes"][0]["actors"][0]["threads"] = 4
    near = {"mode": "bind", "nodes": ["fast"]}
    read = {"pattern": "uniform", "mapping": "h", "lines": 64, "parallelism": 10}
    hog = {
        "name": "hog", "mappings": [{"name": "h", "size": "8 MiB", "policy": near}],
        "actors": [
            {"name": "main", "threads": hogs, "phases": [{"compute": "1 ns", "access": [read]}]}
        ],
    }  # fmt: skip
    if hogs:
        work["processes"].insert(0, hog)
    return topology, work


def test_packing_a_saturated_tier_loses_and_colloid_on_it_does_not():
    """What Colloid's authors show of TPP: it goes on packing the tier that is slower by now."""
    runs = {}
    for hogs in (0, 6):
        for name, policy in (("tpp", "tpp"), ("both", {"kind": "colloid", "on": "tpp"})):
            runs[name, hogs] = scenes.run(*crowded(hogs), policy, "6 s", record="500 ms")
    quiet, busy = (
        scenes.operations(runs["both", hogs], "app/main")
        / scenes.operations(runs["tpp", hogs], "app/main")
        for hogs in (0, 6)
    )
    assert 0.97 < quiet < 1.03 and busy > 1.2
    assert on_fast(runs["tpp", 6], "hot") > 60 > 8 > on_fast(runs["both", 6], "hot")
    found = scenes.counters(runs["both", 6], "colloid+tpp/counters")
    assert abs(found["default_latency_ns"] / found["alternate_latency_ns"] - 1) < 0.15
