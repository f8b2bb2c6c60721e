"""What watching and moving pages cost in CPU time: kdamonds, the workload's threads, kswapd."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numasim.report.page.content import percent
from numasim.report.page.numbers import title
from numasim.result import Result

KSWAPD = "kswapd_cpu_ns"
TITLES = {
    "kdamonds": title("kdamond_cpu"),
    "threads": "Threads' faults and scans (of one CPU)",
    "kswapd": "Overhead of kswapd (of one CPU)",
}


@dataclass(frozen=True)
class Overhead:
    """Shares of one CPU over the whole run; NaN where a run has nothing of the kind.

    Parameters
    ----------
    kdamonds : float
        Of all together.
    threads : float
        Time that faults, scans and samples took from the workload's own threads.
    kswapd : float
        Of all nodes together.
    """

    kdamonds: float
    threads: float
    kswapd: float

    @property
    def total(self) -> float:
        """All of them; NaN if there is none."""
        known = [v for v in (self.kdamonds, self.threads, self.kswapd) if not math.isnan(v)]
        return sum(known) if known else math.nan

    def told(self) -> str:
        """``kdamonds 0.2 %; threads' faults and scans –; kswapd –``."""
        names = ("kdamonds", "threads' faults and scans", "kswapd")
        values = (self.kdamonds, self.threads, self.kswapd)
        return "; ".join(f"{n} {share(v)}" for n, v in zip(names, values, strict=True))


def share(value: float) -> str:
    """A share of a CPU; ``–`` where there is none."""
    return "–" if math.isnan(value) else percent(value)


def overhead(result: Result) -> Overhead:
    """What a run's tables say.

    Notes
    -----
    Tables `tolls` and `vmstat` are cumulative, so their highest values are those of the end.
    """
    span_ns = float(result.actors.t_s.max()) * 1e9 if len(result.actors) else math.nan
    reclaim = result.vmstat[result.vmstat.counter == KSWAPD]
    took = (
        result.kdamonds.groupby("kdamond").cpu_ns.max(),
        result.tolls.groupby("actor").paid_ns.max(),
        reclaim.groupby("agent").value.max(),
    )
    found = (float(t.sum()) / span_ns if len(t) and span_ns > 0 else math.nan for t in took)
    return Overhead(*found)
