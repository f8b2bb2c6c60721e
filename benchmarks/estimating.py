"""What many turns tell of a cost: the tenth that was least disturbed.

A core that is shared disturbs one way only. Neighbours take caches, memory and half of a core away,
interrupts are charged to whom they meet; nothing ever makes a turn cheaper than it is on a quiet
machine. So a cost is its lowest decile over many short turns, not their median, which tells how
busy the machine was; nor the very least, which one lucky turn decides. A ratio is that of two such
deciles, from turns that alternate in one process; a rate is one over such a decile, at the speed
that this machine has. Nothing is divided by anything that the unit does not name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

QUIET = 0.1  # share of turns that are less disturbed than the one that counts


class Estimate(NamedTuple):
    """An answer, and how far the two halves of the turns disagree on it, as a share of it."""

    value: float
    spread: float = 0.0


def quiet(costs: Sequence[float]) -> float:
    """The lowest decile of some costs."""
    return float(np.quantile(costs, QUIET))


def cost(costs: Sequence[float], unit: float = 1.0) -> Estimate:
    """CPU time of one turn, in units of so many seconds."""
    value = quiet(costs) / unit
    first, second = (quiet(half) / unit for half in _halves(costs))
    return Estimate(value, abs(first - second) / value)


def rate(costs: Sequence[float], amount: float = 1.0) -> Estimate:
    """How much is done in a CPU second, by turns that did `amount` each."""
    found = cost(costs)
    return Estimate(amount / found.value, found.spread)


def ratio(above: Sequence[float], below: Sequence[float], times: float = 1.0) -> Estimate:
    """`times` the cost of one side against another's that took turns with it."""
    value = times * quiet(above) / quiet(below)
    halves = zip(_halves(above), _halves(below), strict=True)
    first, second = (times * quiet(a) / quiet(b) for a, b in halves)
    return Estimate(value, abs(first - second) / value)


def middle(estimates: Sequence[Estimate]) -> Estimate:
    """The median of several processes' estimates; the spread is theirs, or that of the only one."""
    if len(estimates) == 1:
        return estimates[0]
    low, value, high = np.quantile([one.value for one in estimates], [0.25, 0.5, 0.75])
    return Estimate(float(value), float((high - low) / value))


def _halves(costs: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """The turns of the first and of the second half of the time; both of a single turn."""
    middle = len(costs) // 2
    return (costs[:middle], costs[middle:]) if middle else (costs, costs)
