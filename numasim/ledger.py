"""What the moving hand tells: what a call moved, what was moved by whom, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Moved:
    """What a migration did: pages moved, by 4 KiB-or-larger frames, and CPU time of the mover."""

    pages: np.ndarray
    bytes: int
    busy_ns: int
    complete: bool


OnMove = Callable[[str, np.ndarray, np.ndarray, np.ndarray], None]
"""``on_move(cause, pages, frames left, frames come to)``; arrays are the callee's to keep."""


@dataclass
class Ledger:
    """Bytes moved since last asked, by cause: ``(cause, mapping, from, to) → bytes``."""

    moved: dict[tuple[str, int, int, int], int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    on_move: OnMove | None = None

    def note(self, cause: str, pages: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> None:
        """Tell whoever asked which pages (int64[N]) left which frames for which (int64[N] each)."""
        if self.on_move is not None:
            self.on_move(cause, pages, sources, targets)

    def take(self) -> tuple[dict[tuple[str, int, int, int], int], dict[str, int]]:
        """All entries, and start afresh."""
        found = (self.moved, self.failed)
        self.moved, self.failed = {}, {}
        return found


@dataclass
class Traffic:
    """What was moved since last asked: bytes by (source, target), pages by class, folios, time."""

    bytes: dict[tuple[int, int], int]
    pages_of_class: np.ndarray
    folios: int = 0
    busy_ns: int = 0

    def add(self, other: Traffic) -> None:
        """What was moved besides."""
        for way, nr_bytes in other.bytes.items():
            self.bytes[way] = self.bytes.get(way, 0) + nr_bytes
        self.pages_of_class += other.pages_of_class
        self.folios += other.folios
        self.busy_ns += other.busy_ns


CostOf = Callable[[int, int, int], int]
"""(source node, target node, folio order) → ns to migrate one folio in a batch."""


class Residents(Protocol):
    """Who is told which folios come to a node and go: reclaim."""

    def arrive(self, heads: np.ndarray, nodes: np.ndarray) -> None:
        """Folios (int64[N], first pages) are on these nodes (int64[N]) from now on."""

    def leave(self, heads: np.ndarray, nodes: np.ndarray, freed: bool) -> None:
        """Folios go from these nodes, for good if `freed`."""

    def split(self, heads: np.ndarray, pages: np.ndarray, sizes: np.ndarray) -> None:
        """Folios are about to become base pages: int64[sum of sizes], each folio's in order."""

    def act(self, action: str, heads: np.ndarray, now_ns: int) -> tuple[int, int]:
        """Do what a DAMOS action says with folios; pages on which it succeeded, and time, ns."""
        ...

    def lru_pages(self) -> tuple[int, int]:
        """Active and inactive pages (4 KiB) of the machine."""
        ...

    def are_active(self, heads: np.ndarray) -> np.ndarray:
        """bool[N]: which of these present folios count as active."""
        ...

    @property
    def stall_us(self) -> int:
        """For how long some task has waited for memory so far."""
        ...
