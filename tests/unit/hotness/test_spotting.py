"""What a policy's thread samples is what the hardware's full records say, number by number."""

from __future__ import annotations

import numpy as np
import pytest

from numasim import sampling
from numasim.damon.reports import Reports
from numasim.hotness import spotting
from numasim.hotness.spotting import ClassPages, Spots, Spotter
from numasim.machine import Machine
from numasim.monitors import observing_of
from numasim.observing import Observing
from numasim.sampling import Rule, Sampler
from numasim.workload import Workload
from tests import worlds
from tests.unit.hotness.made import go_on

RANDOM = {"pattern": "hot_cold", "mapping": "m", "hot": 0.2, "lines": 4, "write": 0.3}
ZIPF = {"pattern": "zipf", "mapping": "n", "write": 0.5, "miss": 0.7}
SWEEP = {"pattern": "sweep", "mapping": "n", "lines": 64, "write": 0.1, "overlap": "barrier"}
STEP_NS = 10_000_000


def work(page: str) -> Workload:
    """Two programs: one that works at random with two actors, one that also sweeps."""
    mappings = [worlds.mapping("m", "16 MiB", page=page), worlds.mapping("n", "16 MiB")]

    def actor(name: str, threads: int, *access: dict) -> dict:
        return {"name": name, "threads": threads,
                "phases": [{"compute": "50 ns", "access": list(access)}]}  # fmt: skip

    first = {"name": "a", "mappings": mappings,
             "actors": [actor("x", 2, RANDOM, ZIPF), actor("y", 1, ZIPF)]}  # fmt: skip
    second = {"name": "b", "mappings": mappings, "actors": [actor("z", 1, SWEEP, RANDOM)]}
    return Workload.from_dict({"name": "w", "processes": [first, second]})


def running(page: str) -> tuple[Machine, Observing, int]:
    machine = worlds.machine(worlds.topology("64 MiB", "64 MiB"), work(page))
    for p in (0, 1):
        machine.start_process(p, 0)
    now = 0
    while any(a.state != "running" for a in machine.actors):
        now = int(machine.next_change_ns())
        machine.change(now)
    machine.settle(now)
    observing = observing_of(machine)
    machine.settle(now)
    return machine, observing, now


def rule(**more) -> Rule:
    found = {"name": "p", "period": 61.0, "level": "llc_miss", "kind": "load", "cost_ns": 200,
             "interrupts": 1.0, "buffer": 1 << 20, "drain_ns": STEP_NS, "target_per_s": None,
             "cache_ns": 15.0}  # fmt: skip
    return Rule(**{**found, **more})


def full(one: Rule, page: str, steps: int) -> tuple[list[Reports], Observing]:
    """Step by step with every column of every record; pages move in between."""
    machine, observing, now = running(page)
    sampler, found = Sampler(one, observing), []
    for i in range(steps):
        go_on(machine, now + STEP_NS)
        found.append(sampler.draw(np.array([now, now + STEP_NS])))
        now += STEP_NS
        machine.migrator.migrate(np.arange(512 * i, 512 * i + 512, 512), 1, "k")
    return found, observing


def lean(one: Rule, page: str, steps: int) -> tuple[list[Spots], Observing]:
    machine, observing, now = running(page)
    spotter, found = Spotter(one, observing, ClassPages(observing)), []
    for i in range(steps):
        go_on(machine, now + STEP_NS)
        strands = observing.truth.strands(np.array([now]), np.array([now + STEP_NS]))
        counts = machine.migrator.node_counts.sum(axis=0)
        found.append(Spots.joined(spotter.spot(strands, counts, now, now + STEP_NS)))
        now += STEP_NS
        machine.migrator.migrate(np.arange(512 * i, 512 * i + 512, 512), 1, "k")
    return found, observing


@pytest.mark.parametrize("most_slots", [spotting.MOST_SLOTS, 0], ids=["listed", "searched"])
@pytest.mark.parametrize("page", ["4 KiB", "2 MiB"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"kind": "store", "level": "retired"},
        {"kind": "both", "period": 500.3},
        {"buffer": 300, "drain_ns": 7_000_000},  # too small: some are lost
        {"buffer": 4000, "drain_ns": 3_000_000},
    ],
    ids=["loads", "stores", "both", "lost", "drained"],
)
def test_every_sample_is_the_same(more, page, most_slots, monkeypatch):
    monkeypatch.setattr(spotting, "MOST_SLOTS", most_slots)
    wanted, one = full(rule(**more), page, 4)
    found, two = lean(rule(**more), page, 4)
    assert sum(map(len, wanted)) > 1000
    for a, b in zip(wanted, found, strict=True):
        assert (a.time_ns == b.time_ns).all() and (a.page == b.page).all()
        assert (a.is_write == b.is_write).all()
    assert one.tally("p") == two.tally("p")
    assert (one.tally("p").lost > 0) == (more.get("buffer") == 300)
    assert (one.tolls.owed_ns == two.tolls.owed_ns).all()


def test_nothing_due_is_no_sample():
    found, observing = lean(rule(period=1e12), "4 KiB", 1)
    assert len(found[0]) == 0 and observing.tally("p").events == 0
    assert len(Spots.joined([])) == 0


def test_several_samplers_are_joined_as_reports_are():
    wanted = [full(rule(kind=kind), "4 KiB", 1)[0][0] for kind in ("load", "store")]
    found = [lean(rule(kind=kind), "4 KiB", 1)[0][0] for kind in ("load", "store")]
    one, two = Reports.joined(wanted), Spots.joined(found)
    assert (one.page == two.page).all() and (one.is_write == two.is_write).all()


def test_the_place_of_the_nth_set_bit_is_that_of_a_plain_count():
    rng = np.random.default_rng(3)
    for width, share in ((16, 0.9), (64, 0.5), (256, 0.02), (256, 1.0)):
        inside = rng.random((200, width)) < share
        inside[:, rng.integers(width)] = True
        k = (rng.random(200) * inside.sum(axis=1)).astype(np.int64)
        plain = np.argmax(np.cumsum(inside, axis=1) > k[:, None], axis=1)
        assert (sampling.nth_set(inside, k) == plain).all()
