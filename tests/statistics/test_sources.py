"""Sources that know accessors against closed forms. Levels: see `fit.py`."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from numasim.damon.spec import SampleFilter
from numasim.sampling import pages_of_classes
from tests import eyes, worlds
from tests.statistics.fit import LEVEL, fits, near

TICKS = 4000
PAGES = 1024
ONE = SampleFilter("cpumask", True, True, cpumask="0-3")
TWO = SampleFilter("cpumask", True, True, cpumask="4-7")
READS = SampleFilter("write", True, False)
WRITES = SampleFilter("write", True, True)
THREAD = SampleFilter("threads", True, True, threads=(1001,))
V1, V2, W1, W2 = 0.1, 0.3, 0.25, 0.75


def per_tick(visits: float) -> float:
    """Visits to one page of the mapping in a tick."""
    return visits * 1e6 * eyes.TICK / 1e9 / PAGES


@pytest.fixture(scope="module")
def both():
    """Two actors on two sockets visit one mapping."""
    one = eyes.actor("one", "cpu0", eyes.visit("m", V1, write=W1))
    two = eyes.actor("two", "cpu1", eyes.visit("m", V2, write=W2))
    return eyes.running(eyes.workload([one, two], worlds.mapping("m", "4 MiB")))


@pytest.mark.parametrize(
    ("filters", "share"),
    [
        ((), 1.0),
        ((ONE,), V1 / (V1 + V2)),
        ((TWO,), V2 / (V1 + V2)),
        ((WRITES,), (V1 * W1 + V2 * W2) / (V1 + V2)),
        ((ONE, READS), V1 * (1 - W1) / (V1 + V2)),
        ((THREAD,), V1 / 4 / (V1 + V2)),
    ],
)
def test_a_fault_shows_the_first_access_and_who_it_was(both, filters, share):
    seen = eyes.context(both, "page_fault", *filters)
    found = eyes.hits(seen, both, 0, TICKS)
    p = -np.expm1(-per_tick(V1 + V2)) * share
    assert near(found / TICKS, p, np.sqrt(p * (1 - p)), TICKS) > LEVEL
    tally = both.observing.tallies["page_fault", "eye"]
    assert tally.reports == found, "one region: a report is a hit"
    both.observing.tallies.clear()


def test_one_accessor_hides_another_from_faults(both):
    """What cpu0 does in a tick is found less often than it happens: cpu1 was there first."""
    seen = eyes.context(both, "page_fault", ONE)
    found = eyes.hits(seen, both, 0, TICKS) / TICKS
    happens = -np.expm1(-per_tick(V1))
    assert found < happens - 6 * np.sqrt(happens * (1 - happens) / TICKS)


def test_a_front_is_met_when_it_comes():
    """Sweeps are computed: the chance to meet one in a tick is the way it goes in it."""
    sweep = {"pattern": "sweep", "mapping": "m", "visits": 0.05, "miss": 0.01, "write": 1.0}
    made = eyes.running(
        eyes.workload([eyes.actor("one", "cpu0", sweep)], worlds.mapping("m", "4 MiB"))
    )
    seen = eyes.context(made, "page_fault", WRITES)
    p = 0.05 * 1e6 * eyes.TICK / 1e9 / PAGES
    found = eyes.hits(seen, made, 0, TICKS) / TICKS
    assert near(found, p, np.sqrt(p * (1 - p)), TICKS) > LEVEL


def test_faults_tell_pages_of_huge_pages_apart():
    """A bit stands for all of a huge page, a fault for a piece of 4 KiB."""
    huge = worlds.mapping("m", "4 MiB", page="2 MiB")
    small = worlds.mapping("s", "64 KiB")  # so that a frame is 4 KiB
    made = eyes.running(
        eyes.workload([eyes.actor("one", "cpu0", eyes.visit("m", 1e-3))], huge, small)
    )
    bits, faults = (eyes.context(made, kind, name=kind) for kind in ("page_table", "page_fault"))
    expected = 1e-3 * 1e6 * eyes.TICK / 1e9 / PAGES
    for seen, mean in ((bits, expected * 512), (faults, expected)):
        p = -np.expm1(-mean)
        found = eyes.hits(seen, made, 0, TICKS) / TICKS
        assert near(found, p, np.sqrt(p * (1 - p)), TICKS) > LEVEL


@pytest.mark.parametrize("others", [0, 1, 3])
def test_in_one_array_a_region_looks_as_hot_as_contexts_are_many(others):
    """As proposed each counts what happens to pages of all: 1 - (1 - p) ** k, with p of one."""
    one = eyes.actor("one", "cpu0", eyes.visit("m", 0.02))
    made = eyes.running(eyes.workload([one], worlds.mapping("m", "4 MiB")))
    settings = {"array": "rfc", "capacity": 1_000_000}
    first = made.space.mappings[0].address

    def asked(context):
        return int(eyes.ask(context, [first], [first + (4 << 20)], TICKS)[0])

    eye, *rest = (
        eyes.context(made, "page_fault", name=f"eye{k}", seed=k, **settings)
        for k in range(others + 1)
    )
    alone = eyes.context(made, "page_fault", name="alone", seed=9, array="rfc", capacity=999_999)
    share = asked(alone) / TICKS

    def before_change():
        if rest:  # as the engine does: everybody draws what is over, each once
            asked(rest.pop())

    made.migrator.before_change = before_change
    p = 1 - (1 - share) ** (others + 1)
    spread = (
        (others + 1) * (1 - share) ** others * np.sqrt(share * (1 - share))
    )  # that p of one has
    assert near(asked(eye) / TICKS, p, np.sqrt(p * (1 - p) + spread**2) * 1.5, TICKS) > LEVEL
    assert not rest


# -- hardware sampling -----------------------------------------------------------------------------


def test_samples_are_spread_like_accesses():
    """Hot and cold pages, two actors: pages by their rates, threads by their actors' events."""
    warm = {**eyes.visit("m", 1.0), "pattern": "hot_cold", "hot": 0.25, "hot_visits": 0.7}
    one = eyes.actor("one", "cpu0", {**warm, "lines": 4, "miss": 0.5, "write": 0.25})
    two = eyes.actor("two", "cpu1", eyes.visit("m", 2.0, lines=2, miss=1.0))
    made = eyes.running(eyes.workload([one, two], worlds.mapping("m", "4 MiB")))
    seen = eyes.context(made, "pebs", period=50)
    (stream,) = seen.source.streams()
    now = 1_000_000_000
    (found,) = stream.read("eye", np.array([now]), np.array([now + 10**9]))
    rates = [a.rate_per_ns * 1e9 for a in made.actors]
    loads = [rates[0] * 4 * 0.5 * 0.75, rates[1] * 2 * 2]
    by_thread = np.bincount(found.cpu, minlength=8).reshape(2, 4)
    assert abs(by_thread.sum(axis=1) - np.array(loads) / 50).max() <= 1, "one in n, to the event"
    for threads in by_thread:
        assert fits(threads, np.full(4, 0.25)) > LEVEL
    visits = made.space.patterns[0, 0, 0, 0].page_weights(0)[made.space.class_of]
    assert visits[visits > visits.mean()].sum() == pytest.approx(0.7)
    for cpus, chances in (
        (found.cpu < 4, visits),
        (found.cpu >= 4, np.full(PAGES, 1 / PAGES)),
    ):
        assert fits(np.bincount(found.page[cpus], minlength=PAGES), chances) > LEVEL
    assert not found.is_write.any(), "loads were asked for"
    node = made.memory.node_of(made.memory.frame_of[found.page].astype(np.int64))
    assert (found.node == node).all(), "what missed came from where the page is"
    latency = made.solution.loaded_latency_ns
    assert np.allclose(found.latency_ns, latency[np.where(found.cpu < 4, 0, 1), node])


