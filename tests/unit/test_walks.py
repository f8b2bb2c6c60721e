"""What page walks take: closed forms, and what huge pages gain by having fewer."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.errors import ConfigError
from numasim.loader import load_scenario
from numasim.running import run_scenario

ENTRIES, WALK, COMPUTE = 1024, 40, 100


def op_ns(*patterns: dict, page: str = "4 KiB", size: str = "64 MiB", **more: object) -> float:
    """Time of an operation of one thread that walks, and otherwise computes for 100 ns."""
    tlb = {"entries": ENTRIES, "walk": f"{WALK} ns"} | more
    node = {"name": "n", "capacity": "1 GiB", "latency": "100 ns", "bandwidth": "50 GB/s"}
    access = [{"mapping": "m", "miss": 0.0, **p} for p in patterns]
    actor = {"name": "main", "phases": [{"compute": f"{COMPUTE} ns", "access": access}]}
    mappings = [{"name": "m", "size": size, "page": page}, {"name": "other", "size": size}]
    scenario = load_scenario({
        "topology": {
            "name": "one", "nodes": [node], "accessors": [{"name": "c", "cpus": "0", "tlb": tlb}],
        },
        "workload": {
            "name": "w", "processes": [{"name": "p", "mappings": mappings, "actors": [actor]}],
        },
        "duration": "2 s",
    })  # fmt: skip
    phase = run_scenario(scenario).phases.iloc[0]
    return (phase.ended_s - phase.began_s) * 1e9 / phase.operations


UNIFORM = {"pattern": "uniform"}


def test_uniform_visits_find_a_translation_as_often_as_entries_hold_pages():
    assert op_ns(UNIFORM) == pytest.approx(COMPUTE + WALK * (1 - ENTRIES / 16_384), rel=1e-6)


def test_visits_and_parallelism_count_as_for_misses():
    found = op_ns(UNIFORM | {"visits": 3, "parallelism": 2})
    assert found == pytest.approx(COMPUTE + 1.5 * WALK * (1 - ENTRIES / 16_384), rel=1e-6)


@pytest.mark.parametrize(("page", "size"), [("2 MiB", "64 MiB"), ("4 KiB", "4 MiB")])
def test_what_fits_does_not_walk(page, size):
    assert op_ns(UNIFORM, page=page, size=size) == pytest.approx(COMPUTE)


def test_a_sweep_walks_once_for_each_page_of_a_way_that_does_not_fit():
    sweep = {"pattern": "sweep", "parallelism": 1}
    assert op_ns(sweep) == pytest.approx(COMPUTE + WALK)
    assert op_ns(sweep, size="4 MiB") == pytest.approx(COMPUTE)


def test_two_mappings_share_the_entries():
    """Che's condition, solved by hand: one residency for both, and as many kept as there are."""
    found = op_ns(UNIFORM | {"visits": 4}, UNIFORM | {"mapping": "other"}) - COMPUTE
    pages, stays = 16_384, np.linspace(0, 1000, 1_000_001)
    kept = pages * (-np.expm1(-4 * stays / pages) - np.expm1(-stays / pages))
    stays = float(np.interp(ENTRIES, kept, stays))
    expected = WALK * (4 * np.exp(-4 * stays / pages) + np.exp(-stays / pages))
    assert found == pytest.approx(expected, rel=1e-5)


def test_nobody_walks_unless_a_machine_says_what_it_takes():
    assert op_ns(UNIFORM, walk="0 ns") == pytest.approx(COMPUTE)


def test_walks_need_entries():
    with pytest.raises(ConfigError, match=r"walk: needs to know how many translations are kept"):
        op_ns(UNIFORM, entries=0)
