"""A hand that can make huge pages, and what must hold after it has."""

from __future__ import annotations

from numasim.huge.folding import HugePages
from numasim.kernel import CostSettings
from numasim.migration import Migrator
from numasim.pages import MappingPages
from tests import worlds

PER = 512
HUGE = 2 << 20
FAST, SLOW = 0, 1


def hand_of(*mappings: dict, access=(), sizes=("32 MiB", "64 MiB"), allowed=True, **topology):
    """Empty memory, who makes huge pages there, and the first mapping, aligned to 2 MiB."""
    found = mappings or (worlds.mapping("m", "8 MiB", address=1 << 30),)
    work = worlds.workload(found, access)
    hand = worlds.migrator(worlds.topology(*sizes, **topology), work, huge=True)
    hand.law.track_bits()
    return hand, HugePages(hand, CostSettings(), allowed), hand.space.mappings[0]


def touch(hand: Migrator, pages: MappingPages, first: int, last: int, node: int = FAST) -> None:
    """First touch of some pages of a mapping on a node."""
    policy = {"mode": "bind", "nodes": [node]}
    policy = type(pages.mapping.policy)(**policy)
    hand.first_touch(pages, first, last, node, policy, 0, 1000)


def all_whole(huge: HugePages, pages: MappingPages) -> bool:
    """Whether every block of a mapping is huge."""
    return bool(huge.are_whole(huge.blocks_within(pages, 0, pages.mapping.size)).all())
