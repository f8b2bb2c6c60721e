"""Addresses and slots."""

from __future__ import annotations

import numpy as np

from numasim.addresses import AddressSpace


def two_ranges() -> AddressSpace:
    return AddressSpace([(0x10000, 0x14000, 0), (0x20000, 0x22000, 4)], 0x1000)


def test_holes_have_no_length():
    line = two_ranges().linear(np.array([0, 0x10000, 0x13FFF, 0x14000, 0x1FFFF, 0x20000, 0x99999]))
    assert line.tolist() == [0, 0, 0x3FFF, 0x4000, 0x4000, 0x4000, 0x6000]


def test_slots_of_a_stretch():
    space = two_ranges()
    assert space.slots(0x12000, 0x21000) == [(2, 4), (4, 5)]
    assert space.slots(0x14000, 0x20000) == []
    assert space.slots(0, 1 << 40) == [(0, 4), (4, 6)]


def test_a_slot_counts_if_any_byte_of_it_is_inside():
    assert two_ranges().slots(0x10FFF, 0x12001) == [(0, 3)]


def test_ranges_come_sorted():
    space = AddressSpace([(0x2000, 0x3000, 1), (0x1000, 0x2000, 0)], 0x1000)
    assert space.vmas() == [(0x1000, 0x2000), (0x2000, 0x3000)]
