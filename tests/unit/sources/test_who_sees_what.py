"""What each source sees and what it is blind to, side by side."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.damon.reports import Reports
from numasim.damon.spec import SampleFilter
from numasim.sources.report import register_reporter, reporters
from tests import eyes, worlds

S = 1_000_000_000
FAR = {"policy": {"mode": "bind", "nodes": ["x0"]}}
SETTINGS = {
    "page_table": {},
    "page_fault": {"flush": "none"},
    "pebs": {"period": 200},
    "ibs": {"period": 240},
    "cxl_counter": {"granularity": "64 KiB", "threshold": 4},
    "gpu_counter": {"granularity": "64 KiB", "threshold": 4},
}
BLOCK = 64 << 10


def found(
    made, kind: str, *filters: SampleFilter, ticks: int = 400, nr: int = 64, at: int = S, **more
):
    """Hits of blocks of 64 KiB of the physical address space of the expander."""
    name = f"eye.{kind}"
    seen = eyes.context(made, kind, *filters, name=name, ops="paddr", **(more or SETTINGS[kind]))
    start, end = made.topology.node_ranges("x0")[0]
    bounds = np.arange(start, end + 1, BLOCK)[: nr + 1]
    return eyes.ask(seen, bounds[:-1].tolist(), bounds[1:].tolist(), ticks, at)


def heat(made, nr: int = 64) -> np.ndarray:
    """True visits per second of those blocks."""
    start, _ = made.topology.node_ranges("x0")[0]
    first = made.memory.frames_in(start, start + BLOCK * nr)[0][0]
    pages = made.memory.page_of[first : first + 16 * nr]
    rates = made.law.visit_rates_per_ns()[made.space.class_of[pages]]
    return rates.reshape(nr, 16).sum(axis=1) * 1e9


@pytest.mark.parametrize("on", ["cpu0", "gpu0"])
def test_with_one_accessor_and_misses_like_visits_all_find_the_same_hot_blocks(on):
    warm = {"pattern": "hot_cold", "mapping": "m", "hot": 0.25, "hot_visits": 0.9, "visits": 0.5}
    one = eyes.actor("one", on, {**warm, "lines": 2, "miss": 1.0})
    made = eyes.running(eyes.workload([one], worlds.mapping("m", "4 MiB", **FAR)), gpu=True)
    truth = heat(made)
    hot = set(np.argsort(-truth, kind="stable")[:16].tolist())
    sighted = {"cpu0": {"pebs", "ibs"}, "gpu0": {"gpu_counter"}}[on]
    for kind in sighted | {"page_table", "page_fault", "cxl_counter"}:
        hits = found(made, kind)
        assert set(np.argsort(-hits, kind="stable")[:16].tolist()) == hot, kind
    for kind in {"pebs", "ibs", "gpu_counter"} - sighted:
        assert not found(made, kind).any(), kind


def test_where_the_cache_turns_hotness_over_they_differ():
    """A cached hot set is hot for bits, faults and IBS, and cold for misses and devices."""
    hot = eyes.visit("hot", 1.0, lines=2, miss=0.0)
    cold = eyes.visit("cold", 0.02, lines=2, miss=1.0)
    work = eyes.workload(
        [eyes.actor("one", "cpu0", hot, cold)],
        worlds.mapping("hot", "2 MiB", **FAR),
        worlds.mapping("cold", "2 MiB", **FAR),
    )
    made = eyes.running(work)
    for kind in ("page_table", "page_fault", "ibs"):
        hits = found(made, kind)
        assert hits[:32].mean() > 2 * hits[32:].mean(), kind
    for kind in ("pebs", "cxl_counter"):
        hits = found(made, kind)
        assert not hits[:32].any() and hits[32:].all(), kind
    retired = found(eyes.running(work), "pebs", level="retired", period=200)
    assert retired[:32].mean() > 2 * retired[32:].mean(), "all retired loads see what bits see"


def test_a_device_sees_its_own_memory_only_and_not_who_asked():
    near = worlds.mapping("near", "2 MiB", policy={"mode": "bind", "nodes": ["d0"]})
    far = worlds.mapping("far", "2 MiB", **FAR)
    access = (eyes.visit(name, 1.0, miss=1.0) for name in ("near", "far"))
    made = eyes.running(eyes.workload([eyes.actor("one", "cpu0", *access)], near, far))
    assert found(made, "cxl_counter", nr=32).all()
    seen = eyes.context(made, "cxl_counter", name="n", ops="paddr", **SETTINGS["cxl_counter"])
    start, end = made.topology.node_ranges("d0")[0]
    assert not eyes.ask(seen, [start], [end], 400).any()
    mine = SampleFilter("cpumask", True, True, cpumask="0-7")
    other = eyes.context(
        made, "cxl_counter", mine, name="f", ops="paddr", **SETTINGS["cxl_counter"]
    )
    far_start, far_end = made.topology.node_ranges("x0")[0]
    assert not eyes.ask(other, [far_start], [far_end], 400, 10 * S).any(), "nobody is in no list"


def test_a_gpu_counts_its_own_remote_accesses_only():
    made = eyes.running(
        eyes.workload(
            [
                eyes.actor("g", "gpu0", eyes.visit("far", 1.0, miss=1.0)),
                eyes.actor("h", "gpu0", eyes.visit("own", 1.0, miss=1.0)),
                eyes.actor("c", "cpu0", eyes.visit("cpus", 1.0, miss=1.0)),
            ],
            worlds.mapping("far", "2 MiB", **FAR),
            worlds.mapping("cpus", "2 MiB", **FAR),
            worlds.mapping("own", "2 MiB", policy={"mode": "bind", "nodes": ["hbm"]}),
        ),
        gpu=True,
    )
    hits = found(made, "gpu_counter")
    assert hits[:32].all() and not hits[32:].any()
    gpu = SampleFilter("cpumask", True, True, cpumask="8")  # devices come after the CPUs
    assert found(made, "gpu_counter", gpu, at=10 * S).any()
    seen = eyes.context(made, "gpu_counter", name="o", ops="paddr", **SETTINGS["gpu_counter"])
    start, end = made.topology.node_ranges("hbm")[0]
    assert not eyes.ask(seen, [start], [end], 400, 20 * S).any()


def test_a_tlb_hides_pages_from_bits_and_not_from_faults():
    topology = {
        "accessors": [
            {"name": "cpu0", "cpus": "0-3", "at": "s0", "tlb": {"entries": 1536}},
            {"name": "cpu1", "cpus": "4-7", "at": "s1"},
        ]
    }
    one = eyes.actor("one", "cpu0", eyes.visit("m", 1.0))
    work = eyes.workload([one], worlds.mapping("m", "2 MiB", **FAR))
    made = eyes.running(work, **topology)
    assert not found(made, "page_table", nr=32).any(), "all translations fit and stay"
    assert found(made, "page_fault", nr=32).min() > 350


def test_with_numa_balancing_on_faults_cost_and_say_nothing():
    made = eyes.running(
        eyes.workload(
            [eyes.actor("one", "cpu0", eyes.visit("m", 1.0))], worlds.mapping("m", "2 MiB", **FAR)
        )
    )
    assert not found(made, "page_fault", numa_balancing=True, flush="none").any()
    tally = made.observing.tallies["page_fault", "eye.page_fault"]
    assert tally.events > 1000 and tally.stall_ns == tally.events * 1000
    shared = {"numa_balancing": True, "shared_fault": True}
    assert found(made, "page_fault", nr=32, **shared).min() > 350


def test_the_array_forgets_where_the_ideal_one_does_not():
    work = eyes.workload(
        [eyes.actor("one", "cpu0", eyes.visit("m", 100.0, miss=0.0))],
        worlds.mapping("m", "4 MiB", **FAR),
    )
    made = eyes.running(work)
    ideal = found(made, "page_fault", flush="none")
    small = found(made, "page_fault", flush="none", array="rfc", capacity=40)
    roomy = found(made, "page_fault", flush="none", array="rfc", capacity=100_000)
    assert (ideal == 400).all() and (roomy == 400).all()
    # 64 reports come in every tick, in any order; each check finds those since the array was empty
    assert small.sum() / ideal.sum() < 0.5
    assert made.observing.tallies["page_fault", "eye.page_fault"].lost > 0


def test_as_coded_filters_do_what_the_code_does():
    made = eyes.running(
        eyes.workload(
            [eyes.actor("one", "cpu0", eyes.visit("m", 5.0))], worlds.mapping("m", "2 MiB", **FAR)
        )
    )
    other = SampleFilter("cpumask", True, True, cpumask="4-7")
    assert not found(made, "page_fault", other, nr=32).any()
    assert found(made, "page_fault", other, nr=32, filters="rfc").all(), "a lone allow"
    mine = SampleFilter("write", True, False)
    assert found(made, "page_fault", mine, nr=32).all()
    assert not found(made, "page_fault", mine, nr=32, filters="rfc").any(), "a last reject"


# -- the open door ---------------------------------------------------------------------------------


def test_anybody_may_report_and_every_source_listens():
    made = eyes.running(eyes.workload([eyes.actor("one", "cpu0")], worlds.mapping("m", "2 MiB")))
    for kind in ("report", "page_fault", "pebs"):
        seen = eyes.context(made, kind, SampleFilter("write", True, True), name=kind)
        door = made.observing
        door.report_access(S + 7_000_000, np.array([0, 1]), cpu=3, tid=1000, is_write=True)
        door.report_access(S + 12_000_000, 0, is_write=False)
        address = made.space.mappings[0].address
        starts = [address, address + 4096]
        assert eyes.ask(seen, starts, [a + 4096 for a in starts], 4).tolist() == [1, 1]
        made.observing.forget(kind)
    made.observing.door.marks["last"] = 9 * S
    made.observing.door.read("last", 9 * S, 9 * S)
    assert not made.observing.door.lots


def test_a_component_that_is_asked():
    @register_reporter("every_tick")
    class EveryTick:
        """Sees the first page touched at the end of every span."""

        def __init__(self, observing, rng):
            self.spans = []

        def report(self, grid_ns):
            self.spans.append(len(grid_ns) - 1)
            return Reports.of(grid_ns[1:], np.zeros(len(grid_ns) - 1, np.int64))

    try:
        made = eyes.running(
            eyes.workload([eyes.actor("one", "cpu0")], worlds.mapping("m", "2 MiB"))
        )
        first, second = (
            eyes.context(made, "report", name=n, reporters=["every_tick"]) for n in "ab"
        )
        address = made.space.mappings[0].address
        for seen in (first, second):
            assert eyes.ask(seen, [address], [address + 4096], 7).tolist() == [7]
        assert first.source.streams() == second.source.streams(), "asked once for both"
    finally:
        del reporters._known["every_tick"]


def test_arming_a_piece_of_a_huge_page_splits_its_mapping_once():
    one = eyes.actor("one", "cpu0", eyes.visit("m", 1.0))
    small = worlds.mapping("s", "64 KiB")  # so that a frame is 4 KiB
    times = {}
    for page in ("4 KiB", "2 MiB"):
        made = eyes.running(eyes.workload([one], worlds.mapping("m", "8 MiB", page=page), small))
        seen = eyes.context(made, "page_fault", flush="none")
        looking = seen.source.check_ns(1)
        eyes.hits(seen, made, 0, 400)
        split = (seen.source.check_ns(1) - looking) * 400
        eyes.hits(seen, made, 0, 400, 10 * S)
        times[page] = split
        assert seen.source.check_ns(1) == looking, "once and for all"
    assert times == {"4 KiB": 0, "2 MiB": pytest.approx(4 * 512 * 20, rel=0.01)}


def test_a_fault_leaves_its_page_young_whatever_the_tlb_reaches():
    """Arming flushes: what faulted walked, while other bits stay hidden behind a large TLB."""
    one = eyes.actor("one", "cpu0", eyes.visit("m", 1.0))
    work = eyes.workload([one], worlds.mapping("m", "2 MiB", **FAR))
    made = eyes.running(work)
    made.law.track_bits()
    made.law.exposure.set_rates(made.now_ns, np.zeros(len(made.law.exposure.rates)))  # all hidden
    pages = np.arange(made.space.nr_pages)
    made.law.test_and_clear_young(pages, made.now_ns, made.seeds.stream("test"))
    assert not made.law.young_chance(pages, 2 * S).any()
    hits = found(made, "page_fault", nr=32)
    assert hits.all()
    young = made.law.young_chance(pages, 3 * S)
    assert young.all()
