"""Does the closed loop obey the laws one can write down, and the tables that were published?"""

import math
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML
from scipy.special import gammaincinv

from numasim.cost import Background, CostModel, Demand, Flow
from numasim.queueing import gamma_quantile
from numasim.topology import Topology

TOPOLOGIES = Path(__file__).parents[2] / "topologies"


def published(name):
    return Topology.from_dict(YAML(typ="safe").load(TOPOLOGIES / f"{name}.yaml"), name)


def one_node(latency_ns, bandwidth, cores=1000, **node):
    """One memory, one accessor that keeps as many misses in flight as it is asked to."""
    rate = bandwidth if isinstance(bandwidth, dict) else f"{bandwidth} GB/s"
    memory = {"name": "m", "capacity": "1 GiB", "latency": f"{latency_ns} ns", "bandwidth": rate}
    memory |= node
    accessor = {"name": "a", "cores": cores, "max_outstanding": 10**6}
    return Topology.from_dict({"name": "one", "nodes": [memory], "accessors": [accessor]})


def two_nodes(*speeds, **accessor):
    """Two memories of (latency ns, GB/s) before one accessor."""
    nodes = [
        {"name": name, "capacity": "1 GiB", "latency": f"{ns} ns", "bandwidth": f"{rate} GB/s"}
        for name, (ns, rate) in zip("dc", speeds, strict=True)
    ]
    data = {"name": "two", "nodes": nodes, "accessors": [{"name": "a", **accessor}]}
    return CostModel(Topology.from_dict(data))


def reading(*lines, parallelism=1.0, **rest):
    return Flow(np.array(lines, dtype=float), parallelism, **rest)


def achieved(solution, node=0):
    return solution.node_read_bytes_per_ns[node] + solution.node_write_bytes_per_ns[node]


# ------------------------------------------------------------------------------ closed forms


def test_one_flow_at_little_load_takes_compute_plus_misses_over_parallelism():
    model = CostModel(one_node(100, 100_000))
    solution = model.solve([Demand(0, 4, 50.0, (reading(10, parallelism=4),))])
    assert solution.ops_per_ns[0] == pytest.approx(4 / (50 + 10 * 100 / 4), rel=1e-4)
    assert solution.op_ns[0] == pytest.approx(300, rel=1e-4)


@pytest.mark.parametrize("overcommit", [1.2, 2, 10, 100])
def test_one_saturating_flow_reaches_capacity_but_never_passes_it(overcommit):
    model = CostModel(one_node(90, 49))
    full_ns = 90 + 60 * 0.764 / (2 * (1 - 0.764))
    threads = overcommit * 49 * full_ns / 64
    solution = model.solve([Demand(0, threads, 0.0, (reading(1),))])
    assert 0.998 * 49 < achieved(solution) < 49


@pytest.mark.parametrize("overcommit", [1.5, 2, 3, 5, 20])
def test_overcommit_multiplies_latency(overcommit):
    """With k times the closed-loop demand that fills the memory, latency is k times that at the
    brim: what makes Colloid's default tier five times slower under three times the load."""
    model = CostModel(one_node(90, 49))
    brim_ns = 90 + 60 * 0.764 / (2 * (1 - 0.764))
    threads = overcommit * 49 * brim_ns / 64 / 10
    solution = model.solve([Demand(0, threads, 0.0, (reading(1, parallelism=10),))])
    assert solution.loaded_latency_ns[0, 0] == pytest.approx(overcommit * brim_ns, rel=2e-3)


@pytest.mark.parametrize("flows", [2, 3, 7])
@pytest.mark.parametrize("threads", [0.5, 5, 50])
def test_equal_flows_share_equally_and_like_one_big_flow(flows, threads):
    model = CostModel(one_node(90, 49))
    many = model.solve([Demand(0, threads, 3.0, (reading(2),))] * flows)
    one = model.solve([Demand(0, threads * flows, 3.0, (reading(2),))])
    assert many.ops_per_ns == pytest.approx([one.ops_per_ns[0] / flows] * flows, rel=1e-10)


@pytest.mark.parametrize("threads", [1, 10, 100])
def test_littles_law(threads):
    model = CostModel(published("dram_cxl"))
    solution = model.solve([Demand(0, min(threads, 32), 0.0, (reading(3, 1, parallelism=10),))])
    lines_per_ns = solution.node_read_bytes_per_ns / 64
    in_flight = lines_per_ns @ solution.loaded_latency_ns[0]
    assert in_flight == pytest.approx(min(threads, 32) * 10, rel=1e-9)