@pytest.mark.parametrize(("kind", "share"), [("load", 0.75), ("store", 0.25), ("both", 1.0)])
def test_loads_and_stores_are_counted_apart(kind, share):
    one = eyes.actor("one", "cpu0", eyes.visit("m", 1.0, lines=3, write=0.25))
    made = eyes.running(eyes.workload([one], worlds.mapping("m", "4 MiB")))
    eyes.hits(eyes.context(made, "pebs", period=100, level="retired", kind=kind), made, 0, 200)
    events = made.actors[0].rate_per_ns * 1e9 * 3 * share
    assert abs(made.observing.tallies["pebs", ""].events - events / 100) <= 1


def test_a_sampled_region_is_found_in_the_ticks_that_hold_a_sample():
    """With one event in n, samples are evenly spaced: a tick is found with its share of a gap."""
    one = eyes.actor("one", "cpu0", eyes.visit("m", 1.0, lines=1, miss=1.0))
    made = eyes.running(eyes.workload([one], worlds.mapping("m", "4 MiB")))
    seen = eyes.context(made, "pebs", period=20_000)  # 5000 events a tick, a sample in four
    found = eyes.hits(seen, made, 0, 2000)
    assert abs(found - 2000 * made.actors[0].rate_per_ns * eyes.TICK / 20_000) <= 1


