"""NUMA balancing in whole runs: what closed forms, and its authors, say of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numasim.balancing.space import AddressSpace
from numasim.errors import ConfigError
from tests.unit.balancing import scenes

PAGES = 16_384  # of 64 MiB
TIERING = {"kind": "numa_balancing", "mode": 2}


def test_chance_of_a_candidate():
    """A page visited at rate r is a candidate of one scan with 1 - exp(-r x threshold)."""
    rate, threshold_s = 0.7, 1.0
    work = scenes.spilled(compute=f"{2e6 / (PAGES * rate):.3f} us", miss=0.0)
    policy = {**TIERING, "scan_period_min": "30 s"}
    found = scenes.counters(scenes.run(scenes.two_tiers(), work, policy, "15 s"))
    armed = found["numa_pte_updates"]
    assert PAGES <= armed <= PAGES + 16, "one scan, and all its pages"
    chance = -math.expm1(-rate * threshold_s)
    deviation = math.sqrt(chance * (1 - chance) / armed)
    assert found["pgpromote_candidate"] / armed == pytest.approx(chance, abs=4 * deviation)
    assert found["numa_hint_faults"] == pytest.approx(armed, abs=16), "14 s are enough for all"


def test_each_fault_is_charged_once():
    """Threads work less by faults x cost and the scans' time, and by nothing else."""
    work = scenes.spilled(visits=0.05, miss=0.0)
    plain = scenes.run(scenes.two_tiers(), work, "no_tiering", "20 s")
    hinted = scenes.run(scenes.two_tiers(), work, TIERING, "20 s")
    found = scenes.counters(hinted)
    ran_ns = float((hinted.phases.ended_s - hinted.phases.began_s).iloc[0]) * 1e9
    interrupts = hinted.sources.stall_ns.iloc[-1] - found["numa_hint_faults"] * 1000
    assert 0 < interrupts - found["scan_ns"] < 1e-3 * hinted.sources.stall_ns.iloc[-1]
    paid = float(hinted.tolls.paid_ns.iloc[-1])
    assert paid == pytest.approx(hinted.sources.stall_ns.iloc[-1], rel=0.05), "but the last of it"
    lost = 1 - scenes.operations(hinted, "app/main") / scenes.operations(plain, "app/main")
    assert lost == pytest.approx(paid / (2 * ran_ns), rel=1e-3)


def test_hot_pages_come_up_when_there_is_room():
    result = scenes.run(scenes.two_tiers(), scenes.made_room(), TIERING, "8 s")
    hot = result.residency[(result.residency.mapping == "hot") & (result.residency.t_s == 8.0)]
    on_fast = float(hot[hot.node == "fast"].bytes.sum() / hot.bytes.sum())
    assert on_fast > 0.95
    found = scenes.counters(result)
    moved = result.moves[result.moves.cause == "numa_balancing"]
    assert found["pgpromote_success"] * 4096 == moved.bytes.sum()
    assert (moved.direction == "promotion").all()
    last = result.actors[result.actors.actor == "app/main"]
    assert last.local_share.iloc[-1] > 0.9 > 0.2 > last.local_share.iloc[1]


@pytest.mark.slow
def test_promotion_blocks_the_application():
    """Threads wait for faults and copies: where all pages are alike that is all it does."""
    plain = scenes.run(scenes.two_tiers(), scenes.flat(), "no_tiering", "3 s")
    policy = {**TIERING, "demotion": True}
    result = scenes.run(scenes.two_tiers(), scenes.flat(), policy, "3 s")
    found = scenes.counters(result)
    assert found["pgpromote_success"] > 500
    stall = found["numa_hint_faults"] * 1000 + found["pgpromote_success"] * 1100
    assert result.sources.stall_ns.iloc[-1] > stall
    assert scenes.operations(result, "app/main") < scenes.operations(plain, "app/main")


def _scans_s(monkeypatch, policy, workload=None, duration="20 s", **more):
    """When a program's memory is scanned."""
    found, whole = [], AddressSpace.scan

    def scan(self, now_ns, *rest):
        found.append(now_ns / 1e9)
        whole(self, now_ns, *rest)

    monkeypatch.setattr(AddressSpace, "scan", scan)
    workload = workload or scenes.made_room()
    scenes.run(scenes.two_tiers(), workload, policy, duration, **more)
    return found


def test_scans_come_later_while_pages_are_promoted(monkeypatch):
    """A promotion counts as a remote, private fault: every pass of the scanner doubles the period.

    As in a recorded kernel, whose scans were a second apart at first and five in the end.
    """
    own = np.diff([t for t in _scans_s(monkeypatch, TIERING, duration="9 s") if t > 1.0])
    assert own == pytest.approx([2.0, 4.0], abs=0.05)


def test_scans_keep_their_period_where_nothing_can_be_promoted(monkeypatch):
    own = _scans_s(monkeypatch, TIERING, workload=scenes.spilled(), duration="8 s")
    assert np.diff(own) == pytest.approx(1.0, abs=0.05)


