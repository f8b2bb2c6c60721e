"""Storms of hint faults: a program gets on only as fast as its faults are handled."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from numasim.balancing.foresight import Foresight
from numasim.balancing.hinting import Ahead
from numasim.balancing.waiting import Waiting
from numasim.tolls import MOST_FORESEEN, PAY_OVER_NS, Tolls
from tests.unit.balancing import scenes

PAGES, FAULT_S = 16_384, 200e-6
MS = 1_000_000
STORM = {"kind": "numa_balancing", "mode": 2, "scan_period_min": "4 s", "batch": "10 ms"}


def storm(threads: int = 1, pattern: str = "uniform", pace: str | None = None) -> dict:
    """A program whose hot pages all lie in the slow node, where each fault takes 200 us."""
    hot = {"pattern": pattern, "mapping": "hot", "miss": 0.0}
    paced = {"pace": pace, "spins": True} if pace else {}
    phase = {"compute": "10 us", "access": [hot], **paced}
    work = scenes.spilled()
    work["processes"][0]["actors"] = [{"name": "main", "threads": threads, "phases": [phase]}]
    return work


def machine(fault: str = "200 us") -> dict:
    return scenes.two_tiers() | {"costs": {"hint_fault": fault, "pte_scan": "0 us"}}


def progress(work: dict, fault: str = "200 us") -> tuple[np.ndarray, np.ndarray]:
    """Operations and faults by each tenth of a second in the three after the first scan."""
    result = scenes.run(machine(fault), work, STORM, "8.4 s", record="100 ms")
    rows = result.vmstat.pivot_table(index="t_s", columns="counter", values="value")
    done = result.actors[result.actors.actor == "app/main"].set_index("t_s").operations
    first = rows.index[rows.numa_pte_updates > 0][1]
    own = slice(first, first + 3.0)
    assert rows.numa_pte_updates.loc[own].max() <= PAGES + 16, "no other scan"
    return done.loc[own].to_numpy(), rows.numa_hint_faults.loc[own].to_numpy(float)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_storm_follows_its_closed_form(threads):
    """Accesses take 10 us, and 200 us more where they are the first to touch their page."""
    done, faults = progress(storm(threads))
    spent = np.diff(done * 10e-6 + faults * FAULT_S)
    assert spent == pytest.approx(0.1 * threads, rel=0.15), "in each tenth of a second"
    assert spent.sum() == pytest.approx(3.0 * threads, rel=0.02)
    before = -PAGES * math.log1p(-faults[0] / PAGES)
    expected = -PAGES * np.expm1(-(done - done[0] + before) / PAGES)
    assert faults == pytest.approx(expected, abs=4 * math.sqrt(PAGES) / 2)
    assert done[10] - done[0] < 0.1 * 1e5 * threads, "a tenth of the speed is not left at first"


def test_a_sweep_faults_on_every_page_of_its_way():
    done, faults = progress(storm(pattern="sweep"))
    until = np.searchsorted(faults, 0.95 * PAGES)
    assert until > 20
    assert np.diff(faults[:until]) == pytest.approx(np.diff(done[:until]), abs=2)
    assert np.diff(done[:until]) == pytest.approx(0.1 / (FAULT_S + 10e-6), rel=0.1)


def test_a_pace_leaves_room_for_faults():
    """Who is asked for a tenth of what it could do takes the rest of its time for faults."""
    done, faults = progress(storm(pace="10000 /s"), "80 us")
    assert np.diff(faults).max() * 80e-6 > 0.05, "most of a tenth of a second"
    assert np.diff(done)[1:] == pytest.approx(1000, rel=0.05)


def test_progress_beside_faults():
    """Half of the window's accesses are to armed pages, each of which takes as long as ten."""
    waiting = Waiting(1)
    nr = 1000
    mark = np.arange(1, nr + 1) / nr  # evenly met on the way
    waiting.add(np.arange(nr), np.zeros(nr, int), mark, np.ones(nr, int))
    ahead = Ahead(waiting, np.zeros(1), {0: np.ones(1)}, {})
    assert ahead.nr(0, 0.25) == 250
    actor = SimpleNamespace(
        index=0, state="running", course=None, op_ns=np.array([1000.0, 0, 0]),
        actor=SimpleNamespace(threads=1), current=SimpleNamespace(pace=None),
    )  # fmt: skip
    tolls = Tolls([actor], 0)
    stage = SimpleNamespace(
        actors=[actor], costs=SimpleNamespace(hint_fault=20_000),
        observing=SimpleNamespace(tolls=tolls),
    )  # fmt: skip
    hinting = SimpleNamespace(nr_armed=nr, ahead=lambda operations: ahead)
    foresight = Foresight(stage)
    span = 2 * MS  # 2000 accesses of 1 us; faults on a half of them take 20 us each
    share = foresight.threads(hinting, 0, span)[0]
    assert share == pytest.approx(1 - 1 / 11, abs=1e-3)
    foresight.learn(np.zeros(1_000_000, int), np.array([1_000_000 * 1000.0]))
    assert foresight.fault_ns[0] == pytest.approx(1000, rel=0.01), "costs are learnt"
    assert foresight.threads(hinting, 0, span)[0] == pytest.approx(1 - 1 / 1.5, abs=1e-3)
    foresight.fault_ns[0] = 100.0
    assert foresight.threads(hinting, 0, span)[0] == 0, "little is paid afterwards"


def test_what_is_foreseen_is_paid_once():
    actor = SimpleNamespace(state="running", course=None, actor=SimpleNamespace(threads=2))
    found = Tolls([actor], 0)
    found.foresee(np.array([1.5]), 0)
    found.settled(0)
    assert found.paying[0] == 1.5 and found.paid_off_ns() == math.inf
    found.settled(20 * MS)
    assert found.paying[0] == pytest.approx(1.5), "still: what falls due is paid as it does"
    found.charge(np.array([1.5 * 40 * MS]), 40 * MS)
    found.foresee(np.array([0.0]), 40 * MS)
    assert found.debt(40 * MS)[0] == pytest.approx(0.0), "and nothing is left"
    found.settled(40 * MS)
    assert found.paying[0] == pytest.approx(0.0)
    found.charge(np.array([1e9]), 40 * MS)
    found.foresee(np.array([1e-6]), 40 * MS)
    found.settled(40 * MS)
    assert found.paying[0] == pytest.approx(MOST_FORESEEN * 2), "debts may all but stop it then"
    assert found.debt(40 * MS)[0] == pytest.approx(1e9 / PAY_OVER_NS)
