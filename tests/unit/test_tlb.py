"""Cached translations hide visits."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.hardware import Tlb
from numasim.tlb import walk_rates


def test_without_a_tlb_every_visit_walks():
    rates = np.array([1.0, 2.0])
    assert walk_rates(rates, np.array([10.0, 10.0]), 4, Tlb()) is rates


def test_che_keeps_as_many_translations_as_there_are_entries():
    rates, nr = np.array([1e-3, 1e-5]), np.array([100.0, 10_000.0])
    walks = walk_rates(rates, nr, 1, Tlb(entries=200))
    residency = np.log(rates / walks) / rates
    assert residency[0] == pytest.approx(residency[1]), "one residency for all"
    kept = nr @ -np.expm1(-rates * residency[0])
    assert kept == pytest.approx(200, rel=1e-6)


def test_what_fits_hides_for_ever():
    assert walk_rates(np.array([1e-3]), np.array([64.0]), 1, Tlb(entries=64)).tolist() == [0.0]


def test_flushes_bound_residency():
    tlb = Tlb(entries=64, flush_interval=1_000_000)
    walks = walk_rates(np.array([1e-6]), np.array([10.0]), 1, tlb)
    assert walks[0] == pytest.approx(1e-6 * np.exp(-1.0))


def test_threads_share_visits_but_not_entries():
    tlb = Tlb(entries=64, flush_interval=1_000_000)
    walks = walk_rates(np.array([1e-6]), np.array([10.0]), 4, tlb)
    assert walks[0] == pytest.approx(1e-6 * np.exp(-0.25))


def test_idle_classes_walk_never_and_take_no_entry():
    walks = walk_rates(np.array([0.0, 1e-4]), np.array([1e6, 50.0]), 1, Tlb(entries=64))
    assert walks.tolist() == [0.0, 0.0]


def test_more_entries_hide_more():
    rates, nr = np.array([1e-3, 1e-5]), np.array([100.0, 10_000.0])
    found = [walk_rates(rates, nr, 1, Tlb(entries=n)).sum() for n in (16, 64, 256, 1024)]
    assert found == sorted(found, reverse=True)
