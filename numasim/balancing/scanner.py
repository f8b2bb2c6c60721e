"""What one scan of an address space makes inaccessible: order, budgets, what is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numasim.balancing.tunables import Tunables
from numasim.pages import MappingPages

HUGE_BYTES = 2 << 20
VIRTUAL_FACTOR = 8  # address space that a scan may pass over, in sizes of a scan
RESET_DELAYS = 4  # a generation of threads that touched a mapping lasts so many scan delays
MIN_SEQUENCES = 2  # every thread scans a mapping so many times after it was first seen
PID_HASH_BITS = 6
_GOLDEN_RATIO = 0x61C88647

Arm = Callable[[MappingPages, int, int], int]
"""Mapping, offsets of the first and one past the last byte → 4 KiB pages that were armed."""


def pid_bit(tid: int) -> int:
    """Which of 64 bits stands for a thread.

    Source: numa-balancing-tiering specification, section 2.3; multiplicative hash of Linux 7.3.4.
    """
    return 1 << ((tid * _GOLDEN_RATIO & 0xFFFFFFFF) >> (32 - PID_HASH_BITS))


@dataclass
class Vma:
    """Scan state of one mapping.

    Parameters
    ----------
    pages : MappingPages
    size : int
        Bytes.
    skipped : bool
        Never scanned: its policy does not migrate on fault, or it is a library.
    first_seen_ns : int
        When a scan first came by; -1: not yet.
    first_sequence, last_sequence : int
        Of the address space, then; and the last one in which it was completed.
    recent, before : int
        Bits of threads that faulted there, in this generation and the last.
    reset_ns : int
        When the next generation begins.
    """

    pages: MappingPages
    size: int
    skipped: bool
    first_seen_ns: int = -1
    first_sequence: int = 0
    last_sequence: int = -1
    recent: int = 0
    before: int = 0
    reset_ns: int = 0

    @property
    def start(self) -> int:
        """First address."""
        return self.pages.address

    @property
    def end(self) -> int:
        """One past the last address."""
        return self.pages.address + self.size


@dataclass
class Budget:
    """Bytes that a scan may still arm, and pass over."""

    armed: int
    virtual: int


@dataclass
class Walk:
    """One way through the mappings, and whether only its thread kept it from some (`left_out`)."""

    now_ns: int
    tid: int
    nr_threads: int
    tunables: Tunables
    arm: Arm
    left: Budget
    force: bool
    left_out: bool = False


class Scanner:
    """The scan of one process's address space.

    Parameters
    ----------
    vmas : list of Vma
    next_ns : int
        No scan before that instant.

    Attributes
    ----------
    offset : int
        Address at which the next scan goes on.
    sequence : int
        Times that the whole has been scanned.

    Notes
    -----
    Source: numa-balancing-tiering specification, section 2.3 (Linux 7.3.4).
    """

    def __init__(self, vmas: list[Vma], next_ns: int) -> None:
        self.vmas = sorted(vmas, key=lambda vma: vma.start)
        self.next_ns, self.offset, self.sequence = next_ns, 0, 0

    def scan(self, now_ns: int, tid: int, nr_threads: int, tunables: Tunables, arm: Arm) -> None:
        """Arm one scan's worth of pages on behalf of a thread.

        Parameters
        ----------
        now_ns, tid, nr_threads : int
        tunables : Tunables
        arm : callable
        """
        size = tunables.scan_size_mb << 20
        left, force = Budget(size, VIRTUAL_FACTOR * size), False
        while True:
            if not any(vma.end > self.offset for vma in self.vmas):
                self._wrap()
            walk = Walk(now_ns, tid, nr_threads, tunables, arm, left, force)
            stopped = self._walk(walk)
            if stopped is not None:
                self.offset = stopped
                return
            if not walk.left_out or force:
                self._wrap()
                return
            force = True  # what its threads do not use is scanned too, one mapping at a time

    def _walk(self, walk: Walk) -> int | None:
        """Go through the mappings from `offset` on; where it stops, None: at the end."""
        start, left = self.offset, walk.left
        for vma in self.vmas:
            if vma.end <= start or vma.skipped or self._rests(vma, walk.now_ns, walk.tunables):
                continue
            if not walk.force and not self._wanted(vma, walk.tid, walk.nr_threads):
                walk.left_out = True
                continue
            at = max(start, vma.start)
            while at < vma.end:
                end = min(-(-(at + left.armed) // HUGE_BYTES) * HUGE_BYTES, vma.end)
                if walk.arm(vma.pages, at - vma.start, end - vma.start):
                    left.armed -= end - at
                left.virtual -= end - at
                at = end
                if left.armed <= 0 or left.virtual <= 0:
                    return at
            vma.last_sequence = self.sequence
            if walk.force:
                return at
        return None

    def _wrap(self) -> None:
        self.offset, self.sequence = 0, self.sequence + 1

    def _rests(self, vma: Vma, now_ns: int, tunables: Tunables) -> bool:
        """Whether a mapping is left out whoever scans: it is new, or done in this sequence."""
        delay_ns = tunables.scan_delay_ms * 1_000_000
        if vma.first_seen_ns < 0:
            vma.first_seen_ns, vma.first_sequence = now_ns, self.sequence
            vma.last_sequence = self.sequence - 1
            vma.reset_ns = now_ns + (1 + RESET_DELAYS) * delay_ns
        if self.sequence and now_ns < vma.first_seen_ns + delay_ns:
            return True
        if self.sequence and now_ns > vma.reset_ns:
            vma.reset_ns += RESET_DELAYS * delay_ns
            vma.before, vma.recent = vma.recent, 0
        if vma.last_sequence == self.sequence:
            self.offset = vma.end
            return True
        return False

    def _wanted(self, vma: Vma, tid: int, nr_threads: int) -> bool:
        """Whether a thread scans a mapping that it may not use."""
        return (
            self.sequence - vma.first_sequence < MIN_SEQUENCES
            or bool((vma.recent | vma.before) & pid_bit(tid))
            or self.offset > vma.start
            or self.sequence > vma.last_sequence + nr_threads
        )
