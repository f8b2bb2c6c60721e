"""masim configurations as workloads: what is touched, how fast, and the generator of tests."""

from pathlib import Path

import pytest

from numasim import loader
from numasim.documents import warnings_of
from numasim.errors import ConfigError
from numasim.formats import masim
from numasim.running import run
from numasim.workload import Workload

STAIRS = "stairs_30secs.cfg"
SAMPLES = Path(__file__).parents[2] / "data" / "samples"

REGIONS = "small, 1048576\nlarge, 104857601\n"


def config(*patterns, ms=100):
    return masim.loads(f"{REGIONS}\np\n{ms}\n" + "".join(f"{p}\n" for p in patterns))


def process(*patterns, **options):
    return masim.to_workload(config(*patterns), "w", **options)["processes"][0]


def access(*patterns, **options):
    """The patterns of the one phase, as a workload has them."""
    return process(*patterns, **options)["actors"][0]["phases"][0]["access"]


def test_every_region_is_a_mapping_of_whole_pages_by_name():
    found = {m["name"]: m for m in process("large, 0, 4096, 1")["mappings"]}
    assert list(found) == ["[text]", "small", "large", "[stack]"]
    assert found["large"]["size"] == f"{25601 * 4096} B"
    assert not found["large"]["populate"]


def test_regions_are_allocated_downwards_with_text_below_and_stack_above():
    found = {m["name"]: m["address"] for m in process("large, 0, 4096, 1")["mappings"]}
    assert found["[text]"] < found["large"] < found["small"] < found["[stack]"]
    # the allocator's header takes one page between two regions
    assert found["small"] - found["large"] == 25602 * 4096


def test_huge_pages():
    made = masim.to_workload(config("small, 1, 1, 1"), "w", page_bytes=2 << 20)
    mappings = {m.name: m for m in Workload.from_dict(made).processes[0].mappings}
    assert mappings["large"].size == 102 << 20
    assert mappings["large"].order == 9


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("masim_*.cfg")), ids=lambda path: path.stem)
def test_samples_are_workloads(path):
    made = loader.load_workload(str(path))
    assert made.name == path.stem
    assert made.pid(0) == masim.PID
    assert [p.burst for p in made.processes[0].actors[0].phases] == [131_072] * len(
        made.processes[0].actors[0].phases
    )


def test_weights_are_chances_and_zero_is_never_drawn():
    phase = process("small, 1, 1, 3", "large, 1, 1, 0", "large, 1, 1, 1")["actors"][0]["phases"][0]
    assert phase["chances"] == [0.75, 0.25]
    assert [a["mapping"] for a in phase["access"]] == ["small", "large"]


def test_a_phase_of_zeros_idles():
    idle = masim.to_workload(config("small, 1, 1, 0", ms=1000), "w")
    result = run("dram_cxl", idle, duration="1 s")
    assert masim.accesses_per_ms(result).accesses_per_ms.tolist() == [0.0]


@pytest.mark.parametrize(
    ("stride", "visits", "lines"),
    [(8, 8 / 4096, 1 / 8), (64, 1 / 64, 1), (1024, 1 / 4, 1), (4096, 1, 1), (16384, 1, 1)],
)
def test_pages_turned_to_and_lines_used_follow_the_stride(stride, visits, lines):
    (found,) = access(f"large, 0, {stride}, 1")
    assert found["pattern"] == "sweep"
    assert found["visits"] == pytest.approx(visits)
    assert found["visits"] * found["lines"] == pytest.approx(lines)


def test_strides_within_a_huge_page_turn_to_it_once():
    (found,) = access("large, 0, 4096, 1", page_bytes=2 << 20)
    assert found["visits"] == 1 / 512
    assert found["visits"] * found["lines"] == 1
    assert "last" not in found


def test_a_stride_above_a_page_touches_part_of_the_region():
    (found,) = access("large, 0, 16384, 1")
    assert found["last"] == 0.25


def test_a_stride_beyond_the_region_stays_on_its_first_page():
    (found,) = access("small, 0, 99999999, 1")
    assert found["last"] * (1 << 20) == 4096


