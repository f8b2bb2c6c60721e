"""Bursts: their order, and what observers see of them against an access-by-access replay."""

import numpy as np
import pytest

from numasim.bursts import CHUNK, BurstOrder
from numasim.errors import ConfigError
from numasim.machine import Machine
from numasim.seeds import Seeds
from numasim.topology import Topology
from numasim.workload import Workload

SWEEP = {"pattern": "sweep", "lines": 1, "miss": 0, "overlap": "dynamic"}
RANDOM = {"pattern": "uniform", "miss": 0}
MAPPINGS = [
    {"name": "a", "size": "1200 KiB", "populate": False},  # 300 pages
    {"name": "b", "size": "8000 KiB", "populate": False},  # 2000 pages
]
TICK_NS = 5_000


def machine(phases, mappings=MAPPINGS, seed=1):
    """A machine in the first of these phases, all of its pages there, at one operation per ns."""
    actor = {"phases": [{"compute": "1 ns", **phase} for phase in phases]}
    process = {"name": "p", "mappings": mappings, "actors": [actor]}
    workload = Workload.from_dict({"name": "w", "processes": [process]})
    node = {
        "name": "n",
        "capacity": "64 MiB",
        "latency": "100 ns",
        "bandwidth": "50 GB/s",
        "at": "s",
    }
    accessor = {"name": "c", "cpus": "0", "at": "s"}
    topology = Topology.from_dict({"name": "t", "nodes": [node], "accessors": [accessor]})
    made = Machine(topology, workload, Seeds(seed), lambda: None)
    made.settle(0)
    made.start_process(0, 0)
    made.settle(0)
    return made


def both(pattern, share=0.5):
    """The pattern over a, with this share of the visits, and over b."""
    a = {**pattern, "mapping": "a", "visits": share}
    return [a, {**pattern, "mapping": "b", "visits": 1 - share}]


def play(made, until_ns):
    """Let the world go on; ends of phases come when they are due."""
    while made.next_change_ns() <= until_ns:
        now = int(made.next_change_ns())
        made.change(now)
        made.settle(now)
    made.advance(until_ns)
    return until_ns


def running_since(made):
    """Instant from which the first phase worked, everything being there."""
    while made.actors[0].state != "running":
        play(made, int(made.next_change_ns()))
    return made.now_ns


def ticks_from(start, nr, every=TICK_NS):
    starts = start + np.arange(nr) * every
    return starts, starts + every


def seen(made, starts, ends, seed=1):
    """bool[T, pages]: what an observer of all pages sees in each tick."""
    ticks = made.law.ticks(starts, ends)
    pages = np.tile(np.arange(made.space.nr_pages), (len(starts), 1))
    return made.law.touched(pages, ticks, np.random.default_rng(seed))


# -- order ---------------------------------------------------------------------------------------


def test_turns_add_up_to_what_is_done():
    order = BurstOrder(np.array([0.2, 0.5, 0.3]), salt=7, size=1000)
    done = np.array([0.0, 1.0, 999.5, 1000.0, 12_345.25, 1000.0 * CHUNK])
    assert order.operations(done).sum(axis=1) == pytest.approx(done)


def test_turns_are_those_of_a_plain_count():
    order = BurstOrder(np.array([0.2, 0.5, 0.3]), salt=7, size=1000)
    bursts = 2 * CHUNK + 17
    plain = np.bincount(order.pattern_of(np.arange(bursts)), minlength=3) * 1000.0
    assert order.operations(np.array([bursts * 1000.0]))[0].tolist() == plain.tolist()


def test_it_does_not_matter_in_which_order_one_asks():
    done = np.random.default_rng(1).uniform(0, 3 * CHUNK * 1000, 200)
    make = lambda: BurstOrder(np.array([0.4, 0.6]), salt=3, size=1000)  # noqa: E731
    together = make().operations(done)
    order = make()
    assert np.array_equal(
        together, np.vstack([order.operations(done[i : i + 1]) for i in range(200)])
    )


