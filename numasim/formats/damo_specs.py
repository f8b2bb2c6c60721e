"""Canonical kdamonds tree ↔ descriptions in kernel units, both ways.

Access rates in percent and ages in time are converted with the *initial* intervals of their
context, as damo does before it hands them to the kernel; the other way they stay in samples and
aggregation intervals, so nothing is lost. Source: damo 3.4.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from numasim.damon import spec
from numasim.damon.spec import UINT_MAX
from numasim.units import (
    ULONG_MAX,
    damo_bp,
    damo_bytes,
    damo_count,
    damo_percent,
    damo_permil,
    damo_time_ms,
    damo_time_ns,
    damo_time_us,
    format_damo_share,
    format_damo_time,
)

Tree = dict[str, Any]


def to_specs(tree: Tree) -> tuple[spec.Kdamond, ...]:
    """Descriptions of the kdamonds of a canonical tree (`damo_tree.Reader` makes one)."""
    return tuple(
        spec.Kdamond(
            contexts=tuple(_context(context) for context in kdamond["contexts"]),
            refresh_ms=damo_time_ms(kdamond["refresh_ms"]),
        )
        for kdamond in tree["kdamonds"]
    )


def to_tree(kdamonds: Iterable[spec.Kdamond]) -> Tree:
    """Canonical tree of descriptions; `to_specs` of it gives them back."""
    return {
        "kdamonds": [
            {
                "refresh_ms": _time(kdamond.refresh_ms, 10**6),
                "contexts": [_context_tree(context) for context in kdamond.contexts],
            }
            for kdamond in kdamonds
        ]
    }


def samples_of(rate: str, sample_us: int, aggr_us: int) -> int:
    """Samples per aggregation of an access rate (``"5 %"`` or ``"3 samples"``), cut off.

    Exact, where damo's floating point may end one short of a whole number.
    """
    if rate.endswith("samples"):
        return min(damo_count(rate.removesuffix("samples")), UINT_MAX)
    percent = damo_percent(rate)
    return min(int(percent * Fraction(aggr_us, max(sample_us, 1)) / 100), UINT_MAX)


def aggr_intervals_of(age: str, aggr_us: int) -> int:
    """Aggregation intervals of an age (``"30 s"`` or ``"20 aggr_intervals"``), cut off."""
    if age.endswith("aggr_intervals"):
        return min(damo_count(age.removesuffix("aggr_intervals")), UINT_MAX)
    return min(int(damo_time_ns(age) / (1000 * max(aggr_us, 1))), UINT_MAX)


# ---------------------------------------------------------------------------- tree → descriptions


def _context(tree: Tree) -> spec.Context:
    attrs = _attrs(tree)
    return spec.Context(
        ops=tree["ops"],
        targets=tuple(
            spec.Target(
                pid=target["pid"],
                regions=tuple(
                    (damo_bytes(r["start"]), damo_bytes(r["end"])) for r in target["regions"]
                ),
                obsolete=target["obsolete"],
            )
            for target in tree["targets"]
        ),
        attrs=attrs,
        schemes=tuple(_scheme(scheme, attrs) for scheme in tree["schemes"]),
        addr_unit=damo_bytes(tree["addr_unit"]),
        pause=tree["pause"],
        sample_control=_sample_control(tree["sample_control"]),
        probes=tuple(_probe(probe) for probe in tree["probes"]),
    )


def _attrs(tree: Tree) -> spec.Attrs:
    intervals, bounds = tree["intervals"], tree["nr_regions"]
    goal = intervals["intervals_goal"]
    return spec.Attrs(
        sample_us=damo_time_us(intervals["sample_us"]),
        aggr_us=damo_time_us(intervals["aggr_us"]),
        ops_update_us=damo_time_us(intervals["ops_update_us"]),
        min_nr_regions=damo_count(bounds["min"]),
        max_nr_regions=damo_count(bounds["max"]),
        intervals_goal=spec.IntervalsGoal(
            access_bp=damo_bp(goal["access_bp"]),
            aggrs=damo_count(goal["aggrs"]),
            min_sample_us=damo_time_us(goal["min_sample_us"]),
            max_sample_us=damo_time_us(goal["max_sample_us"]),
        ),
    )


def _scheme(tree: Tree, attrs: spec.Attrs) -> spec.Scheme:
    sizes, rates, ages = (tree["access_pattern"][k] for k in ("sz_bytes", "nr_accesses", "age"))
    wmarks = tree["watermarks"]
    return spec.Scheme(
        action=tree["action"],
        pattern=spec.AccessPattern(
            min_sz=damo_bytes(sizes["min"]),
            max_sz=damo_bytes(sizes["max"]),
            min_nr_accesses=samples_of(rates["min"], attrs.sample_us, attrs.aggr_us),
            max_nr_accesses=samples_of(rates["max"], attrs.sample_us, attrs.aggr_us),
            min_age=aggr_intervals_of(ages["min"], attrs.aggr_us),
            max_age=aggr_intervals_of(ages["max"], attrs.aggr_us),
        ),
        apply_interval_us=damo_time_us(tree["apply_interval_us"]),
        quota=_quota(tree["quotas"]),
        wmarks=spec.Watermarks(
            metric=wmarks["metric"],
            interval_us=damo_time_us(wmarks["interval_us"]),
            high=damo_permil(wmarks["high_permil"]),
            mid=damo_permil(wmarks["mid_permil"]),
            low=damo_permil(wmarks["low_permil"]),
        ),
        filters=tuple(_filter(found) for found in tree["filters"]),
        target_nid=-1 if tree["target_nid"] is None else tree["target_nid"],
        dests=tuple(spec.Dest(dest["id"], damo_count(dest["weight"])) for dest in tree["dests"]),
        max_nr_snapshots=damo_count(tree.get("max_nr_snapshots", 0)),
    )


def _quota(tree: Tree) -> spec.Quota:
    weights = tree["weights"]
    return spec.Quota(
        ms=damo_time_ms(tree["time_ms"]),
        sz=damo_bytes(tree["sz_bytes"]),
        reset_interval_ms=damo_time_ms(tree["reset_interval_ms"]),
        goals=tuple(
            spec.QuotaGoal(
                metric=goal["metric"],
                target_value=damo_count(goal["target_value"]),
                current_value=damo_count(goal["current_value"]),
                nid=goal["nid"],
                memcg_path=goal["memcg_path"],
                complement=goal["complement"],
            )
            for goal in tree["goals"]
        ),
        goal_tuner=tree["goal_tuner"],
        weight_sz=damo_permil(weights["sz_permil"]),
        weight_nr_accesses=damo_permil(weights["nr_accesses_permil"]),
        weight_age=damo_permil(weights["age_permil"]),
        fail_charge_num=damo_count(tree["fail_charge_num"]),
        fail_charge_denom=damo_count(tree["fail_charge_denom"]),
    )


def _filter(tree: Tree) -> spec.Filter:
    address = tree["address_range"] or {"start": "0", "end": "0"}
    sizes = tree["hugepage_size"] or ["0", "0"]
    hits = tree["probe_hits_wsum_range"] or [0, 0]
    return spec.Filter(
        type=tree["filter_type"],
        matching=tree["matching"],
        allow=tree["allow"],
        memcg_path=tree["memcg_path"],
        start=damo_bytes(address["start"]),
        end=damo_bytes(address["end"]),
        target_idx=damo_count(tree["damon_target_idx"] or 0),
        min_sz=damo_bytes(sizes[0]),
        max_sz=damo_bytes(sizes[1]),
        min_hits=damo_count(hits[0]),
        max_hits=damo_count(hits[1]),
    )


def _sample_control(tree: Tree) -> spec.SampleControl:
    return spec.SampleControl(
        page_table=tree["primitives_enabled"]["page_table"],
        page_fault=tree["primitives_enabled"]["page_fault"],
        extension=next((n for n in spec.EXTENSIONS if tree["primitives_enabled"].get(n)), ""),
        filters=tuple(
            spec.SampleFilter(
                type=found["filter_type"],
                matching=found["matching"],
                allow=found["allow"],
                cpumask=found["cpumask"],
                threads=tuple(int(tid) for tid in (found["tid_arr"] or "").split(",") if tid),
            )
            for found in tree["sample_filters"]
        ),
    )


def _probe(tree: Tree) -> spec.Probe:
    return spec.Probe(
        filters=tuple(
            spec.ProbeFilter(
                type=found["filter_type"],
                matching=found["matching"],
                allow=found["allow"],
                path=found["path"],
                range_min=None if found["range_min"] is None else damo_bytes(found["range_min"]),
                range_max=None if found["range_max"] is None else damo_bytes(found["range_max"]),
            )
            for found in tree["filters"]
        ),
        weight=damo_count(tree["weight"]),
        preps=tuple(prep["prep_action"] for prep in tree["preps"]),
    )


# ---------------------------------------------------------------------------- descriptions → tree


def _context_tree(context: spec.Context) -> Tree:
    attrs, goal = context.attrs, context.attrs.intervals_goal
    control = context.sample_control
    return {
        "ops": context.ops,
        "addr_unit": _bytes(context.addr_unit),
        "targets": [
            {
                "pid": target.pid,
                "obsolete": target.obsolete,
                "regions": [_range(start, end) for start, end in target.regions],
            }
            for target in context.targets
        ],
        "intervals": {
            "sample_us": _time(attrs.sample_us),
            "aggr_us": _time(attrs.aggr_us),
            "ops_update_us": _time(attrs.ops_update_us),
            "intervals_goal": {
                "access_bp": format_damo_share(goal.access_bp, 10_000),
                "aggrs": _count(goal.aggrs),
                "min_sample_us": _time(goal.min_sample_us),
                "max_sample_us": _time(goal.max_sample_us),
            },
        },
        "nr_regions": {"min": _count(attrs.min_nr_regions), "max": _count(attrs.max_nr_regions)},
        "probes": [_probe_tree(probe) for probe in context.probes],
        "sample_control": {
            "primitives_enabled": {
                "page_table": control.page_table,
                "page_fault": control.page_fault,
                **({control.extension: True} if control.extension else {}),
            },
            "sample_filters": [
                {
                    "filter_type": found.type,
                    "matching": found.matching,
                    "allow": found.allow,
                    "cpumask": found.cpumask,
                    "tid_arr": ",".join(str(tid) for tid in found.threads) or None,
                }
                for found in control.filters
            ],
        },
        "pause": context.pause,
        "schemes": [_scheme_tree(scheme) for scheme in context.schemes],
    }


def _probe_tree(probe: spec.Probe) -> Tree:
    return {
        "preps": [{"prep_action": action} for action in probe.preps],
        "filters": [
            {
                "filter_type": found.type,
                "matching": found.matching,
                "allow": found.allow,
                "path": found.path,
                "range_min": None if found.range_min is None else _bytes(found.range_min),
                "range_max": None if found.range_max is None else _bytes(found.range_max),
            }
            for found in probe.filters
        ],
        "weight": _count(probe.weight),
    }


def _scheme_tree(scheme: spec.Scheme) -> Tree:
    pattern, wmarks = scheme.pattern, scheme.wmarks
    tree = {
        "action": scheme.action,
        "dests": [{"id": dest.nid, "weight": _count(dest.weight)} for dest in scheme.dests],
        "target_nid": None if scheme.target_nid < 0 else scheme.target_nid,
        "access_pattern": {
            "sz_bytes": {"min": _bytes(pattern.min_sz), "max": _bytes(pattern.max_sz)},
            "nr_accesses": {
                "min": _in_damon_units(pattern.min_nr_accesses, "samples"),
                "max": _in_damon_units(pattern.max_nr_accesses, "samples"),
            },
            "age": {
                "min": _in_damon_units(pattern.min_age, "aggr_intervals"),
                "max": _in_damon_units(pattern.max_age, "aggr_intervals"),
            },
        },
        "apply_interval_us": _time(scheme.apply_interval_us),
        "quotas": _quota_tree(scheme.quota),
        "watermarks": {
            "metric": wmarks.metric,
            "interval_us": _time(wmarks.interval_us),
            "high_permil": format_damo_share(wmarks.high, 1000),
            "mid_permil": format_damo_share(wmarks.mid, 1000),
            "low_permil": format_damo_share(wmarks.low, 1000),
        },
        "filters": [filter_tree(found) for found in scheme.filters],
    }
    if scheme.max_nr_snapshots:
        tree["max_nr_snapshots"] = _count(scheme.max_nr_snapshots)
    return tree


def _quota_tree(quota: spec.Quota) -> Tree:
    return {
        "time_ms": _time(quota.ms, 10**6),
        "sz_bytes": _bytes(quota.sz),
        "reset_interval_ms": _time(quota.reset_interval_ms, 10**6),
        "fail_charge_num": _count(quota.fail_charge_num),
        "fail_charge_denom": _count(quota.fail_charge_denom),
        "goals": [
            {
                "metric": goal.metric,
                "complement": goal.complement,
                "nid": goal.nid,
                "memcg_path": goal.memcg_path,
                "target_value": _count(goal.target_value),
                "current_value": _count(goal.current_value),
            }
            for goal in quota.goals
        ],
        "goal_tuner": quota.goal_tuner,
        "effective_sz_bytes": "0",
        "weights": {
            "sz_permil": format_damo_share(quota.weight_sz, 1000),
            "nr_accesses_permil": format_damo_share(quota.weight_nr_accesses, 1000),
            "age_permil": format_damo_share(quota.weight_age, 1000),
        },
    }


def filter_tree(found: spec.Filter) -> Tree:
    """A filter as damo writes it: every key of every type, those of others empty."""
    sizes = [_bytes(found.min_sz), _bytes(found.max_sz)]
    hits = [_count(found.min_hits), _count(found.max_hits)]
    return {
        "filter_type": found.type,
        "matching": found.matching,
        "allow": found.allow,
        "memcg_path": found.memcg_path,
        "address_range": _range(found.start, found.end) if found.type == "addr" else None,
        "damon_target_idx": _count(found.target_idx) if found.type == "target" else None,
        "hugepage_size": sizes if found.type == "hugepage_size" else None,
        "probe_hits_wsum_range": hits if found.type == "probe_hits_wsum" else None,
    }


def _range(start: int, end: int) -> Tree:
    return {"start": _bytes(start), "end": _bytes(end)}


def _bytes(size: int) -> str:
    return "max" if size == ULONG_MAX else str(size)


def _count(count: int) -> int | str:
    return "max" if count == ULONG_MAX else count


def _time(count: int, unit_ns: int = 1000) -> str:
    return "max" if count == ULONG_MAX else format_damo_time(count * unit_ns)


def _in_damon_units(count: int, unit: str) -> str:
    """A bound in the kernel's unit; damo reads no word "max" beside one (3.4.3)."""
    return f"{min(count, UINT_MAX)} {unit}"
