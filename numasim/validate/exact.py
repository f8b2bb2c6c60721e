"""What DAMON does by rule, not by chance: held against every pair of consecutive snapshots.

The checks ask whether our own functions would have brought the kernel from one snapshot to the
next. They are made on recorded and on simulated runs alike; one miss is a bug, of one or the other.

A snapshot is taken after merging (and after schemes and tuning), and before splitting. So a start
of a region in the next one that was none before is a cut, and where it may lie is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from numasim.damon.arith import align_up
from numasim.damon.attrs import intervals_score, tuned
from numasim.damon.feedback import GOAL
from numasim.damon.regions import Regions
from numasim.damon.spec import Attrs
from numasim.validate.observed import PAGE, KdamondSeen, Observed, Watch

EXAMPLES = 5
NEAR_S = 0.02
"""Events of one kdamond's instant lie this close together."""
TIE_S = 0.011
"""Splits closer than that may have come in either order: what schemes do for less than 10 ms passes
within one simulated instant."""
"""Which of two kdamonds came first is not known below this."""


@dataclass
class Check:
    """One rule, how often it was looked at, and where it did not hold.

    Parameters
    ----------
    name : str
    checked, wrong : int
    examples : list of str
        Of what was wrong; the first few.
    """

    name: str
    checked: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the rule held wherever it was looked at."""
        return not self.wrong

    def look(self, holds: bool, what: str) -> None:
        """One more case."""
        self.checked += 1
        if not holds:
            self.wrong += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append(what)


def exact(seen: Observed) -> list[Check]:
    """Every exact check that applies to a run; those that had nothing to look at are left out."""
    checks = {
        name: Check(name)
        for name in ("initial regions", "cuts", "pieces", "ages of pieces", "counts", "tunings")
    }
    ways = _ways_to_split(seen)
    for kdamond in seen.kdamonds:
        if kdamond.context is None:
            continue
        attrs = kdamond.context.attrs
        for watch in kdamond.watches:
            if len(kdamond.watches) == 1:
                _initial(checks["initial regions"], kdamond, watch, attrs)
            _steps(checks, kdamond, watch, ways)
        _tunings(checks["tunings"], kdamond, attrs)
    return [check for check in checks.values() if check.checked]


# -- initial regions -------------------------------------------------------------------------------


def _initial(check: Check, kdamond: KdamondSeen, watch: Watch, attrs: Attrs) -> None:
    """The first snapshot's regions end at even cuts: they are too large to be merged."""
    if not len(watch) or watch.index[0] != 0 or 0 in _scheme_cuts(kdamond)[0]:
        return
    rows = watch.rows(0)
    start, end = rows[:, 0], rows[:, 0] + rows[:, 1]
    whole = int(rows[:, 1].sum()) * PAGE
    limit = align_up(max(whole // attrs.min_nr_regions, PAGE), PAGE) // PAGE
    begins = start[np.append(True, start[1:] != end[:-1])]
    origin = begins[np.searchsorted(begins, start, "right") - 1]
    gap = np.append(start[1:] != end[:-1], True)
    for i in range(len(rows)):
        even = (start[i] - origin[i]) % limit == 0
        full = gap[i] or (end[i] - origin[i]) % limit == 0
        what = f"{kdamond.name}: {start[i]} +{rows[i, 1]}, expected multiples of {limit} pages"
        check.look(bool(even and full and rows[i, 1] <= limit), what)


# -- from one snapshot to the next -----------------------------------------------------------------


def _ways_to_split(seen: Observed) -> dict[tuple[str, int], int]:
    """Into how many pieces regions were split after each snapshot; 0: some of them, -1: 2 or 3.

    The kernel compares the number of regions with that of the last split of any context.
    """
    counts: dict[tuple[str, int], int] = {}
    times: dict[tuple[str, int], float] = {}
    for kdamond in seen.kdamonds:
        for watch in kdamond.watches:
            for s in range(len(watch)):
                key = (kdamond.name, int(watch.index[s]))
                counts[key] = counts.get(key, 0) + int(watch.first[s + 1] - watch.first[s])
                times[key] = max(times.get(key, -np.inf), float(watch.t_s[s]))
    most = {k.name: k.context.attrs.max_nr_regions for k in seen.kdamonds if k.context is not None}
    order = sorted(counts, key=lambda key: times[key])
    return {
        key: _way(counts[key], most.get(key[0], 1000), _before(i, order, times, counts))
        for i, key in enumerate(order)
    }


def _before(
    i: int, order: list[tuple[str, int]], times: dict[tuple[str, int], float],
    counts: dict[tuple[str, int], int],
) -> set[int]:  # fmt: skip
    """Numbers of regions that the split before this one may have counted."""
    at, others = times[order[i]], [key for key in order[max(0, i - 8) : i + 8] if key != order[i]]
    surely = [times[key] for key in others if times[key] < at - TIE_S]
    since = max(surely) - TIE_S if surely else -np.inf
    found = {counts[key] for key in others if since <= times[key] <= at + TIE_S}
    return found if surely else found | {0}


def _way(nr: int, limit: int, last: set[int]) -> int:
    if nr >= limit:
        return 1
    if nr > limit // 2:
        return 0
    if nr in last and nr < limit // 3:
        return 3 if last == {nr} else -1
    return 2


def _steps(
    checks: dict[str, Check], kdamond: KdamondSeen, watch: Watch, ways: dict[tuple[str, int], int]
) -> None:
    assert kdamond.context is not None
    most = kdamond.aggr_samples
    acting = bool(kdamond.context.schemes)
    allowed, touched = _scheme_cuts(kdamond) if acting else ({}, {})
    told = not acting or bool(touched)
    for s in range(1, len(watch)):
        if watch.index[s] != watch.index[s - 1] + 1:
            continue
        old, new = watch.rows(s - 1), watch.rows(s)
        where = f"{kdamond.name}, snapshot {watch.index[s]}"
        checks["counts"].look(bool((new[:, 2] <= most).all()), f"{where}: above {most}")
        way = ways[kdamond.name, int(watch.index[s - 1])]
        if told:
            ratio = _age_ratio(kdamond, float(watch.t_s[s]))
            cuts, spans = allowed.get(s, set()), touched.get(s, np.empty((0, 4), np.int64))
            _step(checks, where, old, new, way, cuts, spans, ratio)


def _scheme_cuts(kdamond: KdamondSeen) -> tuple[dict[int, set[int]], dict[int, np.ndarray]]:
    """What schemes did before each snapshot: pages at which they may have cut, and what they aged.

    They cut where they act, and where they go on after their quota was exhausted.
    """
    cuts: dict[int, set[int]] = {}
    aged: dict[int, np.ndarray] = {}
    times = kdamond.watches[0].t_s
    for scheme in kdamond.schemes:
        position: set[int] = set()
        for t, rows in scheme.applied:
            pages = set(rows[:, 0].tolist()) | set((rows[:, 0] + rows[:, 1]).tolist())
            at = int(np.searchsorted(times, t - NEAR_S, "left"))
            cuts.setdefault(at, set()).update(pages | position)
            aged[at] = np.concatenate([aged[at], rows]) if at in aged else rows
            position = {int(rows[-1, 0] + rows[-1, 1])} if len(rows) else position
    return cuts, aged


def _age_ratio(kdamond: KdamondSeen, t_s: float) -> tuple[int, int]:
    """Sampling intervals before and after a tuning at that snapshot: ages are rescaled."""
    at = np.flatnonzero(np.abs(kdamond.tuned_s - t_s) < NEAR_S)
    if not len(at):
        return 1, 1
    assert kdamond.context is not None
    i = int(at[0])
    before = int(kdamond.tuned_us[i - 1]) if i else kdamond.context.attrs.sample_us
    return before, int(kdamond.tuned_us[i])


def _step(
    checks: dict[str, Check], where: str, old: np.ndarray, new: np.ndarray, way: int,
    scheme_cuts: set[int], aged: np.ndarray, ratio: tuple[int, int],
) -> None:  # fmt: skip
    """Which regions of the next snapshot could come of those before."""
    starts, ends = old[:, 0], old[:, 0] + old[:, 1]
    known = set(starts.tolist())
    inside: dict[int, list[int]] = {}
    for start in new[:, 0].tolist():
        i = int(np.searchsorted(starts, start, "right")) - 1
        if start in known or i < 0 or start >= ends[i]:
            continue  # as before, or in a range that was not monitored then
        inside.setdefault(i, []).append(start)
    for i, found in inside.items():
        first, size = int(starts[i]), int(old[i, 1])
        own = [at for at in found if at not in scheme_cuts]
        what = f"{where}: {first} +{size} cut at {[at - first for at in found]}"
        for at in own:
            checks["cuts"].look(at - first in _places(size, way), what)
        if way in (1, 2, 3):
            checks["pieces"].look(len(own) < way and _together(own, first, size), what)
    if way == 2:
        _ages(checks["ages of pieces"], where, old, new, inside, scheme_cuts, aged, ratio)


def _places(size: int, way: int) -> set[int]:
    """Where a region of that many pages may be cut."""
    if size <= (1 if way == 0 else 2):
        return set()
    once = {k * size // 10 for k in range(1, 10)} - {0, size}
    if way in (3, -1):
        return once | {k * left // 10 for left in once if left > 2 for k in range(1, 10)} - {0}
    return once


def _together(cuts: list[int], first: int, size: int) -> bool:
    """Whether two cuts can be of one three-way split: the second divides the left piece."""
    if len(cuts) < 2:
        return True
    near, far = sorted(at - first for at in cuts)[:2]
    once = {k * size // 10 for k in range(1, 10)}
    return far in once and near in {k * far // 10 for k in range(1, 10)}


def _ages(
    check: Check, where: str, old: np.ndarray, new: np.ndarray, inside: dict[int, list[int]],
    scheme_cuts: set[int], aged: np.ndarray, ratio: tuple[int, int],
) -> None:  # fmt: skip
    """Ages of regions cut in two of which nothing was merged: one more, or 0.

    Where a scheme acted on a part, that part began again at 0 before it was merged; beside a
    scheme's cut, what was merged before may have been cut again.
    """
    row_at = {int(start): i for i, start in enumerate(new[:, 0])}
    for i, cuts in inside.items():
        first, end, age = int(old[i, 0]), int(old[i, 0] + old[i, 1]), int(old[i, 3])
        if len(cuts) != 1 or first not in row_at or {first, cuts[0], end} & scheme_cuts:
            continue
        left, right = new[row_at[first]], new[row_at[cuts[0]]]
        if left[0] + left[1] != cuts[0] or right[0] + right[1] != end:
            continue
        older = (age + 1) * ratio[0] // ratio[1]
        for piece in (left, right):
            if ((aged[:, 0] < piece[0] + piece[1]) & (aged[:, 0] + aged[:, 1] > piece[0])).any():
                continue
            what = f"{where}: {piece.tolist()} of age {age} before, expected {older} or 0"
            check.look(int(piece[3]) in (older, 0), what)


# -- tunings ---------------------------------------------------------------------------------------


def _tunings(check: Check, kdamond: KdamondSeen, attrs: Attrs) -> None:
    """Each tuned interval follows from the snapshot it was tuned by, and comes when it is due."""
    goal = attrs.intervals_goal
    if not goal.aggrs or not kdamond.watches or not len(kdamond.watches[0]):
        return
    samples, now = kdamond.aggr_samples, attrs
    first = kdamond.watches[0]
    index, times = first.index.tolist(), first.t_s
    recorded = list(zip(kdamond.tuned_s.tolist(), kdamond.tuned_us.tolist(), strict=True))
    for number in range(goal.aggrs - 1, index[-1] + 1, goal.aggrs):
        if number not in index:
            return  # without that snapshot, what follows is unknown
        s = index.index(number)
        regions = [_regions(watch, s) for watch in kdamond.watches if s < len(watch)]
        score = intervals_score(regions, samples, goal.access_bp)
        at = [pair for pair in recorded if abs(pair[0] - times[s]) < NEAR_S]
        if score.adaptation_bp == GOAL:
            continue
        expected = tuned(now, score.adaptation_bp, samples)
        told = at[0][1] if at else None
        what = (
            f"{kdamond.name}, snapshot {number} at {times[s]:.3f} s: sample_us {now.sample_us} → "
            f"{told}, expected {expected.sample_us} (score {score.score_bp})"
        )
        check.look(told == expected.sample_us, what)
        if told is None:
            return
        now = Attrs(
            told, told * samples, attrs.ops_update_us, attrs.min_nr_regions, attrs.max_nr_regions,
            goal,
        )  # fmt: skip
    nr = len([1 for t, _ in recorded if t <= times[-1] + NEAR_S])
    due = len(range(goal.aggrs - 1, index[-1] + 1, goal.aggrs))
    check.look(nr <= due, f"{kdamond.name}: {nr} tunings, expected at most {due}")


def _regions(watch: Watch, snapshot: int) -> Regions:
    rows = watch.rows(snapshot)
    return Regions((int(s) * PAGE, int(s + n) * PAGE, int(nr)) for s, n, nr, _ in rows)


def summary(checks: list[Check]) -> Iterator[str]:
    """A line for each check."""
    for check in checks:
        yield f"{check.name}: {check.checked - check.wrong} of {check.checked}"
