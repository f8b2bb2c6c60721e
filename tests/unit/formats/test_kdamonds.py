"""Kdamonds files: everything damo reads is read, nothing is lost, every mistake has its place."""

import copy
import json
from pathlib import Path

import pytest

from numasim.damon.spec import UINT_MAX, ULONG_MAX, Dest, IntervalsGoal, SampleFilter
from numasim.errors import ConfigError
from numasim.formats import kdamonds

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
FILES = sorted(SAMPLES.glob("*.kdamonds.*"))
MINIMAL = json.loads((SAMPLES / "minimal.kdamonds.json").read_text())


def minimal(**scheme):
    """The minimal file with other keys in its scheme."""
    tree = copy.deepcopy(MINIMAL)
    tree["kdamonds"][0]["contexts"][0]["schemes"][0].update(scheme)
    return tree


def scheme_of(tree):
    return kdamonds.from_raw(tree).kdamonds[0].contexts[0].schemes[0]


def quotas(**more):
    weights = {"sz_permil": 0, "nr_accesses_permil": 0, "age_permil": 0}
    return {"time_ms": 0, "sz_bytes": 0, "reset_interval_ms": "1 s", "weights": weights, **more}


def goal(**more):
    return {
        "metric": "node_mem_used_bp",
        "target_value": 9970,
        "current_value": 0,
        "nid": 0,
        **more,
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_written_files_do_not_change_any_more(path, kind):
    read = kdamonds.read(path)
    assert read.warnings == ()
    written = kdamonds.dumps(read.tree, kind)
    again = kdamonds.loads(written, kind)
    assert again == read
    assert kdamonds.dumps(again.tree, kind) == written


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_descriptions_written_come_back(path):
    read = kdamonds.read(path).kdamonds
    assert kdamonds.loads(kdamonds.dumps(read)).kdamonds == read


def test_there_are_samples():
    assert len(FILES) == 8


def test_json_and_yaml_carry_the_same_tree():
    for name in ("tpp_two_context", "weighted_dests"):
        of_json = kdamonds.read(SAMPLES / f"{name}.kdamonds.json")
        assert kdamonds.read(SAMPLES / f"{name}.kdamonds.yaml") == of_json


def test_files_on_disk(tmp_path):
    read = kdamonds.read(SAMPLES / "minimal.kdamonds.json")
    for name in ("a.yaml", "a.json"):
        kdamonds.write(tmp_path / name, read.kdamonds)
        assert kdamonds.read(tmp_path / name).kdamonds == read.kdamonds
    with pytest.raises(ConfigError, match="cannot be read"):
        kdamonds.read(tmp_path / "missing.yaml")


def test_tiering_recipe_in_kernel_units():
    demote, promote = kdamonds.read(SAMPLES / "tpp_two_context.kdamonds.yaml").kdamonds
    context, scheme = demote.contexts[0], demote.contexts[0].schemes[0]
    assert context.targets[0].regions[0] == (4096, 651264)
    assert context.attrs.intervals_goal == IntervalsGoal(400, 3, 5000, 10_000_000)
    assert (scheme.action, scheme.target_nid) == ("migrate_cold", 1)
    assert (scheme.pattern.min_nr_accesses, scheme.pattern.max_nr_accesses) == (0, 0)
    assert (scheme.pattern.max_age, scheme.pattern.max_sz) == (UINT_MAX, ULONG_MAX)
    assert (scheme.quota.ms, scheme.quota.sz) == (0, 200 << 20)
    assert scheme.quota.reset_interval_ms == 1000
    assert (scheme.quota.weight_sz, scheme.quota.weight_age) == (1, 1)
    assert scheme.quota.goals[0].target_value == 50
    assert scheme.apply_interval_us == 1_000_000
    other = promote.contexts[0].schemes[0]
    assert (other.pattern.min_nr_accesses, other.pattern.max_nr_accesses) == (1, UINT_MAX)
    assert (other.quota.goals[0].target_value, other.quota.goals[0].nid) == (9970, 0)
    assert (other.filters[0].type, other.filters[0].matching, other.filters[0].allow) == (
        "young", True, True,
    )  # fmt: skip


def test_capacity_expansion_in_kernel_units():
    demote, promote = kdamonds.read(SAMPLES / "hmsdk_cgroup.kdamonds.yaml").kdamonds
    attrs, scheme = demote.contexts[0].attrs, demote.contexts[0].schemes[0]
    assert (attrs.sample_us, attrs.aggr_us, attrs.ops_update_us) == (100_000, 2_000_000, 20_000_000)
    assert (attrs.min_nr_regions, attrs.max_nr_regions) == (100, 10_000)
    assert (scheme.pattern.min_sz, scheme.pattern.min_age) == (4096, 15)
    assert (scheme.quota.ms, scheme.quota.sz) == (1000, 50 << 30)
    assert (scheme.quota.weight_sz, scheme.quota.weight_nr_accesses) == (0, 0)
    assert scheme.quota.weight_age == 10
    memcg, young = scheme.filters
    assert (memcg.type, memcg.memcg_path, memcg.matching) == ("memcg", "/hmsdk", False)
    assert (young.type, young.matching, young.allow) == ("young", True, False)
    other = promote.contexts[0].schemes[0]
    assert (other.pattern.min_nr_accesses, other.pattern.max_nr_accesses) == (1, 20)
    assert other.quota.ms == 2000


def test_weighted_destinations_and_sample_control():
    scheme = kdamonds.read(SAMPLES / "weighted_dests.kdamonds.json").kdamonds[0].contexts[0].schemes
    assert scheme[0].dests == (Dest(0, 3), Dest(1, 1)) and scheme[0].target_nid == -1
    context = kdamonds.read(SAMPLES / "sample_control_and_probe.kdamonds.json").kdamonds[0].contexts
    control = context[0].sample_control
    assert (control.page_table, control.page_fault) == (False, True)
    assert control.filters == (
        SampleFilter("write", True, True),
        SampleFilter("cpumask", True, True, cpumask="0-4"),
        SampleFilter("threads", True, True, threads=(101, 102)),
    )
    assert context[0].probes[0].filters[0].type == "anon" and context[0].probes[0].weight == 1


def test_sizes_are_read_as_damo_wrote_them_and_written_exactly():
    bounds = {"sz_bytes": {"min": "1.150 GiB", "max": 1_300_000_001}}
    any_time = {"nr_accesses": {"min": 0, "max": "max"}, "age": {"min": 0, "max": "max"}}
    tree = minimal(access_pattern={**bounds, **any_time})
    assert scheme_of(tree).pattern.min_sz == 1_234_803_097
    assert scheme_of(tree).pattern.max_sz == 1_300_000_001
    assert '"max": "1300000001"' in kdamonds.dumps(kdamonds.from_raw(tree).tree)


@pytest.mark.parametrize(
    ("rate", "samples"),
    [("3 samples", 3), ("5 %", 1), ("5%", 1), (5, 1), ("9.9 %", 1), ("max", UINT_MAX),
     ("18,446,744,073,709,551,615 %", UINT_MAX), ("100 %", 20)],
)  # fmt: skip
def test_access_rates_become_samples_by_cutting_off(rate, samples):
    bounds = {"sz_bytes": {"min": 0, "max": "max"}, "age": {"min": 0, "max": "max"}}
    tree = minimal(access_pattern={**bounds, "nr_accesses": {"min": 0, "max": rate}})
    assert scheme_of(tree).pattern.max_nr_accesses == samples


@pytest.mark.parametrize(
    ("age", "intervals"),
    [("20 aggr_intervals", 20), ("30 s", 300), (250_000, 2), ("199 ms", 1), ("max", UINT_MAX)],
)
def test_ages_become_aggregation_intervals_by_cutting_off(age, intervals):
    bounds = {"sz_bytes": {"min": 0, "max": "max"}, "nr_accesses": {"min": 0, "max": 100}}
    tree = minimal(access_pattern={**bounds, "age": {"min": 0, "max": age}})
    assert scheme_of(tree).pattern.max_age == intervals


def test_old_names_status_and_bare_lists_are_read():
    old = {
        "metric": "node_mem_used_bp",
        "target_value_bp": "9,970",
        "current_value_bp": 0,
        "nid": "0",
    }
    young = {"filter_type": "young", "matching": "Y", "filter_pass": True}
    tree = minimal(quotas=quotas(goals=[old]), filters=[young], stats={"nr_tried": 1})
    tree["kdamonds"][0] |= {"state": "on", "pid": 1234}
    scheme = scheme_of(tree)
    assert scheme.quota.goals[0].target_value == 9970 and scheme.filters[0].allow
    assert kdamonds.from_raw(tree["kdamonds"]) == kdamonds.from_raw(tree)
    schemes = kdamonds.from_raw(tree["kdamonds"][0]["contexts"][0]["schemes"])
    assert schemes.kdamonds[0].contexts[0].schemes == (scheme,)
    assert "list of schemes" in schemes.warnings[0]
    with pytest.raises(ConfigError, match="list of schemes"):
        kdamonds.from_raw([{"action": "stat"}], strict=True)


@pytest.mark.parametrize(
    ("metric", "target", "value"),
    [("node_mem_used_bp", "0.29%", 29), ("node_mem_used_bp", "99.7 %", 9970),
     ("node_eligible_mem_bp", "50%", 5000), ("some_mem_psi_us", "10 ms", 10_000),
     ("user_input", "1,000", 1000)],
)  # fmt: skip
def test_goal_targets(metric, target, value):
    found = scheme_of(minimal(quotas=quotas(goals=[goal(metric=metric, target_value=target)])))
    assert (found.quota.goals[0].target_value, found.quota.goals[0].nid) == (value, 0)


def test_every_mistake_at_once_with_its_line():
    text = """\
kdamonds:
- contexts:
  - ops: padr
    targets:
    - {pid: null, regions: [{start: 4k, end: 10}, {start: 8, end: 0x10}]}
    intervals: {sample_us: 5 ms, aggr_us: 1 ms, ops_update_us: 1 s}
    schemes:
    - action: migrate_hott
      quotas:
        time_ms: 0
        sz_bytes: 200 MB
        reset_intervall_ms: 1 s
        weights: {sz_permil: 0, nr_accesses_permil: , age_permil: ten}
        goal_tuner: tempural
"""
    with pytest.raises(ConfigError) as error:
        kdamonds.loads(text, "yaml", source="my.yaml")
    told = {p.place: f"{p.message}; {p.hint}" for p in error.value.problems}
    context = "kdamonds[0].contexts[0]"
    quota = f"{context}.schemes[0].quotas"
    assert 'did you mean "paddr"' in told[f"{context}.ops (line 3)"]
    assert 'did you mean "4K"' in told[f"{context}.targets[0].regions[0].start (line 5)"]
    assert "longer than" in told[f"{context}.intervals.sample_us (line 6)"]
    assert 'did you mean "migrate_hot"' in told[f"{context}.schemes[0].action (line 8)"]
    assert 'did you mean "reset_interval_ms"' in told[f"{quota}.reset_intervall_ms (line 12)"]
    assert '"reset_interval_ms" is missing' in told[f"{quota} (line 9)"]
    assert "expected a value" in told[f"{quota}.weights.nr_accesses_permil (line 13)"]
    assert "expected a share" in told[f"{quota}.weights.age_permil (line 13)"]
    assert 'did you mean "temporal"' in told[f"{quota}.goal_tuner (line 14)"]
    assert str(error.value).startswith("my.yaml\n")


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("{", "json", "line 1: this is no JSON"),
        ('{"kdamonds": [], "kdamonds": []}', "json", "kdamonds: key is given twice"),
        ("a: [", "yaml", "this is no YAML"),
        ("kdamonds: []\nkdamonds: []", "yaml", "line 2: this is no YAML"),
        ("5", "yaml", "expected the keys kdamonds"),
        ("", "yaml", "expected the keys kdamonds"),
        ("kdamonds: 5", "yaml", "expected a list"),
        ("- 5", "yaml", "schemes[0] (line 1): got 5, expected the keys action"),
        ("kdamonds: [{contexts: [], x: 1}]", "yaml", "kdamonds[0].x (line 1): unknown key"),
        ("{kdamonds: [{}]}", "yaml", 'key "contexts" is missing'),
    ],
)
def test_what_is_no_such_file(text, kind, told):
    with pytest.raises(ConfigError) as error:
        kdamonds.loads(text, kind)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"quotas": quotas(goals=[goal(nid=None)])}, "needs a node id"),
        ({"quotas": quotas(goals=[goal(metric="node_memcg_used_bp")])}, "memory cgroup"),
        ({"quotas": quotas(goals=[goal(target_value="x")])}, "target_value: got"),
        ({"filters": [{"filter_type": "memcg", "matching": True}]}, 'needs "memcg_path"'),
        ({"filters": [{"filter_type": "file", "matching": True}]}, "expected a kind of DAMOS"),
        ({"filters": [{"filter_type": "hugepage_size", "matching": True, "hugepage_size": [1]}]},
         "expected a minimum and a maximum"),
        ({"target_nid": "fast"}, "expected a node id"),
        ({"access_pattern": {"sz_bytes": {"min": 2, "max": 1}}}, "is above the maximum"),
        ({"dests": [{"id": 0}]}, 'key "weight" is missing'),
    ],
)  # fmt: skip
def test_what_the_kernel_would_refuse(change, told):
    with pytest.raises(ConfigError) as error:
        kdamonds.from_raw(minimal(**change))
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ops": "vaddr"}, "needs the pid"),
        ({"ops": "vaddr", "addr_unit": 2, "targets": []}, "address unit"),
        ({"nr_regions": {"min": 2, "max": 10}}, "at least 3"),
        ({"nr_regions": {"min": 20, "max": 10}}, "above the maximum"),
        ({"targets": [{"pid": None, "regions": [{"start": 5, "end": 5}]}]}, "is empty"),
        ({"targets": [{"pid": None, "regions": [{"start": 5, "end": 9}, {"start": 8, "end": 12}]}]},
         "ascending"),
        ({"intervals": {"sample_us": 5000, "aggr_us": 100000, "ops_update_us": 0, "intervals_goal":
          {"access_bp": 400, "aggrs": 3, "min_sample_us": "10 ms", "max_sample_us": "1 s"}}},
         "outside of the goal's"),
    ],
)  # fmt: skip
def test_what_a_context_may_not_be(change, told):
    tree = minimal()
    tree["kdamonds"][0]["contexts"][0].update(change)
    with pytest.raises(ConfigError) as error:
        kdamonds.from_raw(tree)
    assert told in str(error.value)


