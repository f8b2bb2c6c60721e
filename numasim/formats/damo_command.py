"""Kdamonds as the damo command that sets the same up on a real machine.

An option is written for every object or for none, since damo binds options by order of occurrence.
`damo_args.parse` of the command gives the kdamonds back. Source: damo 3.4.3, and 3.4.0 where
several filters per scheme are accepted.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from numasim.damon import spec
from numasim.damon.spec import UINT_MAX
from numasim.errors import ConfigError, Problem
from numasim.units import ULONG_MAX, format_damo_share, format_damo_time, format_decimal

NO_QUOTA = ("0ns", "0", "max", "0%", "0%", "0%")


NodeOf = Callable[[tuple[tuple[int, int], ...]], int | None]
"""Ranges of a target → the node whose memory exactly these are."""


def to_damo_args(
    kdamonds: Iterable[spec.Kdamond], verb: str = "start", node_of: NodeOf | None = None
) -> str:
    """The damo command line of kdamonds, quoted for a shell.

    Parameters
    ----------
    kdamonds : iterable of Kdamond
    verb : str
    node_of : callable, optional
        See `NodeOf`. Where it knows every target's node, targets are named by node, so that the
        command fits any machine with such nodes; otherwise by address.

    Raises
    ------
    ConfigError
        With everything that no option can say, such as a context without targets.
    """
    kdamonds = tuple(kdamonds)
    contexts = [context for kdamond in kdamonds for context in kdamond.contexts]
    if problems := _unsayable(kdamonds):
        raise ConfigError(problems, "damo command line")
    words = ["damo", verb, *_of_targets(contexts, node_of), *_of_contexts(contexts)]
    words += _of_probes(contexts)
    words += _of_schemes(contexts)
    if len(contexts) > 1:
        words += _list("--nr_targets", [len(context.targets) for context in contexts])
        if any(context.schemes for context in contexts):
            words += _list("--nr_schemes", [len(context.schemes) for context in contexts])
    if len(kdamonds) > 1:
        words += _list("--nr_ctxs", [len(kdamond.contexts) for kdamond in kdamonds])
    refresh = [(_time(kdamond.refresh_ms, 10**6),) for kdamond in kdamonds]
    words += _each("--refresh_stat", refresh, ("0ns",))
    return shlex.join(words)


def percent_of(samples: int, attrs: spec.Attrs) -> str:
    """The shortest percentage that is cut to so many samples per aggregation.

    Also by damo, which divides in floating point.
    """
    if samples >= UINT_MAX:
        return "max"
    per_percent = Fraction(attrs.aggr_us, 100 * max(attrs.sample_us, 1))
    exact = samples / per_percent
    ratio = attrs.aggr_us / max(attrs.sample_us, 1)
    for digits in range(30):
        least = -(-exact * 10**digits // 1)
        for percent in (Fraction(least, 10**digits), Fraction(least + 1, 10**digits)):
            by_damo = int(float(percent) * ratio / 100) == samples or digits > 15
            if int(percent * per_percent) == samples and by_damo:
                return f"{format_decimal(percent)}%"
    return f"{format_decimal(exact)}%"


# ---------------------------------------------------------------------------- groups of options


def _of_targets(contexts: Sequence[spec.Context], node_of: NodeOf | None) -> list[str]:
    regions, pids = [], []
    for context in contexts:
        for target in context.targets:
            pids.append(("0" if context.ops == "paddr" else str(target.pid),))
            regions.append((" ".join(f"{start}-{end}" for start, end in target.regions),))
    words = _each("--ops", [(context.ops,) for context in contexts], ("paddr",))
    words += _each("--target_pid", pids, ("0",))
    nodes = [node_of(t.regions) if node_of else None for c in contexts for t in c.targets]
    counted = len(regions) == len(contexts)  # else some option must tell how many there are
    if nodes and None not in nodes:
        words += [word for node in nodes for word in ("--numa_node", str(node))]
    else:
        words += _each("--regions", regions, ("",) if counted else ())
    targets = [target for context in contexts for target in context.targets]
    obsolete = [i for i, target in enumerate(targets) if target.obsolete]
    return words + (_list("--obsolete_targets", obsolete) if obsolete else [])


def _of_contexts(contexts: Sequence[spec.Context]) -> list[str]:
    attrs = [context.attrs for context in contexts]
    intervals = [(_time(a.sample_us), _time(a.aggr_us), _time(a.ops_update_us)) for a in attrs]
    bounds = [(_count(a.min_nr_regions), _count(a.max_nr_regions)) for a in attrs]
    units = [(str(context.addr_unit),) for context in contexts]
    goals = [
        (
            format_damo_share(goal.access_bp, 10_000, ""),
            _count(goal.aggrs),
            _time(goal.min_sample_us),
            _time(goal.max_sample_us),
        )
        for goal in (a.intervals_goal for a in attrs)
    ]
    words = _each("--monitoring_intervals", intervals, ("5ms", "100ms", "1s"))
    words += _each("--monitoring_intervals_goal", goals, ("0%", "0", "0ns", "0ns"))
    words += _each("--monitoring_nr_regions_range", bounds, ("10", "1000"))
    words += _each("--damon_addr_unit", units, ("1",))
    paused = [i for i, context in enumerate(contexts) if context.pause]
    words += _list("--pause_ctx", paused) if paused else []
    return words + _of_sample_control([context.sample_control for context in contexts])


def _of_sample_control(controls: Sequence[spec.SampleControl]) -> list[str]:
    """damo's experimental filter options where they suffice, else the proposed one."""
    primitives = [(control.source("page_table"),) for control in controls]
    words = _each("--sample_primitives", primitives, ("page_table",))
    short = [_short_filters(control.filters) for control in controls]
    cpus = {found is not None and "cpumask" in found for found in short}
    tids = {found is not None and "threads" in found for found in short}
    if None not in short and len(cpus) == 1 and len(tids) == 1:
        values = [found or {} for found in short]
        write = [("Y" if "write" in found else "N",) for found in values]
        words += _each("--exp_ops_write_only", write, ("N",))
        words += _each("--exp_ops_cpus", [(v.get("cpumask", ""),) for v in values], ("",))
        return words + _each("--exp_ops_tids", [(v.get("threads", ""),) for v in values], ("",))
    for control in controls:
        said = [word for found in control.filters for word in _sample_filter(found)]
        words += ["--sample_filter", *(said or ["none"])]
    return words


