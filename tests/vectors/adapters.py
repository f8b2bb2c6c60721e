"""One small function for each category of vectors: call production code, shape its answer.

An adapter gets a vector's input and expected output, and returns what production gives for every
key that is expected. It computes nothing itself.
"""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from numasim.balancing.periods import Locality, adapted_period, scan_max, scan_min, scan_windows
from numasim.balancing.promotion import Promotion
from numasim.balancing.tunables import Tunables
from numasim.damon.attrs import attrs_problems, convert_results, intervals_score
from numasim.damon.feedback import feed
from numasim.damon.filters import FilterSet, addr_condition, core_verdict
from numasim.damon.goals import GoalState, measure
from numasim.damon.merging import merge_pass, merge_regions
from numasim.damon.ops import OpsRegistry, choose_dests, three_regions
from numasim.damon.quota import QuotaState, compute_esz
from numasim.damon.ranges import set_regions
from numasim.damon.regions import (
    Regions,
    apply_min_nr_regions,
    left_window_bp,
    mvsum,
    raw_size_limit,
    reset_aggregated,
    split_at,
)
from numasim.damon.schemes import SchemeState
from numasim.damon.scores import scores
from numasim.damon.spec import (
    Attrs,
    Context,
    Dest,
    Filter,
    IntervalsGoal,
    Quota,
    QuotaGoal,
    Scheme,
    Target,
    Watermarks,
)
from numasim.damon.splitting import Draws, Shared, rand_range, split_all, split_regions
from numasim.errors import ConfigError
from numasim.watermarks import zone_watermarks
from tests.vectors import runs
from tests.vectors.runs import cycled
from tests.vectors.stand import Metrics, access_pattern, attrs_of, context, filter_of

Json = dict[str, Any]
ADAPTERS: dict[str, Callable[[Json, Json], Json]] = {
    "loop": runs.loop,
    "loop_multi": runs.loop_multi,
    "apply_passes": runs.apply_passes,
    "skip_charged": runs.skip_charged,
    "intervals_seq": runs.intervals_seq,
    "quota_min_score": runs.quota_min_score,
}


def adapter(function: Callable[[Json, Json], Json]) -> Callable[[Json, Json], Json]:
    """Register a function under its name, less the underscore that keeps it off its subject."""
    ADAPTERS[function.__name__.rstrip("_")] = function
    return function


def only(expected: Json, got: Json) -> Json:
    """What is asked for; a key that production does not know is an error."""
    return {key: got[key] for key in expected}


def bounds(regions: Regions) -> list[list[int]]:
    return [list(row[:2]) for row in regions.rows()]


def rows(regions: Regions) -> list[list[int]]:
    return [list(row) for row in regions.rows()]


# counters and scores


@adapter
def mvsum_(given: Json, expected: Json) -> Json:
    left = max(given["next_aggr_sis"] - given["passed_sis"], 0)
    bp = left_window_bp(left, given["sample_us"], given["aggr_us"])
    got = mvsum(np.array([given["nr_accesses"]]), np.array([given["last_nr_accesses"]]), bp)
    return {"mvsum": int(got[0])}


@adapter
def mvsum_core(given: Json, expected: Json) -> Json:
    current, last = np.array([given["current"]]), np.array([given["last"]])
    return {"mvsum": int(mvsum(current, last, given["left_window_bp"])[0])}


@adapter
def priority_score(given: Json, expected: Json) -> Json:
    attrs = Attrs(given["sample_us"], given["aggr_us"])
    quota = Quota(
        weight_sz=given["weight_sz"],
        weight_nr_accesses=given["weight_nr_accesses"],
        weight_age=given["weight_age"],
    )
    left = max(given["next_aggr_sis"] - given["passed_sis"], 0)
    bp = left_window_bp(left, attrs.sample_us, attrs.aggr_us)
    sums = mvsum(np.array([given["nr_accesses"]]), np.array([given["last_nr_accesses"]]), bp)
    age = np.array([given["age"]])
    return {kind: int(scores(kind, sums, age, attrs, quota)[0]) for kind in ("hot", "cold")}


@adapter
def reset_aggregated_(given: Json, expected: Json) -> Json:
    targets = [Regions(target) for target in given["targets"]]
    old = [r.nr_accesses.tolist() for r in targets]
    reset_aggregated(targets)
    return {
        "nr_accesses_all_zero": not any(r.nr_accesses.any() for r in targets),
        "regions_per_target": [len(r) for r in targets],
        "last_nr_accesses_equals_old": [r.last_nr_accesses.tolist() for r in targets] == old,
    }


