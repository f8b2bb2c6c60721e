"""Where pages are numbered, and which law each of them has."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.errors import ConfigError
from numasim.pages import MAX_CLASSES, PageSpace
from numasim.seeds import Seeds
from numasim.workload import Workload
from tests import worlds


def space(mappings: list[dict], access: list[dict] = (), seed: int = 1) -> PageSpace:
    return PageSpace(worlds.workload(mappings, access), Seeds(seed))


def weights_of(found: PageSpace, access: int = 0, work: float = 0.0) -> np.ndarray:
    """Chance of each page of the first mapping to be visited."""
    m = found.mappings[0]
    return found.patterns[0, 0, 0, access].page_weights(work)[found.class_of[m.first : m.last]]


# -- numbers ---------------------------------------------------------------------------------------


def test_mappings_are_numbered_by_address_and_listed_by_first_touch():
    found = space(
        [
            worlds.mapping("late", "1 MiB", address=0x7F80_0000_0000),
            worlds.mapping("early", "2 MiB", address=0x7F00_0000_0000),
        ]
    )
    assert [(m.mapping.name, m.first, m.last) for m in found.mappings] == [
        ("late", 512, 768),
        ("early", 0, 512),
    ]
    assert found.nr_pages == 768


def test_huge_mappings_begin_on_huge_pages():
    found = space([worlds.mapping("a", "12 KiB"), worlds.mapping("h", "4 MiB", page="2 MiB")])
    a, h = found.mappings
    assert (a.first, a.last, a.folio_pages) == (0, 3, 1)
    assert (h.first, h.last, h.folio_pages) == (512, 1536, 512)


def test_a_workload_of_huge_pages_has_huge_frames():
    found = space([worlds.mapping("h", "4 MiB", page="2 MiB")])
    assert (found.frame_bytes, found.nr_pages, found.mappings[0].folio_pages) == (2 << 20, 2, 1)


def test_processes_follow_each_other():
    one = {"name": "a", "mappings": [worlds.mapping("m", "1 MiB")]}
    two = {"name": "b", "mappings": [worlds.mapping("m", "2 MiB")]}
    found = PageSpace(Workload.from_dict({"name": "w", "processes": [one, two]}), Seeds(1))
    assert [(m.process, m.first) for m in found.mappings] == [(0, 0), (1, 256)]
    assert found.mapping_index_of(np.array([0, 255, 256, 767])).tolist() == [0, 0, 1, 1]


# -- classes ---------------------------------------------------------------------------------------


def test_extents_cut_a_mapping_into_classes():
    access = [
        {"pattern": "uniform", "mapping": "m", "first": 0.0, "last": 0.5},
        {"pattern": "uniform", "mapping": "m", "first": 0.25, "last": 1.0},
    ]
    found = space([worlds.mapping("m", "32 KiB")], access)
    assert found.class_of.tolist() == [0, 0, 1, 1, 2, 2, 2, 2]
    assert weights_of(found, 0).tolist() == [0.25] * 4 + [0.0] * 4
    np.testing.assert_allclose(weights_of(found, 1), [0, 0] + [1 / 6] * 6)


def test_all_phases_and_actors_share_the_classes():
    phases = [
        {"compute": "1 us", "duration": "1 s",
         "access": [{"pattern": "uniform", "mapping": "m", "last": 0.5}]},
        {"compute": "1 us", "access": [{"pattern": "uniform", "mapping": "m", "first": 0.5}]},
    ]  # fmt: skip
    found = PageSpace(worlds.workload([worlds.mapping("m", "32 KiB")], phases=phases), Seeds(1))
    assert found.nr_classes == 2
    assert set(found.patterns) == {(0, 0, 0, 0), (0, 0, 1, 0)}


@pytest.mark.parametrize("nr_pages", [256, 1000, 25_600])
def test_every_rank_of_a_steep_spread_has_its_pages(nr_pages):
    """The hottest page exists once, with any seed."""
    access = [{"pattern": "zipf", "mapping": "m", "exponent": 1.2}]
    for seed in range(5):
        found = space([worlds.mapping("m", f"{4 * nr_pages} KiB")], access, seed)
        weights = np.sort(weights_of(found))[::-1]
        ranks = np.arange(1, nr_pages + 1) ** -1.2
        assert weights[0] == pytest.approx(1 / ranks.sum(), rel=1e-6)
        assert (weights == weights[0]).sum() == 1
        np.testing.assert_allclose(
            np.cumsum(weights)[99], ranks[:100].sum() / ranks.sum(), rtol=0.05
        )


def test_ranks_hold_over_the_whole_mapping_when_others_cut_it():
    access = [
        {"pattern": "hot_cold", "mapping": "m", "hot": 0.1, "scattered": True},
        {"pattern": "uniform", "mapping": "m", "first": 0.3, "last": 0.6},
    ]
    found = space([worlds.mapping("m", "4 MiB")], access)
    weights = weights_of(found)
    assert (weights == weights.max()).sum() == 102, "a tenth of 1024 pages"


def test_hot_pages_lie_anywhere_and_are_the_seeds():
    access = [{"pattern": "hot_cold", "mapping": "m", "hot": 0.1, "scattered": True}]
    sets = []
    for seed in (1, 1, 2):
        weights = weights_of(space([worlds.mapping("m", "4 MiB")], access, seed))
        sets.append(frozenset(np.flatnonzero(weights == weights.max()).tolist()))
    assert sets[0] == sets[1] != sets[2]
    gaps = np.diff(sorted(sets[0]))
    assert gaps.max() < 100 and (gaps == 1).mean() < 0.3


def test_patterns_of_one_spread_agree_on_the_hot_pages_others_do_not():
    spread = {"pattern": "zipf", "mapping": "m"}
    access = [spread, {**spread, "visits": 3, "exponent": 0.5}, {**spread, "shuffle": "other"}]
    found = space([worlds.mapping("m", "4 MiB")], access)
    ranks = [np.argsort(np.argsort(weights_of(found, k))) for k in range(3)]
    assert np.corrcoef(ranks[0], ranks[1])[0, 1] > 0.99
    assert abs(np.corrcoef(ranks[0], ranks[2])[0, 1]) < 0.2


def test_a_page_keeps_its_class_when_another_process_comes_after():
    phase = {"compute": "1 us", "access": [{"pattern": "gamma", "mapping": "m"}]}
    first = {
        "name": "a",
        "mappings": [worlds.mapping("m", "4 MiB")],
        "actors": [{"phases": [phase]}],
    }
    second = {"name": "b", "mappings": [worlds.mapping("x", "1 MiB")]}
    one, two = (
        PageSpace(Workload.from_dict({"name": "w", "processes": processes}), Seeds(3))
        for processes in ([first], [first, second])
    )
    assert (one.class_of == two.class_of[:1024]).all()


def test_moving_shares_move_the_weights():
    access = [
        {"pattern": "moving_window", "mapping": "m", "cells": 4, "width": 1, "hop_every": 10.0}
    ]
    found = space([worlds.mapping("m", "32 KiB")], access)
    assert weights_of(found, work=0).tolist() == [0.5, 0.5, 0, 0, 0, 0, 0, 0]
    assert weights_of(found, work=10).tolist() == [0, 0, 0.5, 0.5, 0, 0, 0, 0]


def test_too_many_classes_are_refused():
    access = [
        {"pattern": "zipf", "mapping": "m", "shuffle": "a"},
        {"pattern": "gamma", "mapping": "m", "shuffle": "b"},
        {"pattern": "gamma", "mapping": "m", "shuffle": "c"},
        {"pattern": "gamma", "mapping": "m", "shuffle": "d"},
    ]
    with pytest.raises(ConfigError, match=f"more than {MAX_CLASSES} rate classes"):
        space([worlds.mapping("m", "64 MiB")], access)