def _short_filters(filters: Sequence[spec.SampleFilter]) -> dict[str, str] | None:
    """Values by kind, or None if damo's experimental options cannot say these filters."""
    kinds = [found.type for found in filters if found.matching and found.allow]
    in_order = [kind for kind in ("write", "cpumask", "threads") if kind in kinds]
    if len(kinds) < len(filters) or kinds != in_order:
        return None
    return {found.type: _sample_value(found) for found in filters}


def _sample_filter(found: spec.SampleFilter) -> list[str]:
    words = ["allow" if found.allow else "reject", *([] if found.matching else ["non"])]
    value = _sample_value(found)
    return [*words, found.type, *([value] if value else [])]


def _sample_value(found: spec.SampleFilter) -> str:
    if found.type == "threads":
        return ",".join(map(str, found.threads))
    return found.cpumask or "" if found.type == "cpumask" else ""


def _of_probes(contexts: Sequence[spec.Context]) -> list[str]:
    probes = [probe for context in contexts for probe in context.probes]
    if not probes:
        return []
    words = _list("--nr_probes", [len(context.probes) for context in contexts])
    for probe in probes:
        for found in probe.filters:
            words += ["--probe_filter", "allow" if found.allow else "reject"]
            words += [] if found.matching else ["non"]
            words += [found.type, *([found.path] if found.path is not None else [])]
            if found.range_min is not None and found.range_max is not None:
                words += [_count(found.range_min), _count(found.range_max)]
        for action in probe.preps:
            words += ["--probe_prep", action]
    words += _list("--nr_probe_filters", [len(probe.filters) for probe in probes])
    words += _list("--nr_probe_preps", [len(probe.preps) for probe in probes])
    return [*words, "--probe_weight", *(_count(probe.weight) for probe in probes)]


def _of_schemes(contexts: Sequence[spec.Context]) -> list[str]:
    pairs = [(scheme, context.attrs) for context in contexts for scheme in context.schemes]
    schemes = [scheme for scheme, _ in pairs]
    patterns = [scheme.pattern for scheme in schemes]
    ages = [
        (_age(scheme.pattern.min_age, attrs), _age(scheme.pattern.max_age, attrs))
        for scheme, attrs in pairs
    ]
    rates = [
        (
            percent_of(scheme.pattern.min_nr_accesses, attrs),
            percent_of(scheme.pattern.max_nr_accesses, attrs),
        )
        for scheme, attrs in pairs
    ]
    words = [word for scheme in schemes for word in ("--damos_action", *_action(scheme))]
    sizes = [(_count(p.min_sz), _count(p.max_sz)) for p in patterns]
    words += _each("--damos_sz_region", sizes, ("0", "max"))
    words += _each("--damos_access_rate", rates, ("0%", "max"))
    words += _each("--damos_age", ages, ("0ns", "max"))
    applies = [(_time(scheme.apply_interval_us),) for scheme in schemes]
    words += _each("--damos_apply_interval", applies, ("0ns",))
    words += _of_quotas([scheme.quota for scheme in schemes])
    filters = [_filter(found) for scheme in schemes for found in scheme.filters]
    words += [word for found in filters for word in ("--damos_filter", *found)]
    if filters and len(schemes) > 1:
        words += _list("--damos_nr_filters", [len(scheme.filters) for scheme in schemes])
    wmarks = [
        (w.metric, _time(w.interval_us), *(format_damo_share(p, 1000, "") for p in levels))
        for w, levels in ((s.wmarks, (s.wmarks.high, s.wmarks.mid, s.wmarks.low)) for s in schemes)
    ]
    words += _each("--damos_wmarks", wmarks, ("none", "0ns", "0%", "0%", "0%"))
    snapshots = [(_count(scheme.max_nr_snapshots),) for scheme in schemes]
    return words + _each("--damos_max_nr_snapshots", snapshots, ("0",))


