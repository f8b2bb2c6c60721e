"""The one feedback loop with which DAMON tunes both its intervals and its quotas."""

from __future__ import annotations

from numasim.damon.arith import U64

GOAL = 10_000  # the score at which nothing changes, basis points
FLOOR = 10_000  # least input


def feed(last: int, score: int) -> int:
    """The next input of the loop.

    Parameters
    ----------
    last : int
        Input of the step before.
    score : int
        What that input achieved, basis points of the goal.

    Returns
    -------
    int
        Larger if the goal was missed, smaller if it was exceeded; at most 2^64 - 1.

    Notes
    -----
    Source: DAMON core specification, section 8.3 (Linux 7.3.4).
    """
    if score == GOAL:
        return last
    if score >= 2 * GOAL:
        return FLOOR
    distance = abs(score - GOAL)
    exact = last < U64 // distance  # else the product would not fit in 64 bits
    compensation = last * distance // GOAL if exact else last // GOAL * distance
    if score > GOAL:
        return max(last - compensation, FLOOR)
    return min(last + compensation, U64)
