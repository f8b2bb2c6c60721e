"""Armed pages come due exactly when their class's visits pass their mark, whatever was merged."""

from __future__ import annotations

import numpy as np

from numasim.balancing.waiting import Waiting


def test_against_a_plain_list():
    rng = np.random.default_rng(3)
    for _ in range(20):
        nr_classes = int(rng.integers(1, 6))
        waiting, plain = Waiting(nr_classes), []
        visits = np.zeros(nr_classes)
        for number in range(40):
            visits = visits + rng.exponential(0.3, nr_classes) * (rng.random(nr_classes) < 0.7)
            due = waiting.take(visits)
            got = sorted(zip(due.page.tolist(), due.armed.tolist(), strict=True))
            expected = sorted((p, a) for p, c, m, a in plain if m <= visits[c])
            assert got == expected
            assert (due.mark <= visits[due.classes]).all()
            plain = [row for row in plain if row[2] > visits[row[1]]]
            nr = int(rng.integers(0, 12))
            page = rng.choice(100, nr, replace=False)
            classes = rng.integers(0, nr_classes, nr)
            mark = visits[classes] + rng.standard_exponential(nr)
            waiting.add(page, classes, mark, np.full(nr, number))
            plain += list(
                zip(page.tolist(), classes.tolist(), mark.tolist(), [number] * nr, strict=True)
            )
            assert len(waiting) == len(plain)


def test_lots_stay_few():
    rng = np.random.default_rng(4)
    waiting = Waiting(2)
    for k in range(200):
        nr = 64
        waiting.add(np.arange(nr), rng.integers(0, 2, nr), rng.random(nr), np.full(nr, k))
    assert len(waiting) == 200 * 64 and len(waiting._lots) <= 10
