"""Do the invariants of the closed loop hold for any machine and any demand?"""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from numasim.cost import CostModel, Demand, Flow
from numasim.topology import Topology

latencies = st.integers(50, 900)
bandwidths = st.integers(5, 400)
lines = st.lists(st.sampled_from([0.0, 0.1, 1.0, 20.0]), min_size=3, max_size=3).filter(any)
overlaps = st.sampled_from(["dynamic", "dynamic", "barrier", "serial"])


@st.composite
def machines(draw):
    node = [
        {
            "name": f"n{i}",
            "kind": draw(st.sampled_from(["DRAM", "CXL"])),
            "capacity": "1 GiB",
            "at": f"s{i % 2}",
            "latency": f"{draw(latencies)} ns",
            "bandwidth": f"{draw(bandwidths)} GB/s",
        }
        for i in range(3)
    ]
    link = {"between": ["s0", "s1"], "latency": "70 ns", "bandwidth": f"{draw(bandwidths)} GB/s"}
    accessors = [{"name": f"a{i}", "at": f"s{i}", "cores": 512} for i in range(2)]
    data = {"name": "any", "nodes": node, "accessors": accessors, "links": [link]}
    return data if draw(st.booleans()) else data | {"bandwidth": {"a0": {"n1": "4 GB/s"}}}


@st.composite
def demands(draw, one_parallelism=False, how=overlaps):
    parallelism = draw(st.sampled_from([1.0, 6.0, 48.0]))
    write = draw(st.sampled_from([0.0, 0.5]))
    flows = tuple(
        Flow(
            np.array(draw(lines)),
            parallelism if one_parallelism else draw(st.sampled_from([1.0, 6.0, 48.0])),
            write if one_parallelism else draw(st.sampled_from([0.0, 0.5])),
            draw(how),
        )
        for _ in range(draw(st.integers(1, 2)))
    )
    return Demand(
        accessor=draw(st.integers(0, 1)),
        threads=draw(st.sampled_from([1.0, 9.0, 100.0])),
        compute_ns=draw(st.sampled_from([0.0, 30.0, 5000.0])),
        flows=flows,
        pace_per_ns=draw(st.sampled_from([math.inf, math.inf, 0.001, 0.05])),
    )


many = st.lists(demands(), min_size=1, max_size=3)
fair = st.lists(demands(True, st.just("dynamic")), min_size=1, max_size=4)
mixed_only = st.just("dynamic")


@settings(deadline=None, max_examples=150)
@given(machines(), many)
def test_no_capacity_is_passed_no_byte_is_lost_no_pace_exceeded(data, wanted):
    topology = Topology.from_dict(data)
    solution = CostModel(topology).solve(wanted)
    assert solution.residual < 1e-9
    assert solution.utilisation.max() < 1
    assert (solution.loaded_latency_ns >= topology.idle_latency_ns).all()
    assert (solution.ops_per_ns > 0).all()
    assert (solution.ops_per_ns <= [d.pace_per_ns for d in wanted]).all()
    moved = sum(
        rate * 64 * flow.lines * (1 + flow.write_ratio)
        for rate, demand in zip(solution.ops_per_ns, wanted, strict=True)
        for flow in demand.flows
    )
    served = solution.node_read_bytes_per_ns + solution.node_write_bytes_per_ns
    np.testing.assert_allclose(served, moved, rtol=1e-12)
    assert (solution.op_p50_ns <= solution.op_p99_ns).all()


@settings(deadline=None, max_examples=150)
@given(machines(), fair, st.lists(st.floats(-8, 12), min_size=16, max_size=16))
def test_the_answer_is_the_same_from_any_start(data, wanted, start):
    model = CostModel(Topology.from_dict(data))
    usual = model.solve(wanted)
    from_elsewhere = model.solve(
        wanted, start_delay_ns=np.exp(np.array(start[: len(usual.resources)]))
    )
    np.testing.assert_allclose(from_elsewhere.ops_per_ns, usual.ops_per_ns, rtol=1e-9)
    np.testing.assert_allclose(from_elsewhere.loaded_latency_ns, usual.loaded_latency_ns, rtol=1e-6)


@settings(deadline=None, max_examples=100)
@given(machines(), demands(how=mixed_only), st.floats(1, 4))
def test_more_threads_never_do_less(data, demand, factor):
    model = CostModel(Topology.from_dict(data))
    more = Demand(
        demand.accessor,
        demand.threads * factor,
        demand.compute_ns,
        demand.flows,
        demand.pace_per_ns,
    )
    few, many = (model.solve([d]).ops_per_ns[0] for d in (demand, more))
    assert many >= few * (1 - 1e-12)
    assert many <= few * factor * (1 + 1e-12)


@settings(deadline=None, max_examples=100)
@given(machines(), demands(), st.integers(0, 2), st.floats(1, 4), st.sampled_from(["lat", "bw"]))
def test_a_better_memory_never_slows_a_lone_actor(data, demand, node, factor, what):
    slow = Topology.from_dict(data)
    better = [dict(n) for n in data["nodes"]]
    if what == "lat":
        nanoseconds = int(better[node]["latency"].split()[0])
        better[node]["latency"] = f"{max(round(nanoseconds / factor), 1)} ns"
    else:
        better[node]["bandwidth"] = f"{slow.nodes[node].bandwidth.read * factor} GB/s"
    fast = Topology.from_dict(data | {"nodes": better})
    before, after = (CostModel(t).solve([demand]).ops_per_ns[0] for t in (slow, fast))
    assert after >= before * (1 - 1e-9)


@settings(deadline=None, max_examples=60)
@given(machines(), fair, demands(True, st.just("dynamic")))
def test_company_never_helps_everybody(data, wanted, newcomer):
    model = CostModel(Topology.from_dict(data))
    before = model.solve(wanted).ops_per_ns
    after = model.solve([*wanted, newcomer]).ops_per_ns[:-1]
    assert not (after > before * (1 + 1e-9)).all()


@settings(deadline=None, max_examples=60)
@given(machines(), many)
def test_the_same_question_has_the_same_answer(data, wanted):
    one, two = (CostModel(Topology.from_dict(data)).solve(wanted) for _ in range(2))
    assert one.ops_per_ns.tobytes() == two.ops_per_ns.tobytes()
