"""What a kdamonds tree may hold: every key, its kind, its default, and what the kernel refuses.

Tables are in the order damo writes them. Source: damo 3.4.3 (JSON and YAML kdamonds files, both
written and read) and, for the refusals, Linux 7.3.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numasim import units
from numasim.damon import spec
from numasim.formats.damo_tree import Asker, Key, Leaf, Rows, Table
from numasim.formats.damo_values import (
    AGE,
    ANYTHING,
    BOOL,
    BP,
    BYTES,
    COUNT,
    CPUMASK,
    NODE,
    PERMIL,
    PID,
    RATE,
    TEXT,
    THREADS,
    TIME_MS,
    TIME_US,
    one_of,
    read_count,
    whole_parts,
)  # fmt: skip
from numasim.units import BadText

FILTERS = (*spec.OPS_FILTERS, *spec.CORE_FILTERS, *spec.PROBE_HITS_FILTERS)
SAMPLE_FILTERS = ("cpumask", "threads", "write")
BP_METRICS = tuple(metric for metric in spec.GOAL_METRICS if metric.endswith("_bp"))

# ---------------------------------------------------------------------------- refusals


def _us(text: str) -> int:
    return units.damo_time_us(text)


def _check_regions(target: dict[str, Any], ask: Asker) -> None:
    last = 0
    for i, region in enumerate(target["regions"]):
        start, end = units.damo_bytes(region["start"]), units.damo_bytes(region["end"])
        if start >= end:
            ask.wrong(f"region {start}-{end} is empty", ("regions", i, "start"))
        elif start < last:
            message = f"region {start}-{end} overlaps the one before or lies below it"
            ask.wrong(message, ("regions", i, "start"), hint="write regions in ascending order")
        last = max(last, end)


def _check_intervals(intervals: dict[str, Any], ask: Asker) -> None:
    sample, goal = _us(intervals["sample_us"]), intervals["intervals_goal"]
    if sample > _us(intervals["aggr_us"]):
        message = "the sampling interval is longer than the aggregation interval"
        ask.wrong(message, ("sample_us",), ("aggr_us",), hint="the kernel refuses this")
    low, high = _us(goal["min_sample_us"]), _us(goal["max_sample_us"])
    if goal["aggrs"] != 0 and not low <= sample <= high:
        message = (
            f"the sampling interval {intervals['sample_us']} is outside of the goal's "
            f"{goal['min_sample_us']}..{goal['max_sample_us']}"
        )
        trails = ("intervals_goal", "min_sample_us"), ("sample_us",)
        ask.wrong(message, *trails, hint="the kernel refuses this")


def _check_nr_regions(bounds: dict[str, Any], ask: Asker) -> None:
    low, high = units.damo_count(bounds["min"]), units.damo_count(bounds["max"])
    if low < 3:
        ask.wrong(f"got {low}, expected at least 3 regions", ("min",))
    if low > high:
        ask.wrong(f"the minimum {low} is above the maximum {high}", ("min",))


def _check_bounds(reading: Callable[[str], Any]) -> Callable[[dict[str, Any], Asker], None]:
    """Minimum at most maximum; `reading` gives None for values that cannot be compared yet."""

    def check(bounds: dict[str, Any], ask: Asker) -> None:
        low, high = reading(bounds["min"]), reading(bounds["max"])
        if low is not None and high is not None and low > high:
            ask.wrong(f"the minimum {bounds['min']} is above the maximum {bounds['max']}", ("min",))

    return check


def _check_goal(goal: dict[str, Any], ask: Asker) -> None:
    metric, trail = goal["metric"], ("target_value",)

    def warn(message: str) -> None:
        ask.warn(message, trail)

    try:
        if metric in BP_METRICS:
            goal["target_value"] = whole_parts(goal["target_value"], 10_000, warn)
        elif metric == "some_mem_psi_us":
            goal["target_value"] = read_count(_us(goal["target_value"]), warn)
        else:
            goal["target_value"] = read_count(goal["target_value"], warn)
    except BadText as error:
        ask.wrong(error.message, trail, hint=error.hint)
        return
    if goal["target_value"] == 0:
        warn("the kernel drops a goal whose target is 0")
    if metric.startswith(("node_mem_", "node_memcg_")) and goal["nid"] is None:
        ask.wrong(f"{metric} needs a node id", ("nid",), ("metric",))
    if metric.startswith("node_memcg_") and goal["memcg_path"] is None:
        ask.wrong(f"{metric} needs the path of a memory cgroup", ("memcg_path",), ("metric",))


def _check_filter(found: dict[str, Any], ask: Asker) -> None:
    kind = found["filter_type"]
    needs = {
        "memcg": "memcg_path", "addr": "address_range", "target": "damon_target_idx",
        "hugepage_size": "hugepage_size", "probe_hits_wsum": "probe_hits_wsum_range",
    }.get(kind)  # fmt: skip
    if needs and found[needs] is None:
        ask.wrong(f'a filter of type {kind} needs "{needs}"', (needs,), ("filter_type",))
    for name in ("hugepage_size", "probe_hits_wsum_range"):
        if found[name] is not None and len(found[name]) != 2:
            ask.wrong("expected a minimum and a maximum", (name,))


def _check_sample_filter(found: dict[str, Any], ask: Asker) -> None:
    needs = {"cpumask": "cpumask", "threads": "tid_arr"}.get(found["filter_type"])
    if needs and found[needs] is None:
        ask.wrong(f'a sample filter of this type needs "{needs}"', (needs,), ("filter_type",))


def _drop_extensions(enabled: dict[str, Any], ask: Asker) -> None:
    for name in spec.EXTENSIONS:
        if not enabled[name]:
            del enabled[name]  # damo knows no such key


def _check_scheme(scheme: dict[str, Any], ask: Asker) -> None:
    nowhere = scheme["target_nid"] is None and not scheme["dests"]
    if scheme["action"].startswith("migrate_") and nowhere:
        ask.warn(f"{scheme['action']} has no destination node, so nothing moves", ("action",))
    if not scheme["max_nr_snapshots"]:
        del scheme["max_nr_snapshots"]  # damo writes no such key


def _check_context(context: dict[str, Any], ask: Asker) -> None:
    physical = context["ops"] == "paddr"
    if not physical and units.damo_bytes(context["addr_unit"]) != 1:
        ask.wrong("an address unit other than 1 needs ops paddr", ("addr_unit",))
    for i, target in enumerate(context["targets"]):
        if physical and target["pid"] is not None:
            ask.warn("ops paddr watches no process; the pid is dropped", ("targets", i, "pid"))
            target["pid"] = None
        if not physical and target["pid"] is None:
            message = f"ops {context['ops']} needs the pid of a process"
            ask.wrong(message, ("targets", i, "pid"), ("ops",))
    for i, scheme in enumerate(context["schemes"]):
        for j, goal in enumerate(scheme["quotas"]["goals"]):
            if not physical and goal["metric"] in spec.ELIGIBLE_METRICS:
                trail = ("schemes", i, "quotas", "goals", j, "metric")
                ask.wrong(f"{goal['metric']} needs ops paddr", trail)


def _check_kdamond(kdamond: dict[str, Any], ask: Asker) -> None:
    if len(kdamond["contexts"]) > 1:
        ask.warn("Linux runs one context per kdamond; --nr_ctxs 1 1 makes a kdamond for each")


# ---------------------------------------------------------------------------- tables

TARGET = Table(
    {
        "pid": Key(PID, required=True, nullable=True),
        "obsolete": Key(BOOL, default=False),
        "regions": Key(
            Rows(Table({"start": Key(BYTES, required=True), "end": Key(BYTES, required=True)})),
            required=True,
        ),
    },
    check=_check_regions,
)
INTERVALS = Table(
    {
        "sample_us": Key(TIME_US, required=True),
        "aggr_us": Key(TIME_US, required=True),
        "ops_update_us": Key(TIME_US, required=True),
        "intervals_goal": Key(
            Table(
                {
                    "access_bp": Key(BP, required=True),
                    "aggrs": Key(COUNT, required=True),
                    "min_sample_us": Key(TIME_US, required=True),
                    "max_sample_us": Key(TIME_US, required=True),
                }
            ),
            default={"access_bp": 0, "aggrs": 0, "min_sample_us": 0, "max_sample_us": 0},
        ),
    },
    check=_check_intervals,
)
PROBE = Table(
    {
        "preps": Key(Rows(Table({"prep_action": Key(TEXT, required=True)})), default=[]),
        "filters": Key(
            Rows(
                Table(
                    {
                        "filter_type": Key(one_of(spec.PROBE_FILTERS, "a kind of probe filter")),
                        "matching": Key(BOOL, required=True),
                        "allow": Key(BOOL, required=True),
                        "path": Key(TEXT, nullable=True),
                        "range_min": Key(BYTES, nullable=True),
                        "range_max": Key(BYTES, nullable=True),
                    }
                )
            ),
            required=True,
        ),
        "weight": Key(COUNT, default=0),
    }
)
SAMPLE_CONTROL = Table(
    {
        "primitives_enabled": Key(
            Table(
                {name: Key(BOOL, required=True) for name in ("page_table", "page_fault")}
                | {name: Key(BOOL, default=False) for name in spec.EXTENSIONS},
                check=_drop_extensions,
            ),
            required=True,
        ),
        "sample_filters": Key(
            Rows(
                Table(
                    {
                        "filter_type": Key(
                            one_of(SAMPLE_FILTERS, "a kind of sample filter", {"cpu": "cpumask"}),
                            required=True,
                        ),
                        "matching": Key(BOOL, required=True),
                        "allow": Key(BOOL, required=True),
                        "cpumask": Key(CPUMASK, nullable=True),
                        "tid_arr": Key(THREADS, nullable=True),
                    },
                    check=_check_sample_filter,
                )
            ),
            required=True,
        ),
    }
)


def _bounds(leaf: Leaf, reading: Callable[[str], Any]) -> Key:
    table = {"min": Key(leaf, required=True), "max": Key(leaf, required=True)}
    return Key(Table(table, check=_check_bounds(reading)), required=True)


def _plain(reading: Callable[[str], Any]) -> Callable[[str], Any]:
    """Read what needs no intervals; None for DAMON units, which are compared with them later."""
    return lambda text: None if text.endswith(("samples", "aggr_intervals")) else reading(text)


ACCESS_PATTERN = Table(
    {
        "sz_bytes": _bounds(BYTES, units.damo_bytes),
        "nr_accesses": _bounds(RATE, _plain(units.damo_percent)),
        "age": _bounds(AGE, _plain(units.damo_time_ns)),
    }
)
GOAL = Table(
    {
        "metric": Key(one_of(spec.GOAL_METRICS, "a quota goal metric"), required=True),
        "complement": Key(BOOL, default=False),
        "nid": Key(NODE, nullable=True),
        "memcg_path": Key(TEXT, nullable=True),
        "target_value": Key(ANYTHING, required=True, former="target_value_bp"),
        "current_value": Key(COUNT, required=True, former="current_value_bp"),
    },
    check=_check_goal,
)
WEIGHTS = Table(
    {
        "sz_permil": Key(PERMIL, required=True),
        "nr_accesses_permil": Key(PERMIL, required=True),
        "age_permil": Key(PERMIL, required=True),
    }
)
QUOTAS = Table(
    {
        "time_ms": Key(TIME_MS, required=True),
        "sz_bytes": Key(BYTES, required=True),
        "reset_interval_ms": Key(TIME_MS, required=True),
        "fail_charge_num": Key(COUNT, default=0),
        "fail_charge_denom": Key(COUNT, default=0),
        "goals": Key(Rows(GOAL), default=[]),
        "goal_tuner": Key(one_of(spec.TUNERS, "a quota tuner"), default="consist"),
        "effective_sz_bytes": Key(BYTES, default=0),
        "weights": Key(WEIGHTS, required=True),
    }
)
WATERMARKS = Table(
    {
        "metric": Key(one_of(("none", "free_mem_rate"), "a watermark metric"), required=True),
        "interval_us": Key(TIME_US, required=True),
        "high_permil": Key(PERMIL, required=True),
        "mid_permil": Key(PERMIL, required=True),
        "low_permil": Key(PERMIL, required=True),
    }
)
FILTER = Table(
    {
        "filter_type": Key(one_of(FILTERS, "a kind of DAMOS filter"), required=True),
        "matching": Key(BOOL, required=True),
        "allow": Key(BOOL, default=False, former="filter_pass"),
        "memcg_path": Key(TEXT, nullable=True),
        "address_range": Key(
            Table({"start": Key(BYTES, required=True), "end": Key(BYTES, required=True)}),
            nullable=True,
        ),
        "damon_target_idx": Key(COUNT, nullable=True),
        "hugepage_size": Key(Rows(BYTES), nullable=True),
        "probe_hits_wsum_range": Key(Rows(COUNT), nullable=True),
    },
    check=_check_filter,
)
ANY = {"min": "min", "max": "max"}
NO_WEIGHTS = {"sz_permil": 0, "nr_accesses_permil": 0, "age_permil": 0}
SCHEME = Table(
    {
        "action": Key(one_of(spec.ACTIONS, "a DAMOS action"), default="stat"),
        "dests": Key(
            Rows(Table({"id": Key(NODE, required=True), "weight": Key(COUNT, required=True)})),
            default=[],
        ),
        "target_nid": Key(NODE, nullable=True),
        "access_pattern": Key(
            ACCESS_PATTERN, default={"sz_bytes": ANY, "nr_accesses": ANY, "age": ANY}
        ),
        "apply_interval_us": Key(TIME_US, default=0),
        "quotas": Key(
            QUOTAS,
            default={
                "time_ms": 0, "sz_bytes": 0, "reset_interval_ms": "max", "weights": NO_WEIGHTS,
            },
        ),
        "watermarks": Key(
            WATERMARKS,
            default={
                "metric": "none", "interval_us": 0,
                "high_permil": 0, "mid_permil": 0, "low_permil": 0,
            },
        ),
        "filters": Key(Rows(FILTER), default=[]),
        "max_nr_snapshots": Key(COUNT, default=0),
    },
    ignored=frozenset({"stats", "tried_regions", "tried_bytes"}),
    check=_check_scheme,
)  # fmt: skip
NO_CONTROL = {"primitives_enabled": {"page_table": True, "page_fault": False}, "sample_filters": []}
CONTEXT = Table(
    {
        "ops": Key(one_of(spec.OPS, "an operations set"), required=True),
        "addr_unit": Key(BYTES, default=1),
        "targets": Key(Rows(TARGET), required=True),
        "intervals": Key(
            INTERVALS, default={"sample_us": "5 ms", "aggr_us": "100 ms", "ops_update_us": "1 s"}
        ),
        "nr_regions": Key(
            Table(
                {"min": Key(COUNT, required=True), "max": Key(COUNT, required=True)},
                check=_check_nr_regions,
            ),
            default={"min": 10, "max": 1000},
        ),
        "probes": Key(Rows(PROBE), default=[]),
        "sample_control": Key(SAMPLE_CONTROL, default=NO_CONTROL),
        "pause": Key(BOOL, default=False),
        "schemes": Key(Rows(SCHEME), default=[]),
    },
    check=_check_context,
)
KDAMOND = Table(
    {
        "refresh_ms": Key(TIME_MS, default=0),
        "contexts": Key(Rows(CONTEXT), required=True),
    },
    ignored=frozenset({"state", "pid"}),
    check=_check_kdamond,
)
KDAMONDS = Table({"kdamonds": Key(Rows(KDAMOND), required=True)})
