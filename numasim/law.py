"""The truth: who touches which page how often, and what an observer of accessed bits would see.

Nothing here simulates an access. Visits grow linearly between changes of speed (`Exposure`); a bit
that was cleared at one instant is set at another with 1 - exp(-visits in between) for random
patterns, and by a computed yes or no for sweeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from numasim.pages import PageSpace
from numasim.traffic import Exposure

STAMP_NS = 100_000  # resolution of `cleared_at`; 32 bits of it last five days
KNOWN_YOUNG = 0


@dataclass(frozen=True)
class Front:
    """A sweep: one front that passes over pages ``[first, first + nr)`` again and again."""

    column: int
    first: int
    nr: int
    folio_pages: int

    def passed(
        self, pages: np.ndarray, before: np.ndarray, after: np.ndarray | float
    ) -> np.ndarray:
        """bool[N]: whether the front turned to each page between two of its positions (in pages)."""
        place = pages - self.first
        inside = (place >= 0) & (place < self.nr)
        # a folio is touched from the moment its first page is
        place = place - place % self.folio_pages
        crossed = np.floor((after - place) / self.nr) > np.floor((before - place) / self.nr)
        return inside & crossed


@dataclass(frozen=True)
class Burst:
    """An actor whose operations go to one pattern at a time (masim), `size` of them in a row.

    Parameters
    ----------
    column : int
        Column of the exposure that counts the actor's operations.
    size : int
    chances : float64[J]
        Chance of each pattern to be drawn.
    random, swept : float64[J, C]
        Visits per operation to one page of each class by each pattern, random or in order.
    mean : float64[C]
        What the class columns of the exposure hold for this actor, per operation.
    """

    column: int
    size: int
    chances: np.ndarray
    random: np.ndarray
    swept: np.ndarray
    mean: np.ndarray


@dataclass(frozen=True)
class Ticks:
    """What a window of sampling ticks means for the pages.

    Parameters
    ----------
    group : int64[T]
        Ticks of one group have the same probabilities.
    probability : float64[G, C]
        That a page of a class was touched by random patterns during a tick of the group.
    fronts : list of (Front, float64[T], float64[T])
        Sweeps that moved, with their positions at each tick's start and end.
    """

    group: np.ndarray
    probability: np.ndarray
    fronts: list[tuple[Front, np.ndarray, np.ndarray]] = field(default_factory=list)


class Law:
    """Visits of all pages over time, and the accessed bits that result.

    Parameters
    ----------
    space : PageSpace
    nr_fronts, nr_bursts : int
        Columns to keep for sweeps and for actors that come in bursts.
    start_ns : int
    """

    def __init__(self, space: PageSpace, nr_fronts: int, nr_bursts: int, start_ns: int = 0) -> None:
        self.space = space
        self.nr_classes = space.nr_classes
        self.exposure = Exposure(self.nr_classes + nr_fronts + nr_bursts, start_ns)
        self.fronts: list[Front] = []
        self.bursts: Sequence[Burst] = ()
        self.cleared_at: np.ndarray | None = None

    # -- what the machine tells ----------------------------------------------------------------------

    def track_bits(self) -> None:
        """From now on remember when each page's bit was cleared (4 bytes per page).

        Needed by whoever reads a bit that was not cleared a tick before: the young filter, reclaim.
        """
        if self.cleared_at is None:
            self.cleared_at = np.zeros(self.space.nr_pages, np.uint32)

    # -- what observers ask --------------------------------------------------------------------------

    def ticks(self, starts_ns: np.ndarray, ends_ns: np.ndarray, rng: np.random.Generator) -> Ticks:
        """Chance of each class to be touched in each tick ``(start, end]``.

        Parameters
        ----------
        starts_ns, ends_ns : int64[T]
        rng : numpy.random.Generator
            Draws which pattern a burst went to.
        """
        exposure, c = self.exposure, self.nr_classes
        seg_a, seg_b = exposure.segment(starts_ns), exposure.segment(ends_ns)
        key = np.stack([seg_a, seg_b, ends_ns - starts_ns, np.where(seg_a == seg_b, 0, starts_ns)])
        if self.bursts:
            key = np.vstack([key, np.arange(len(starts_ns))])
        _, first, group = np.unique(key, axis=1, return_index=True, return_inverse=True)
        group = group.reshape(-1)
        visits = np.empty((len(first), c))
        for g, t in enumerate(first):
            if seg_a[t] == seg_b[t]:
                visits[g] = exposure.rates_in(seg_a[t])[:c] * (ends_ns[t] - starts_ns[t])
            else:
                pair = exposure.at(np.array([starts_ns[t], ends_ns[t]]))
                visits[g] = pair[1, :c] - pair[0, :c]
        missed = np.exp(-visits)
        if self.bursts:
            order = np.empty(len(group), np.int64)
            order[group] = np.arange(len(group))
            missed = self._burst(missed, visits, starts_ns[order], ends_ns[order], rng)
        return Ticks(group, 1.0 - missed, self._moving(starts_ns, ends_ns))

    def _moving(self, starts_ns: np.ndarray, ends_ns: np.ndarray) -> list:
        found = []
        for front in self.fronts:
            column = np.full(len(starts_ns), front.column)
            before = self.exposure.of(column, starts_ns)
            after = self.exposure.of(column, ends_ns)
            if (after > before).any():
                found.append((front, before, after))
        return found

    def _burst(self, missed, visits, starts_ns, ends_ns, rng):  # type: ignore[no-untyped-def]
        for burst in self.bursts:
            column = np.full(len(starts_ns), burst.column)
            operations = self.exposure.of(column, ends_ns) - self.exposure.of(column, starts_ns)
            # whole bursts plus the one that straddles the tick's edge, by its share
            whole, part = np.divmod(operations / burst.size, 1.0)
            drawn = rng.multinomial(whole.astype(np.int64), burst.chances).astype(float)
            edge = rng.choice(len(burst.chances), size=len(part), p=burst.chances)
            drawn[np.arange(len(part)), edge] += part
            others = np.maximum(visits - operations[:, None] * burst.mean, 0.0)
            random = (drawn * burst.size) @ burst.random
            swept = np.minimum((drawn * burst.size) @ burst.swept, 1.0)
            missed = np.exp(-others - random) * (1.0 - swept)
        return missed

    def touched(
        self, pages: np.ndarray, tick: np.ndarray, ticks: Ticks, rng: np.random.Generator
    ) -> np.ndarray:
        """bool[N]: whether each page (of a present folio) was touched in a tick, drawn.

        Parameters
        ----------
        pages, tick : int64[N]
            Pairs.
        """
        chance = ticks.probability[ticks.group[tick], self.space.class_of[pages]]
        hit = rng.random(len(pages)) < chance
        for front, before, after in ticks.fronts:
            hit |= front.passed(pages, before[tick], after[tick])
        return hit

    def note_checked(self, heads: np.ndarray, times_ns: np.ndarray, hit: np.ndarray) -> None:
        """A check at `times_ns` left these bits known: set where `hit`, else clear (last one wins)."""
        assert self.cleared_at is not None
        self.cleared_at[heads] = np.where(hit, KNOWN_YOUNG, np.maximum(times_ns // STAMP_NS, 1))

    def note_first_touch(self, first: np.ndarray) -> None:
        """Pages that were just faulted in are young."""
        if self.cleared_at is not None:
            self.cleared_at[first] = KNOWN_YOUNG

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
        chances = -np.expm1(-(at[-1] - at[:-1])[:, : self.nr_classes])
        chance = chances[np.repeat(np.arange(len(run)), length), self.space.class_of[heads]]
        for front in self.fronts:
            before = np.repeat(at[:-1, front.column], length)
            chance[front.passed(heads, before, at[-1, front.column])] = 1.0
        chance[stamps == KNOWN_YOUNG] = 1.0
        return chance

    def test_and_clear_young(
        self, heads: np.ndarray, now_ns: int, rng: np.random.Generator
    ) -> np.ndarray:
        """bool[N]: draw whether each folio is young and make it old, as the young filter does."""
        young = rng.random(len(heads)) < self.young_chance(heads, now_ns)
        self.note_checked(heads, np.full(len(heads), now_ns), np.zeros(len(heads), bool))
        return young

    def visit_rates_per_ns(self) -> np.ndarray:
        """float64[C]: rate at which one bit of each class is being set now by random patterns."""
        return self.exposure.rates[: self.nr_classes]

    def tick_chance(self, span_ns: int) -> np.ndarray:
        """float64[C]: chance that a page of each class is touched within a span at present rates."""
        chance = -np.expm1(-self.visit_rates_per_ns() * span_ns)
        for front in self.fronts:
            swept = self.exposure.rates[front.column] * span_ns / front.nr
            if swept > 0:
                inside = np.unique(self.space.class_of[front.first : front.first + front.nr])
                chance[inside] = 1 - (1 - chance[inside]) * max(0.0, 1 - swept)
        return chance
