"""Adapters that drive a whole context: complete runs, passes of schemes, repeated tuning."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from numasim.damon.adjust import adjust_quota
from numasim.damon.apply import apply_schemes, apply_target
from numasim.damon.context import ContextState
from numasim.damon.ops import Applied, PointSource, Window
from numasim.damon.regions import Regions
from numasim.damon.scores import scores
from numasim.damon.spec import AccessPattern, Context, Quota, Scheme, Target
from numasim.damon.splitting import Draws
from numasim.damon.targets import TargetState
from tests.vectors.stand import StandOps, attrs_of, context

Json = dict[str, Any]
_U32 = 2**32 - 1
_NS_PER_MS = 1_000_000
_START_NS = 1_000 * _NS_PER_MS
_RANKING = {"migrate_hot": "hot", "migrate_cold": "cold", "pageout": "cold"}


def cycled(draws: list[int]) -> Draws:
    """Those draws in order, again and again."""
    position = 0

    def fill(n: int) -> np.ndarray:
        nonlocal position
        drawn = np.resize(np.roll(draws, -position), n)
        position = (position + n) % len(draws)
        return drawn

    return Draws(fill)


def hot_source(hot: list[list[int]]) -> PointSource:
    """Regions are sampled at their start, which is accessed in every n-th tick if it is hot."""

    def accessed(addr: np.ndarray, target: np.ndarray, tick: int) -> np.ndarray:
        found = np.zeros(len(addr), dtype=bool)
        for start, end, every in hot:
            if tick % every == 0:
                found |= (addr >= start) & (addr < end)
        return found

    return PointSource(lambda start, end, target: start, accessed)


# complete runs


def loop(given: Json, expected: Json) -> Json:
    schemes, score = (), None
    wanted = given["scheme"]
    if wanted:
        weights = (0, 0, 0)
        if wanted["score"]:
            kind, listed = re.fullmatch(r"(\w+), weights ([\d/]+)", wanted["score"]).groups()  # type: ignore[union-attr]
            score, weights = {wanted["action"]: kind}, tuple(int(w) for w in listed.split("/"))
        schemes = (
            _scheme(
                {**wanted, "nr_accesses": [wanted["min_nr_accesses"], _U32], "weights": weights}
            ),
        )
    run = _Run(
        Context(
            targets=(Target(regions=(tuple(given["initial_range"]),)),),
            attrs=attrs_of(given),
            schemes=schemes,
        ),
        StandOps(score=score),
        given["hot_ranges_start_end_everyNsamples"],
        cycled([5]),
        full_apply_events=False,
    )
    return {"events": run.until(given["stop_after_sis"])}


def loop_multi(given: Json, expected: Json) -> Json:
    targets = tuple(Target(regions=tuple(map(tuple, r))) for r in given["target_ranges"])
    run = _Run(
        Context(
            targets=targets,
            attrs=attrs_of(given),
            schemes=tuple(_scheme(scheme) for scheme in given["schemes"]),
        ),
        StandOps(score=_RANKING),
        given["hot_ranges_start_end_everyNsamples"],
        cycled(given["draws_1_to_9_cycled"]),
        full_apply_events=True,
    )
    return {"events": run.until(given["stop_after_sis"])}


def _scheme(given: Json) -> Scheme:
    least, most = given["nr_accesses"]
    weight_sz, weight_nr_accesses, weight_age = given["weights"]
    num, denom = given.get("fail_charge", (0, 0))
    return Scheme(
        action=given["action"],
        pattern=AccessPattern(
            min_nr_accesses=least, max_nr_accesses=most, min_age=given.get("min_age", 0)
        ),
        apply_interval_us=given["apply_us"],
        quota=Quota(
            sz=given["quota_sz"],
            reset_interval_ms=given["reset_ms"],
            weight_sz=weight_sz,
            weight_nr_accesses=weight_nr_accesses,
            weight_age=weight_age,
            fail_charge_num=num,
            fail_charge_denom=denom,
        ),
    )


class _Run:
    """A context driven through its bulk form, with its events collected."""

    def __init__(
        self,
        spec: Context,
        ops: StandOps,
        hot: list[list[int]],
        draws: Draws,
        full_apply_events: bool,
    ) -> None:
        self.ctx = context(spec, ops=ops, source=hot_source(hot), rng=draws)
        self.events: list[Json] = []
        self._full = full_apply_events
        self.ctx.on_apply = self._apply
        self.ctx.aggregated = self._aggregated
        self.ctx.on_ops_update = self._ops_update

    def until(self, stop_sis: int) -> list[Json]:
        ctx, now_ns = self.ctx, _START_NS
        ctx.start(now_ns)
        while ctx.passed_sample_intervals < stop_sis and not ctx.finished():
            assert ctx.wait_activation(now_ns) == 0
            ticks = min(ctx.samples_until_due(), stop_sis - ctx.passed_sample_intervals)
            ends = now_ns + np.arange(1, ticks + 1) * ctx.sample_us * 1_000
            ctx.absorb(Window(ends - ctx.sample_us * 1_000, ends))
            now_ns = int(ends[-1])
            for _ in ctx.due(now_ns):
                raise AssertionError("actions on the stand take no time")
        return self.events

    def _event(self, name: str) -> Json:
        return {"e": name, "sis": self.ctx.passed_sample_intervals}

    def _apply(self, ctx: ContextState, scheme: int, target: int, start: int, end: int, nr: int, age: int, applied: Applied) -> None:  # fmt: skip  # noqa: E501
        event = self._event("apply")
        if self._full:
            event |= {"scheme": scheme, "target": target}
        self.events.append(event | {"region": [start, end], "nr_accesses_mvsum": nr, "age": age})

    def _aggregated(self, ctx: ContextState, now_ns: int, regions: tuple[Regions, ...]) -> None:
        listed = [[s, e, nr, age] for r in regions for s, e, nr, _, age in r.rows()]
        intervals = {"sample_us": ctx.attrs.sample_us, "aggr_us": ctx.attrs.aggr_us}
        self.events.append(self._event("aggregated") | intervals | {"regions": listed})

    def _ops_update(self, ctx: ContextState) -> None:
        self.events.append(self._event("ops_update"))


# passes


def _at_boundary(
    spec: Context, tables: list[list[list[int]]], ops: StandOps, min_region_sz: int = 4096
) -> ContextState:
    """A context with those regions, standing where a window is complete."""
    spec = replace(spec, targets=tuple(Target() for _ in tables))
    ctx = context(spec, ops=ops, min_region_sz=min_region_sz)
    for target, table in zip(ctx.targets, tables, strict=True):
        target.regions.assign(table)
    return ctx


def _drain(steps: Any) -> None:
    for _ in steps:
        raise AssertionError("actions on the stand take no time")


def apply_passes(given: Json, expected: Json) -> Json:
    weight_sz, weight_nr_accesses, weight_age = given["weights"]
    num, denom = given["fail_charge"]
    scheme_spec = Scheme(
        action=given["action"],
        pattern=AccessPattern(
            min_nr_accesses=given["pattern_min_nr_accesses"], min_age=given["pattern_min_age"]
        ),
        max_nr_snapshots=given["max_nr_snapshots"],
        quota=Quota(
            sz=given["sz"],
            reset_interval_ms=given["reset_ms"],
            weight_sz=weight_sz,
            weight_nr_accesses=weight_nr_accesses,
            weight_age=weight_age,
            fail_charge_num=num,
            fail_charge_denom=denom,
        ),
    )
    score = {given["action"]: given["score"]} if given["score"] else None
    ops = StandOps(score=score, applied_percent=given["applied_percent"])
    spec = Context(attrs=attrs_of(given), schemes=(scheme_spec,))
    ctx = _at_boundary(spec, given["targets"], ops, given["min_region_sz"])
    assert given["at_aggregation_boundary"]
    applied_to: list[list[int]] = []
    ctx.on_apply = lambda ctx, scheme, target, start, end, *_: applied_to.append(
        [target, start, end]
    )
    passes = []
    for number in range(given["passes"]):
        applied_to.clear()
        ctx.now_ns = (100_000 + number * given["jiffies_per_pass_ms"]) * _NS_PER_MS
        ctx.schemes[0].next_apply_sis = 0
        _drain(apply_schemes(ctx))
        passes.append({"applied_to": list(applied_to)} | _pass_state(ctx))
        if given["ages_plus_1_between_passes"]:
            for regions in ctx.regions:
                regions.age = regions.age + 1
    final = [[list(row) for row in regions.rows()] for regions in ctx.regions]
    return {"passes": passes, "final_regions": final}


def _pass_state(ctx: ContextState) -> Json:
    (scheme,) = ctx.schemes
    quota, stat = scheme.quota, scheme.stat
    target = quota.charge_target_from
    return {
        "esz": quota.esz,
        "charged": quota.charged_sz,
        "min_score": quota.min_score,
        "charge_target_from": -1 if target is None else ctx.targets.index(target),
        "charge_addr_from": quota.charge_addr_from,
        "stat": [stat.nr_tried, stat.sz_tried, stat.nr_applied, stat.sz_applied],
        "qt_exceeds": stat.qt_exceeds,
        "nr_snapshots": stat.nr_snapshots,
    }


def skip_charged(given: Json, expected: Json) -> Json:
    """An open scheme walks; what it is not applied to was skipped."""
    spec = Context(schemes=(Scheme(action="stat"),))
    ctx = _at_boundary(spec, [given["regions"]], StandOps(), given["min_region_sz"])
    quota = ctx.schemes[0].quota
    this = given["charge_target_is_this"]
    quota.charge_target_from = ctx.targets[0] if this else TargetState(Target())
    quota.charge_addr_from = given["charge_addr_from"]
    gone: set[int] = set()
    ctx.on_apply = lambda ctx, scheme, target, start, *_: gone.add(start)
    _drain(apply_target(ctx, 0, [0], limit=0))
    walk = [[s, e, "go" if s in gone else "skip"] for s, e, *_ in ctx.regions[0].rows()]
    return {"walk": walk, "position_cleared": quota.charge_target_from is None}


def quota_min_score(given: Json, expected: Json) -> Json:
    least, most = given["pattern_nr_accesses"]
    quota = Quota(
        sz=given["sz"],
        weight_nr_accesses=given["weight_nr_accesses"],
        weight_age=given["weight_age"],
    )
    pattern = AccessPattern(min_nr_accesses=least, max_nr_accesses=most)
    spec = Context(
        attrs=attrs_of(given), schemes=(Scheme(action="pageout", pattern=pattern, quota=quota),)
    )
    ctx = _at_boundary(spec, [given["regions"]], StandOps(score={"pageout": given["score"]}))
    assert given["at_aggregation_boundary"]
    adjust_quota(ctx, ctx.schemes[0])
    (regions,) = ctx.regions
    ranks = scores(given["score"], ctx.mvsum(regions), regions.age, ctx.attrs, quota)
    return {"min_score": ctx.schemes[0].quota.min_score, "scores": ranks.tolist()}


def intervals_seq(given: Json, expected: Json) -> Json:
    names = ("access_bp", "aggrs", "min_sample_us", "max_sample_us")
    attrs = attrs_of({**given, "intervals_goal": {name: given[name] for name in names}})
    edges = np.cumsum([0, *given["region_sizes"]]).tolist()
    ctx = _at_boundary(Context(attrs=attrs), [[]], StandOps())
    after = []
    for counts in given["nr_accesses_per_tuning"]:
        rows = [
            (start, end, nr, 0, 1_000)
            for start, end, nr in zip(edges, edges[1:], counts, strict=False)
        ]
        ctx.targets[0].regions.assign(rows)
        ctx.passed_sample_intervals = ctx.next_aggregation_sis
        ctx.tune_intervals()
        (regions,) = ctx.regions
        assert len(set(regions.age.tolist())) == 1
        after.append(
            {
                "sample_us": ctx.attrs.sample_us,
                "aggr_us": ctx.attrs.aggr_us,
                "nr": regions.nr_accesses.tolist(),
                "age": int(regions.age[0]),
            }
        )
    return {"after_each": after}
