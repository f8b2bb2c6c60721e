"""Monitoring error in cases one can work out by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from numasim.damon.regions import Regions
from numasim.monitors import physical_addresses
from numasim.profiles import monitoring_error, truth_profile
from numasim.view import View
from tests import worlds
from tests.unit.test_machine import run

MIB = worlds.MIB
SPAN_NS = 5_000_000


def halves(rate: float = 1.0, page: str = "4 KiB"):
    """32 MiB on a node of 64 MiB; the first half is visited, each folio `rate` times a sample."""
    folio = {"4 KiB": 4096, "64 KiB": 65536}[page]
    visits = rate / (SPAN_NS / 1e9) * 16 * MIB / folio / 1000
    access = [{"pattern": "uniform", "mapping": "m", "last": 0.5, "visits": visits, "miss": 0}]
    work = worlds.workload(
        [worlds.mapping("m", "32 MiB", page=page), worlds.mapping("b", "4 KiB")],
        access,
        phase={"pace": "1000 /s"},
    )
    machine = worlds.machine(worlds.topology("64 MiB", "16 MiB"), work)
    run(machine, 10**9)
    assert machine.actors[0].rate_per_ns == pytest.approx(1e-6), "it keeps its pace"
    return machine


def context(machine, unit: int = 1):
    """What the error looks at of a context on node 0's frames."""
    memory = machine.memory
    view = View(
        physical_addresses(memory), memory.page_of.__getitem__, machine.migrator.frame_counts,
        machine.law,
    )  # fmt: skip
    attrs = SimpleNamespace(sample_us=SPAN_NS // 1000)
    return SimpleNamespace(attrs=attrs, source=SimpleNamespace(views=[view], addr_unit=unit))


def regions(machine, *parts: tuple[float, int]) -> Regions:
    """Regions over node 0: each a share of it and its hits of 20."""
    ((start, end),) = machine.topology.node_ranges(0)
    bounds = start + np.round(np.cumsum([0.0, *(p for p, _ in parts)]) * (end - start)).astype(int)
    return Regions(zip(bounds[:-1], bounds[1:], (n for _, n in parts), strict=True))


def error(machine, *parts: tuple[float, int], hot_ratio: float = 0.05) -> dict[str, float]:
    now = machine.now_ns
    found = regions(machine, *parts)
    return monitoring_error(context(machine), [found], 20, hot_ratio, now - 10**8, now)


def test_a_perfect_view_has_no_error():
    machine = halves(50.0)
    found = error(machine, (0.25, 20), (0.75, 0))
    assert found["emd"] == pytest.approx(0, abs=1e-9)
    assert found["f1"] == pytest.approx(1)
    assert found["hot_bytes"] == found["seen_hot_bytes"] == found["both_bytes"] == 16 * MIB
    assert found["heat_bytes"] == pytest.approx(16 * MIB)


def test_heat_is_what_samples_find():
    assert error(halves(1.0), (1.0, 0))["heat_bytes"] == pytest.approx(
        16 * MIB * (1 - math.exp(-1))
    )


def test_heat_seen_elsewhere_has_as_far_to_go():
    machine = halves(50.0)
    assert error(machine, (0.75, 0), (0.25, 20))["emd"] == pytest.approx(0.75, abs=1e-9)
    assert error(machine, (0.25, 0), (0.25, 20), (0.5, 0))["emd"] == pytest.approx(0.25, abs=1e-9)


def test_heat_smeared_out_is_half_wrong():
    """All of the node equally hot: mass moves by 3/8 of it on average (integral of |F - G|)."""
    assert error(halves(50.0), (1.0, 7))["emd"] == pytest.approx(0.375, abs=1e-9)


def test_scale_does_not_matter_for_the_distance():
    machine = halves(50.0)
    one, other = (error(machine, (0.25, n), (0.75, 0))["emd"] for n in (1, 20))
    assert one == pytest.approx(other)


def test_f1_weighs_misses_and_false_alarms():
    machine = halves(50.0)
    found = error(machine, (0.125, 20), (0.125, 0), (0.25, 20), (0.5, 0))
    assert (found["both_bytes"], found["seen_hot_bytes"]) == (8 * MIB, 24 * MIB)
    assert found["f1"] == pytest.approx(2 * 8 / (16 + 24))


def test_seeing_nothing_of_what_is_there_is_all_wrong():
    found = error(halves(50.0), (1.0, 0))
    assert (found["emd"], found["f1"]) == (1.0, 0.0)


def test_where_nothing_is_hot_there_is_nothing_to_miss():
    machine = halves(50.0)
    machine.stop_process(0, machine.now_ns)
    machine.settle(machine.now_ns)
    machine.advance(machine.now_ns + 10**9)
    found = error(machine, (1.0, 0))
    assert math.isnan(found["emd"]) and math.isnan(found["f1"])


def test_a_rate_below_the_line_is_not_hot():
    machine = halves(0.02)
    assert error(machine, (0.25, 1), (0.75, 0))["hot_bytes"] == 0
    assert error(machine, (0.25, 1), (0.75, 0), hot_ratio=0.01)["hot_bytes"] == 16 * MIB


def test_an_address_unit_changes_nothing():
    machine, unit = halves(50.0), 16
    found = regions(machine, (0.25, 20), (0.75, 0))
    rows = zip(found.start // unit, found.end // unit, found.nr_accesses, strict=True)
    small = Regions(rows)
    now = machine.now_ns
    told = monitoring_error(context(machine, unit), [small], 20, 0.05, now - 10**8, now)
    assert told == error(machine, (0.25, 20), (0.75, 0))


# -- the truth itself ------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["4 KiB", "64 KiB"])
def test_the_profile_adds_up_to_all_visits(page):
    machine = halves(1.0, page)
    profile = truth_profile(machine, 0, 32, machine.now_ns - 10**8)
    visits = 1 / (SPAN_NS / 1e9) * 16 * MIB / {"4 KiB": 4096, "64 KiB": 65536}[page]
    assert profile.sum() == pytest.approx(visits)
    assert (profile[:8] > 0).all() and profile[9:].sum() == pytest.approx(0, abs=1e-6)
    assert profile[:8] == pytest.approx(np.full(8, profile.sum() / 8))
    assert truth_profile(machine, 1, 32, machine.now_ns - 10**8).sum() == 0


def test_a_node_with_a_hole_is_one_profile():
    common = {"latency": "100 ns", **worlds.SPEED}
    base = 0x1_0000_0000
    holed = {
        "name": "n0", "capacity": "48 MiB", **common,
        "zones": [{"name": "Normal", "start": base, "size": "48 MiB"}],
        "ranges": [[base, base + 8 * MIB], [base + 24 * MIB, base + 48 * MIB]],
    }  # fmt: skip
    work = worlds.workload(
        [worlds.mapping("m", "16 MiB")], [{"pattern": "uniform", "mapping": "m"}]
    )
    machine = worlds.machine(worlds.topology(holed, "16 MiB"), work)
    run(machine, 10**9)
    profile = truth_profile(machine, 0, 16, machine.now_ns - 10**8)
    assert profile.sum() == pytest.approx(machine.actors[0].rate_per_ns * 1e9)
    assert profile == pytest.approx([profile.sum() / 8] * 8 + [0] * 8, abs=1e-3)


def test_a_sweep_is_visits_too():
    work = worlds.workload([worlds.mapping("m", "16 MiB")], [{"pattern": "sweep", "mapping": "m"}])
    machine = worlds.machine(worlds.topology("32 MiB", "16 MiB"), work)
    run(machine, 10**9)
    profile = truth_profile(machine, 0, 8, machine.now_ns - 10**8)
    assert profile[:4].sum() == pytest.approx(machine.actors[0].rate_per_ns * 1e9)
