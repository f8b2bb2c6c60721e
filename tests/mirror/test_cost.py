"""The closed loop against a plain-Python twin: bisection in turn, no arrays, no Newton."""

import math
import random

import numpy as np
import pytest

from numasim.cost import Background, CostModel, Demand, Flow
from numasim.topology import Topology

RATIO, SCALE, SATURATION = 60 / 90, 0.764, 1 / 3000


def delay_at(service, rho):
    """Queueing delay as the specification writes it: M/D/1 above the peak, and the divergence."""
    inner = SCALE * rho
    return service * inner / (2 * (1 - inner)) + SATURATION * service * rho / (1 - rho)


def used_by_line(topology, accessor, node, write_ratio):
    """{resource: lines of load} of one missing line, its way back included."""
    memory, use = topology.nodes[node], {}
    if memory.is_duplex:
        use[node, "read"] = 1.0
        use[node, "write"] = write_ratio
    else:
        use[node, "both"] = 1.0 + write_ratio * memory.bandwidth.read / memory.bandwidth.write
    for link, forward in topology.path(accessor, node):
        use["link", link, not forward] = 1.0
        use["link", link, forward] = write_ratio
    return {resource: times for resource, times in use.items() if times}


def capacity_and_service(topology, resource):
    if resource[0] == "link":
        link = topology.links[resource[1]]
        rate = link.bandwidth.forward if resource[2] else link.bandwidth.backward
        return rate, RATIO * link.latency
    memory = topology.nodes[resource[0]]
    rate = memory.bandwidth.write if resource[1] == "write" else memory.bandwidth.read
    return rate, RATIO * memory.latency


def twin(topology, demands, background):
    """Throughputs and {resource: delay}: every delay in turn by bisection until nothing moves."""
    actors = []
    for demand in demands:
        fixed, waits, loads = demand.compute_ns + demand.stall_ns, {}, {}
        for flow in demand.flows:
            overlapping = min(flow.parallelism, topology.accessors[demand.accessor].max_outstanding)
            for node, lines in enumerate(flow.lines.tolist()):
                if not lines:
                    continue
                fixed += lines * topology.idle_latency_ns[demand.accessor, node] / overlapping
                use = used_by_line(topology, demand.accessor, node, flow.write_ratio)
                for resource, times in use.items():
                    waits[resource] = waits.get(resource, 0.0) + lines * times / overlapping
                    loads[resource] = loads.get(resource, 0.0) + lines * times * 64
        actors.append((demand, fixed, waits, loads))
    resources = sorted({r for actor in actors for r in actor[3]} | set(background), key=str)
    known = {r: capacity_and_service(topology, r) for r in resources}
    delay = dict.fromkeys(resources, 0.0)

    def speeds():
        out = []
        for demand, fixed, waits, _ in actors:
            time = fixed + sum(times * delay[r] for r, times in waits.items())
            out.append(min(demand.pace_per_ns, demand.threads / time))
        return out

    def too_short(resource):
        """Whether the loads that follow from the delays would cause a longer one."""
        capacity, service = known[resource]
        load = background.get(resource, 0.0)
        load += sum(x * a[3].get(resource, 0.0) for x, a in zip(speeds(), actors, strict=True))
        return load >= capacity or delay_at(service, load / capacity) > delay[resource]

    for _ in range(400):
        moved = 0.0
        for resource in resources:
            before, low, high = delay[resource], 0.0, 1.0
            delay[resource] = high
            while too_short(resource):
                low, high = high, 2 * high
                delay[resource] = high
            while high - low > 1e-15 * high and high > 1e-30:
                delay[resource] = 0.5 * (low + high)
                if delay[resource] in (low, high):
                    break
                if too_short(resource):
                    low = delay[resource]
                else:
                    high = delay[resource]
            moved = max(moved, abs(delay[resource] - before) / (1 + before))
        if moved < 1e-13:
            return speeds(), delay
    raise AssertionError("the twin did not settle")


def machine(rng):
    return Topology.from_dict(
        {
            "name": "random",
            "nodes": [
                {"name": "d0", "capacity": "1 GiB", "latency": "100 ns", "at": "s0",
                 "bandwidth": f"{rng.randint(20, 300)} GB/s"},
                {"name": "c0", "kind": "CXL", "capacity": "1 GiB", "latency": "250 ns", "at": "s0",
                 "bandwidth": {"read": f"{rng.randint(10, 60)} GB/s", "write": "20 GB/s"}},
                {"name": "d1", "capacity": "1 GiB", "latency": "90 ns", "at": "s1",
                 "bandwidth": {"read": "150 GB/s", "write": f"{rng.randint(50, 150)} GB/s"}},
            ],
            "accessors": [
                {"name": "a", "cores": 64, "at": "s0"},
                {"name": "b", "cores": 64, "at": "s1"},
            ],
            "links": [
                {"between": ["s0", "s1"], "latency": "80 ns",
                 "bandwidth": {"forward": "60 GB/s", "backward": f"{rng.randint(20, 80)} GB/s"}},
            ],
        }
    )  # fmt: skip


def demand_of(rng, accessor):
    flows = []
    for _ in range(rng.randint(1, 2)):
        lines = np.array([rng.choice([0.0, rng.uniform(0, 4)]) for _ in range(3)])
        lines[rng.randrange(3)] = rng.uniform(0.1, 4)
        flows.append(Flow(lines, rng.choice([1.0, 7.0, 100.0]), rng.choice([0.0, 0.3, 1.0])))
    pace = rng.choice([math.inf, math.inf, rng.uniform(0.001, 1)])
    compute = rng.choice([0.0, 20.0, 300.0])
    return Demand(accessor, rng.choice([1.0, 8.0, 30.0]), compute, tuple(flows), pace)


@pytest.mark.parametrize("seed", range(25))
def test_throughput_and_latency_equal_the_twin(seed):
    rng = random.Random(seed)
    topology = machine(rng)
    demands = [demand_of(rng, 0), demand_of(rng, 1)][: rng.randint(1, 2)]
    extra = rng.choice([0.0, 5.0])
    speeds, delay = twin(topology, demands, {(0, "both"): extra} if extra else {})

    solution = CostModel(topology).solve(demands, [Background(0, extra)] if extra else [])

    assert solution.ops_per_ns.tolist() == pytest.approx(speeds, rel=1e-9)
    for accessor in range(2):
        for node in range(3):
            use = used_by_line(topology, accessor, node, 0.0)
            loaded = topology.idle_latency_ns[accessor, node]
            loaded += sum(times * delay.get(r, 0.0) for r, times in use.items())
            assert solution.loaded_latency_ns[accessor, node] == pytest.approx(loaded, rel=1e-8)
