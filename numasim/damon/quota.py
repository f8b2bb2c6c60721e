"""Quota of a scheme: what it may still do in this window, and how that limit is found.

Source: DAMON core specification, section 8 (Linux 7.3.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from numasim.damon import clock
from numasim.damon.arith import U64, mult_frac
from numasim.damon.feedback import feed
from numasim.damon.goals import GoalState
from numasim.damon.spec import Quota

if TYPE_CHECKING:
    from numasim.damon.targets import TargetState

_BP = 10_000
_NS_PER_MS = 1_000_000
_FIRST_BYTES_PER_MS = 4096 * 1024  # assumed speed of an action that was never timed


@dataclass
class QuotaState:
    """A quota while it runs. Sizes in core address units.

    Attributes
    ----------
    spec : Quota
    goals : list of GoalState
    esz : int
        Effective size quota of this window.
    esz_bp : int
        What the goal tuner feeds back, basis points of a byte.
    charged_sz : int
        Charged in this window.
    charged_from : int
        Jiffy at which the window began; 0 for never.
    charge_target_from : TargetState or None
        Target in which the next pass continues after the quota was exhausted.
    charge_addr_from : int
        Address from which it continues.
    total_charged_sz, total_charged_ns : int
        Since the scheme was made: of complete windows, and time (coarse clock) of all actions.
    min_score : int
        Least priority of a region that is acted upon.
    """

    spec: Quota
    goals: list[GoalState] = field(default_factory=list)
    esz: int = 0
    esz_bp: int = 0
    charged_sz: int = 0
    charged_from: int = 0
    charge_target_from: TargetState | None = None
    charge_addr_from: int = 0
    total_charged_sz: int = 0
    total_charged_ns: int = 0
    min_score: int = 0

    @classmethod
    def of(cls, spec: Quota) -> QuotaState:
        """A quota as the user gave it."""
        return cls(spec, [GoalState.of(goal) for goal in spec.goals])

    def commit(self, spec: Quota) -> None:
        """Take over new limits; what was charged and tuned stays."""
        self.spec = spec
        kept = self.goals[: len(spec.goals)]
        for goal, new in zip(kept, spec.goals, strict=False):
            goal.commit(new)
        self.goals = kept + [GoalState.of(new) for new in spec.goals[len(kept) :]]

    @property
    def is_set(self) -> bool:
        """Whether anything is limited at all."""
        return bool(self.esz or self.spec.sz or self.spec.ms or self.goals)

    def full(self, min_region_sz: int) -> bool:
        """Whether nothing more fits into this window."""
        if not self.is_set:
            return False
        return self.charged_sz >= self.esz or self.esz - self.charged_sz < min_region_sz

    def forget_position(self) -> None:
        """The next pass begins at the first region."""
        self.charge_target_from = None
        self.charge_addr_from = 0

    def charge(self, sz: int, applied: int) -> None:
        """Charge an action on a region of size `sz` that succeeded on `applied` (section 8.8)."""
        denominator = self.spec.fail_charge_denom
        if not denominator or applied > sz:
            self.charged_sz += sz
        else:
            failed = mult_frac(sz - applied, self.spec.fail_charge_num, denominator)
            self.charged_sz += applied + failed


def start_window(
    quota: QuotaState,
    jiffy: int,
    tick_ns: int,
    min_region_sz: int,
    measure_goals: Callable[[], None],
) -> bool:
    """Begin a charge window where one is due (the first part of adjusting a quota, section 8.2).

    Parameters
    ----------
    quota : QuotaState
    jiffy : int
        Now.
    tick_ns : int
        Length of a jiffy.
    min_region_sz : int
    measure_goals : callable
        Refreshes the goals' current values.

    Returns
    -------
    bool
        Whether the window that ended was full.
    """
    if not quota.total_charged_sz and not quota.charged_from:
        quota.charged_from = jiffy
        compute_esz(quota, min_region_sz, measure_goals)
    length = clock.msecs_to_jiffies(quota.spec.reset_interval_ms, tick_ns)
    if quota.charged_from <= jiffy < quota.charged_from + length:
        return False
    exceeded = quota.full(min_region_sz)
    quota.total_charged_sz += quota.charged_sz
    quota.charged_from = jiffy
    quota.charged_sz = 0
    compute_esz(quota, min_region_sz, measure_goals)
    return exceeded


def compute_esz(quota: QuotaState, min_region_sz: int, measure_goals: Callable[[], None]) -> None:
    """Set the effective size quota for a new window (section 8.4)."""
    spec = quota.spec
    if not spec.ms and not quota.goals:
        quota.esz = spec.sz
        return
    esz = U64
    if quota.goals:
        measure_goals()
        _tune(quota)
        esz = quota.esz_bp // _BP
    if spec.ms:
        speed = _FIRST_BYTES_PER_MS
        if quota.total_charged_ns:
            speed = mult_frac(quota.total_charged_sz, _NS_PER_MS, quota.total_charged_ns)
        esz = min(esz, max(speed * spec.ms & U64, min_region_sz))
    if spec.sz:
        esz = min(esz, spec.sz)
    quota.esz = esz


def goals_score(quota: QuotaState) -> int:
    """Achievement of the goal that is nearest to being met, basis points (section 8.5)."""
    return max((goal.score_bp for goal in quota.goals), default=0)


def _tune(quota: QuotaState) -> None:
    score = goals_score(quota)
    if quota.spec.goal_tuner == "consist":
        quota.esz_bp = feed(max(quota.esz_bp, _BP), score)
    elif score >= _BP:
        quota.esz_bp = 0
    elif quota.spec.sz and quota.spec.sz <= U64 // _BP:
        quota.esz_bp = quota.spec.sz * _BP
    else:
        quota.esz_bp = U64