# feedback and intervals


@adapter
def feed_loop(given: Json, expected: Json) -> Json:
    return {"next_input": feed(given["last_input"], given["score"])}


@adapter
def feed_loop_seq(given: Json, expected: Json) -> Json:
    inputs = []
    last = given["initial_input"]
    for score in given["scores"]:
        last = feed(last, score)
        inputs.append(last)
    return {"inputs": inputs}


@adapter
def feed_loop_relation(given: Json, expected: Json) -> Json:
    """The expectation is a sentence; it is given back if it is true."""
    signs = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}
    words = {"greater": operator.gt, "larger": operator.gt, "less": operator.lt}
    words |= {"smaller": operator.lt, "equal": operator.eq}
    last = given["last_input"]
    ((key, sentence),) = expected.items()
    if key == "relation":
        match = re.fullmatch(r"next\((\d+)\)\s*(\S+)\s*next\((\d+)\)", sentence)
        assert match, sentence
        true = signs[match[2]](feed(last, int(match[1])), feed(last, int(match[3])))
    else:
        match = re.fullmatch(r"(\w+) (?:than|to) (\d+)", sentence)
        assert match, sentence
        true = words[match[1]](feed(last, given["score"]), int(match[2]))
    return {key: sentence if true else f"not {sentence}"}


@adapter
def intervals_score_(given: Json, expected: Json) -> Json:
    cursor, table = 0, []
    for size, nr in given["regions_size_nracc"]:
        table.append((cursor, cursor + size, nr))
        cursor += size
    got = intervals_score([Regions(table)], given["aggr_samples"], given["access_bp"])
    return {"score_bp": got.score_bp, "adaptation_bp": got.adaptation_bp}


@adapter
def set_attrs(given: Json, expected: Json) -> Json:
    goal = IntervalsGoal(**(given.get("intervals_goal") or {}))
    attrs = Attrs(
        given["sample_us"],
        given["aggr_us"],
        min_nr_regions=given["min"],
        max_nr_regions=given["max"],
        intervals_goal=goal,
    )
    return {"ok": not attrs_problems(attrs)}


@adapter
def convert_results_(given: Json, expected: Json) -> Json:
    regions = Regions([(0, 4096, given["nr_accesses"], given["last_nr_accesses"], given["age"])])
    old = Attrs(given["old_sample_us"], given["old_aggr_us"])
    new = Attrs(given["new_sample_us"], given["new_aggr_us"])
    convert_results([regions], old, new, given["mid_aggregation"])
    _, _, nr, last, age = regions.rows()[0]
    return {"nr_accesses": nr, "last_nr_accesses": last, "age": age}


@adapter
def convert_results_chain(given: Json, expected: Json) -> Json:
    start = given["start"]
    regions = Regions(
        [(0, 4096, start["nr_accesses"], start.get("last_nr_accesses", 0), start["age"])]
    )
    old = Attrs(given["old_sample_us"], given["old_aggr_us"])
    got: Json = {"nr_accesses": [], "last_nr_accesses": [], "age": []}
    for sample_us, aggr_us in given["new"]:
        convert_results([regions], old, Attrs(sample_us, aggr_us), given["mid_aggregation"])
        for name, values in got.items():
            values.append(int(getattr(regions, name)[0]))
    return only(expected, got)


# regions


@adapter
def region_new(given: Json, expected: Json) -> Json:
    start, end, nr, last, age = Regions([(given["start"], given["end"])]).rows()[0]
    got = {"start": start, "end": end, "nr_accesses": nr, "last_nr_accesses": last, "age": age}
    return only(expected, got)


@adapter
def target_count(given: Json, expected: Json) -> Json:
    regions, counts = Regions(), []
    for step in given["ops"]:
        if step == "new":
            regions = Regions()
        elif step == "add region":
            start = len(regions) * 4096
            regions.assign([*regions.rows(), (start, start + 4096)])
        elif step == "destroy region":
            regions.take(np.arange(len(regions) - 1))
        else:
            raise AssertionError(step)
        counts.append(len(regions))
    return {"nr_regions": counts}


@adapter
def last_region(given: Json, expected: Json) -> Json:
    regions, last = Regions(), []
    for start, end in given["regions"]:
        regions.assign([*regions.rows(), (start, end)])
        regions.check()
        last.append(regions.rows()[-1][:2] == (start, end))
    return {"each_is_last_when_appended": all(last)}


