"""Who touches armed pages first, and when: closed forms for random visits, order for sweeps."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.balancing.hinting import HintFaults, Hinting
from numasim.experimenter import stage_of
from numasim.machine import Machine
from tests import eyes, worlds

S, PAGES = 1_000_000_000, 1024


def armed(machine: Machine, nr: int = PAGES) -> Hinting:
    stage = stage_of(machine)
    machine.settle(S)
    hinting = Hinting(stage, S, np.random.default_rng(1))
    hinting.until(S)
    heads = stage.space.folio_heads(np.arange(nr))
    heads = np.unique(heads)
    hinting.arm(heads, stage.nodes_of(heads))
    return hinting


def fetched(machine: Machine, hinting: Hinting, *times_ns: int) -> list[HintFaults]:
    found = []
    for at in times_ns:
        machine.advance(at)
        found.append(hinting.until(at))
    return found


def two_actors(gpu: bool = False) -> Machine:
    one = eyes.actor("one", "cpu0", eyes.visit("m", 1.0e-3))
    other = eyes.actor("other", "gpu0" if gpu else "cpu1", eyes.visit("m", 3.0e-3))
    return eyes.running(eyes.workload([one, other], worlds.mapping("m", "4 MiB")), gpu)


def test_rates_and_shares_of_those_who_visit():
    """Each page is visited 4000 / 1024 times a second, by the second actor three times of four."""
    machine = two_actors()
    hinting = armed(machine)
    found = fetched(machine, hinting, *(S + k * S // 20 for k in range(1, 21)))
    rate = 4000 / PAGES
    by_time = np.cumsum([len(f) for f in found])
    for k, nr in enumerate(by_time, start=1):
        chance = -np.expm1(-rate * k / 20)
        deviation = np.sqrt(PAGES * chance * (1 - chance))
        assert nr == pytest.approx(PAGES * chance, abs=4 * deviation + 1)
    actors = np.concatenate([f.actor for f in found])
    deviation = np.sqrt(0.25 * 0.75 / len(actors))
    assert (actors == 1).mean() == pytest.approx(0.75, abs=4 * deviation)
    heads = np.concatenate([f.head for f in found])
    assert len(np.unique(heads)) == len(heads), "once each"
    times = np.concatenate([f.time_ns for f in found])
    assert (np.diff(times) >= 0).all()
    assert np.mean(times[times < S + S // 2] - S) == pytest.approx(_mean(rate, 0.5) * S, rel=0.1)


def _mean(rate: float, until: float) -> float:
    """Mean of an exponential that is cut off."""
    return 1 / rate - until * np.exp(-rate * until) / -np.expm1(-rate * until)


def test_devices_do_not_fault():
    machine = two_actors(gpu=True)
    (found,) = fetched(machine, armed(machine), 2 * S)
    assert len(found) and set(found.actor.tolist()) == {0}


def test_a_huge_page_is_touched_by_all_visits_to_it():
    one = eyes.actor("one", "cpu0", eyes.visit("m", 4.0e-6))
    work = eyes.workload([one], worlds.mapping("m", "4 MiB", page="2 MiB"))
    machine = eyes.running(work)
    hinting = armed(machine, machine.space.nr_pages)
    counts = []
    for k in range(2, 202):
        (found,) = fetched(machine, hinting, k * S)
        counts.append(len(found))
        nodes = stage_of(machine).nodes_of(found.head)
        hinting.arm(found.head, nodes)
    chance = -np.expm1(-2.0)  # two visits a second to each of two pages
    deviation = np.sqrt(2 * chance * (1 - chance) / len(counts))
    assert np.mean(counts) == pytest.approx(2 * chance, abs=4 * deviation + 0.02)


def test_a_sweep_comes_by_in_order():
    sweep = {"pattern": "sweep", "mapping": "m", "visits": 1.0e-3, "miss": 0.01}
    machine = eyes.running(
        eyes.workload([eyes.actor("one", "cpu0", sweep)], worlds.mapping("m", "4 MiB"))
    )
    hinting = armed(machine)
    found = fetched(machine, hinting, S + S // 3, S + 2 * S // 3, S + 11 * S // 10)
    heads = np.concatenate([f.head for f in found])
    times = np.concatenate([f.time_ns for f in found])
    assert len(heads) == PAGES, "a round takes 1.024 seconds"
    assert set(np.diff(heads).tolist()) <= {1, 1 - PAGES}
    assert np.diff(times) == pytest.approx(np.full(PAGES - 1, 1e6), rel=0.01)


def test_what_moved_away_is_accessible_again():
    machine = two_actors()
    hinting = armed(machine)
    moved = np.arange(256)
    machine.migrator.migrate(moved, 1, "somebody")
    assert not hinting.is_armed(moved, stage_of(machine).nodes_of(moved)).any()
    (found,) = fetched(machine, hinting, 10 * S)
    assert len(found) == PAGES - 256 and found.head.min() >= 256
