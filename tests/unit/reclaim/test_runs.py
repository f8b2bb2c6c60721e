"""Whole runs: demotion makes room for promotion, swap keeps programs alive."""

from __future__ import annotations

from functools import cache

import pandas as pd
import pytest

from numasim.agents import Agent
from numasim.errors import ConfigError, SimulationError
from numasim.experimenter import begin
from numasim.loader import load_scenario
from numasim.policies import Policy
from numasim.result import Result
from numasim.running import run_scenario
from tests import worlds

PROMOTE = (
    "damo start --numa_node 1 --damos_action migrate_hot 0 --damos_access_rate 20% max "
    "--monitoring_nr_regions_range 10 50 --damos_apply_interval 200ms "
    "--damos_quotas 0 4M 200ms 0 0 --damos_filter allow young"
)
COMMON = {"bandwidth": "50 GB/s", "at": "socket0"}


def scenario(*events: dict, lru: str = "mglru", **more) -> dict:
    """Cold data fills the fast node first, hot data lands on the slow one."""
    kernel = {"min_free_kbytes": 1024, "transparent_hugepage": "never", "lru": lru}
    kernel |= {"watermark_scale_factor": 300, **more.pop("kernel", {})}
    nodes = [
        {"name": "fast", "capacity": "48 MiB", "latency": "100 ns", **COMMON},
        {"name": "slow", "capacity": "128 MiB", "latency": "400 ns", **COMMON},
    ]
    machine = {"name": "small", "nodes": nodes, "kernel": kernel}
    machine["accessors"] = [{"name": "cpu0", "cpus": "0-3", "at": "socket0"}]
    access = [
        {"pattern": "uniform", "mapping": "hot", "lines": 8},
        {"pattern": "uniform", "mapping": "cold", "visits": 0.0005},
    ]
    app = {
        "name": "app",
        "mappings": [worlds.mapping("cold", "56 MiB"), worlds.mapping("hot", "16 MiB")],
        "actors": [
            {"name": "main", "threads": 2, "phases": [{"compute": "1 us", "access": access}]}
        ],
    }
    work = {"name": "small", "processes": [app]}
    return {
        "topology": machine, "workload": work, "duration": "4 s", "record": "500 ms",
        "events": list(events), **more,
    }  # fmt: skip


@cache
def promoted(lru: str, demotion: bool) -> Result:
    promote = {"at": "100 ms", "damo": PROMOTE}
    return run_scenario(load_scenario(scenario(promote, lru=lru, kernel={"demotion": demotion})))


def on_fast(result: Result, mapping: str) -> float:
    rows = result.residency[
        (result.residency.mapping == mapping) & (result.residency.node == "fast")
    ]
    return float(rows.bytes.iloc[-1]) / (1 << 20)


@pytest.mark.parametrize("lru", ["mglru", "active_inactive"])
def test_demotion_keeps_headroom_and_hot_pages_stay(lru):
    without, demoting = promoted(lru, False), promoted(lru, True)
    assert on_fast(without, "hot") < 4, "a full node refuses promotion"
    assert on_fast(demoting, "hot") > 14
    assert (
        demoting.summary()["throughput_ops_per_s"] > 1.2 * without.summary()["throughput_ops_per_s"]
    )
    down = demoting.moves[demoting.moves.cause == "kswapd0"].groupby("mapping").bytes.sum()
    assert down.get("hot", 0) < 0.1 * down["cold"]
    free = demoting.nodes[demoting.nodes.node == "fast"].free_bytes.iloc[2:]
    counters = demoting.vmstat[demoting.vmstat.t_s == 4.0].set_index("counter").value
    assert (free > 1 << 20).all()
    assert counters["pgdemote_kswapd"] * 4096 == down.sum()
    assert counters["pgsteal_kswapd"] <= counters["pgscan_kswapd"]


def test_a_run_is_the_same_twice():
    again = run_scenario(promoted("mglru", True).scenario())
    for name, table in promoted("mglru", True).tables.items():
        pd.testing.assert_frame_equal(table, again.tables[name])


def test_what_is_never_needed_changes_nothing():
    """With room for everything, a kernel that may demote is one that may not."""
    big = scenario()
    big["topology"]["nodes"][0]["capacity"] = "512 MiB"
    plain = run_scenario(load_scenario(big))
    big["topology"]["kernel"] |= {"demotion": True, "swap": {"size": "64 MiB"}}
    ready = run_scenario(load_scenario(big))
    # who touches is recorded where something on the machine may ask
    asked_for = {"vmstat", "sources", "tolls", "accessor_truth", "accessor_errors"}
    for name in plain.tables.keys() - asked_for:
        pd.testing.assert_frame_equal(plain.tables[name], ready.tables[name])
    assert not len(plain.vmstat) and len(ready.vmstat)


def bound(**kernel) -> dict:
    """More memory bound to the fast node than it has."""
    found = scenario(kernel=kernel)
    for mapping in found["workload"]["processes"][0]["mappings"]:
        mapping["policy"] = {"mode": "bind", "nodes": ["fast"]}
    return found