@adapter
def split_at_(given: Json, expected: Json) -> Json:
    counters = (given["nr_accesses"], given["last_nr_accesses"], given["age"])
    regions = Regions([(*given["region"], *counters)])
    split_at(regions, 0, given["left_size"])
    return {"regions": rows(regions)}


@adapter
def merge_two(given: Json, expected: Json) -> Json:
    regions = Regions([given["left"], given["right"]])
    merge_pass(regions, threshold=2**32, sz_limit=2**62, count_age=False)
    return {"merged": rows(regions)[0]}


@adapter
def merge_pass_(given: Json, expected: Json) -> Json:
    regions = Regions(given.get("regions") or given["regions_start_end_nr"])
    merge_pass(regions, given["threshold"], given["size_limit"], given["count_age"])
    return only(expected, {"regions": rows(regions), "regions_start_end": bounds(regions)})


@adapter
def merge_loop(given: Json, expected: Json) -> Json:
    regions = Regions(given["regions"])
    most = given["aggr_us"] // given["sample_us"]
    merge_regions([regions], given["threshold"], given["size_limit"], most, given["max_nr_regions"])
    return {"regions": rows(regions)}


@adapter
def split_all_(given: Json, expected: Json) -> Json:
    regions, draws = Regions(given["regions"]), cycled(given["draws_1_to_9"])
    split_all(regions, given["nr_subs"], draws, given["min_region_sz"])
    return {"draws_used": draws.used, "regions": rows(regions)}


@adapter
def split_all_bound(given: Json, expected: Json) -> Json:
    most = 0
    for seed in range(20):
        regions = Regions(given["regions"])
        draws = Draws.of(np.random.default_rng(seed))
        split_all(regions, given["nr_subs"], draws, given["min_region_sz"])
        most = max(most, len(regions))
    limit = expected["nr_regions_at_most"]
    return {"nr_regions_at_most": limit if most <= limit else most}


def _row_of_regions(count: int, size: int, nr: tuple[int, int] = (0, 0)) -> Regions:
    return Regions([(i * size, (i + 1) * size, nr[i % 2]) for i in range(count)])


@adapter
def split_decision(given: Json, expected: Json) -> Json:
    regions = _row_of_regions(given["nr_regions"], given["region_size"])
    shared = Shared(given["nr_regions_at_previous_call"], given["rotation_before"])
    split_regions(
        [regions],
        shared,
        cycled([given["every_draw"]]),
        given["min_region_sz"],
        given["max_nr_regions"],
    )
    listed = bounds(regions) if expected["regions"] is not None else None
    return {"nr_regions_after": len(regions), "regions": listed}


@adapter
def split_progress(given: Json, expected: Json) -> Json:
    nr = (given["nr_accesses_even_index"], given["nr_accesses_odd_index"])
    regions = _row_of_regions(given["nr_regions"], given["region_size"], nr)
    draws = Draws.of(np.random.default_rng(0))
    split_regions([regions], Shared(), draws, given["min_region_sz"], given["max_nr_regions"])
    assert expected["after_greater_than"] < len(regions) <= expected["after_at_most"]
    return expected


@adapter
def apply_min_nr_regions_(given: Json, expected: Json) -> Json:
    regions = Regions(given["regions"] if "regions" in given else [given["region"]])
    least, size = given["min_nr_regions"], given["min_region_sz"]
    raw = raw_size_limit([regions], least, size)
    limit = apply_min_nr_regions([regions], least, size)
    got = {
        "raw_limit": raw,
        "limit": limit,
        "regions": bounds(regions),
        "nr_regions": len(regions),
    }
    return only(expected, got)


@adapter
def set_regions_(given: Json, expected: Json) -> Json:
    regions = Regions(given["regions"] if "regions" in given else given["regions_start_end"])
    ok = True
    try:
        set_regions(regions, [tuple(r) for r in given["ranges"]], given["min_region_sz"])
    except ValueError:
        ok = False
    got = {"ok": ok, "regions": rows(regions), "regions_start_end": bounds(regions)}
    return only(expected, got)


@adapter
def rand_range_(given: Json, expected: Json) -> Json:
    drawn = rand_range(np.random.default_rng(0), given["l"], given["r"], given["n"])
    assert drawn.min() >= expected["min_at_least"] and drawn.max() <= expected["max_at_most"]
    return expected


# quota


