"""Memory that is not the workload's: what the kernel and other programs hold on each node."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from numasim.errors import ConfigError, Problem
from numasim.hardware import Node
from numasim.zones import ZoneState

Release = Callable[[np.ndarray], None]


class OtherMemory:
    """What others hold, in frames.

    Parameters
    ----------
    zones : list of ZoneState
        Of all nodes.
    page_of : int32[frames]
    mark : int
        What `page_of` says of a frame that others hold.
    release : callable
        Frees frames (int64[N]).
    """

    def __init__(
        self, zones: list[ZoneState], page_of: np.ndarray, mark: int, release: Release
    ) -> None:
        self._zones, self._page_of, self._mark, self._release = zones, page_of, mark, release
        self._reclaimable: dict[int, list[np.ndarray]] = {}
        self._kept: dict[tuple[int, str], list[np.ndarray]] = {}

    def _zones_of(self, nid: int) -> list[ZoneState]:
        return [zone for zone in self._zones if zone.node == nid]

    def place(self, nid: int, node: Node, frame_bytes: int) -> None:
        """Take what others hold from the beginning, high zones first.

        Parameters
        ----------
        nid : int
        node : Node
        frame_bytes : int

        Raises
        ------
        ConfigError
            If it is more than the node has.
        """
        other = node.other_memory
        for zone in self._zones_of(nid)[-1:]:
            zone.kept = other.atomic_reserve // frame_bytes
        kept = -(-other.bytes // frame_bytes) - other.reclaimable_bytes // frame_bytes
        for nr, reclaimable in ((kept, False), (other.reclaimable_bytes // frame_bytes, True)):
            for zone in reversed(self._zones_of(nid)):
                take = min(nr, zone.free - zone.frames.nr_promised)
                if take <= 0:
                    continue
                frames = self._take(zone, take)
                nr -= take
                if reclaimable:
                    self._reclaimable.setdefault(nid, []).append(frames)
                else:
                    self._kept.setdefault((nid, zone.name), []).append(frames)
            if nr > 0:
                raise ConfigError(Problem(f"nodes[{nid}].other_memory", "is larger than the node"))

    def _take(self, zone: ZoneState, nr: int) -> np.ndarray:
        frames = zone.frames.take(nr)
        self._page_of[frames] = self._mark
        zone.free -= nr
        return frames

    def change(self, nid: int, excess: int) -> None:
        """Take `excess` frames of a node (or give back, if negative), as far as that goes."""
        for zone in reversed(self._zones_of(nid)):
            others = self._kept.setdefault((nid, zone.name), [])
            if excess > 0:
                least = zone.marks.min + zone.reserve + zone.kept  # others get no more, either
                least = max(least, zone.frames.nr_promised)
                nr = max(0, min(excess, zone.free - least))
                others.append(self._take(zone, nr))
                excess -= nr
        for zone in self._zones_of(nid):  # a low zone is the last resort, and free again first
            others = self._kept.get((nid, zone.name), [])
            while excess < 0 and others:
                part = others.pop()
                if len(part) > -excess:
                    others.append(part[-excess:])
                    part = part[:-excess]
                self._release(part)
                excess += len(part)

    def drop(self, nid: int, nr: int) -> int:
        """Drop up to `nr` frames of page cache on a node; frames freed."""
        freed = 0
        stock = self._reclaimable.get(nid, [])
        while stock and freed < nr:
            frames = stock.pop()
            if len(frames) > nr - freed:
                stock.append(frames[nr - freed :])
                frames = frames[: nr - freed]
            self._release(frames)
            freed += len(frames)
        return freed

    def pool(self, nid: int, nr: int) -> np.ndarray:
        """int64[<=nr]: frames of a node that others take for compressed pages."""
        parts = [np.empty(0, np.int64)]
        for zone in reversed(self._zones_of(nid)):
            room = max(0, min(nr, zone.free - zone.kept))
            if room:
                parts.append(self._take(zone, room))
                nr -= room
        return np.concatenate(parts)