def test_without_demotion_or_swap_the_machine_is_out_of_memory():
    with pytest.raises(SimulationError, match="out of memory while populating"):
        run_scenario(load_scenario(bound()))


def test_demotion_or_swap_keep_the_program_alive():
    demoted = run_scenario(load_scenario(bound(demotion=True)))
    assert on_fast(demoted, "hot") + on_fast(demoted, "cold") < 48
    assert "direct reclaim" in set(demoted.moves.cause)
    swapped = run_scenario(load_scenario(bound(swap={"size": "64 MiB"})))
    counters = swapped.vmstat[swapped.vmstat.t_s == 4.0].set_index("counter").value
    assert counters["pswpout"] > counters["pswpin"] > 0 and not len(swapped.moves)


def test_a_sysctl_begins_demotion():
    promote = {"at": "100 ms", "damo": PROMOTE}
    switch = {"at": "2 s", "sysctl": {"numa/demotion_enabled": 1}}
    found = run_scenario(load_scenario(scenario(promote, switch)))
    down = found.moves[found.moves.cause == "kswapd0"]
    assert len(down) and down.t_s.min() > 2.0


def test_a_policy_begins_demotion():
    class Wants(Policy):
        kind = "wants"

        @property
        def demotion(self) -> bool:
            return True

    class Listener:
        name, due_ns = "listener", float("inf")

        def __init__(self) -> None:
            self.heard: dict = {}

        def settings(self, changed: dict) -> None:
            self.heard |= changed

    one = Listener()
    agents: list[Agent] = [one]
    begin(Wants(), worlds.machine(), agents, 0)
    assert one.heard == {"numa/demotion_enabled": 1}


def damos(action: str, rate: str, *events: dict, **kernel) -> Result:
    damo = f"damo start --numa_node 0 --damos_action {action} --damos_access_rate {rate}"
    made = scenario({"at": "100 ms", "damo": damo}, *events, kernel=kernel)
    return run_scenario(load_scenario(made))


def test_pageout_swaps_out_what_damon_finds_cold():
    found = damos("pageout", "0% 0%", swap={"size": "64 MiB"})
    scheme = found.schemes.iloc[-1]
    counters = found.vmstat[found.vmstat.t_s == 4.0].set_index("counter").value
    assert (
        scheme.sz_applied == counters["pswpout"] * 4096 == counters["pgsteal_proactive"] * 4096 > 0
    )
    assert on_fast(found, "cold") < 40


def test_pageout_without_swap_is_tried_in_vain():
    scheme = damos("pageout", "0% 0%").schemes.iloc[-1]
    assert scheme.sz_tried > 0 and scheme.sz_ops_filter_passed > 0 and scheme.sz_applied == 0


@pytest.mark.parametrize(("action", "rate"), [("lru_prio", "5% max"), ("lru_deprio", "0% 0%")])
def test_lru_actions_apply_to_whole_folios(action, rate):
    made = scenario({"at": "100 ms", "damo": (
        f"damo start --numa_node 0 1 --damos_action {action} --damos_access_rate {rate}"
    )})  # fmt: skip
    scheme = run_scenario(load_scenario(made)).schemes.iloc[-1]
    assert scheme.sz_applied == scheme.sz_ops_filter_passed > 0


def test_swap_counts_as_room_for_a_workload():
    made = scenario()
    made["workload"]["processes"][0]["mappings"][0]["size"] = "200 MiB"
    with pytest.raises(ConfigError, match=r"or kernel\.swap"):
        load_scenario(made)
    made["topology"]["kernel"]["swap"] = {"size": "64 MiB", "kind": "compressed", "ratio": 1.2}
    with pytest.raises(ConfigError, match=r"needs 0\.2 GiB"):
        load_scenario(made)
    made["topology"]["kernel"]["swap"]["kind"] = "device"
    load_scenario(made)


def test_settings_of_swap_are_checked():
    made = scenario(kernel={"swap": {"size": "64 MiB", "ratio": 0.5, "kind": "zswap"}})
    with pytest.raises(ConfigError) as caught:
        load_scenario(made)
    text = str(caught.value)
    assert "topology.kernel.swap.ratio" in text and "topology.kernel.swap.kind" in text


def populated_s(made: dict) -> float:
    events = run_scenario(load_scenario(made)).events
    return float(events[events.what == "is populated"].t_s.iloc[0])


def test_who_reclaims_for_itself_is_later_ready():
    """Direct reclaim holds up the task that allocates, for as long as its moves take."""
    roomy = bound()
    roomy["topology"]["nodes"][0]["capacity"] = "512 MiB"
    demoting = bound(demotion=True)
    found = run_scenario(load_scenario(demoting))
    counters = found.vmstat[found.vmstat.t_s == 4.0].set_index("counter").value
    moved_s = counters["pgdemote_direct"] * 1_100e-9
    assert populated_s(demoting) > populated_s(roomy) + 0.9 * moved_s > 0.001