@adapter
def effective_quota(given: Json, expected: Json) -> Json:
    goal = given["goal"]
    goals = (QuotaGoal(goal["metric"], goal["target"], goal["current"]),) if goal else ()
    quota = QuotaState.of(
        Quota(ms=given["ms"], sz=given["sz"], goals=goals, goal_tuner=given["tuner"])
    )
    quota.total_charged_sz = given["total_charged_sz"]
    quota.total_charged_ns = given["total_charged_ns"]
    quota.esz_bp = given["esz_bp_before"]
    compute_esz(quota, given["min_region_sz"], lambda: None)
    return {"esz": quota.esz, "esz_bp": quota.esz_bp}


@adapter
def goal_tuning_seq(given: Json, expected: Json) -> Json:
    goals = tuple(QuotaGoal("user_input", target) for target in given["targets"])
    quota = QuotaState.of(Quota(sz=given["sz"], goals=goals, goal_tuner=given["tuner"]))
    esz = []
    for currents in given["currents"]:
        for goal, current in zip(quota.goals, currents, strict=True):
            goal.current_value = current
        compute_esz(quota, 4096, lambda: None)
        esz.append(quota.esz)
    return {"esz": esz}


@adapter
def goal_metric(given: Json, expected: Json) -> Json:
    goal = GoalState.of(
        QuotaGoal(given["metric"], given["target"], nid=given["nid"], memcg_path="/vector")
    )
    nodes = {int(nid): tuple(pages) for nid, pages in given["nodes_total_free_pages"].items()}
    inact_anon, act_anon, inact_file, act_file = given[
        "lru_pages_inact_anon_act_anon_inact_file_act_file"
    ]
    metrics = Metrics(
        nodes=nodes,
        memcg=given["memcg_lru_pages_on_node"] if given["memcg_exists"] else None,
        lru=(act_anon + act_file, inact_anon + inact_file),
    )
    measure(goal, metrics, lambda: None, temporal=False, esz=0)
    return {"current": goal.current_value, "score_bp": goal.score_bp}


@adapter
def charge(given: Json, expected: Json) -> Json:
    quota = QuotaState.of(
        Quota(fail_charge_num=given["fail_num"], fail_charge_denom=given["fail_denom"])
    )
    quota.charged_sz = given["charged_before"]
    quota.charge(given["region_size"], given["applied"])
    return {"charged": quota.charged_sz}


@adapter
def watermark_seq(given: Json, expected: Json) -> Json:
    marks = Watermarks(
        given["metric"], given["interval_us"], given["high"], given["mid"], given["low"]
    )
    scheme = SchemeState(Scheme(wmarks=marks))
    scheme.activated = given["initially_active"]
    got: Json = {"wait_us": [], "active": []}
    for free in given["free_pages"]:
        got["wait_us"].append(scheme.watermark_wait_us(given["total_pages"], free))
        got["active"].append(scheme.activated)
    return got


# filters


@adapter
def core_filter(given: Json, expected: Json) -> Json:
    listed = [filter_of(f) for f in given["filters"]]
    if given["has_ops_allow_filter"]:
        listed.append(Filter("anon", matching=True, allow=True))
    filters = FilterSet.of(listed)
    start, end = given["region"]
    verdict = core_verdict(filters, start, end, given["target_index"], given["min_region_sz"])
    edges = [start, *reversed(verdict.cuts), end]
    return {
        "filtered_out": verdict.out,
        "core_allowed": verdict.allowed,
        "core_default_reject": filters.core_default_reject,
        "ops_default_reject": filters.ops_default_reject,
        "regions": [list(pair) for pair in itertools.pairwise(edges)],
    }


@adapter
def addr_filter(given: Json, expected: Json) -> Json:
    one = filter_of(given["filter"])
    start, end = given["region"]
    condition, cut = addr_condition(one, start, end, given["min_region_sz"])
    pieces = [[start, end]] if cut is None else [[start, cut], [cut, end]]
    return {"matches": condition == one.matching, "regions": pieces}


@adapter
def default_reject(given: Json, expected: Json) -> Json:
    listed = [
        Filter(kind, matching=True, allow=word == "allow")
        for kind, key in (("addr", "core_filters"), ("anon", "ops_filters"))
        for word in given[key]
    ]
    filters = FilterSet.of(listed)
    return {
        "core_default_reject": filters.core_default_reject,
        "ops_default_reject": filters.ops_default_reject,
    }