def test_tagged_operations_pay_even_when_they_tell_nothing():
    one = eyes.actor("one", "cpu0", eyes.visit("m", 1.0, lines=2, miss=0.0))
    made = eyes.running(eyes.workload([one], worlds.mapping("m", "4 MiB")))
    found = eyes.hits(eyes.context(made, "ibs", period=1600, memory_share=0.4), made, 0, 200)
    useful = made.actors[0].rate_per_ns * 1e9 * 2 / 1600
    tally = made.observing.tallies["ibs", ""]
    assert abs(tally.events - useful / 0.4) <= 3
    assert tally.stall_ns == pytest.approx(tally.events * 1500, rel=1e-3)
    assert found == 200


def test_a_full_buffer_loses_what_comes_before_it_is_drained():
    one = eyes.actor("one", "cpu0", eyes.visit("m", 1.0, lines=1, miss=1.0))
    made = eyes.running(eyes.workload([one], worlds.mapping("m", "4 MiB")))
    seen = eyes.context(made, "pebs", period=10, buffer=20, drain="5 ms")
    eyes.hits(seen, made, 0, 200)
    tally = made.observing.tallies["pebs", ""]
    # 500 samples of four threads in 5 ms, room for 80
    assert tally.events - tally.lost == 200 * 80
    assert tally.stall_ns == tally.events * 500, "what is lost was paid for"
    assert made.observing.tallies["pebs", "eye"].reports == 200 * 80


def driven(kind, windows, **settings):
    """Interrupts per second, share of four CPUs, and period, after so many windows of 100 ms."""
    one = eyes.actor("one", "cpu0", eyes.visit("m", 1.0, lines=1, miss=1.0))
    made = eyes.running(eyes.workload([one], worlds.mapping("m", "4 MiB")))
    seen = eyes.context(made, kind, **settings)
    at = [1_000_000_000 + k * 20 * eyes.TICK for k in range(windows + 20)]
    for now in at[:windows]:
        eyes.hits(seen, made, 0, 20, now)
    tally = made.observing.tallies[kind, ""]
    events, stall_ns = tally.events, tally.stall_ns
    for now in at[windows:]:
        eyes.hits(seen, made, 0, 20, now)
    sampler = seen.source.streams()[0]._draw.__self__
    return (tally.events - events) / 2, (tally.stall_ns - stall_ns) / 4 / 2e9, sampler


@pytest.mark.parametrize(("kind", "period"), [("pebs", 100), ("ibs", 160), ("ibs", 1_000_000)])
def test_the_period_is_controlled_for_a_rate(kind, period):
    """Closed form: the period is events per second over the rate, from whichever side it comes."""
    rate, _, sampler = driven(kind, 40, period=period, target_rate=2000)
    assert rate == pytest.approx(2000, rel=0.02)
    events = {"pebs": 1e6, "ibs": 1e6 / 0.4}[kind]  # a million lines, of which IBS tags operations
    assert sampler.period == pytest.approx(events / 2000, rel=0.02)


@pytest.mark.parametrize(("kind", "cost_ns", "events"), [("pebs", 500, 1e6), ("ibs", 1500, 2.5e6)])
def test_samples_keep_to_their_share_of_the_cpus(kind, cost_ns, events):
    """Closed form: events times cost over the period is the share, on each of four CPUs."""
    _, share, sampler = driven(kind, 10, period=160, cpu_limit="0.01 %")
    assert share == pytest.approx(1e-4, rel=0.03)
    assert sampler.period == pytest.approx(events * cost_ns / 4e9 / 1e-4, rel=0.1)
    assert kind == "pebs" or sampler.period % 16 == 0, "what the register holds"


def test_a_limit_that_is_kept_changes_nothing():
    assert driven("pebs", 10, period=1000)[2].period == 1000


