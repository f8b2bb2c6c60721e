"""The truth: who touches which page how often, and what an observer of accessed bits would see.

Nothing here simulates an access. Visits grow linearly between changes of speed (`Exposure`); a bit
that was cleared at one instant is set at another with 1 - exp(-visits in between) for random
patterns, and by a computed yes or no for sweeps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from numasim.bursts import Burst
from numasim.counts import exact_parts
from numasim.pages import PageSpace
from numasim.reels import Reel
from numasim.tlb import seen_chance
from numasim.traffic import Course, Exposure, Front

STAMP_NS = 100_000  # resolution of `cleared_at`; 32 bits of it last five days
KNOWN_YOUNG = 0
LENGTHS_KEPT = 1024  # of ticks whose chances are remembered while speeds stay
PHASES_KEPT = 64  # of an actor in bursts: ticks that began so many phases ago are still told right


@dataclass(frozen=True)
class Ticks:
    """What a window of sampling ticks means for the pages.

    Parameters
    ----------
    group : int64[T]
        Ticks of one group have the same probabilities.
    nr : int64[G]
        Ticks of each group.
    probability : float64[G, C]
        That a page of a class was touched by random patterns during a tick of the group.
    fronts : list of (Front or Reel, float64[T], float64[T])
        Sweeps and recordings that moved, with their positions at each tick's start and end.
    """

    group: np.ndarray
    nr: np.ndarray
    probability: np.ndarray
    fronts: list[tuple[Front | Reel, np.ndarray, np.ndarray]] = field(default_factory=list)

    @cached_property
    def parts(self) -> np.ndarray:
        """float64[C, 2G]: the probabilities for sums over counts, two columns a group."""
        return exact_parts(self.probability.T)

    @cached_property
    def by_kind(self) -> np.ndarray:
        """float64[G, C + 1]: the probabilities by class plus one; 0 where there is no page."""
        chances = np.zeros((self.probability.shape[0], self.probability.shape[1] + 1))
        chances[:, 1:] = self.probability
        return chances

    def chance_of_kind(self, kinds: np.ndarray) -> np.ndarray:
        """float64[T, R]: that the pages of kinds (`BlockCounts.kinds`) were touched, row by row."""
        chance: np.ndarray
        if len(self.probability) == 1:
            chance = self.by_kind[0].take(kinds)
        else:
            chance = self.by_kind[self.group[:, None], kinds]
        return chance

    def chance_of(self, classes: np.ndarray, tick: np.ndarray | slice) -> np.ndarray:
        """float64[N, R]: that pages of classes were touched in ticks.

        Parameters
        ----------
        classes : int64[N, R]
        tick : int64[N] or slice
            The tick of each row.
        """
        if len(self.probability) == 1:
            chance: np.ndarray = self.probability[0].take(classes)
            return chance
        chance = self.probability[self.group[tick][:, None], classes]
        return chance


class Law:
    """Visits of all pages over time, and the accessed bits that result.

    Parameters
    ----------
    space : PageSpace
    nr_fronts, nr_bursts : int
        Columns to keep for sweeps and for actors that come in bursts.
    start_ns : int
    courses : tuple of Course
        Of actors whose progress was measured.
    """

    def __init__(
        self,
        space: PageSpace,
        nr_fronts: int,
        nr_bursts: int,
        start_ns: int = 0,
        courses: tuple[Course, ...] = (),
    ) -> None:
        self.space = space
        self.nr_classes = space.nr_classes
        self.exposure = Exposure(self.nr_classes + nr_fronts + nr_bursts, start_ns, courses)
        self.fronts: list[Front | Reel] = []
        self.bursts: dict[int, list[Burst]] = {}
        self.burst_fronts: frozenset[int] = frozenset()
        self.cleared_at: np.ndarray | None = None
        self.before_reading: Callable[[np.ndarray], None] | None = None  # reclaim's late walks
        self.flush_ns: np.ndarray | None = None
        self.flush_cores = np.ones(self.nr_classes)
        self.visits = np.zeros(self.nr_classes)  # per ns now, also those that no bit tells of
        self._alike: dict[bytes, Ticks] = {}
        self._alike_version = -1

    # -- what the machine tells --------------------------------------------------------------------

    def note_burst(self, burst: Burst) -> None:
        """The phase that an actor is in: a new one ends the last, a known one has new rates."""
        known = self.bursts.setdefault(burst.column, [])
        if known and known[-1].first == burst.first:
            known[-1] = burst
            return
        if known:
            known[-1] = replace(known[-1], last=burst.first)
        known.append(burst)
        del known[:-PHASES_KEPT]

    def hide(self, classes: np.ndarray, flush_ns: int, cores: int) -> None:
        """Pages of `classes` (int64[K]) stay cached by so many cores until a flush."""
        if self.flush_ns is None:
            self.flush_ns = np.zeros(self.nr_classes)
        self.flush_ns[classes], self.flush_cores[classes] = flush_ns, cores

    def track_bits(self) -> None:
        """From now on remember when each page's bit was cleared (4 bytes per page).

        Needed by whoever reads a bit that was not cleared a tick before: the young filter, reclaim.
        """
        if self.cleared_at is None:
            self.cleared_at = np.zeros(self.space.nr_pages + 1, np.uint32)  # the last is no page's

    # -- what observers ask ------------------------------------------------------------------------

    def ticks(self, starts_ns: np.ndarray, ends_ns: np.ndarray) -> Ticks:
        """Chance of each class to be touched in each tick ``(start, end]``.

        Parameters
        ----------
        starts_ns, ends_ns : int64[T]
        """
        spans = ends_ns - starts_ns
        steady = self.steady_since(int(starts_ns[0]))
        bursts = self._working(starts_ns, ends_ns) if self.bursts else []
        if bursts or self.exposure.courses:  # no two ticks are alike
            first = group = np.arange(len(spans))
            visits = self._visits(starts_ns, ends_ns)
        elif steady and (ticks := self._all_alike(spans)) is not None:
            fronts = self._moving(starts_ns, ends_ns) if self.fronts else []
            return replace(ticks, fronts=fronts) if fronts else ticks
        elif steady:
            first, group = _runs(spans[1:] != spans[:-1])
            visits = self.exposure.rates[: self.nr_classes] * spans[first, None]
        else:
            seg_a, seg_b = (self.exposure.segment(at) for at in (starts_ns, ends_ns))
            changes = (spans[1:] != spans[:-1]) | (seg_a[1:] != seg_a[:-1])
            first, group = _runs(changes | (seg_b[1:] != seg_b[:-1]) | (seg_a != seg_b)[1:])
            visits = self._visits(starts_ns[first], ends_ns[first])
        fronts = self._moving(starts_ns, ends_ns)
        for burst, before, after in bursts:
            more, moved = burst.during(before, after)
            visits += more
            fronts += moved
        chances = self._chances(visits, spans[first])
        return Ticks(group, np.bincount(group), chances, fronts)

    def _all_alike(self, spans: np.ndarray) -> Ticks | None:
        """Ticks at the present speeds; remembered while these stay. None unless of one length."""
        if self._alike_version != self.exposure.version or len(self._alike) > LENGTHS_KEPT:
            self._alike_version = self.exposure.version
            self._alike.clear()
        key = spans.tobytes()
        found = self._alike.get(key)
        if found is None and not np.count_nonzero(spans != spans[0]):
            visits = self.exposure.rates[: self.nr_classes] * spans[0]
            chances = self._chances(visits[None], spans[:1])
            found = Ticks(np.zeros(len(spans), np.int64), np.array([len(spans)]), chances)
            self._alike[key] = found
        return found

    def _chances(self, visits: np.ndarray, spans_ns: np.ndarray) -> np.ndarray:
        """float64[N, C]: chance that a bit is set by so many visits (float64[N, C]) in spans."""
        visits = np.maximum(visits, 0.0)
        if self.flush_ns is None:
            plain: np.ndarray = -np.expm1(-visits)
            return plain
        one = seen_chance(visits / self.flush_cores, spans_ns, self.flush_ns)  # by one core
        chances: np.ndarray = 1.0 - (1.0 - one) ** self.flush_cores
        return chances if (self.flush_cores > 1).any() else one

    def _visits(self, starts_ns: np.ndarray, ends_ns: np.ndarray) -> np.ndarray:
        """float64[N, C]: visits of each class between pairs of instants."""
        exposure, c = self.exposure, self.nr_classes
        visits: np.ndarray = (exposure.at(ends_ns) - exposure.at(starts_ns))[:, :c]
        if not exposure.courses:  # a product loses less than a difference of large numbers
            segment = exposure.segment(starts_ns)
            within = np.flatnonzero(segment == exposure.segment(ends_ns))
            spans = (ends_ns - starts_ns)[within, None]
            visits[within] = exposure.rates_in(segment[within])[:, :c] * spans
        return visits

    def _working(
        self, starts_ns: np.ndarray, ends_ns: np.ndarray
    ) -> list[tuple[Burst, np.ndarray, np.ndarray]]:
        """Phases in bursts that did something in a window, with their actor's work at its ticks."""
        found = []
        for column, phases in self.bursts.items():
            columns = np.full(len(starts_ns), column)
            before = self.exposure.of(columns, starts_ns)
            after = self.exposure.of(columns, ends_ns)
            if after[-1] > before[0]:
                own = [p for p in phases if p.first < after[-1] and p.last > before[0]]
                found += [(phase, before, after) for phase in own]
        return found

    def _moving(
        self, starts_ns: np.ndarray, ends_ns: np.ndarray
    ) -> list[tuple[Front | Reel, np.ndarray, np.ndarray]]:
        found: list[tuple[Front | Reel, np.ndarray, np.ndarray]] = []
        for front in self.fronts:
            if front.column in self.burst_fronts:
                continue
            column = np.full(len(starts_ns), front.column)
            before = self.exposure.of(column, starts_ns)
            after = self.exposure.of(column, ends_ns)
            if (after > before).any():
                found.append((front, before, after))
        return found

    def touched(
        self,
        pages: np.ndarray,
        ticks: Ticks,
        rng: np.random.Generator,
        known: np.ndarray | None = None,
    ) -> np.ndarray:
        """bool[T, R]: whether each page was touched in a tick, drawn.

        Parameters
        ----------
        pages : int64[T, R]
            Pages looked at in each tick, of present folios; negative where there is none.
        ticks : Ticks
        rng : numpy.random.Generator
        known : float64[2, G, R], optional
            Chances of which one is at most, one at least that of every page in a column. What is
            drawn below the one or above the other needs no look at the page.
        """
        u = rng.random(pages.shape)
        hit: np.ndarray
        if known is None:
            hit = u < ticks.chance_of(self.space.class_of.take(pages), slice(None))
        else:
            least, most = known if len(ticks.nr) == 1 else known.take(ticks.group, axis=1)
            hit = u < least
            doubt, region = ((u < most) != hit).nonzero()
            classes = self.space.class_of.take(pages[doubt, region])
            hit[doubt, region] = u[doubt, region] < ticks.chance_of(classes[:, None], doubt)[:, 0]
        hit &= pages >= 0
        if ticks.fronts:
            tick, region = (pages >= 0).nonzero()
            there = pages[tick, region]
            for front, before, after in ticks.fronts:
                hit[tick, region] |= front.seen(there, before[tick], after[tick], rng)
        return hit

    def note_checked(self, heads: np.ndarray, times_ns: np.ndarray, hit: np.ndarray) -> None:
        """Checks left these bits known: set where hit, else clear; of one folio's the last wins.

        Parameters
        ----------
        heads : int64[T, R] or [N]
            In the order of checks; -1 for none.
        times_ns : int64, alike or as broadcast
            When each was checked.
        hit : bool[T, R] or [N]
        """
        assert self.cleared_at is not None
        stamps = np.maximum(times_ns // STAMP_NS, 1).astype(np.uint32)
        known = (stamps * ~hit).reshape(-1)  # `KNOWN_YOUNG` where hit
        self.cleared_at[heads.reshape(-1)] = known  # of equal indices the last is kept

    def note_first_touch(self, first: np.ndarray) -> None:
        """Pages that were just faulted in are young."""
        if self.cleared_at is not None:
            self.cleared_at[first] = KNOWN_YOUNG

    def note_touched(self, heads: np.ndarray, times_ns: np.ndarray) -> None:
        """Accesses at instants (int64[N]) that walked for sure: young, unless cleared since."""
        if self.cleared_at is not None:
            later = times_ns // STAMP_NS > self.cleared_at[heads]
            self.cleared_at[heads[later]] = KNOWN_YOUNG

    def young_chance(self, heads: np.ndarray, now_ns: int) -> np.ndarray:
        """float64[N]: chance that each folio's bit is set now (heads of present folios)."""
        assert self.cleared_at is not None
        stamps = self.cleared_at[heads]
        # pages checked in one pass lie side by side: one look-up for each run of equal stamps
        run = (
            np.flatnonzero(np.r_[True, stamps[1:] != stamps[:-1]])
            if len(stamps)
            else np.empty(0, int)
        )
        length = np.diff(np.r_[run, len(stamps)])
        then = np.minimum(stamps[run].astype(np.int64) * STAMP_NS, now_ns)
        at = self.exposure.at(np.r_[then, now_ns])
        visits = (at[-1] - at[:-1])[:, : self.nr_classes]
        chances = self._chances(visits, now_ns - then)
        chance: np.ndarray = chances[
            np.repeat(np.arange(len(run)), length), self.space.class_of[heads]
        ]
        for front in self.fronts:
            before = np.repeat(at[:-1, front.column], length)
            chance += (1 - chance) * front.chance(heads, before, at[-1, front.column])
        chance[stamps == KNOWN_YOUNG] = 1.0
        return chance

    def test_and_clear_young(
        self, heads: np.ndarray, now_ns: int, rng: np.random.Generator
    ) -> np.ndarray:
        """bool[N]: draw whether each folio is young and make it old, as the young filter does."""
        if self.before_reading is not None:
            self.before_reading(heads)
        young: np.ndarray = rng.random(len(heads)) < self.young_chance(heads, now_ns)
        assert self.cleared_at is not None
        self.cleared_at[heads] = max(now_ns // STAMP_NS, 1)
        return young

    def visit_rates_per_ns(self) -> np.ndarray:
        """float64[C]: rate at which one bit of each class is set now, sweeps by their mean."""
        rates: np.ndarray = self.exposure.rates[: self.nr_classes].copy()
        for front in self.fronts:
            rates[front.classes] += self.exposure.rates[front.column] / front.turn
        return rates

    def all_visits_per_ns(self) -> np.ndarray:
        """float64[C]: visits to one folio of each class now, cached translations or not."""
        rates: np.ndarray = self.visits.copy()
        for front in self.fronts:
            rates[front.classes] += self.exposure.rates[front.column] / front.turn
        return rates

    def mean_visit_rates_per_ns(self, from_ns: int, to_ns: int) -> np.ndarray:
        """float64[C]: the same on average between two instants."""
        mean = self._mean_rates(from_ns, to_ns)
        rates: np.ndarray = mean[: self.nr_classes].copy()
        for front in self.fronts:
            rates[front.classes] += mean[front.column] / front.turn
        return rates

    def steady_since(self, at_ns: int) -> bool:
        """Whether all rates have been what they are now since an instant."""
        return at_ns >= self.exposure.since_ns and not self.exposure.courses

    def _mean_rates(self, from_ns: int, to_ns: int) -> np.ndarray:
        if to_ns <= from_ns or self.steady_since(from_ns):
            return self.exposure.rates
        before, after = self.exposure.at(np.array([from_ns, to_ns]))
        mean: np.ndarray = (after - before) / (to_ns - from_ns)
        return mean

    def tick_chance(self, span_ns: int, from_ns: int, to_ns: int) -> np.ndarray:
        """float64[C]: chance that a page of each class is touched in a span of `span_ns`.

        At the mean rates between two instants: those of one instant may be of a moment in which a
        migration held everybody up.
        """
        mean = self._mean_rates(from_ns, to_ns)
        chance: np.ndarray = -np.expm1(-mean[: self.nr_classes] * span_ns)
        for front in self.fronts:
            way = mean[front.column] * span_ns
            if way > 0:
                missed = (1 - chance[front.classes]) * (1 - front.touched_share(way))
                chance[front.classes] = 1 - missed
        return chance


def _runs(changes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First tick of each run int64[G], run of each tick int64[T], from changes between ticks."""
    begins = np.ones(len(changes) + 1, bool)
    begins[1:] = changes
    return np.flatnonzero(begins), np.cumsum(begins) - 1
