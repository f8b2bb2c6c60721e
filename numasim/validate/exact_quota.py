"""Effective quotas while nothing moves: each follows from the one before and the goal's score.

Only where a scheme tried nothing: its work would blur when its windows began. Only where free
memory stood still in the samples around.
"""

from __future__ import annotations

import numpy as np

from numasim.damon.feedback import feed
from numasim.damon.goals import GoalState, measure
from numasim.damon.spec import QuotaGoal, Scheme
from numasim.validate.exact import Check
from numasim.validate.observed import PAGE, Observed, SchemeSeen
from numasim.validate.recording import Recording

BP = 10_000
STEADY = 5e-4
"""Of a node's memory: as much may its free part vary and still count as unmoved."""
COUNTER_PAGES = 128
"""Between two samples free memory wanders by so much: lists and counters are kept per CPU."""
KNOWN = ("node_mem_free_bp", "node_mem_used_bp")
FAR_S = 5.0
"""Samples of free memory farther apart than that tell nothing of what lies between."""


class _Given:
    """A node as the recorder saw it at an instant."""

    def __init__(self, managed: int, free: int) -> None:
        self._pages = (managed, free)

    def node_pages(self, nid: int) -> tuple[int, int] | None:
        """Managed and free pages, whichever node."""
        return self._pages


def exact_quotas(seen: Observed, recording: Recording) -> list[Check]:
    """The check of quotas with goals on free or used memory; empty where there are none."""
    check = Check("quota while nothing moves")
    hz = recording.setup.hz
    for kdamond in seen.kdamonds:
        for scheme, spec in zip(
            kdamond.schemes, kdamond.context.schemes if kdamond.context else (), strict=False
        ):
            goals = spec.quota.goals
            if len(goals) == 1 and goals[0].metric in KNOWN and spec.quota.goal_tuner == "consist":
                _follow(check, kdamond.name, scheme, spec, seen, recording, 1 / hz)
    return [check] if check.checked else []


def _follow(
    check: Check, name: str, scheme: SchemeSeen, spec: Scheme, seen: Observed,
    recording: Recording, tick_s: float,
) -> None:  # fmt: skip
    length_s = spec.quota.reset_interval_ms / 1000
    for i in range(len(scheme.esz_s) - 1):
        begin, end = float(scheme.esz_s[i]), float(scheme.esz_s[i + 1])
        before, after = int(scheme.esz[i]), int(scheme.esz[i + 1])
        windows = _windows(scheme, begin, end, length_s, tick_s)
        bounds = _scores(spec.quota.goals[0], seen, recording, begin, end)
        if not windows or bounds is None or spec.quota.ms or before >= (spec.quota.sz or np.inf):
            continue
        low = high = 0
        for k in range(windows):
            start = (before * BP, before * BP + BP - 1) if k == 0 else (low, high)
            low = feed(max(start[0], BP), max(bounds))
            high = feed(max(start[1], BP), min(bounds))
        cap = spec.quota.sz or 2**64
        least, most = min(low // BP, cap), min(high // BP, cap)
        what = (
            f"{name}: {before} → {after} bytes in {windows} windows at {end:.3f} s, expected "
            f"{least} to {most} (score {min(bounds)} to {max(bounds)})"
        )
        check.look(least <= after <= most, what)


def _windows(scheme: SchemeSeen, begin: float, end: float, length_s: float, tick_s: float) -> int:
    """Quota windows that began after an instant and until another; 0 where that is not certain."""
    inside = np.flatnonzero((scheme.t_s > begin + 2 * tick_s) & (scheme.t_s <= end + 2 * tick_s))
    if not len(inside):
        return 0
    tried = scheme.counter("sz_tried")
    if tried[inside[-1]] != tried[max(inside[0] - 1, 0)]:
        return 0
    nr, window_s = 0, begin
    for t in scheme.t_s[inside]:
        if abs(t - window_s - length_s) < 3 * tick_s:
            return 0
        if t - window_s > length_s:
            nr, window_s = nr + 1, float(t)
    return nr


def _scores(
    goal: QuotaGoal, seen: Observed, recording: Recording, begin: float, end: float
) -> tuple[int, int] | None:
    """Least and largest score of the goal that free memory around these instants allows."""
    node = goal.nid
    if node is None or node >= seen.free_bytes.shape[1]:
        return None
    zones = [z for z in recording.setup.zones if z.node == node]
    managed = sum(zone.managed for zone in zones)
    first = int(np.searchsorted(seen.t_s, begin, "right")) - 2
    last = int(np.searchsorted(seen.t_s, end, "left")) + 1
    if first < 0 or last >= len(seen.t_s) or (np.diff(seen.t_s[first : last + 1]) > FAR_S).any():
        return None
    free = seen.free_bytes[first : last + 1, node] / PAGE
    if not np.isfinite(free).all() or free.max() - free.min() > STEADY * managed:
        return None
    least, most = int(free.min()) - COUNTER_PAGES, int(free.max()) + COUNTER_PAGES
    return _score(goal, managed, max(least, 0)), _score(goal, managed, min(most, managed))


def _score(goal: QuotaGoal, managed: int, free: int) -> int:
    state = GoalState.of(goal)
    measure(state, _Given(managed, free), lambda: None, False, 0)  # type: ignore[arg-type]
    return state.score_bp
