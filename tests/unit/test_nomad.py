"""Nomad in whole runs: against TPP where memory is short, what writes cost it, room for shadows."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pandas as pd
import pytest

from numasim.result import Result
from numasim.running import run_scenario
from tests.unit.balancing import scenes
from tests.unit.test_tpp import machine, on_fast, spilled

MIB = 1 << 20
THREAD = "nomad/promotion"


def flat(write: float) -> dict[str, Any]:
    """Twice what the fast node holds, all alike: what goes up has to come down."""
    work = scenes.flat()
    for access in work["processes"][0]["actors"][0]["phases"][0]["access"]:
        access["write"] = write
    return work


@cache
def thrashing(policy: str, write: float = 0.0) -> Result:
    return scenes.run(machine(), flat(write), policy, "5 s", record="500 ms")


def bytes_by_cause(result: Result) -> pd.Series:
    return result.moves.groupby("cause").bytes.sum()


def test_hot_memory_comes_up_as_with_tpp():
    result = scenes.run(machine(), scenes.spilled(lines=4), "nomad", "10 s", record="500 ms")
    assert on_fast(result, "hot") > 60
    gain = scenes.operations(result, "app/main") / scenes.operations(spilled("tpp"), "app/main")
    assert gain == pytest.approx(1, abs=0.02)


def test_clean_pages_go_down_without_a_copy():
    result = thrashing("nomad")
    found, moved = scenes.counters(result, THREAD), bytes_by_cause(result)
    assert found["shadow_written"] == 0
    assert moved["kswapd0 (remap)"] == found["shadow_remapped"] * 4096
    assert found["shadow_remapped"] > 4000
    once = moved["kswapd0"] / 4096
    assert once <= 16_384 + 64, "only what was on the fast node from the beginning is copied"
    reclaim = scenes.counters(result, "reclaim")
    assert reclaim["pgdemote_kswapd"] * 4096 == moved["kswapd0"] + moved["kswapd0 (remap)"]
    promoted = moved[THREAD] / 4096
    assert promoted == found["promote_success"]
    assert found["shadow"] == promoted - found["shadow_remapped"] - found["shadow_reclaimed"]


def test_written_pages_have_no_copy_to_go_back_to():
    found = scenes.counters(thrashing("nomad", 1.0), THREAD)
    assert found["shadow_remapped"] < 0.05 * found["promote_success"]
    copied_down = [bytes_by_cause(thrashing("nomad", w))["kswapd0"] for w in (0.0, 1.0)]
    assert copied_down[1] > 1.2 * copied_down[0], "every one is copied, not just once"


def test_faults_do_not_wait_for_copies():
    """Threads pay for faults, scans and writes to shadowed pages; TPP's wait for copies, too."""
    result = thrashing("nomad", 1.0)
    found = scenes.counters(result, "nomad")
    rows = result.sources[result.sources.t_s == result.sources.t_s.max()].set_index("source")
    faults = found["numa_hint_faults"] * 1000 + found["scan_ns"]
    assert 0 <= float(rows.stall_ns["nomad"]) - faults < 0.02 * faults, "interrupts of scans"
    written = scenes.counters(result, THREAD)["shadow_written"]
    assert float(rows.stall_ns[THREAD]) == written * 700
    tpp = thrashing("tpp", 1.0)
    waited = tpp.sources[tpp.sources.source == "tpp"].stall_ns.iloc[-1]
    assert waited > 1.2 * scenes.counters(tpp, "tpp")["numa_hint_faults"] * 1000


def test_aborts_rise_with_the_rate_of_writes():
    """A page is clean for the time of its copy with exp(-rate x time)."""
    shares, chances = [], []
    for write in (0.0, 0.2, 1.0):
        work = scenes.spilled(visits=64, miss=0.0, write=write)
        work["processes"][0]["mappings"][1]["size"] = "16 MiB"
        result = scenes.run(machine(), work, "nomad", "4 s", record="500 ms")
        found = scenes.counters(result, THREAD)
        tried = found["promote_success"] + found["promote_abort"]
        assert tried > 3000
        shares.append(found["promote_abort"] / tried)
        rate = write * 64 * scenes.operations(result, "app/main") / 4.0 / 4096
        chances.append(-math.expm1(-rate * 1_100e-9))
    assert shares[0] == 0 < shares[1] < shares[2]
    # a copy from slow memory takes longer than the 1.1 us of near ones
    assert all(
        chance < share < 4 * chance for share, chance in zip(shares[1:], chances[1:], strict=True)
    )


def test_programs_get_memory_that_shadows_hold():
    """A second program needs what shadows fill: nothing is refused, nothing is lost."""
    work = scenes.spilled(lines=4)
    late = {
        "name": "late", "start": "4 s", "mappings": [{"name": "big", "size": "170 MiB"}],
        "actors": [
            {"name": "main", "phases": [
                {"compute": "1 us", "access": [{"pattern": "uniform", "mapping": "big"}]}
            ]}
        ],
    }  # fmt: skip
    work["processes"].append(late)
    result = scenes.run(machine(), work, "nomad", "6 s", record="500 ms")
    found = scenes.counters(result, THREAD)
    assert found["shadow_reclaimed"] > 1000
    last = result.residency[result.residency.t_s == 6.0]
    assert last.bytes.sum() == (64 + 64 + 170) * MIB


def test_it_is_the_same_twice():
    again = run_scenario(thrashing("nomad", 1.0).scenario())
    for name, table in thrashing("nomad", 1.0).tables.items():
        pd.testing.assert_frame_equal(table, again.tables[name])


def test_alto_refuses_its_promotions():
    """Where misses overlap perfectly, nothing is worth a promotion."""
    policy = {"kind": "alto", "on": "nomad", "low": 1e6, "high": 2e6}
    result = scenes.run(machine(), scenes.spilled(lines=4), policy, "5 s")
    found = scenes.counters(result, THREAD)
    assert scenes.counters(result, "alto")["refused_folios"] > 1000
    assert found["promote_success"] < 0.2 * 16_384
    assert found["promote_fail"] == scenes.counters(result, "alto")["refused_folios"]
