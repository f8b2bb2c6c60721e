"""The truth by actor adds up to the law, and is not there unless somebody asks."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.engine import Engine
from numasim.loader import load_scenario
from numasim.monitors import observing_of
from tests import eyes, worlds

S = 1_000_000_000
SWEEP = {"pattern": "sweep", "mapping": "m", "visits": 0.2, "miss": 0.01, "write": 0.5}
GAMMA = {"pattern": "gamma", "mapping": "m", "visits": 0.3, "miss": 0.01, "write": 0.25}


def test_nobody_asks_nothing_is_kept():
    engine = Engine(load_scenario(worlds.document(policy={"kind": "damos", "damo": "damo start"})))
    tables = engine.run().tables
    assert engine.machine.observing is None
    assert not {"sources", "tolls", "accessor_truth", "accessor_errors"} & set(tables)


def machine(*actors, page: str = "4 KiB"):
    made = eyes.running(eyes.workload(list(actors), worlds.mapping("m", "4 MiB", page=page)))
    observing_of(made)
    return made


@pytest.mark.parametrize("page", ["4 KiB", "2 MiB"])
def test_actors_add_up_to_the_law(page):
    """Without a TLB, visits of all actors are what sets accessed bits."""
    one = eyes.actor("one", "cpu0", GAMMA, SWEEP)
    two = eyes.actor("two", "cpu1", eyes.visit("m", 0.5))
    made = machine(one, two, page=page)
    made.advance(2 * S)
    visits = made.observing.truth.visits(S, 2 * S)
    law = made.law.mean_visit_rates_per_ns(S, 2 * S) * S
    # the law counts a front once per bit, whatever its pages
    mine = visits.sum(axis=(0, 1)) * made.space.pages_per_bit
    front = made.law.fronts[0]
    extra = visits_of_front(made, front) * (made.space.pages_per_bit[front.classes] - 1)
    mine[front.classes] -= extra
    assert np.allclose(mine, law)


def visits_of_front(made, front) -> float:
    at = made.law.exposure.of(np.full(2, front.column), np.array([S, 2 * S]))
    return float(at[1] - at[0]) / front.turn


def test_reads_and_writes_are_told_apart():
    made = machine(eyes.actor("one", "cpu0", GAMMA), eyes.actor("two", "cpu1", SWEEP))
    made.advance(2 * S)
    counts = made.migrator.node_counts.sum(axis=0)
    by_kind = made.observing.truth.visits(S, 2 * S) @ counts
    assert by_kind[0] == pytest.approx([0.3e6 * 0.75, 0.3e6 * 0.25], rel=1e-6)
    assert by_kind[1] == pytest.approx([0.1e6, 0.1e6], rel=1e-6)


def test_a_phase_ends_and_another_begins():
    phases = [
        {"compute": "1 us", "duration": "1500 ms", "access": [eyes.visit("a", 1.0)]},
        {"compute": "1 us", "access": [eyes.visit("b", 1.0)]},
    ]
    one = {**eyes.actor("one", "cpu0"), "phases": phases}
    made = eyes.running(
        eyes.workload([one], worlds.mapping("a", "1 MiB"), worlds.mapping("b", "1 MiB"))
    )
    observing_of(made)
    at = int(np.ceil(made.next_change_ns()))
    before = made.actors[0].operations
    made.change(at)
    made.settle(at)
    middle = made.actors[0].operations
    made.advance(2 * S)
    counts = made.migrator.node_counts.sum(axis=0)
    visits = made.observing.truth.visits(S, 2 * S)[0, 0] * counts
    of = [visits[made.space.mapping_of_class == m].sum() for m in (0, 1)]
    after = made.actors[0].operations
    assert of == pytest.approx([middle - before, after - middle], rel=1e-6)


def test_bursts_go_to_one_pattern_at_a_time():
    access = [eyes.visit("a", 0.5), eyes.visit("b", 0.5)]
    phase = {"compute": "1 us", "burst": 100_000, "access": access}
    one = {**eyes.actor("one", "cpu0"), "phases": [phase]}
    made = eyes.running(
        eyes.workload([one], worlds.mapping("a", "1 MiB"), worlds.mapping("b", "1 MiB"))
    )
    observing_of(made)
    made.advance(2 * S)
    ticks = S + np.arange(201) * 5_000_000
    strands = made.observing.truth.strands(ticks[:-1], ticks[1:])
    done = np.stack([s.operations for s in strands])
    assert done.sum() == pytest.approx(made.actors[0].rate_per_ns * S, rel=1e-6)
    assert ((done > 0).sum(axis=0) == 1).mean() > 0.5, "most ticks fall into one burst"
    # the law's bits are set by the same bursts
    busy = made.law.ticks(ticks[:-1], ticks[1:]).probability
    own = [np.flatnonzero(made.space.mapping_of_class == m)[0] for m in (0, 1)]
    order = [int(np.flatnonzero(s.visits)[0]) for s in strands]
    seen = np.stack([-np.expm1(-s.operations * s.visits.max()) for s in strands])
    assert np.allclose(busy[:, order].T, seen, atol=1e-9) and sorted(order) == sorted(own)


def test_the_chance_of_an_accepted_visit_in_a_sample():
    one = eyes.actor("one", "cpu0", eyes.visit("m", 0.1, write=0.5))
    made = machine(one, eyes.actor("two", "cpu1", eyes.visit("m", 0.4)))
    made.advance(2 * S)
    truth = made.observing.truth
    for accepted, visits in (
        ([[1, 1], [0, 0]], 0.1),
        ([[0, 1], [0, 0]], 0.05),
        ([[1, 1]] * 2, 0.5),
    ):
        chance = truth.tick_chance(np.array(accepted, float), eyes.TICK, S, 2 * S)
        assert chance.max() == pytest.approx(-np.expm1(-visits * 5000 / 1024), rel=1e-6)


def test_busy_pages_are_visited_by_their_process():
    busy = worlds.mapping("text", "64 KiB", busy=[0, 3])
    one = eyes.actor("one", "cpu0", eyes.visit("m", 0.1))
    made = eyes.running(eyes.workload([one], worlds.mapping("m", "4 MiB"), busy))
    observing_of(made)
    made.advance(2 * S)
    visits = made.observing.truth.visits(S, 2 * S)[0, 0]
    assert visits[made.space.busy_class[0]] == pytest.approx(1e-5 * S)
