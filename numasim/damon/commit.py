"""Changing a running context from outside: all of it at once, or nothing.

Source: DAMON core specification, sections 2.1 and 2.3 (Linux 7.3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from numasim.damon.attrs import attrs_problems
from numasim.damon.ranges import coalesce, set_regions
from numasim.damon.schemes import SchemeState
from numasim.damon.spec import ELIGIBLE_METRICS, Context, Target
from numasim.damon.targets import TargetState
from numasim.errors import ConfigError, Problem

if TYPE_CHECKING:
    from numasim.damon.context import ContextState


def context_problems(spec: Context, min_region_sz: int, place: str = "") -> list[Problem]:
    """Everything for which the kernel would refuse this context, and what we cannot run."""
    prefix = f"{place}." if place else ""
    problems = attrs_problems(spec.attrs, f"{prefix}attrs")
    if min_region_sz <= 0 or min_region_sz & (min_region_sz - 1):
        problems.append(Problem(f"{prefix}min_region_sz", f"{min_region_sz} is not a power of two"))
    if spec.probes:
        problems.append(Problem(f"{prefix}probes", "data-attribute probes are not simulated yet"))
    for i, scheme in enumerate(spec.schemes):
        for j, goal in enumerate(scheme.quota.goals):
            where = f"{prefix}schemes[{i}].quota.goals[{j}]"
            if goal.target_value == 0:
                problems.append(Problem(f"{where}.target_value", "is 0"))
            if goal.metric in ELIGIBLE_METRICS and spec.ops != "paddr":
                problems.append(
                    Problem(f"{where}.metric", f"{goal.metric} is for paddr, not {spec.ops}")
                )
    return problems


def commit(ctx: ContextState, new: Context, min_region_sz: int) -> None:
    """Make a running context follow a new description.

    Raises
    ------
    ConfigError
        Where the kernel would refuse; then nothing has changed.
    """
    problems = context_problems(new, min_region_sz)
    if new.ops != ctx.spec.ops:
        problems.append(
            Problem("ops", f"a running context cannot change from {ctx.spec.ops} to {new.ops}")
        )
    targets = _committed_targets(ctx, new.targets, min_region_sz, problems)
    if problems:
        raise ConfigError(problems, ctx.name)
    _commit_schemes(ctx, new)
    for gone in ctx.targets:
        if gone not in targets:
            ctx.forget_positions(gone)
    ctx.targets = targets
    ctx.spec = new
    if new.attrs != ctx.attrs:
        ctx.set_attrs(new.attrs)
    ctx.paused = new.pause
    ctx.addr_unit = new.addr_unit
    ctx.min_region_sz = min_region_sz


def _commit_schemes(ctx: ContextState, new: Context) -> None:
    kept = ctx.schemes[: len(new.schemes)]
    for scheme, spec in zip(kept, new.schemes, strict=False):
        scheme.commit(spec)
    ctx.schemes = kept + [SchemeState(spec) for spec in new.schemes[len(kept) :]]


def _committed_targets(
    ctx: ContextState, specs: Sequence[Target], min_region_sz: int, problems: list[Problem]
) -> list[TargetState]:
    """The targets after the commit; those that survive change only if there is no problem."""
    targets: list[TargetState] = []
    pending = []
    for i, spec in enumerate(specs):
        target = ctx.targets[i] if i < len(ctx.targets) else None
        if spec.obsolete:
            if target is None:
                problems.append(
                    Problem(f"targets[{i}]", "is obsolete, but there is no such target")
                )
            continue
        target = target or TargetState(spec)
        regions = target.regions.copy()
        if spec.regions:
            try:
                set_regions(regions, coalesce(spec.regions), min_region_sz)
            except ValueError as error:
                problems.append(Problem(f"targets[{i}].regions", str(error)))
        targets.append(target)
        pending.append((target, spec, regions))
    if not problems:
        for target, spec, regions in pending:
            target.spec, target.regions = spec, regions
    return targets