def test_a_region_of_samples_looks_as_hot_as_it_is_large():
    """Of m pages of the mapping's, a tick of k samples finds one with 1 - (1 - m / M) ** k."""
    one = eyes.actor("one", "cpu0", eyes.visit("m", 1.0, lines=1, miss=1.0))
    made = eyes.running(eyes.workload([one], worlds.mapping("m", "4 MiB")))
    seen = eyes.context(made, "pebs", period=500)  # ten samples a tick
    first = made.space.mappings[0].address
    bounds = first + np.array([0, 32, 96, 224, 1024]) * 4096
    found = eyes.ask(seen, bounds[:-1].tolist(), bounds[1:].tolist(), TICKS) / TICKS
    pages = np.diff(bounds) // 4096
    p = 1 - (1 - pages / PAGES) ** 10
    for k in range(4):
        assert near(found[k], p[k], np.sqrt(p[k] * (1 - p[k])), TICKS) > LEVEL
    each = -np.log1p(-found[:3]) / 5e-3 * seen.source.accesses_per_page(pages[:3] * 4096)
    assert each == pytest.approx(np.full(3, 1e6 / PAGES), rel=0.1), "divided by size, all alike"


def test_a_page_of_a_class_is_any_of_them():
    """The look-up in prefix sums is uniform over the pages that are there."""
    gamma = {"pattern": "gamma", "mapping": "m", "miss": 0.01}
    made = eyes.running(
        eyes.workload([eyes.actor("one", "cpu0", gamma)], worlds.mapping("m", "4 MiB"))
    )
    eyes.context(made, "pebs")
    counts = made.migrator.node_counts.sum(axis=0)
    rng = np.random.default_rng(3)
    for c in np.flatnonzero(counts)[[0, -1]].tolist():
        pages = pages_of_classes(made.observing, np.full(20_000, c), counts, rng)
        assert (made.space.class_of[pages] == c).all()
        own = np.bincount(pages, minlength=PAGES)[made.space.class_of == c]
        assert fits(own, np.full(len(own), 1 / len(own))) > LEVEL


# -- counters --------------------------------------------------------------------------------------


def test_a_counter_notifies_after_so_many_accesses_and_counts_on_when_drained():
    far = worlds.mapping("m", "4 MiB", policy={"mode": "bind", "nodes": ["x0"]})
    one = eyes.actor("one", "cpu0", eyes.visit("m", 1.0, lines=2, miss=0.5))
    made = eyes.running(eyes.workload([one], far))
    seen = eyes.context(
        made, "cxl_counter", ops="paddr", granularity="64 KiB", threshold=64, drain="1 ms"
    )
    eyes.ask(seen, [0], [1 << 40], 4000)
    # 64 blocks share a million lines a second; on average a drain is half a millisecond away
    per_ms = made.actors[0].rate_per_ns * 1e6 / 64
    gap_ms = 64 / per_ms + 0.5
    expected = 20_000 * 64 / gap_ms
    deviation = np.sqrt(64) / per_ms / gap_ms * np.sqrt(expected)
    found = made.observing.tallies["cxl_counter", ""].events
    assert 2 * stats.norm.sf(abs(found - expected) / deviation) > LEVEL
    assert made.observing.tallies["cxl_counter", ""].lost == 0


def test_pages_that_stay_armed_make_cold_memory_look_warm():
    """One page armed a tick, each visited lambda times a tick: a share 1 / (1 + lambda N) is armed.

    So lambda N / (1 + lambda N) reports come a tick, not lambda: as the proposed code, which takes
    no protection back, would count them once a region has been watched for long.
    """
    visits = 0.2 * 1024 / 5000 / PAGES * 16  # per operation: 0.0032 a page and tick
    one = eyes.actor("one", "cpu0", eyes.visit("m", visits))
    made = eyes.running(eyes.workload([one], worlds.mapping("m", "4 MiB")))
    seen = eyes.context(made, "page_fault", leftover="armed", flush="none")
    rate = per_tick(visits)
    for k in range(20):  # until it is in balance
        eyes.hits(seen, made, 0, 100, 1_000_000_000 + k * 100 * eyes.TICK)
    tally = made.observing.tallies["page_fault", "eye"]
    before, found = tally.events, 0
    for k in range(20, 60):
        found += eyes.hits(seen, made, 0, 100, 1_000_000_000 + k * 100 * eyes.TICK)
    expected = rate * PAGES / (1 + rate * PAGES)
    assert (tally.events - before) / 4000 == pytest.approx(expected, rel=0.04)
    assert found / 4000 > 50 * rate, "some 3 in 1000 samples should be positive"
    fresh = eyes.context(made, "page_fault", name="fresh", flush="none")
    honest = eyes.hits(fresh, made, 0, TICKS)
    p = -np.expm1(-rate)
    assert near(honest / TICKS, p, np.sqrt(p * (1 - p)), TICKS) > LEVEL