@pytest.mark.parametrize(
    ("pattern", "miss"),
    [
        ("small, 0, 4096, 1", 0),
        ("large, 0, 4096, 1", 1),
        ("small, 1, 1, 1", 0),
        ("large, 1, 1, 1", 1 - 32 / 100),
    ],
)
def test_regions_beyond_the_cache_miss(pattern, miss):
    (found,) = access(pattern)
    assert found["miss"] == pytest.approx(miss, abs=1e-6)


def test_the_cache_is_an_option():
    (found,) = access("small, 0, 4096, 1", llc_bytes=1 << 19)
    assert found["miss"] == 1


@pytest.mark.parametrize(("mode", "write"), [("ro", 0), ("wo", 1), ("rw", 1)])
def test_modes(mode, write):
    (found,) = access(f"small, 0, 64, 1, {mode}")
    assert found["write"] == write


def test_the_process_ends_with_its_last_phase():
    assert process("small, 1, 1, 1")["stop"] == "100 ms"
    again = process("small, 1, 1, 1", repeat=3)
    assert again["stop"] == "300 ms"
    assert again["actors"][0]["repeat"]


def test_accesses_per_ms_are_those_of_the_machine_masim_was_measured_on():
    result = run("dram_cxl", str(SAMPLES / "masim_stairs_small.cfg"), duration="6 s")
    found = masim.accesses_per_ms(result)
    assert found.phase.tolist() == ["initial phase", "phase 0", "phase 1", "phase 2", "phase 3"]
    assert found.ms.tolist() == pytest.approx([1000] * 5, abs=1)
    assert found.accesses_per_ms.between(72_000, 87_000).all()


def test_slow_memory_makes_fewer_accesses():
    made = masim.to_workload(config("large, 0, 4096, 1", ms=1000), "w")
    far = {"mode": "bind", "nodes": ["cxl0"]}
    for mapping in made["processes"][0]["mappings"]:
        mapping["policy"] = far
    result = run("dram_cxl", made, duration="1 s", record="500 ms")
    found = masim.accesses_per_ms(result).accesses_per_ms[0]
    loaded_ns = result.nodes.query("node == 'cxl0' and t_s == 0.5").loaded_latency_ns.item()
    assert loaded_ns > 271
    first_touch = 25601 * 700e-9
    # 5 ns of work, and misses of which sixteen overlap; writing back waits a little longer
    assert found == pytest.approx((1 - first_touch) * 1e6 / (5 + loaded_ns / 16), rel=0.03)


def test_shipped_configurations_are_found_by_file_name():
    made = loader.load_workload(STAIRS)
    assert made.name == "stairs_30secs"
    assert [m.size for m in made.processes[0].mappings[1:-1]] == [10 << 20] * 10


def test_unknown_configurations_are_refused():
    with pytest.raises(ConfigError, match="cannot be read"):
        loader.load_workload("nowhere.cfg")


def test_tiering_tests_permute_the_weights():
    made = masim.tiering_test(4, 6, 1 << 20, 500, seed=1)
    assert [r.nr_bytes for r in made.regions] == [1 << 20] * 4
    for phase in made.phases:
        assert phase.duration_ms == 500
        assert sorted(a.weight for a in phase.accesses) == [0, 1, 2, 3]
        assert all(a.random and a.stride == 4096 and a.mode == "wo" for a in phase.accesses)
    assert len({tuple(a.weight for a in p.accesses) for p in made.phases}) > 1
    assert masim.loads(masim.dumps(made)) == made


def test_tiering_tests_follow_their_seed():
    one, again, other = (masim.tiering_test(8, 4, 4096, 1, seed=s) for s in (1, 1, 2))
    assert one == again
    assert one != other


def test_tiering_tests_need_something_to_do():
    with pytest.raises(ConfigError) as caught:
        masim.tiering_test(1, 0, 0, 0, seed=1)
    assert len(caught.value.problems) == 4


def test_what_masim_would_stumble_over_reaches_the_scenario(tmp_path):
    path = tmp_path / "odd.cfg"
    path.write_text("a, 8K\n\np\n100\na, 1, 64, 1")
    scenario = loader.load_scenario(
        {"topology": "dram_cxl", "workload": str(path), "duration": "1 s"}
    )
    assert [warning.split(":")[0] for warning in scenario.warnings] == ["line 5", "line 1"]
    assert set(scenario.warnings) <= set(warnings_of(scenario))