@adapter
def filter_new(given: Json, expected: Json) -> Json:
    one = filter_of(given)
    return only(expected, {"type": one.type, "matching": one.matching, "allow": one.allow})


# operations


@adapter
def migrate_dest(given: Json, expected: Json) -> Json:
    pairs = zip(given["dest_node_ids"], given["weights"], strict=True)
    dests = [Dest(nid, weight) for nid, weight in pairs]
    addr = given["first_addr"] + given["step_bytes"] * np.arange(given["count"])
    chosen = choose_dests(
        dests, addr, given["vma_start"], given["vma_page_offset"], given["folio_order"]
    )
    stays = (-1, given["current_node_of_all"])
    return {"moved_to_node_or_null": [None if n in stays else n for n in chosen.tolist()]}


@adapter
def three_regions_(given: Json, expected: Json) -> Json:
    got = three_regions([tuple(vma) for vma in given["vmas"]])
    listed = [list(r) for r in got] if got is not None else expected.get("regions")
    return only(expected, {"ok": got is not None, "regions": listed})


@adapter
def zone_watermarks_(given: Json, expected: Json) -> Json:
    return zone_watermarks(**given)._asdict()


@adapter
def ops_registry(given: Json, expected: Json) -> Json:
    registry = OpsRegistry()
    registry.register("vaddr", object)
    steps: dict[str, list[Callable[[], Any]]] = {
        "select registered vaddr": [lambda: registry.select("vaddr")],
        "register vaddr again": [lambda: registry.register("vaddr", object)],
        "register again": [lambda: registry.register("vaddr", object)],
        "select unknown id": [lambda: registry.select("unknown")],
        "unregister then register": [
            lambda: registry.unregister("vaddr"),
            lambda: registry.register("vaddr", object),
        ],
    }
    ok = []
    for step in given["steps"]:
        try:
            for call in steps[step]:
                call()
            ok.append(True)
        except ConfigError:
            ok.append(False)
    return {"ok": ok}


# commits


@adapter
def ctx_targets(given: Json, expected: Json) -> Json:
    ctx, counts = context(Context()), []
    for step in given["ops"]:
        if step == "new ctx":
            ctx = context(Context())
        elif step == "add target":
            ctx.commit(Context(targets=(*ctx.spec.targets, Target())), 0)
        elif step == "destroy target":
            ctx.commit(Context(targets=(*ctx.spec.targets[:-1], Target(obsolete=True))), 0)
        else:
            raise AssertionError(step)
        counts.append(len(ctx.targets))
    return {"nr_targets": counts}


@adapter
def commit_goal(given: Json, expected: Json) -> Json:
    def spec(goal: Json) -> QuotaGoal:
        path = f"/memcg{goal['memcg_id']}" if "memcg_id" in goal else None
        return QuotaGoal(
            goal["metric"], goal["target"], goal.get("current", 0), goal.get("nid"), path
        )

    goal = GoalState.of(spec(given["dst"]))
    goal.last_psi_total = 1
    goal.commit(spec(given["src"]))
    assert goal.last_psi_total is None
    path = goal.spec.memcg_path
    got = {
        "metric": goal.spec.metric,
        "target": goal.spec.target_value,
        "current": goal.current_value,
        "nid": goal.spec.nid,
        "memcg_id": int(path.removeprefix("/memcg")) if path else None,
    }
    return only(expected, got)


@adapter
def commit_goals(given: Json, expected: Json) -> Json:
    def spec(targets: list[int]) -> Quota:
        return Quota(goals=tuple(QuotaGoal(given["metric"], target) for target in targets))

    quota = QuotaState.of(spec(given["dst_targets"]))
    quota.commit(spec(given["src_targets"]))
    return {"targets": [goal.spec.target_value for goal in quota.goals]}


@adapter
def commit_quota(given: Json, expected: Json) -> Json:
    def spec(quota: Json) -> Quota:
        names = ("weight_sz", "weight_nr_accesses", "weight_age")
        return Quota(
            ms=quota["ms"],
            sz=quota["sz"],
            reset_interval_ms=quota["reset"],
            goal_tuner=quota["tuner"],
            fail_charge_num=quota["fail"][0],
            fail_charge_denom=quota["fail"][1],
            **dict(zip(names, quota["weights"], strict=True)),
        )

    quota = QuotaState.of(spec(given["dst"]))
    quota.commit(spec(given["src"]))
    return {"equals": "src" if quota.spec == spec(given["src"]) else "something else"}


