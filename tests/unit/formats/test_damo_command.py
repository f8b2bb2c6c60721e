"""Kdamonds → damo command → the same kdamonds, for anything an option can say."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numasim.damon import spec
from numasim.errors import ConfigError
from numasim.formats import kdamonds
from numasim.formats.damo_args import parse
from numasim.formats.damo_command import percent_of, to_damo_args

SAMPLES = Path(__file__).parents[2] / "data" / "samples"

ulong = st.integers(0, spec.ULONG_MAX) | st.sampled_from([0, spec.ULONG_MAX])
permil = st.integers(0, 1000)
bp = st.integers(1, 10_000)
small = st.integers(0, 5)
counts = st.integers(0, 40) | st.just(spec.UINT_MAX)
path = st.text("abc/._- é'\"", min_size=1).map(lambda text: "/" + text)


@st.composite
def bounds(draw, values):
    return sorted([draw(values), draw(values)])


@st.composite
def attrs(draw):
    sample_us = draw(st.integers(1, 10**6))
    goal = spec.IntervalsGoal()
    if draw(st.booleans()):
        low, high = draw(st.integers(0, sample_us)), draw(st.integers(sample_us, 10**8))
        goal = spec.IntervalsGoal(draw(st.integers(0, 10_000)), draw(st.integers(1, 9)), low, high)
    low, high = draw(bounds(st.integers(3, 10**5)))
    aggr_us = sample_us * draw(st.integers(1, 300)) + draw(st.integers(0, 3))
    return spec.Attrs(sample_us, aggr_us, draw(ulong), low, high, goal)


@st.composite
def goals(draw, physical):
    physical_only = () if physical else spec.ELIGIBLE_METRICS
    metrics = [metric for metric in spec.GOAL_METRICS if metric not in physical_only]
    metric = draw(st.sampled_from(metrics))
    return spec.QuotaGoal(
        metric=metric,
        target_value=draw(bp if metric.endswith("_bp") else st.integers(1, spec.ULONG_MAX)),
        current_value=draw(ulong) if metric == "user_input" else 0,
        nid=draw(small) if metric.startswith("node_") else None,
        memcg_path=draw(path) if "memcg" in metric else None,
        complement=draw(st.booleans()),
    )


@st.composite
def filters(draw):
    kind = draw(st.sampled_from([*spec.OPS_FILTERS, *spec.CORE_FILTERS, "probe_hits_wsum"]))
    names = {"addr": ("start", "end"), "hugepage_size": ("min_sz", "max_sz")}
    names["probe_hits_wsum"] = ("min_hits", "max_hits")
    args = dict(zip(names.get(kind, ()), draw(bounds(ulong)), strict=False))
    if kind == "memcg":
        args = {"memcg_path": draw(path)}
    elif kind == "target":
        args = {"target_idx": draw(small)}
    return spec.Filter(kind, draw(st.booleans()), draw(st.booleans()), **args)


@st.composite
def schemes(draw, physical):
    action = draw(st.sampled_from(spec.ACTIONS))
    where = {}
    if action.startswith("migrate_"):
        dests = st.lists(st.builds(spec.Dest, small, ulong), min_size=1, max_size=3)
        where = draw(
            st.fixed_dictionaries({"target_nid": small})
            | st.fixed_dictionaries({"dests": dests.map(tuple)})
        )
    sizes, rates, ages = draw(bounds(ulong)), draw(bounds(counts)), draw(bounds(counts))
    quota = spec.Quota(
        *draw(st.tuples(ulong, ulong, ulong)),
        goals=tuple(draw(st.lists(goals(physical), max_size=2))),
        goal_tuner=draw(st.sampled_from(spec.TUNERS)),
        weight_sz=draw(permil),
        weight_nr_accesses=draw(permil),
        weight_age=draw(permil),
        fail_charge_num=draw(small),
        fail_charge_denom=draw(small),
    )
    return spec.Scheme(
        action,
        spec.AccessPattern(*sizes, *rates, *ages),
        apply_interval_us=draw(ulong),
        quota=draw(st.just(quota) | st.just(spec.Quota())),
        wmarks=spec.Watermarks(
            "free_mem_rate", draw(ulong), *draw(st.tuples(permil, permil, permil))
        )
        if draw(st.booleans())
        else spec.Watermarks(),
        filters=tuple(draw(st.lists(filters(), max_size=2))),
        max_nr_snapshots=draw(small),
        **where,
    )


@st.composite
def sample_controls(draw):
    found = []
    for kind in draw(st.lists(st.sampled_from(["write", "cpumask", "threads"]), max_size=3)):
        more = {"cpumask": {"cpumask": "0-4,8"}, "threads": {"threads": (7, 8)}}.get(kind, {})
        verdict = draw(st.sampled_from([(True, True), (True, True), (False, True), (True, False)]))
        found.append(spec.SampleFilter(kind, *verdict, **more))
    word = draw(st.sampled_from(["page_table", "page_fault", *spec.EXTENSIONS]))
    ours = word if word in spec.EXTENSIONS else ""
    return spec.SampleControl(word == "page_table", word == "page_fault", tuple(found), ours)


@st.composite
def probes(draw):
    some = st.sampled_from(
        [
            spec.ProbeFilter("anon", True, False),
            spec.ProbeFilter("memcg", False, True, path="/a b"),
            spec.ProbeFilter("hugepage_size", True, True, range_min=0, range_max=spec.ULONG_MAX),
        ]
    )
    preps = draw(st.sampled_from([(), ("set_pgidle",)]))
    return spec.Probe(tuple(draw(st.lists(some, max_size=2))), draw(small), preps)


@st.composite
def contexts(draw):
    ops = draw(st.sampled_from(spec.OPS))
    physical = ops == "paddr"
    targets = []
    for _ in range(draw(st.integers(1, 2))):
        cuts = sorted(draw(st.sets(st.integers(0, 2**50), max_size=6)))
        regions = tuple(zip(cuts[::2], cuts[1::2], strict=False))
        pid = None if physical else draw(st.integers(1, 10**6))
        targets.append(spec.Target(pid, regions, draw(st.booleans())))
    return spec.Context(
        ops=ops,
        targets=tuple(targets),
        attrs=draw(attrs() | st.just(spec.Attrs())),
        schemes=tuple(draw(st.lists(schemes(physical), max_size=3))),
        addr_unit=draw(st.sampled_from([1, 4096])) if physical else 1,
        pause=draw(st.booleans()),
        sample_control=draw(sample_controls()),
        probes=tuple(draw(st.lists(probes(), max_size=2))),
    )


kdamond = st.builds(
    spec.Kdamond, st.lists(contexts(), min_size=1, max_size=2).map(tuple), st.integers(0, 10**6)
)
several = st.lists(kdamond, min_size=1, max_size=3).map(tuple)


@settings(deadline=None, max_examples=50)
@given(several)
def test_the_command_sets_up_the_same(asked):
    command = to_damo_args(asked)
    assert parse(command).kdamonds == asked


@settings(deadline=None, max_examples=50)
@given(several)
def test_files_carry_the_same(asked):
    for kind in ("json", "yaml"):
        text = kdamonds.dumps(asked, kind)
        read = kdamonds.loads(text, kind)
        assert read.kdamonds == asked
        assert kdamonds.dumps(read.tree, kind) == text


def test_a_goal_without_bound_is_written_as_max():
    goal = spec.QuotaGoal("some_mem_psi_us", spec.ULONG_MAX)
    scheme = spec.Scheme(quota=spec.Quota(reset_interval_ms=1000, goals=(goal,)))
    asked = (spec.Kdamond((spec.Context("paddr", (spec.Target(),), schemes=(scheme,)),)),)
    text = kdamonds.dumps(asked, "json")
    assert kdamonds.dumps(kdamonds.loads(text, "json").tree, "json") == text


@pytest.mark.parametrize("file", sorted(SAMPLES.glob("*.kdamonds.*")), ids=lambda file: file.name)
def test_samples_become_commands_without_a_warning(file):
    asked = kdamonds.read(file).kdamonds
    assert parse(to_damo_args(asked), strict=True).kdamonds == asked


def test_the_tiering_recipe():
    asked = kdamonds.read(SAMPLES / "tpp_two_context.kdamonds.json").kdamonds
    command = to_damo_args(asked, verb="tune")
    assert command.startswith("damo tune --regions '4096-651264 1048576-3221225472")
    for part in (
        "--damos_access_rate 5% max",
        "--damos_quotas 0ns 209715200 1s 0.1% 0.1% 0.1%",
        "--damos_quota_goal node_mem_used_bp 99.7% 0",
        "--damos_filter allow young --damos_nr_filters 1 1",
        "--nr_targets 1 1 --nr_schemes 1 1 --nr_ctxs 1 1",
    ):
        assert part in command


@given(st.integers(0, 10**6), st.integers(1, 10**7), st.integers(1, 10**4))
def test_percentages_are_cut_to_the_samples(samples, sample_us, per_aggr):
    found = spec.Attrs(sample_us=sample_us, aggr_us=sample_us * per_aggr)
    percent = percent_of(samples, found)
    assert int(float(percent[:-1]) * per_aggr / 100) == samples


def test_percentages_are_short():
    of_twenty = spec.Attrs()
    assert [percent_of(n, of_twenty) for n in (0, 1, 7, 20)] == ["0%", "5%", "35%", "100%"]
    assert percent_of(1, replace(of_twenty, aggr_us=35_000)) == "15%"
    assert percent_of(spec.UINT_MAX, of_twenty) == "max"


def test_what_no_option_says():
    scheme = spec.Scheme(
        "stat", target_nid=1, quota=spec.Quota(goals=(spec.QuotaGoal("active_mem_bp", 5, 5),))
    )
    both = spec.Scheme("migrate_hot", target_nid=1, dests=(spec.Dest(0, 1),))
    context = spec.Context(schemes=(scheme, both), sample_control=spec.SampleControl(True, True))
    with pytest.raises(ConfigError) as error:
        to_damo_args([spec.Kdamond(), spec.Kdamond((context,))])
    told = str(error.value)
    for part in ("without contexts", "without targets", "one sampling primitive", "migrations only",
                 "not both", "current value of active_mem_bp"):  # fmt: skip
        assert part in told
    with pytest.raises(ConfigError, match="no kdamond"):
        to_damo_args([])
