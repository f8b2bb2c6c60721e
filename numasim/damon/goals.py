"""Goals of a quota: what is measured, and how well it was achieved.

Source: DAMON core specification, sections 8.5 and 8.6 (Linux 7.3.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numasim.damon.arith import mult_frac
from numasim.damon.ops import GoalMetrics
from numasim.damon.spec import ELIGIBLE_METRICS, QuotaGoal

_BP = 10_000


@dataclass
class GoalState:
    """One goal of a quota while it runs.

    Attributes
    ----------
    spec : QuotaGoal
    current_value : int
        As last measured, in the metric's unit (basis points, or microseconds of stall).
    last_psi_total : int or None
        Stall time at the last measurement, microseconds.
    """

    spec: QuotaGoal
    current_value: int = 0
    last_psi_total: int | None = None

    @classmethod
    def of(cls, spec: QuotaGoal) -> GoalState:
        """A goal as the user gave it."""
        return cls(spec, spec.current_value)

    def commit(self, spec: QuotaGoal) -> None:
        """Take over a new description; what was measured stays unless the user states it."""
        self.spec = spec
        if spec.metric == "user_input":
            self.current_value = spec.current_value
        self.last_psi_total = None

    @property
    def score_bp(self) -> int:
        """Achievement, basis points of the target."""
        return mult_frac(self.current_value, _BP, self.spec.target_value)


def measure(
    goal: GoalState,
    metrics: GoalMetrics,
    eligible: Callable[[], dict[int, int] | None],
    temporal: bool,
    esz: int,
) -> None:
    """Refresh a goal's current value.

    Parameters
    ----------
    goal : GoalState
    metrics : GoalMetrics
    eligible : callable
        Bytes on each node in regions that match the scheme; None unless paddr.
    temporal : bool
        Whether the quota's tuner is the temporal one.
    esz : int
        Effective quota so far, core address units.
    """
    metric = goal.spec.metric
    if metric == "user_input":
        return
    if metric == "some_mem_psi_us":
        _measure_psi(goal, metrics, temporal, esz)
    elif metric in ELIGIBLE_METRICS:
        elsewhere = metric == "node_ineligible_mem_bp"
        goal.current_value = _eligible_bp(eligible(), goal.spec.nid, elsewhere)
    elif metric in ("active_mem_bp", "inactive_mem_bp"):
        active, inactive = metrics.lru_pages() or (0, 0)
        part = active if metric == "active_mem_bp" else inactive
        goal.current_value = mult_frac(part, _BP, max(active + inactive, 1))
    else:
        goal.current_value = _node_bp(goal.spec, metrics)


def _measure_psi(goal: GoalState, metrics: GoalMetrics, temporal: bool, esz: int) -> None:
    total = metrics.psi_some_us() or 0
    if goal.last_psi_total is not None:
        goal.current_value = max(total - goal.last_psi_total, 0)
    elif temporal and esz:
        goal.current_value = 0
    else:
        goal.current_value = goal.spec.target_value
    goal.last_psi_total = total


def _eligible_bp(on_node: dict[int, int] | None, nid: int | None, elsewhere: bool) -> int:
    """Share of what matches the scheme that is on a node, or (proposed in 2026) on all others."""
    total = sum(on_node.values()) if on_node else 0
    if not on_node or not total or nid is None:
        return 0
    here = on_node.get(nid, 0)
    return mult_frac(total - here if elsewhere else here, _BP, total)


def _node_bp(goal: QuotaGoal, metrics: GoalMetrics) -> int:
    """Used or free share of a node: what does not exist is unused, what is absurd is full."""
    used_wanted = goal.metric in ("node_mem_used_bp", "node_memcg_used_bp")
    pages = metrics.node_pages(goal.nid) if goal.nid is not None else None
    if pages is None:
        return 0 if used_wanted else _BP
    total, free = pages
    if goal.metric in ("node_memcg_used_bp", "node_memcg_free_bp"):
        assert goal.nid is not None
        charged = metrics.node_memcg_pages(goal.nid, goal.memcg_path)
        if charged is None:
            return 0 if used_wanted else _BP
        used, free = charged, total - charged
        absurd = total < used
    else:
        used, absurd = total - free, total < free
    if total == 0 or absurd:
        return _BP if used_wanted else 0
    return mult_frac(used if used_wanted else free, _BP, total)