def _of_quotas(quotas: Sequence[spec.Quota]) -> list[str]:
    limits = []
    for q in quotas:
        weights = (q.weight_sz, q.weight_nr_accesses, q.weight_age)
        shares = [format_damo_share(weight, 1000, "") for weight in weights]
        limits.append(
            (_time(q.ms, 10**6), _count(q.sz), _time(q.reset_interval_ms, 10**6), *shares)
        )
    goals = [goal for quota in quotas for goal in quota.goals]
    words = _each("--damos_quotas", limits, () if goals else NO_QUOTA)
    words += [word for goal in goals for word in ("--damos_quota_goal", *_goal(goal))]
    if goals and len(quotas) > 1:
        words += _list("--damos_nr_quota_goals", [len(quota.goals) for quota in quotas])
    words += _each("--damos_quota_goal_tuner", [(q.goal_tuner,) for q in quotas], ("consist",))
    ratios = [(_count(q.fail_charge_num), _count(q.fail_charge_denom)) for q in quotas]
    return words + _each("--damos_quota_fail_charge_ratio", ratios, ("0", "0"))


def _action(scheme: spec.Scheme) -> list[str]:
    if scheme.dests:
        return [scheme.action, *(str(n) for d in scheme.dests for n in (d.nid, d.weight))]
    return [scheme.action, *([str(scheme.target_nid)] if scheme.target_nid >= 0 else [])]


def _goal(goal: spec.QuotaGoal) -> list[str]:
    target = _count(goal.target_value)
    if goal.metric.endswith("_bp"):
        target = format_damo_share(goal.target_value, 10_000, "")
    elif goal.metric == "some_mem_psi_us":
        target = _time(goal.target_value)
    words = [goal.metric, target, *(["complement"] if goal.complement else [])]
    words += [_count(goal.current_value)] if goal.metric == "user_input" else []
    words += [str(goal.nid)] if goal.nid is not None else []
    return words + ([goal.memcg_path] if goal.memcg_path is not None else [])


def _filter(found: spec.Filter) -> list[str]:
    args = {
        "memcg": [found.memcg_path or ""],
        "hugepage_size": [_count(found.min_sz), _count(found.max_sz)],
        "addr": [_count(found.start), _count(found.end)],
        "target": [_count(found.target_idx)],
        "probe_hits_wsum": [_count(found.min_hits), _count(found.max_hits)],
    }.get(found.type, [])
    words = ["allow" if found.allow else "reject", *([] if found.matching else ["none"])]
    return [*words, found.type, *args]


# ---------------------------------------------------------------------------- words


def _each(option: str, values: Sequence[tuple[str, ...]], default: tuple[str, ...]) -> list[str]:
    """The option once for every object, or not at all where all have the default."""
    if all(value == default for value in values):
        return []
    return [word for value in values for word in (option, *value)]


def _list(option: str, counts: Sequence[int]) -> list[str]:
    return [option, *map(str, counts)]


def _count(count: int) -> str:
    return "max" if count == ULONG_MAX else str(count)


def _time(count: int, unit_ns: int = 1000) -> str:
    return "max" if count == ULONG_MAX else format_damo_time(count * unit_ns, "")


def _age(count: int, attrs: spec.Attrs) -> str:
    return "max" if count >= UINT_MAX else format_damo_time(count * attrs.aggr_us * 1000, "")


def _unsayable(kdamonds: Sequence[spec.Kdamond]) -> list[Problem]:
    """What a kdamonds file may hold, but no option says."""
    found = [] if kdamonds else [Problem("", "there is no kdamond")]
    for i, kdamond in enumerate(kdamonds):
        if not kdamond.contexts:
            found.append(Problem(f"kdamonds[{i}]", "no option makes a kdamond without contexts"))
        for j, context in enumerate(kdamond.contexts):
            place, control = f"kdamonds[{i}].contexts[{j}]", context.sample_control
            if not context.targets:
                found.append(Problem(place, "no option makes a context without targets"))
            if control.page_table + control.page_fault + bool(control.extension) != 1:
                found.append(Problem(place, "options set exactly one sampling primitive"))
            for k, scheme in enumerate(context.schemes):
                found += _unsayable_in(scheme, f"{place}.schemes[{k}]")
    return found


def _unsayable_in(scheme: spec.Scheme, place: str) -> list[Problem]:
    found = []
    somewhere = scheme.target_nid >= 0 or bool(scheme.dests)
    if somewhere and not scheme.action.startswith("migrate_"):
        found.append(Problem(place, "options give a node to migrations only"))
    if scheme.target_nid >= 0 and scheme.dests:
        found.append(Problem(place, "options give one node or several with weights, not both"))
    set_by_hand = {g.metric for g in scheme.quota.goals if g.current_value} - {"user_input"}
    message = "no option sets the current value of "
    return found + [Problem(place, message + metric) for metric in sorted(set_by_hand)]