def test_chances_are_met():
    drawn = BurstOrder(np.array([0.1, 0.9]), salt=5, size=1000).pattern_of(np.arange(100_000))
    assert (drawn == 0).mean() == pytest.approx(0.1, abs=0.004)  # four standard deviations


def test_the_order_follows_the_salt():
    one, again, other = (
        BurstOrder(np.array([0.5, 0.5]), salt=salt, size=1000).pattern_of(np.arange(100)).tolist()
        for salt in (1, 1, 2)
    )
    assert one == again
    assert one != other


# -- what observers see ----------------------------------------------------------------------------


def replay(made, start_ns, starts, ends, phase=0):
    """bool[T, pages]: pages turned to in each tick by sweeps in bursts, access by access."""
    order, actor = made.actors[0].burst_order, made.actors[0]
    patterns = [made.space.patterns[0, 0, phase, k].pages for k in range(len(actor.current.access))]
    turns = np.zeros(len(patterns), int)
    found = np.zeros((len(starts), made.space.nr_pages), bool)
    for access in range(int(ends[-1] - start_ns)):
        k = int(order.pattern_of(np.array([access // order.size]))[0])
        # position x is left at x + 1: the front crosses the place of its page then
        page = patterns[k].first + (turns[k] + 1) % patterns[k].nr
        turns[k] += 1
        tick = (start_ns + access) // TICK_NS - starts[0] // TICK_NS
        if 0 <= tick < len(starts) and starts[tick] <= start_ns + access < ends[tick]:
            found[tick, page] = True
    return found


def test_sweeps_in_bursts_are_seen_as_an_access_by_access_replay_has_them():
    made = machine([{"burst": 1000, "chances": [1, 2], "access": both(SWEEP, 1 / 3)}])
    since = running_since(made)
    first = -(-since // TICK_NS) * TICK_NS
    starts, ends = ticks_from(first, 8)
    play(made, int(ends[-1]))
    assert np.array_equal(seen(made, starts, ends), replay(made, since, starts, ends))


def test_two_observers_see_the_same_sweeps():
    made = machine([{"burst": 2000, "access": both(SWEEP)}])
    since = running_since(made)
    starts, ends = ticks_from(since, 20, 1000)
    play(made, int(ends[-1]))
    one, other = (seen(made, starts, ends, seed) for seed in (1, 2))
    assert np.array_equal(one, other)
    # whatever part of the window is asked for
    assert np.array_equal(seen(made, starts[7:9], ends[7:9]), one[7:9])


def test_random_bursts_touch_a_share_of_pages_that_follows_the_operations():
    made = machine([{"burst": 1000, "access": both(RANDOM)}])
    since = running_since(made)
    starts, ends = ticks_from(since, 400, 500)
    play(made, int(ends[-1]))
    found = seen(made, starts, ends)
    own = made.space.mappings
    drawn = made.actors[0].burst_order.pattern_of((starts - since) // 1000)
    for k, pages in enumerate(own):
        part = found[:, pages.first : pages.last]
        assert not part[drawn != k].any()
        # 500 visits to 300 or 2000 pages; five standard deviations
        share = 1 - np.exp(-500 / pages.nr)
        nr = (drawn == k).sum() * pages.nr
        assert part[drawn == k].mean() == pytest.approx(
            share, abs=5 * (share * (1 - share) / nr) ** 0.5
        )


def test_visits_of_a_mean_operation_are_shared_by_chance():
    # a's own bursts turn to a page every fourth operation, b's with each
    access = [
        {**SWEEP, "mapping": "a", "visits": 1 / 8},
        {**SWEEP, "mapping": "b", "visits": 1 / 2},
    ]
    made = machine([{"burst": 1000, "chances": [1, 1], "access": access}])
    since = running_since(made)
    play(made, since + 100_000)
    starts, ends = ticks_from(since, 1, 100_000)
    turned = {f.first: float(b[0] - a[0]) for f, a, b in made.law.ticks(starts, ends).fronts}
    bursts = np.bincount(made.actors[0].burst_order.pattern_of(np.arange(100)), minlength=2)
    firsts = [m.first for m in made.space.mappings]
    assert [turned[f] for f in firsts] == pytest.approx([bursts[0] * 250, bursts[1] * 1000])


def test_a_tick_that_straddles_two_phases_sees_both():
    phases = [
        {"duration": "3 ms", "burst": 1000, "access": [{**SWEEP, "mapping": "a"}]},
        {"burst": 1000, "access": [{**SWEEP, "mapping": "b"}]},
    ]
    made = machine(phases)
    play(made, 10_000_000)
    change = next(run.began_ns for run in made.phase_runs if run.phase == "1")
    b_is_there = next(at for at, _, what in made.phase_log if what == "phase 1")
    assert change == b_is_there == 3_000_000
    # b is touched for the first time before the phase works on it
    works = change + 2000 * 700
    tick = np.array([change - 100]), np.array([works + 100])
    found = seen(made, *tick)[0]
    a, b = made.space.mappings
    assert found[a.first : a.last].sum() == pytest.approx(100, abs=1)
    assert found[b.first : b.last].sum() == pytest.approx(100, abs=1)


def test_the_truth_knows_of_sweeps():
    made = machine([{"burst": 1000, "access": [{**SWEEP, "mapping": "a"}]}])
    play(made, running_since(made) + 1000)
    a, b = made.space.mappings
    rates = made.law.visit_rates_per_ns()[made.space.class_of]
    assert rates[a.first : a.last] == pytest.approx(1 / 300)
    assert not rates[b.first : b.last].any()
    chance = made.law.tick_chance(100, made.now_ns - 500, made.now_ns)[made.space.class_of]
    assert chance[a.first : a.last] == pytest.approx(1 / 3)
    assert not chance[b.first : b.last].any()


def test_another_seed_draws_other_bursts():
    phase = {"burst": 1000, "access": both(SWEEP)}
    made = [machine([phase], seed=seed) for seed in (1, 1, 2)]
    for one in made:
        running_since(one)
    orders = [m.actors[0].burst_order.pattern_of(np.arange(64)).tolist() for m in made]
    assert orders[0] == orders[1] != orders[2]


# -- pages in use all the time ---------------------------------------------------------------------


def test_busy_pages_are_always_found_accessed_while_the_process_lives():
    text = {"name": "text", "size": "64 KiB", "busy": [1, 2, 7]}
    made = machine([{}], [text])
    since = running_since(made)
    play(made, since + 100_000_000)
    starts, ends = ticks_from(since, 4, 5_000_000)
    found = seen(made, starts, ends)
    assert np.flatnonzero(found.all(axis=0)).tolist() == [1, 2, 7]
    assert np.flatnonzero(found.any(axis=0)).tolist() == [1, 2, 7]
    made.stop_process(0, since + 100_000_000)
    made.settle(since + 100_000_000)
    assert not made.law.visit_rates_per_ns().any()


@pytest.mark.parametrize(
    ("mapping", "phase", "complaint"),
    [
        ({"busy": [16]}, {}, "the mapping has 16"),
        ({"busy": [1], "populate": False}, {}, "needs pages that exist"),
        ({"busy": [1]}, {"access": [{**RANDOM, "mapping": "m"}]}, "no pattern visits it"),
        ({}, {"burst": 10, "access": [{**RANDOM, "mapping": "m"}]}, "at least 1000 operations"),
        ({}, {"burst": 1000}, "has no pattern to go to"),
        ({}, {"chances": [1], "access": [{**RANDOM, "mapping": "m"}]}, "are for bursts"),
        (
            {},
            {"burst": 1000, "chances": [1, 2], "access": [{**RANDOM, "mapping": "m"}]},
            "got 2 for 1 patterns",
        ),
    ],
)
def test_what_cannot_be_is_refused(mapping, phase, complaint):
    with pytest.raises(ConfigError, match=complaint):
        machine([phase], [{"name": "m", "size": "64 KiB", **mapping}])
