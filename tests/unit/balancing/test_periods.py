"""Scan periods: limits and adaptation, against steps computed by hand."""

from __future__ import annotations

import pytest

from numasim.balancing.periods import (
    Locality,
    Sharing,
    adapted_period,
    scan_max,
    scan_min,
    scan_start,
    scan_windows,
)
from numasim.balancing.tunables import Tunables

GB = 1 << 18  # pages


def test_the_examples_of_the_specification():
    usual = Tunables()
    assert (scan_min(GB, usual), scan_max(GB, usual)) == (250, 15_000)
    assert (scan_min(64 * GB, usual), scan_max(64 * GB, usual)) == (100, 234)
    assert scan_windows(0, 256) == 1 and scan_windows(65_537, 256) == 2


def test_sizes_beyond_the_window_scan_once_a_second_at_most():
    assert scan_min(64 * GB, Tunables(scan_size_mb=2560)) == 1000
    assert scan_min(64 * GB, Tunables(scan_size_mb=4096)) == 1000
    assert scan_min(64 * GB, Tunables(scan_size_mb=2559)) == 1000


def test_who_shares_scans_less():
    """250 ms x 4 members x (shared + 1) / (all + 1), never below the plain limit."""
    usual = Tunables()
    assert scan_start(GB, usual, Sharing(4, private=300, shared=99)) == 250
    assert scan_start(GB, usual, Sharing(4, private=100, shared=99)) == 250 * 4 * 100 // 200
    assert scan_max(GB, usual, Sharing(4, private=0, shared=99)) == 60_000


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Locality(remote=10, local=0, failed=0, private=10, shared=0), (2000, True)),
        (Locality(remote=10, local=90, failed=1, private=90, shared=10), (2000, True)),
        (Locality(remote=10, local=90, failed=0, private=100, shared=0), (1300, False)),
        (Locality(remote=10, local=90, failed=0, private=70, shared=30), (1100, False)),
        (Locality(remote=20, local=80, failed=0, private=10, shared=90), (1100, False)),
        (Locality(remote=50, local=50, failed=0, private=10, shared=90), (800, False)),
        (Locality(remote=100, local=0, failed=0, private=0, shared=100), (300, False)),
    ],
)
def test_adaptation_by_hand(seen, expected):
    """Ten slots of 100 ms; the aim is seven tenths private or local."""
    assert adapted_period(1000, 250, 15_000, seen) == expected


def test_adaptation_stays_within_its_limits():
    away = Locality(remote=100, local=0, failed=0, private=0, shared=100)
    assert adapted_period(1000, 400, 15_000, away)[0] == 400
    private = Locality(remote=0, local=1, failed=0, private=1, shared=0)
    assert adapted_period(1000, 400, 1100, private)[0] == 1100