def test_bytes_are_the_same_at_actors_links_and_nodes():
    topology = published("two_socket_four_node")
    model = CostModel(topology)
    demands = [
        Demand(0, 16, 5.0, (reading(4, 1, 2, 0.5, parallelism=8, write_ratio=0.4),)),
        Demand(1, 16, 5.0, (reading(1, 0, 2, 1, parallelism=8),)),
    ]
    solution = model.solve(demands, [Background(2, 3.0, 1.0, accessor=0)])
    near = [solution.ops_per_ns[i] * 64 * d.flows[0].lines for i, d in enumerate(demands)]
    assert solution.node_read_bytes_per_ns == pytest.approx(near[0] + near[1] + [0, 0, 3, 0])
    assert solution.node_write_bytes_per_ns == pytest.approx(0.4 * near[0] + [0, 0, 1, 0])
    forward = 0.4 * near[0][2:].sum() + near[1][:2].sum() + 1.0  # from socket 1 to socket 2
    backward = near[0][2:].sum() + 3.0
    assert solution.link_bytes_per_ns[0] == pytest.approx([forward, backward])


def test_no_demand_is_no_load():
    solution = CostModel(published("dram_cxl")).solve([])
    assert solution.ops_per_ns.size == 0
    assert solution.loaded_latency_ns.tolist() == [[114.0, 271.0]]
    assert not solution.utilisation.any()


# --------------------------------------------------------------------------- who may do what


def test_pace_holds_an_actor_back_without_slowing_its_operations():
    model = CostModel(one_node(100, 1000))
    solution = model.solve([Demand(0, 10, 0.0, (reading(1),), pace_per_ns=0.01)])
    assert solution.ops_per_ns[0] == 0.01
    assert solution.op_ns[0] == pytest.approx(100, rel=1e-3)


def test_threads_beyond_the_cores_share_them():
    model = CostModel(one_node(100, 1e6, cores=8))
    alone = model.solve([Demand(0, 8, 100.0)])
    crowded = model.solve([Demand(0, 24, 100.0), Demand(0, 8, 100.0)])
    assert crowded.ops_per_ns == pytest.approx([0.06, 0.02])
    assert alone.ops_per_ns[0] == pytest.approx(0.08)
    assert crowded.op_ns[0] == pytest.approx(400)


def test_a_busy_kdamond_shares_the_cores_only_with_those_who_need_them():
    model = CostModel(one_node(100, 1e6, cores=8))
    for threads, expected in ((4, 4), (8, 8 * 8 / 9)):
        solution = model.solve([Demand(0, threads, 100.0)], cores_taken=[1.0])
        assert solution.ops_per_ns[0] == pytest.approx(expected / 100)


def test_stalls_add_to_every_operation():
    model = CostModel(one_node(100, 1e6))
    solution = model.solve([Demand(0, 1, 100.0, stall_ns=25.0)])
    assert solution.ops_per_ns[0] == pytest.approx(1 / 125)


def test_parallelism_is_capped_by_line_fill_buffers_and_by_bytes_in_flight():
    skx = CostModel(published("skx_emulated"))
    few, many = (skx.solve([Demand(0, 1, 0.0, (reading(1, 0, parallelism=p),))]) for p in (12, 500))
    assert few.ops_per_ns == pytest.approx(many.ops_per_ns)
    gpu = CostModel(published("gh200"))
    hbm = gpu.solve([Demand(1, 132, 0.0, (reading(0, 1, parallelism=1e9),))])
    host = gpu.solve([Demand(1, 132, 0.0, (reading(1, 0, parallelism=1e9),))])
    assert hbm.node_read_bytes_per_ns[1] == pytest.approx(3400, rel=0.015)
    assert host.node_read_bytes_per_ns[0] == pytest.approx(330, rel=2e-3)
    starved = gpu.solve([Demand(1, 1, 0.0, (reading(0, 1, parallelism=8),))])
    assert starved.ops_per_ns[0] == pytest.approx(8 / 600, rel=1e-3)