def test_the_first_scan_waits_a_delay_after_balancing_is_switched_on(monkeypatch):
    """However long the program has run by then."""
    switch = [{"at": "7 s", "sysctl": {"kernel.numa_balancing": 2}}]
    policy = {**TIERING, "mode": 0, "scan_period_min": "100 ms"}
    found = _scans_s(monkeypatch, policy, duration="9 s", events=switch)
    assert 8.0 <= found[0] <= 8.1


def test_huge_pages_are_one_unit():
    result = scenes.run(scenes.two_tiers(), scenes.made_room("2 MiB"), TIERING, "8 s")
    found = scenes.counters(result)
    assert found["pgpromote_success"] >= 14 * 512 and found["pgpromote_success"] % 512 == 0
    assert found["numa_pte_updates"] % 512 == 0
    assert found["numa_hint_faults"] < 200


@pytest.mark.parametrize("page", ["4 KiB", "2 MiB"])
def test_private_pages_settle_beside_their_users(page):
    policy = {"kind": "numa_balancing", "mode": 1}
    result = scenes.run(scenes.two_sockets(), scenes.misplaced(page), policy, "12 s")
    for i in range(2):
        local = result.actors[result.actors.actor == f"app{i}/main"].local_share
        assert local.iloc[1] < 0.1 and local.iloc[-1] > 0.99
    moves = result.moves.groupby("t_s").bytes.sum()
    assert moves[moves.index > 8].sum() == 0, "and stay"


@pytest.mark.slow
def test_pages_that_two_sockets_share_wander_without_gain():
    policy = {"kind": "numa_balancing", "mode": 1}
    plain = scenes.run(scenes.two_sockets(), scenes.shared(), "no_tiering", "30 s")
    result = scenes.run(scenes.two_sockets(), scenes.shared(), policy, "30 s")
    moves = result.moves.groupby("t_s").bytes.sum()
    assert moves[moves.index > 20].sum() > 4 << 20, "still"
    shares = [
        result.actors[result.actors.actor == f"app/on{i}"].local_share.iloc[-1] for i in range(2)
    ]
    assert shares == pytest.approx([0.5, 0.5], abs=0.1)
    before, now = (
        sum(scenes.operations(r, f"app/on{i}") for i in range(2)) for r in (plain, result)
    )
    assert now < before


def test_one_seed_one_run():
    runs = [scenes.run(scenes.two_tiers(), scenes.made_room(), TIERING, "4 s") for _ in range(2)]
    for name, table in runs[0].tables.items():
        assert table.equals(runs[1].tables[name]), name


@pytest.mark.slow
def test_batches_do_not_decide():
    """Against a hundredth of a second, a millisecond changes less than a percent."""
    fine, usual = (
        scenes.run(scenes.two_tiers(), scenes.made_room(), {**TIERING, "batch": batch}, "4 s")
        for batch in ("1 ms", "10 ms")
    )
    one, other = scenes.counters(fine), scenes.counters(usual)
    for name in ("numa_hint_faults", "pgpromote_success", "numa_pte_updates"):
        assert one[name] == pytest.approx(other[name], rel=0.01)
    speeds = [scenes.operations(r, "app/main") for r in (fine, usual)]
    assert speeds[0] == pytest.approx(speeds[1], rel=1e-3)


def test_the_sysctl_turns_it_on():
    off = {"kind": "numa_balancing", "mode": 0}
    events = [{"at": "3 s", "sysctl": {"kernel.numa_balancing": 2}}]
    result = scenes.run(scenes.two_tiers(), scenes.spilled(), off, "6 s", events=events)
    rows = result.vmstat[result.vmstat.counter == "numa_pte_updates"].set_index("t_s").value
    assert rows[3.0] == 0 and rows[6.0] > 0, "a scan delay later"


def test_settings_that_nobody_reads_are_refused():
    events = [{"at": "1 s", "sysctl": {"kernel.numa_balancing": 2}}]
    with pytest.raises(ConfigError, match="use the policy numa_balancing"):
        scenes.run(scenes.two_tiers(), scenes.spilled(), "no_tiering", "2 s", events=events)
    events = [{"at": "1 s", "sysctl": {"kernel.numa_balancing": 4}}]
    with pytest.raises(ConfigError, match=r"whole number in 0\.\.3"):
        scenes.run(scenes.two_tiers(), scenes.spilled(), TIERING, "2 s", events=events)


@pytest.mark.slow
def test_demotion_makes_the_room_that_promotion_needs():
    policy = {**TIERING, "demotion": True}
    work = scenes.spilled(visits=1.0, lines=4)
    result = scenes.run(scenes.two_tiers(), work, policy, "15 s")
    hot = result.residency[(result.residency.mapping == "hot") & (result.residency.t_s == 15.0)]
    on_fast = float(hot[hot.node == "fast"].bytes.sum() / hot.bytes.sum())
    assert on_fast > 0.5
    assert scenes.counters(result)["pgmigrate_fail"] > 0, "which first woke kswapd"