@adapter
def commit_dests(given: Json, expected: Json) -> Json:
    def spec(ids: list[int], weights: list[int]) -> Scheme:
        dests = tuple(Dest(nid, weight) for nid, weight in zip(ids, weights, strict=True))
        return Scheme(action="migrate_hot", dests=dests)

    scheme = SchemeState(spec(given["dst_ids"], given["dst_weights"]))
    scheme.commit(spec(given["src_ids"], given["src_weights"]))
    return {
        "ids": [dest.nid for dest in scheme.dests],
        "weights": [dest.weight for dest in scheme.dests],
    }


@adapter
def commit_filter(given: Json, expected: Json) -> Json:
    scheme = SchemeState(Scheme(filters=(filter_of(given["dst"]),)))
    scheme.commit(Scheme(filters=(filter_of(given["src"]),)))
    (kept,) = (*scheme.filters.core, *scheme.filters.ops)
    wanted = expected["equals"]
    return {"equals": wanted if kept == filter_of(wanted) else kept}


@adapter
def commit_scheme(given: Json, expected: Json) -> Json:
    def spec(scheme: Json) -> Scheme:
        return Scheme(
            action=scheme["action"],
            pattern=access_pattern(*scheme["pattern"]),
            apply_interval_us=scheme["apply_us"],
            target_nid=scheme.get("target_nid", -1),
        )

    ctx = context(Context(schemes=(spec(given["dst"]),)))
    ctx.commit(Context(schemes=(spec(given["src"]),)), 0)
    equal = ctx.schemes[0].spec == spec(given["src"])
    return {"equals": "src" if equal else "something else"}


@adapter
def commit_target_regions(given: Json, expected: Json) -> Json:
    ctx = context(Context(targets=(Target(),)), min_region_sz=given["min_region_sz"])
    ctx.targets[0].regions.assign(given["dst"])
    ctx.commit(Context(targets=(Target(regions=tuple(map(tuple, given["src"]))),)), 0)
    return {"regions": bounds(ctx.targets[0].regions)}


@adapter
def commit_ctx(given: Json, expected: Json) -> Json:
    ctx = context(Context(attrs=attrs_of({})))
    try:
        ctx.commit(Context(), 0, min_region_sz=given["min_region_sz"])
    except ConfigError:
        return {"ok": False}
    return {"ok": True}


@adapter
def walk_after_exit(given: Json, expected: Json) -> Json:
    ctx = context(Context())
    if given["exiting"]:
        ctx.stop()
    return {"error": ctx.walk().state}


# NUMA balancing


@adapter
def nb_threshold_seq(given: Json, expected: Json) -> Json:
    assert given["initial"] == "all zero"
    tunables = Tunables(
        rate_limit_mbps=given["rate_limit_MBps"],
        hot_threshold_ms=given["hot_threshold_ms"],
        scan_period_max_ms=given["scan_period_max_ms"],
    )
    node, now_ms, thresholds = Promotion(), given["start_ms"], []
    for pages in given["candidate_pages_added_before_each_call"]:
        node.candidate += pages
        node.adjust_threshold(now_ms, tunables)
        thresholds.append(node.threshold)
        now_ms += given["step_ms"]
    return {"threshold_ms": thresholds}


@adapter
def nb_rate_limit_seq(given: Json, expected: Json) -> Json:
    assert given["initial"] == "all zero"
    node, tunables = Promotion(), Tunables(rate_limit_mbps=given["rate_limit_MBps"])
    events = given["events_time_ms_and_pages"]
    return {"limited": [node.limited(at, pages, tunables) for at, pages in events]}


@adapter
def nb_scan_period(given: Json, expected: Json) -> Json:
    assert not given["numa_group"]
    rss, size = given["rss_pages"], given["scan_size_mb"]
    tunables = Tunables(
        scan_size_mb=size,
        scan_period_min_ms=given["period_min_ms"],
        scan_period_max_ms=given["period_max_ms"],
    )
    got = {
        "windows": scan_windows(rss, size),
        "min_ms": scan_min(rss, tunables),
        "max_ms": scan_max(rss, tunables),
    }
    return only(expected, got)


@adapter
def nb_scan_period_update(given: Json, expected: Json) -> Json:
    seen = Locality(*(given[k] for k in ("remote", "local", "failed", "private", "shared")))
    least = scan_min(given["rss_pages"], Tunables())
    period, _ = adapted_period(given["period_ms"], least, given["period_max_ms"], seen)
    return {"period_ms": period}
