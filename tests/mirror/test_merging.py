"""Every way of merging equals the plain twin, on sets of regions as real ones and worse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numasim.damon import merging
from numasim.damon.merging import merge_in_lanes, merge_listed, merge_pass, update_ages
from numasim.damon.regions import Regions
from tests.mirror import damon_twin as twin
from tests.mirror.strategies import tables

pytestmark = pytest.mark.usefixtures("arithmetic")
many = settings(max_examples=80, deadline=None)
KINDS = ("pairs", "idle", "jitter", "random", "blocks", "apart")
PAGE = 4096


def made(kind: str, count: int, seed: int, bits: int = 20) -> list[tuple[int, ...]]:
    """Rows of one kind: how alike neighbours are decides how long chains grow."""
    rng = np.random.default_rng(seed)
    size = rng.integers(4, 400, count) * PAGE
    end = size.cumsum()
    match kind:
        case "pairs":
            nr = np.repeat(rng.integers(0, 20, count), 2)[:count]
        case "idle":
            nr = np.zeros(count, np.int64)
        case "jitter":
            nr = rng.integers(0, 3, count)
        case "blocks":
            nr = np.repeat(5 * rng.integers(0, 4, count), 30)[:count] + rng.integers(0, 2, count)
        case _:
            nr = rng.integers(0, 21, count)
    if kind == "apart":
        end += rng.integers(0, 2, count).cumsum() * PAGE
    last = np.maximum(nr + rng.integers(-1, 2, count), 0)
    age = rng.integers(0, 2**bits, count)
    return list(zip(*(c.tolist() for c in (end - size, end, nr, last, age)), strict=True))


def listed(regions: Regions, threshold: int, limit: int, count_age: bool) -> None:
    if count_age:
        update_ages(regions, threshold)
    merge_listed(regions, threshold, limit)


def in_lanes(regions: Regions, threshold: int, limit: int, count_age: bool) -> None:
    if count_age:
        update_ages(regions, threshold)
    if len(regions):
        merge_in_lanes(regions, threshold, limit)


def merged(table: list[tuple[int, ...]], threshold: int, limit: int) -> list[tuple[int, ...]]:
    plain = twin.from_rows(table)
    twin.merge_pass(plain, threshold, limit, True)
    return twin.rows(plain)


@pytest.fixture
def lanes_only(monkeypatch):
    """Lanes are followed also where chains are long."""
    monkeypatch.setattr(merging, "_chains_are_long", lambda *_: False)


@pytest.mark.parametrize("way", [merge_pass, listed, in_lanes])
@pytest.mark.parametrize("pages", [0, 500, 2_000, 10_000, 10**9])
@pytest.mark.parametrize("kind", KINDS)
def test_many_regions(kind, pages, way):
    for seed, threshold in enumerate((0, 1, 2, 20)):
        table = made(kind, 700, seed)
        regions = Regions(table)
        way(regions, threshold, pages * PAGE, True)
        assert regions.rows() == merged(table, threshold, pages * PAGE)


@pytest.mark.usefixtures("lanes_only")
@pytest.mark.parametrize("pages", [500, 2_000, 10_000, 10**9])
@pytest.mark.parametrize("kind", KINDS)
def test_lanes_of_long_chains(kind, pages):
    for seed, threshold in enumerate((0, 2, 20)):
        table = made(kind, 400, seed)
        regions = Regions(table)
        in_lanes(regions, threshold, pages * PAGE, True)
        assert regions.rows() == merged(table, threshold, pages * PAGE)


@pytest.mark.usefixtures("lanes_only")
@pytest.mark.parametrize("way", [listed, in_lanes])
def test_means_wrap_as_64_bits_do(way):
    table = [(s << 30, e << 30, nr, last, age) for s, e, nr, last, age in made("idle", 60, 0, 32)]
    regions = Regions(table)
    way(regions, 5, 2**62, True)
    assert regions.rows() == merged(table, 5, 2**62)


@many
@given(
    tables(max_regions=40, most=6), st.integers(0, 4), st.sampled_from([9, 70, 10**4, 2**62]),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_any_regions(table, threshold, limit, count_age, guess):
    rows, _ = table
    plain = twin.from_rows(rows)
    twin.merge_pass(plain, threshold, limit, count_age)
    for way in (listed, in_lanes):
        regions = Regions(rows)
        with pytest.MonkeyPatch.context() as patch:
            if guess:
                patch.setattr(merging, "_chains_are_long", lambda *_: False)
                patch.setattr(merging, "_FEW_LANES", 1)
            way(regions, threshold, limit, count_age)
        assert regions.rows() == twin.rows(plain)


def test_sampling_addresses_follow_their_regions():
    regions = Regions([(0, 10, 1), (10, 20, 1), (30, 40, 5)])
    assert regions.sampling_addr.tolist() == [0, 0, 0]
    regions.sampling_addr = np.array([3, 13, 33])
    merge_pass(regions, 0, 100, True)
    assert regions.copy().sampling_addr.tolist() == [3, 33]