def test_migration_traffic_slows_everybody_on_its_node():
    model = CostModel(published("dram_cxl"))
    demand = Demand(0, 32, 0.0, (reading(0, 1, parallelism=10),))
    quiet = model.solve([demand])
    busy = model.solve([demand], [Background(1, read_bytes_per_ns=10.0)])
    assert achieved(quiet, 1) == pytest.approx(26, rel=2e-3)
    assert busy.ops_per_ns[0] * 64 == pytest.approx(16, rel=5e-3)


def test_background_beyond_capacity_is_served_in_part_and_says_so():
    model = CostModel(published("dram_cxl"))
    solution = model.solve([], [Background(1, read_bytes_per_ns=52.0), Background(0, 1.0)])
    assert solution.background_share == pytest.approx([0.475, 1.0])
    assert solution.node_read_bytes_per_ns == pytest.approx([1.0, 24.7])


def test_written_lines_use_the_way_back():
    half, full = one_node(100, 50), one_node(100, 50, kind="CXL")
    demand = Demand(0, 500, 0.0, (reading(1, write_ratio=1.0),))
    rates = [achieved(CostModel(topology).solve([demand])) for topology in (half, full)]
    assert rates == pytest.approx([50, 100], rel=3e-3)
    slow = one_node(100, {"read": "40 GB/s", "write": "10 GB/s"}, kind="CXL")
    solution = CostModel(slow).solve([demand])
    assert solution.node_write_bytes_per_ns[0] == pytest.approx(10, rel=3e-3)


@pytest.mark.parametrize(
    "demand",
    [
        Demand(0, 1),
        Demand(0, -1, 5.0),
        Demand(0, 1, 1.0, (reading(1, 1),)),
        Demand(0, 1, 1.0, (reading(-1),)),
        Demand(0, 1, 1.0, (reading(math.nan),)),
    ],
)
def test_nonsense_is_refused(demand):
    with pytest.raises(ValueError):
        CostModel(one_node(100, 100)).solve([demand])


# ----------------------------------------------------------------------- serial and barriers


def test_a_serial_sweep_cannot_hide_one_memory_behind_the_other():
    """Weights half in DRAM, half in CXL: bandwidths add for mixed misses, times for a front."""
    model = CostModel(published("dram_cxl"))
    rates = {}
    for overlap in ("dynamic", "barrier", "serial"):
        flow = reading(50, 50, parallelism=30, overlap=overlap)
        solution = model.solve([Demand(0, 32, 0.0, (flow,))])
        rates[overlap] = solution.node_read_bytes_per_ns.sum()
    assert rates["dynamic"] == pytest.approx(52, rel=3e-3)
    assert rates["serial"] == pytest.approx(2 / (1 / 218 + 1 / 26), rel=0.02)
    assert rates["serial"] < rates["barrier"] <= rates["dynamic"]


def test_a_barrier_waits_for_the_slowest_node_used():
    topology = published("two_socket_four_node")
    flow = reading(5, 3, 0, 0, parallelism=4, overlap="barrier")
    solution = CostModel(topology).solve([Demand(0, 1, 7.0, (flow,))])
    assert solution.op_ns[0] == pytest.approx(7 + 8 / 4 * 200, rel=1e-2)


def test_a_front_on_one_node_is_the_same_in_every_overlap():
    model = CostModel(published("dram_cxl"))
    speeds = [
        model.solve([Demand(0, 8, 3.0, (reading(0, 4, overlap=o),))]).ops_per_ns[0]
        for o in ("dynamic", "barrier", "serial")
    ]
    assert speeds == pytest.approx([speeds[0]] * 3)


def test_two_fronts_meet_as_often_as_their_times_say():
    """Two equal sweeps over a fast and a slow memory go equally fast, slower than one alone."""
    model = CostModel(published("dram_cxl"))
    demand = Demand(0, 16, 0.0, (reading(10, 10, parallelism=30, overlap="serial"),))
    alone = model.solve([demand])
    both = model.solve([demand, demand])
    assert both.ops_per_ns[0] == pytest.approx(both.ops_per_ns[1])
    assert alone.ops_per_ns[0] / 2 < both.ops_per_ns[0] < alone.ops_per_ns[0]


def test_many_fronts_are_solved_one_at_a_time():
    model = CostModel(published("two_socket_four_node"))
    sweep = reading(1, 1, 1, 1, parallelism=4, overlap="serial")
    solution = model.solve([Demand(a, 2, 1.0, (sweep,)) for a in (0, 0, 1, 1)])
    assert solution.ops_per_ns == pytest.approx([solution.ops_per_ns[0]] * 4, rel=1e-6)
    assert solution.residual < 1e-9


