"""Counters in devices: who takes their notifications and pays, and what a full buffer loses."""

from __future__ import annotations

import pytest

from numasim.damon.spec import SampleFilter
from tests import eyes, worlds

S = 1_000_000_000
FAR = {"policy": {"mode": "bind", "nodes": ["x0"]}}
COUNTERS = {"granularity": "64 KiB", "threshold": 4, "drain": "10 ms"}


def streamed(on: str = "cpu0", **more):
    """A machine on which one actor streams through memory of the expander."""
    one = eyes.actor("one", on, eyes.visit("m", 1.0, lines=4, miss=1.0))
    return eyes.running(eyes.workload([one], worlds.mapping("m", "4 MiB", **FAR)), **more)


@pytest.mark.parametrize("kind, on", [("cxl_counter", "cpu0"), ("gpu_counter", "gpu0")])
def test_nobody_pays_for_notifications_that_a_device_lost(kind, on):
    made = streamed(on, gpu=True)
    seen = eyes.context(made, kind, name="k", ops="paddr", **COUNTERS, batch=16)
    start, end = made.topology.node_ranges("x0")[0]
    eyes.ask(seen, [start], [end], 400)
    tally = made.observing.tallies[kind, ""]
    taken = tally.events - tally.lost
    assert tally.lost > taken > 0
    assert seen.source.check_ns(1) * 400 == pytest.approx(taken * 500, abs=400)


def test_contexts_take_and_pay_for_their_own_gpus():
    gpus = [{"name": f"gpu{i}", "kind": "GPU", "cores": 4, "at": f"g{i}"} for i in (0, 1)]
    hbm = [
        {"name": f"hbm{i}", "capacity": "64 MiB", "latency": "100 ns", "at": f"g{i}", **eyes.SPEED}
        for i in (0, 1)
    ]
    nodes = [
        {"name": "d0", "capacity": "64 MiB", "latency": "100 ns", "at": "s0", **eyes.SPEED},
        *hbm,
    ]
    links = [
        {"between": ["s0", f"g{i}"], "latency": "200 ns", "bandwidth": "40 GB/s"} for i in (0, 1)
    ]
    cpus = [{"name": "cpu0", "cpus": "0-3", "at": "s0"}]
    near = {"policy": {"mode": "bind", "nodes": ["d0"]}}
    actors = [
        eyes.actor("c", "cpu0", eyes.visit("a", 0.001)),
        eyes.actor("a", "gpu0", eyes.visit("a", 0.5, miss=1.0)),
        eyes.actor("b", "gpu1", eyes.visit("b", 0.1, miss=1.0)),
    ]
    work = eyes.workload(actors, *(worlds.mapping(n, "4 MiB", **near) for n in "ab"))
    made = eyes.running(work, nodes=nodes, accessors=cpus + gpus, links=links)
    own, slow = {}, {"granularity": "64 KiB", "threshold": 64, "drain": "1 ms"}
    # who comes first draws; devices come after the CPUs in lists of CPUs
    for name, cpu in (("b", "5"), ("a", "4"), ("nobody", "0-3")):
        mine = SampleFilter("cpumask", True, True, cpumask=cpu)
        seen = eyes.context(made, "gpu_counter", mine, name=name, ops="paddr", **slow)
        start, end = made.topology.node_ranges("d0")[0]
        hits = eyes.ask(seen, [start], [end], 400)[0]
        own[name] = seen.source.check_ns(1)
        assert (hits > 0) == (name != "nobody")
    assert own["a"] == pytest.approx(5 * own["b"], rel=0.1) and own["nobody"] == 0
    seen.source.scene.filters = ()  # it was tuned: from now on both
    assert eyes.ask(seen, [start], [end], 400, 3 * S)[0] > 0
    assert seen.source.check_ns(1) == pytest.approx(own["a"] + own["b"], rel=0.1)
    seen.source.scene.filters = (mine,)
    assert eyes.ask(seen, [start], [end], 400, 5 * S)[0] == 0
    assert seen.source.check_ns(1) < own["b"] / 100
