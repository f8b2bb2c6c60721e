"""First accesses drawn in arrays beside a twin that lives through every tick by itself."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.actor_truth import Strand
from numasim.arming import first_accesses
from numasim.traffic import Front

TICKS, CLASSES = 6, 3


class Given:
    """A generator that hands out numbers drawn before, and remembers in what order."""

    def __init__(self, seed: int) -> None:
        self._rng, self.drawn = np.random.default_rng(seed), []

    def standard_exponential(self, nr: int) -> np.ndarray:
        self.drawn.append(self._rng.standard_exponential(nr))
        return self.drawn[-1]

    def random(self, nr: int) -> np.ndarray:
        self.drawn.append(self._rng.random(nr))
        return self.drawn[-1]


def strands(rng: np.random.Generator) -> list[Strand]:
    """Two random ones and two fronts, of three actors."""
    found = [
        Strand(a, rng.uniform(0, 2, TICKS), rng.uniform(0, 0.4, CLASSES), w, 1.0, 1.0)
        for a, w in ((0, 0.0), (1, 1.0))
    ]
    for a, first, nr in ((2, 10, 20), (0, 0, 40)):
        at = np.cumsum(np.r_[rng.uniform(0, nr), rng.uniform(0, 8, TICKS)])
        classes, none = np.arange(CLASSES), np.zeros(CLASSES)
        front = Front(9, first, nr, 1, classes)
        found.append(Strand(a, np.diff(at), none, 1.0, 1.0, 1.0, front, at[:-1], at[1:]))
    return found


def twin(found: list[Strand], page: int, c: int, t: int, budget: float, u: float):
    """One page in one tick: (part of the tick, strand) or None."""
    best = None
    random = [s for s in found if s.front is None]
    rates = [float(s.operations[t] * s.visits[c]) for s in random]
    if budget < sum(rates):
        left, chosen = u * sum(rates), 0
        while chosen < len(rates) - 1 and left >= rates[chosen]:
            left -= rates[chosen]
            chosen += 1
        best = (budget / sum(rates), random[chosen])
    for s in found:
        if s.front is None or not s.front.first <= page < s.front.first + s.front.nr:
            continue
        before, after = float(s.before[t]), float(s.after[t])
        meets = [
            at
            for turn in range(int(after) // s.front.nr + 2)
            if before < (at := page - s.front.first + turn * s.front.nr) <= after
        ]
        if meets and (best is None or (meets[0] - before) / (after - before) < best[0]):
            best = ((meets[0] - before) / (after - before), s)
    return best


@pytest.mark.parametrize("seed", range(5))
def test_arrays_are_the_twin(seed):
    rng = np.random.default_rng(seed)
    found, nr = strands(rng), 400
    pages, classes = rng.integers(0, 50, nr), rng.integers(0, CLASSES, nr)
    tick, given = rng.integers(0, TICKS, nr), Given(seed)
    first = first_accesses(found, pages, classes, tick, given)
    budget, choice, write = given.drawn
    table = sum(np.outer(s.operations, s.visits) for s in found if s.front is None)
    u = dict(zip(np.flatnonzero(budget < table[tick, classes]).tolist(), choice, strict=True))
    got = {
        i: (part, actor)
        for i, part, actor in zip(
            first.armed.tolist(), first.part.tolist(), first.actor.tolist(), strict=True
        )
    }
    for i in range(nr):
        wanted = twin(found, pages[i], classes[i], tick[i], budget[i], u.get(i, 0.0))
        assert (wanted is None) == (i not in got)
        if wanted is not None:
            assert got[i] == (pytest.approx(wanted[0]), wanted[1].actor)
    assert 100 < len(got) < nr and len(write) == len(got)