# ------------------------------------------------------------------------- operation latency


def test_operation_quantiles_follow_the_sum_of_misses():
    """Against drawing every miss: node by share, queueing delay exponential."""
    model = CostModel(published("dram_cxl"))
    demand = Demand(0, 24, 200.0, (reading(14, 6),))
    solution = model.solve([demand], [Background(0, 150.0), Background(1, 20.0)])
    idle, loaded = np.array([114.0, 271.0]), solution.loaded_latency_ns[0]
    rng = np.random.default_rng(1)
    node = rng.choice(2, p=[0.7, 0.3], size=(200_000, 20))
    drawn = 200 + (idle[node] + rng.exponential((loaded - idle)[node])).sum(axis=1)
    assert solution.op_ns[0] == pytest.approx(drawn.mean(), rel=0.01)
    assert solution.op_variance_ns2[0] == pytest.approx(drawn.var(), rel=0.02)
    assert solution.op_p50_ns[0] == pytest.approx(np.quantile(drawn, 0.5), rel=0.01)
    assert solution.op_p99_ns[0] == pytest.approx(np.quantile(drawn, 0.99), rel=0.02)


def test_quantiles_of_gamma_variates_are_right_to_twelve_digits():
    shapes = np.array([0.3, 5.0, 63.9, 64.0, 90.0, 400.0, 1e4, 1e9])
    for share in (0.1, 0.5, 0.9, 0.99):
        found = gamma_quantile(shapes, share)
        np.testing.assert_allclose(found, gammaincinv(shapes, share) / shapes, rtol=1e-12)


def test_an_operation_without_chance_takes_its_mean():
    solution = CostModel(one_node(100, 1e9)).solve([Demand(0, 1, 500.0)])
    assert solution.op_p50_ns[0] == solution.op_p99_ns[0] == solution.op_ns[0] == 500


# -------------------------------------------------------------------------- published tables


@pytest.mark.parametrize(("gb_per_s", "measured_ns"), [(40, 140), (48, 180)])
def test_skylake_loaded_latency(gb_per_s, measured_ns):
    """Calibration, SOAR (OSDI'25): 90 ns idle, 49 GB/s. The curve was fitted to these points."""
    model = CostModel(published("skx_emulated"))
    solution = model.solve([], [Background(0, gb_per_s * 0.999)])
    assert model.solve([Demand(0, 1, 1.0)]).loaded_latency_ns[0, 0] == 90
    if gb_per_s < 46:
        assert solution.loaded_latency_ns[0, 0] == pytest.approx(measured_ns, rel=0.15)
    threads = gb_per_s * measured_ns / 64 / 12
    loop = model.solve([Demand(0, threads, 0.0, (reading(1, 0, parallelism=12),))])
    assert loop.loaded_latency_ns[0, 0] == pytest.approx(measured_ns, rel=0.15)
    assert achieved(loop) == pytest.approx(gb_per_s, rel=0.15)


@pytest.mark.parametrize(
    ("dram_ns", "cxl_ns", "dram_gb", "cxl_gb", "dram_peak", "cxl_peak"),
    [(150, 407, 12, 4.5, 31.45, 21.7), (106, 192, 37.8, 20.25, 270, 83.2)],
)
def test_one_thread_keeps_its_parallelism_on_both_memories(
    dram_ns, cxl_ns, dram_gb, cxl_gb, dram_peak, cxl_peak
):
    """Nomad (OSDI'24), platforms A and D: CXL rate of one thread predicted from its DRAM rate."""
    model = two_nodes((dram_ns, dram_peak), (cxl_ns, cxl_peak), max_outstanding=1000)
    parallelism = dram_gb * dram_ns / 64
    for _ in range(50):  # the parallelism that gives the measured rate at its loaded latency
        near = model.solve([Demand(0, 1, 0.0, (reading(1, 0, parallelism=parallelism),))])
        parallelism *= dram_gb / achieved(near)
    far = model.solve([Demand(0, 1, 0.0, (reading(0, 1, parallelism=parallelism),))])
    assert achieved(far, 1) == pytest.approx(cxl_gb, rel=0.15)