def test_surprises_are_warned_about():
    tree = minimal(
        target_nid=None,
        apply_interval_us="1500 ns",
        quotas=quotas(goals=[goal(target_value="0.05"), goal(target_value="0.005%")]),
    )
    context = tree["kdamonds"][0]["contexts"][0]
    context["targets"][0]["pid"] = 5
    tree["kdamonds"][0]["contexts"].append(copy.deepcopy(context))
    told = "\n".join(kdamonds.from_raw(tree).warnings)
    for part in ("no destination", "is cut to 1 us", "0.05 basis points", "whose target is 0",
                 "rounded to 1/10000", "pid is dropped", "one context per kdamond"):  # fmt: skip
        assert part in told


def test_raw_output_is_read_as_it_was_meant():
    weights = {"sz_permil": "1.000000", "nr_accesses_permil": "1.000000", "age_permil": "0.000000"}
    raw = {"time_ms": "1500000000", "sz_bytes": "12345678", "reset_interval_ms": "1000000000"}
    any_size = {"sz_bytes": {"min": "0", "max": "18446744073709551615"}}
    rates = {"nr_accesses": {"min": "7 %", "max": "18446744073709551615 %"}}
    ages = {"age": {"min": "30000000000", "max": "18446744073709551615000"}}
    tree = minimal(
        quotas={**raw, "weights": weights},
        access_pattern={**any_size, **rates, **ages},
        apply_interval_us="2000000",
    )
    before = copy.deepcopy(tree)
    parsed = kdamonds.from_raw(tree)
    assert tree == before
    scheme = parsed.kdamonds[0].contexts[0].schemes[0]
    assert (scheme.quota.ms, scheme.quota.sz) == (1500, 12_345_678)
    assert (scheme.quota.reset_interval_ms, scheme.quota.weight_sz) == (1000, 1)
    assert (scheme.pattern.min_age, scheme.pattern.max_age) == (300, UINT_MAX)
    assert scheme.apply_interval_us == 2_000_000
    assert "--raw" in parsed.warnings[0]
