"""Applying schemes to regions: one walk in address order, charged against quotas.

The kernel walks a list and asks every scheme about every region. Here arrays first tell which
regions could concern any scheme; only those are walked, and everything else in between is known to
change nothing but the merging of equal neighbours at the end. A region that an earlier scheme
touched is judged anew for the later ones. Schemes that do nothing but count (``stat``) count whole
arrays, except where another scheme acts. Source: DAMON core specification, section 9 (Linux 7.3.4).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from numasim.damon import clock
from numasim.damon.adjust import adjust_quota
from numasim.damon.arith import align_down
from numasim.damon.filters import core_verdict
from numasim.damon.merging import merge_back
from numasim.damon.ops import Applied
from numasim.damon.regions import insert_cuts, raw_size_limit
from numasim.damon.schemes import SchemeState, due_of, pattern_mask, pattern_match
from numasim.damon.scores import scores
from numasim.damon.walk import TriedRegion

if TYPE_CHECKING:
    from numasim.damon.context import ContextState
    from numasim.damon.targets import TargetState

_NOTHING = Applied(0)


def apply_schemes(ctx: ContextState) -> Generator[int, int | None, None]:
    """Apply every scheme that is due (section 9.1).

    Yields
    ------
    int
        Nanoseconds for which an action kept the kdamond. The caller lets that time pass, and may
        send the instant at which it resumes.
    """
    passed = ctx.passed_sample_intervals
    due = due_of(ctx.schemes, passed)
    for i in due:
        adjust_quota(ctx, ctx.schemes[i])
    if not due:
        return
    regions = [target.regions for target in ctx.targets]
    limit = raw_size_limit(regions, ctx.attrs.min_nr_regions, ctx.min_region_sz)
    for index, target in enumerate(ctx.targets):
        if ctx.ops.target_valid(index):
            yield from apply_target(ctx, index, due, limit)
        else:
            ctx.forget_positions(target)
    for i, scheme in enumerate(ctx.schemes):
        if passed >= scheme.next_apply_sis:
            for walk in ctx.walks:
                walk.served(i, len(ctx.schemes))
            interval = scheme.interval_sis(ctx.attrs.aggr_us, ctx.attrs.sample_us)
            scheme.next_apply_sis = passed + interval
            scheme.last_applied = None
            scheme.ranked.clear()
            ctx.ops.end_pass(scheme)


def apply_target(
    ctx: ContextState, target_index: int, due: list[int], limit: int
) -> Generator[int, int | None, None]:
    """Apply the schemes of those indices to one target, and join what is equal (section 9.2).

    Parameters
    ----------
    ctx : ContextState
    target_index : int
    due : list of int
        Indices of schemes.
    limit : int
        Largest size of joined regions, core address units.
    """
    yield from _TargetWalk(ctx, target_index, due).run()
    merge_back(ctx.targets[target_index].regions, limit)


@dataclass(slots=True)
class _Piece:
    """The region being tried, or what splits have left of it."""

    start: int
    end: int
    age: int
    touched: bool = False  # by a split or an action, so that array results no longer hold


@dataclass(slots=True, eq=False)
class _Candidate:
    """One scheme that is due, and what arrays tell about it for the target at hand."""

    index: int
    scheme: SchemeState
    kind: str | None  # how it ranks regions; None where its quota does not ask
    rank: np.ndarray | None
    match: np.ndarray
    concerned: np.ndarray  # where it may act, split or count a snapshot
    reset_rank: np.ndarray | None = None  # ranks of regions whose age was reset; on demand


class _TargetWalk:
    """The walk over the regions of one target (section 9.2, step a)."""

    def __init__(self, ctx: ContextState, target_index: int, due: list[int]) -> None:
        self._ctx, self._target_index = ctx, target_index
        self._target: TargetState = ctx.targets[target_index]
        self._regions = self._target.regions
        self._size, self._mvsums = self._regions.size, ctx.mvsum(self._regions)
        self._candidates = [self._candidate(i) for i in due if self._can_act(ctx.schemes[i])]
        self._idle = [c for c in self._candidates if self._is_idle(c)]
        self._mvsum = 0  # of the region being tried
        self._nr_full = 0
        self._pending: list[_Piece] = []  # pieces right of the one being tried, the next one last
        self._is_last_index = False

    def run(self) -> Generator[int, int | None, None]:
        """Try the regions that may concern a scheme; see `apply_schemes` for what is yielded."""
        regions, candidates = self._regions, self._candidates
        if not len(regions) or not candidates:
            return
        last = len(regions) - 1
        walked = self._walked()
        visited = walked
        if self._ctx.on_apply is not None:
            visited = np.logical_or.reduce([walked, *[c.match for c in self._idle]])
        places = visited.nonzero()[0]
        columns = (walked, regions.start, regions.end, regions.age, self._mvsums)
        rows = zip(places.tolist(), *[column[places].tolist() for column in columns], strict=True)
        counted = 0  # regions before this one are in the counters of idle schemes
        cut_index: list[int] = []
        cut_addr: list[int] = []
        reset: list[int] = []  # indices, after the cuts, of regions whose age became 0
        for i, is_walked, start, end, age, self._mvsum in rows:
            if not is_walked:
                self._tell_idle(i, start, end, age)
                continue
            if self._nr_full == len(candidates):
                break
            self._is_last_index = i == last
            self._pending = [_Piece(start, end, age)]
            while self._pending:
                piece = self._pending.pop()
                for candidate in candidates:
                    if piece.touched or candidate.concerned[i]:
                        busy_ns = self._try(candidate, i, piece)
                        if busy_ns:
                            self._count_idle(walked, counted, i)
                            counted = i
                            self._resume(candidate, busy_ns, (yield busy_ns))
                if piece.start != start:
                    cut_index.append(i)
                    cut_addr.append(piece.start)
                if piece.age != age:
                    reset.append(i + len(cut_index))
        self._count_idle(walked, counted, len(regions))
        if cut_index:
            insert_cuts(
                regions, np.array(cut_index, dtype=np.int64), np.array(cut_addr, dtype=np.int64)
            )
        if reset:
            regions.age = regions.age.copy()
            regions.age[reset] = 0

    def _is_idle(self, candidate: _Candidate) -> bool:
        """Whether nothing can come of the scheme's action but counters that are plain sums."""
        scheme, quota = candidate.scheme, candidate.scheme.quota
        return (
            self._ctx.ops.does_nothing(scheme)
            and not scheme.filters.core
            and not quota.is_set
            and quota.charge_target_from is None
            and not quota.spec.fail_charge_denom
            and not self._snapshots_done(scheme)
            and not any(walk.wants(candidate.index) for walk in self._ctx.walks)
        )

    def _walked(self) -> np.ndarray:
        """Regions that must be walked: the last, and those that concern a scheme not idle."""
        concerned = [c.concerned for c in self._candidates if c not in self._idle]
        if concerned:
            walked: np.ndarray = np.logical_or.reduce(concerned)
        else:
            walked = np.zeros(len(self._regions), dtype=bool)
        walked[-1] = True
        return walked

    def _tell_idle(self, i: int, start: int, end: int, age: int) -> None:
        """Report a region that only idle schemes try."""
        assert self._ctx.on_apply is not None
        for c in self._idle:
            if c.match[i]:
                self._ctx.on_apply(
                    self._ctx, c.index, self._target_index, start, end, self._mvsum, age, _NOTHING
                )

    def _count_idle(self, walked: np.ndarray, first: int, last: int) -> None:
        """Add regions of that range that were not walked to the counters of idle schemes."""
        for c in self._idle:
            tried = c.match[first:last] > walked[first:last]
            size = int(np.add.reduce(self._size[first:last] * tried))
            c.scheme.stat.nr_tried += int(np.count_nonzero(tried))
            c.scheme.stat.sz_tried += size
            c.scheme.quota.charge(size, 0)
            if size:
                c.scheme.core_filters_allowed = False

    def _resume(self, candidate: _Candidate, busy_ns: int, resumed_ns: int | None) -> None:
        """Account for the time an action took."""
        ctx, began_ns = self._ctx, self._ctx.now_ns
        ctx.now_ns = began_ns + busy_ns if resumed_ns is None else resumed_ns
        candidate.scheme.quota.total_charged_ns += clock.coarse_elapsed_ns(
            began_ns, ctx.now_ns, ctx.tick_ns
        )

    def _can_act(self, scheme: SchemeState) -> bool:
        """Whether the scheme may do anything in this target (tests 3 and 4 of section 9.3)."""
        waits_elsewhere = scheme.quota.charge_target_from not in (None, self._target)
        return not waits_elsewhere and not scheme.quota.full(self._ctx.min_region_sz)

    def _candidate(self, index: int) -> _Candidate:
        ctx, regions, scheme = self._ctx, self._regions, self._ctx.schemes[index]
        quota = scheme.quota
        kind = ctx.ops.score_kind(scheme.action) if quota.is_set else None
        known = scheme.ranked.get(self._target_index)
        if known is not None and known.holds(regions.columns()):
            match, rank = known.match & (known.rank >= quota.min_score), known.rank
        else:
            match = pattern_mask(scheme.spec.pattern, self._size, self._mvsums, regions.age)
            rank = None
            if kind is not None:
                rank = scores(kind, self._mvsums, regions.age, ctx.attrs, quota.spec)
                match &= rank >= quota.min_score
        concerned = np.zeros_like(match) if self._snapshots_done(scheme) else match.copy()
        if quota.charge_target_from is not None and quota.charge_addr_from:
            first = int(np.searchsorted(regions.end, quota.charge_addr_from, side="right"))
            concerned[:first] = False
            concerned[first : first + 1] = True  # may be split at the position
        concerned[-1:] = True
        return _Candidate(index, scheme, kind, rank, match, concerned)

    @staticmethod
    def _snapshots_done(scheme: SchemeState) -> bool:
        return 0 < scheme.spec.max_nr_snapshots <= scheme.stat.nr_snapshots

    def _try(self, candidate: _Candidate, i: int, piece: _Piece) -> int:
        """One scheme and one region, section 9.3; returns the action's time in ns."""
        scheme, quota = candidate.scheme, candidate.scheme.quota
        if quota.full(self._ctx.min_region_sz):
            return 0
        if quota.charge_target_from is not None and self._skip_charged(scheme, piece):
            return 0
        if self._snapshots_done(scheme):
            return 0
        busy_ns = 0
        if self._valid(candidate, i, piece):
            busy_ns = self._apply(candidate, i, piece)
        if self._is_last():
            scheme.stat.nr_snapshots += 1
        return busy_ns

    def _is_last(self) -> bool:
        return self._is_last_index and not self._pending

    def _split(self, piece: _Piece, addr: int) -> None:
        self._pending.append(_Piece(addr, piece.end, piece.age, touched=True))
        piece.end, piece.touched = addr, True

    def _skip_charged(self, scheme: SchemeState, piece: _Piece) -> bool:
        """Whether the region lies before the position where the quota ran out (section 9.4)."""
        quota = scheme.quota
        if quota.charge_target_from is not self._target:
            return True
        skip = False
        position = quota.charge_addr_from
        if position and piece.start < position:
            skip = True
            if piece.end > position:
                self._split_at_position(piece, position)
        if self._is_last():
            quota.forget_position()
        return skip

    def _split_at_position(self, piece: _Piece, position: int) -> None:
        cut = align_down(position - piece.start, self._ctx.min_region_sz)
        if not cut:
            if piece.end - piece.start <= self._ctx.min_region_sz:
                return
            cut = self._ctx.min_region_sz
        self._split(piece, piece.start + cut)

    def _valid(self, candidate: _Candidate, i: int, piece: _Piece) -> bool:
        if not piece.touched:
            return bool(candidate.match[i])
        size = piece.end - piece.start
        pattern = candidate.scheme.spec.pattern
        if not pattern_match(pattern, size, self._mvsum, piece.age):
            return False
        if candidate.kind is None or candidate.rank is None:
            return True
        return self._rank(candidate, i, piece) >= candidate.scheme.quota.min_score

    def _rank(self, candidate: _Candidate, i: int, piece: _Piece) -> int:
        """Priority of a piece: size does not matter, and its age is the region's or 0."""
        assert candidate.rank is not None and candidate.kind is not None
        if piece.age == self._regions.age[i]:
            return int(candidate.rank[i])
        if candidate.reset_rank is None:
            candidate.reset_rank = scores(
                candidate.kind,
                self._mvsums,
                np.zeros_like(self._regions.age),
                self._ctx.attrs,
                candidate.scheme.quota.spec,
            )
        return int(candidate.reset_rank[i])

    def _apply(self, candidate: _Candidate, i: int, piece: _Piece) -> int:
        """Charge and act, section 9.5."""
        ctx, scheme, quota = self._ctx, candidate.scheme, candidate.scheme.quota
        stat, size = scheme.stat, piece.end - piece.start
        if quota.is_set and quota.charged_sz + size > quota.esz:
            size = align_down(quota.esz - quota.charged_sz, ctx.min_region_sz)
            if not size:
                stat.nr_tried += 1
                return 0
            self._split(piece, piece.start + size)
        if self._core_filtered(scheme, piece):
            return 0
        size = piece.end - piece.start
        applied = ctx.ops.apply(scheme, self._target_index, piece.start, piece.end, ctx.now_ns)
        mvsum = self._mvsum
        for walk in ctx.walks:
            if walk.wants(candidate.index):
                region = TriedRegion(piece.start, piece.end, mvsum, piece.age, applied.passed_bytes)
                walk.report(candidate.index, region)
        if ctx.on_apply is not None:
            place = (candidate.index, self._target_index, piece.start, piece.end)
            ctx.on_apply(ctx, *place, mvsum, piece.age, applied)
        quota.charge(size, applied.applied_bytes)
        if quota.full(ctx.min_region_sz):
            self._nr_full += 1
            quota.charge_target_from, quota.charge_addr_from = self._target, piece.end
        if scheme.action != "stat":
            piece.touched = piece.touched or piece.age != 0
            piece.age = 0
        stat.nr_tried += 1
        stat.sz_tried += size
        if applied.applied_bytes:
            stat.nr_applied += 1
            stat.sz_applied += applied.applied_bytes
        stat.sz_ops_filter_passed += applied.passed_bytes
        return applied.busy_ns

    def _core_filtered(self, scheme: SchemeState, piece: _Piece) -> bool:
        verdict = core_verdict(
            scheme.filters, piece.start, piece.end, self._target_index, self._ctx.min_region_sz
        )
        for cut in verdict.cuts:
            self._split(piece, cut)
        scheme.core_filters_allowed = verdict.allowed
        return verdict.out