@pytest.mark.parametrize(("weights", "factor"), [((72, 26), 98 / 72), ((3, 1), 96 / 72)])
def test_interleaving_adds_bandwidths(weights, factor):
    """Micron's letter: 72 + 26 GB/s, weights 3:1; measured x1.353 over DRAM alone."""
    model = two_nodes((110, 72), (250, 26), cores=128, max_outstanding=12)
    alone = model.solve([Demand(0, 128, 0.0, (reading(100, 0, parallelism=12),))])
    both = model.solve([Demand(0, 128, 0.0, (reading(*weights, parallelism=12),))])
    ratio = both.node_read_bytes_per_ns.sum() / alone.node_read_bytes_per_ns.sum()
    assert ratio == pytest.approx(factor, rel=5e-3)
    assert ratio == pytest.approx(1.353, abs=0.03)


# Intel MLC --loaded_latency, read-only, all cores on local memory: (latency ns, bandwidth GB/s).
# idle ns, peak GB/s, physical cores of the machine first. None of these was used for the fit.
HELD_BACK = {
    # FD.io CSIT, testbed calibration data, 2 x Cascade Lake with 24 cores (MLC v3.7)
    "cascade_lake_fdio": (80.9, 244.1, 48, [
        (232.56, 243.39), (161.65, 236.74), (100.63, 133.84), (96.84, 90.55), (95.71, 68.50),
        (95.68, 55.14), (88.77, 39.80), (84.74, 28.20), (83.08, 21.92), (81.66, 11.81),
    ]),
    # plantegg.github.io, 2 x Xeon Platinum 8269CY, 26 cores (MLC v3.9)
    "cascade_lake_8269": (78.2, 226.0, 52, [
        (261.50, 225.45), (130.61, 195.88), (102.65, 133.82), (95.04, 101.35), (91.56, 81.59),
        (87.94, 58.82), (85.54, 41.55), (84.70, 32.21), (83.14, 24.87), (81.74, 17.19),
    ]),
    # FD.io CSIT, testbed T22, 2 x Skylake-SP with 28 cores (MLC v3.5)
    "skylake_fdio": (80.5, 216.9, 56, [
        (281.66, 215.76), (121.90, 160.26), (101.34, 111.60), (95.47, 85.02), (93.99, 68.72),
        (92.13, 49.74), (90.90, 35.27), (90.17, 27.40), (89.61, 21.18), (90.64, 14.67),
    ]),
}  # fmt: skip
LINES_PER_CORE = 17
"""Concurrency of one core under MLC with prefetchers: 281.66 ns x 215.76 GB/s on 56 cores."""


@pytest.mark.parametrize("platform", HELD_BACK)
def test_held_back_curves_below_saturation(platform):
    """Parameters of the SOAR machine predict others' curves within 10 % below 95 % of the peak.

    Largest error 9.6 % (both FD.io machines, whose latency has a step of 7 ns at 5 % load, which no
    queue explains), rms 3 to 6 %. A client CPU (Alder Lake, DDR5) is missed by up to 25 % at 60 %
    load: its curve stays flat for longer.
    """
    idle_ns, peak, cores, points = HELD_BACK[platform]
    model = CostModel(one_node(round(idle_ns), peak, cores))
    errors = []
    for measured_ns, gb_per_s in points:
        if gb_per_s < 0.94 * peak:
            loaded = model.solve([], [Background(0, gb_per_s)]).loaded_latency_ns[0, 0]
            errors.append(loaded * idle_ns / round(idle_ns) / measured_ns - 1)
    assert np.max(np.abs(errors)) < 0.10
    assert np.sqrt(np.mean(np.square(errors))) < 0.07


@pytest.mark.parametrize("platform", ["cascade_lake_fdio", "cascade_lake_8269"])
def test_held_back_latency_at_saturation(platform):
    """At full load latency is what the closed loop makes it. 17 lines per core, read off the
    Skylake, predict the two others: 215 for 233 ns (-8 %) and 251 for 262 ns (-4 %)."""
    idle_ns, peak, cores, points = HELD_BACK[platform]
    model = CostModel(one_node(round(idle_ns), peak, cores))
    flow = reading(1, parallelism=LINES_PER_CORE)
    solution = model.solve([Demand(0, cores, 0.0, (flow,))])
    assert solution.loaded_latency_ns[0, 0] == pytest.approx(points[0][0], rel=0.10)
    assert achieved(solution) == pytest.approx(points[0][1], rel=0.01)
