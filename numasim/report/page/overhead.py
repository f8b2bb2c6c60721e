"""How what watching and moving cost is told on a page."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

from numasim.report.page.content import percent
from numasim.report.page.numbers import METRICS

PARTS = {
    "kdamond_cpu": "kdamonds",
    "thread_cpu": "threads' faults, scans and samples",
    "kswapd_cpu": "kswapd",
    "worker_cpu": "a policy's own threads",
}
"""Numbers of `Result.summary`, shares of one CPU, by who paid."""


def share(value: float) -> str:
    """A share of a CPU; ``–`` where there is none."""
    return "–" if math.isnan(value) else percent(value)


def paid(of: Callable[[str], float]) -> dict[str, float]:
    """Shares by who paid, NaN where a run has nothing of the kind.

    Parameters
    ----------
    of : callable
        Gives a number of `Result.summary`, NaN if it is not known.
    """
    found = {part: of(part) for part in PARTS}
    if found["kdamond_cpu"] == 0:  # as a summary says where a policy has no kdamond
        found["kdamond_cpu"] = math.nan
    return found


def in_all(shares: dict[str, float]) -> float:
    """All of them; NaN if there is none."""
    known = [value for value in shares.values() if not math.isnan(value)]
    return sum(known) if known else math.nan


def row_metrics(known: Collection[str]) -> list[str]:
    """Numbers of a run that a table of many runs has room for; who paid is told elsewhere."""
    return [m for m in METRICS if m in known and m not in (*PARTS, "refused_bytes")]


def told(shares: dict[str, float]) -> str:
    """``kdamonds 0.2 %; kswapd 1 %``, or that nobody paid."""
    known = [f"{PARTS[k]} {share(v)}" for k, v in shares.items() if not math.isnan(v)]
    return "; ".join(known) if known else "nobody watches, and nobody moves"
