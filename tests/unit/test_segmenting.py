"""Where a series changes: steps are found, noise is not, no other cuts are cheaper."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from numasim.segmenting import LEAST_NOISE, change_points

RNG = np.random.Generator(np.random.PCG64DXSM(5))


def steps(*levels: float, length: int = 40, noise: float = 0.3) -> np.ndarray:
    return np.concatenate([level + noise * RNG.standard_normal(length) for level in levels])


def test_steps_are_found_where_they_are():
    found = change_points(steps(0, 5, 2, 2, 8))
    assert np.abs(np.array(found) - [40, 80, 160]).max() <= 1


def test_noise_is_hardly_ever_cut():
    cut = sum(bool(change_points(RNG.standard_normal(100))) for _ in range(200))
    assert cut <= 10  # of 200; the price is that of a test at a few percent
    assert sum(bool(change_points(RNG.standard_normal((60, 8)))) for _ in range(100)) <= 2


def test_several_columns_count_together():
    small = np.stack([steps(0, 0.7, noise=0.5) for _ in range(8)], axis=1)
    (found,) = change_points(small)
    assert abs(found - 40) <= 2


def test_parts_can_be_few_and_long():
    series = steps(*range(0, 60, 3), length=10)
    assert len(change_points(series)) == 19
    assert len(change_points(series, most=5)) <= 4
    cuts = change_points(series, least=25)
    assert min(np.diff([0, *cuts, len(series)])) >= 25


@pytest.mark.parametrize("nr", [0, 1, 2, 50])
def test_what_never_changes_is_one_part(nr):
    assert change_points(np.ones(nr)) == [] == change_points(np.ones((nr, 3)))


def test_exact_steps_are_found():
    assert change_points(np.repeat([1.0, 2.0, 1.0], 10)) == [10, 20]


def test_no_other_cuts_are_cheaper():
    """Against all ways to cut a short series."""
    for _ in range(20):
        series = steps(0, float(RNG.integers(0, 4)), length=5, noise=0.6)
        noise = np.sqrt((np.diff(series) ** 2).mean() / 2)
        scaled = series / max(noise, LEAST_NOISE * np.ptp(series))

        def cost(cuts, scaled=scaled) -> float:
            bounds = [0, *cuts, len(scaled)]
            within = sum(
                ((scaled[a:b] - scaled[a:b].mean()) ** 2).sum() for a, b in pairwise(bounds)
            )
            return within + 3 * np.log(len(scaled)) * len(cuts)

        every = [c for nr in range(5) for c in combinations(range(1, len(series)), nr)]
        found = change_points(series)
        assert cost(found) <= min(map(cost, every)) + 1e-9 or len(found) > 4
