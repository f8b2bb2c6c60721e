"""As many seeds as a narrow interval needs, and no bias from looking at it while they come.

Stopping as soon as an interval looks narrow stops where chance made it so, and then it covers the
truth less often than it says. Here a pilot decides, once and from its spread alone, how many seeds
there will be (Stein's two-stage procedure); its interval keeps its promise for log ratios that are
near normal, which tests check by drawing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from numasim.errors import ConfigError, Problem
from numasim.statistics import LEVEL, stein_seeds
from numasim.sweep.plan import Group, Plan
from numasim.sweep.ranking import METRIC, paired, values_by_point
from numasim.sweep.sweeping import Sweep, Sweeping

PILOT = 10
"""Seeds of the pilot at least; fewer say too little of a spread, and ask for too many seeds."""
MOST = 200


@dataclass(frozen=True)
class Until:
    """How narrow intervals shall be.

    Parameters
    ----------
    half_width : float
        Of the ratio to the first policy, as a share of it; of the mean where there is one policy.
    metric : str
    most : int
        Seeds at most.
    """

    half_width: float
    metric: str = METRIC
    most: int = MOST

    def __post_init__(self) -> None:
        if not 0 < self.half_width < 1:
            message = f"got {self.half_width}, expected a share between 0 and 1, such as 1%"
            raise ConfigError(Problem("--until-ci", message))
        if self.most < PILOT:
            message = f"got {self.most}, expected at least the {PILOT} of the pilot"
            raise ConfigError(Problem("--max-seeds", message))


def pilot_of(plan: Plan) -> Plan:
    """The plan with as many seeds as a pilot needs at least."""
    return plan.with_seeds((*plan.seeds, *_further(plan, PILOT - len(plan.seeds))))


def _further(plan: Plan, nr: int) -> tuple[int, ...]:
    """Seeds after the highest of the plan."""
    return tuple(range(max(plan.seeds) + 1, max(plan.seeds) + 1 + max(0, nr)))


def seeds_wanted(pilot: Sweep, until: Until) -> dict[Group, int]:
    """How many seeds each group of points needs in all.

    Raises
    ------
    ConfigError
        If runs have no such number.
    """
    values = values_by_point(pilot, until.metric)
    groups = pilot.plan.groups()
    nr = max(1, sum(len(points) - 1 for points in groups.values()))
    level = 1 - (1 - LEVEL) / nr
    width = math.log1p(until.half_width)
    found: dict[Group, int] = {}
    for group, points in groups.items():
        wanted = len(pilot.plan.seeds)
        for point in points[1:] or points:
            mine, base = paired(values, point, points[0])
            base = [1.0] * len(mine) if point is points[0] else base
            if len(mine) < 2 or any(not 0 < x < math.inf for x in (*mine, *base)):
                continue
            logs = [math.log(a / b) for a, b in zip(mine, base, strict=True)]
            wanted = max(wanted, stein_seeds(logs, width, level))
        found[group] = wanted
    return found


def sweep_until(
    working: Sweeping, until: Until, on_pilot: Callable[[dict[Group, int]], None] | None = None
) -> tuple[Sweep, dict[Group, int]]:
    """A pilot, then the seeds that it asks for; the sweep, and how many seeds each group wants.

    Parameters
    ----------
    working : Sweeping
        At work on a plan made by `pilot_of`.
    until : Until
    on_pilot : callable, optional
        Called with the seeds wanted, before those beyond the pilot run.
    """
    pilot = working.run(working.plan)
    wanted = seeds_wanted(pilot, until)
    if on_pilot is not None:
        on_pilot(wanted)
    have = len(working.plan.seeds)
    more = {g: _further(working.plan, min(n, until.most) - have) for g, n in wanted.items()}
    if not any(more.values()):
        return pilot, wanted
    return working.run(replace(working.plan, more_seeds=more)), wanted
