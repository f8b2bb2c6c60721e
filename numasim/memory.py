"""Physical memory: frames, the pages that hold them, zones with watermarks, and the allocator.

The truth is physical: `frame_of[page]` and `page_of[frame]`; the node follows from the frame. A
frame is as large as the smallest page order of the workload, so a machine of huge pages needs few.
Only the migrator (`migration.py`) calls the methods that change anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from numasim.errors import ConfigError, Problem
from numasim.free_frames import FreeFrames
from numasim.layout import merge_ranges
from numasim.other_memory import OtherMemory
from numasim.topology import Topology
from numasim.watermarks import Watermark, zone_watermarks
from numasim.zones import ZoneState

PAGE_BYTES = 4096
FREE, OTHER, RESERVED = -1, -2, -3
ABSENT, SWAPPED = -1, -2
# Linux 7.3.4: lowmem_reserve_ratio of DMA and DMA32; per-CPU lists refill by 63 pages, twice as
# many each time, up to 63 * 32
LOWMEM_RESERVE_RATIO = 256
PCP_BATCH_PAGES = 63
PCP_MAX_SCALE = 5


class Memory:
    """Frames of all nodes and the pages of all mappings.

    Parameters
    ----------
    topology : Topology
    nr_pages : int
        Pages of all mappings, in frames' size.
    frame_bytes : int
        Size of a frame; 4096 unless every mapping uses larger pages.
    promised : int64[N], optional
        Page frame numbers to keep for the pages that will name them.

    Attributes
    ----------
    promo_headroom : bool
        Whether kswapd keeps one step more free, for promotions (NUMA balancing mode 2).
    demotion_bp : dict of int to int
        Nodes on which kswapd frees at least so much, in 1/10000 of each zone: TPP's demotion mark.
    kswapd : callable or None
        Wakes the kswapd of a node.
    direct_reclaim : callable or None
        ``direct_reclaim(nodes, nr)``: the allocating task itself makes room; frames freed.
    """

    def __init__(
        self,
        topology: Topology,
        nr_pages: int,
        frame_bytes: int = PAGE_BYTES,
        promised: np.ndarray | None = None,
    ) -> None:
        self.topology, self.frame_bytes = topology, frame_bytes
        self.pages_per_frame = frame_bytes // PAGE_BYTES
        self._lay_out()
        nr_frames = int(self.range_first[-1] + self.range_frames[-1])
        self.page_of = np.full(nr_frames, FREE, np.int32)
        self.frame_of = np.full(nr_pages, ABSENT, np.int32)
        self.zones = [zone for n in range(len(topology.nodes)) for zone in self._zones_of(n)]
        self.min_free_kbytes = topology.min_free_kbytes()
        self.watermark_scale_factor = topology.kernel.watermark_scale_factor
        self.set_watermarks()
        if promised is not None and len(promised):
            wanted = self.frames_at(promised)
            self._promise(wanted[wanted >= 0])
        self.others = OtherMemory(self.zones, self.page_of, OTHER, self.release)
        for nid, node in enumerate(topology.nodes):
            self.others.place(nid, node, frame_bytes)
        self.promo_headroom = False
        self.demotion_bp: dict[int, int] = {}
        self.kswapd: Callable[[int], None] | None = None
        self.direct_reclaim: Callable[[Sequence[int], int], int] | None = None

    # -- layout ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        """Number the frames by address; ranges without a whole frame are left out."""
        found = []
        for n in range(len(self.topology.nodes)):
            for start, end in merge_ranges(self.topology.node_ranges(n)):
                first, last = -(-start // self.frame_bytes), end // self.frame_bytes
                if first < last:
                    found.append((first, last, n))
        table = np.array(sorted(found), np.int64).reshape(-1, 3)
        pfns, ends, self.range_node = table.T.copy()
        self.range_start = pfns * self.frame_bytes  # byte addresses, int64[K]
        self.range_end = ends * self.frame_bytes
        self.range_frames = ends - pfns
        self.range_first = np.r_[0, np.cumsum(self.range_frames)[:-1]]
        for n, node in enumerate(self.topology.nodes):
            if not (self.range_node == n).any():
                size = f"a page of {self.frame_bytes >> 10} KiB"
                raise ConfigError(Problem(f"nodes[{n}]", f"{node.name} has no room for {size}"))

    def node_runs(self, nid: int) -> list[tuple[int, int]]:
        """Frames of a node as intervals, ascending; several where its memory has holes."""
        own = np.flatnonzero(self.range_node == nid)
        ends = self.range_first[own] + self.range_frames[own]
        return list(zip(self.range_first[own].tolist(), ends.tolist(), strict=True))

    def frames_in(self, start: int, end: int) -> list[tuple[int, int]]:
        """Frame intervals that begin in the physical bytes ``[start, end)``, holes left out."""
        found = []
        for at, stop, first in zip(self.range_start, self.range_end, self.range_first, strict=True):
            a, b = max(start, int(at)), min(end, int(stop))
            low, high = -(-(a - int(at)) // self.frame_bytes), -(-(b - int(at)) // self.frame_bytes)
            if low < high:
                found.append((int(first) + low, int(first) + high))
        return found

    def node_of(self, frames: np.ndarray) -> np.ndarray:
        """int64[N]: node of each frame."""
        nodes: np.ndarray = self.range_node[np.searchsorted(self.range_first, frames, "right") - 1]
        return nodes

    def addresses_of(self, frames: np.ndarray) -> np.ndarray:
        """int64[N]: physical byte address of each frame."""
        k = np.searchsorted(self.range_first, frames, "right") - 1
        offset: np.ndarray = (frames - self.range_first[k]) * self.frame_bytes
        addresses: np.ndarray = self.range_start[k] + offset
        return addresses

    def _zones_of(self, nid: int) -> list[ZoneState]:
        zones = []
        for zone in self.topology.zones[nid]:
            own = self.node_runs(nid)
            runs = [
                (max(first, a), min(last, b))
                for first, last in self.frames_in(zone.start, zone.end_addr)
                for a, b in own
                if max(first, a) < min(last, b)
            ]
            present = sum(last - first for first, last in runs)
            usable = min(present, zone.managed_pages // self.pages_per_frame)
            if not usable:
                continue
            span, runs = runs, self._reserve(runs, present - usable)
            zones.append(ZoneState(nid, zone.name, span, runs, usable, usable, FreeFrames(runs)))
        return zones

    def _reserve(self, runs: list[tuple[int, int]], nr: int) -> list[tuple[int, int]]:
        """Take the lowest `nr` frames out: firmware and the kernel's own tables."""
        left = []
        for first, last in runs:
            cut = min(nr, last - first)
            self.page_of[first : first + cut] = RESERVED
            nr -= cut
            if first + cut < last:
                left.append((first + cut, last))
        return left

    # -- as a real machine had it ------------------------------------------------------------------

    def frames_at(self, pfns: np.ndarray) -> np.ndarray:
        """int64[N]: the frame at each page frame number (address / 4 KiB); -1 where none is."""
        address = pfns * PAGE_BYTES
        k = np.searchsorted(self.range_start, address, "right") - 1
        inside = (k >= 0) & (address < self.range_end[k])
        frames = self.range_first[k] + (address - self.range_start[k]) // self.frame_bytes
        return np.where(inside, frames, ABSENT)

    def _promise(self, frames: np.ndarray) -> None:
        """Keep these frames (int64[N]); what was reserved there goes elsewhere in its zone."""
        for zone in self.zones:
            low, high = min(a for a, _ in zone.span), max(b for _, b in zone.span)
            own = np.unique(frames[(frames >= low) & (frames < high)])
            taken = own[self.page_of[own] != FREE]
            moved = zone.frames.take_beside(own, min(len(taken), zone.free))
            own = np.setdiff1d(own, taken[len(moved) :], assume_unique=True)
            taken = taken[: len(moved)]
            self.page_of[moved], self.page_of[taken] = self.page_of[taken], FREE
            zone.runs = merge_ranges([*zone.runs, *((f, f + 1) for f in taken.tolist())])
            zone.frames.promise(own, zone.span)

    def claim(self, frames: np.ndarray) -> np.ndarray:
        """bool[N]: which promised frames are handed out to who names them (the migrator only)."""
        given = np.zeros(len(frames), bool)
        for zone in self.zones:
            got = zone.frames.claim(frames)
            zone.free -= int(got.sum())
            given |= got
        return given

    def set_available(self, nid: int, frames: int, in_use: int) -> None:
        """Let others take or give back memory until free and used frames of a node are `frames`.

        Parameters
        ----------
        nid : int
        frames : int
            Free frames plus `in_use`, as measured on a real machine at this moment.
        in_use : int
            Frames of the node that hold the workload's pages.
        """
        self.others.change(nid, self.free_frames(nid) + in_use - frames)

    # -- watermarks --------------------------------------------------------------------------------

    def zones_of_node(self, nid: int) -> list[ZoneState]:
        """Zones of a node, lowest first."""
        return [zone for zone in self.zones if zone.node == nid]

    def set_watermarks(self, min_free_kbytes: int | None = None, scale: int | None = None) -> None:
        """Write the sysctls min_free_kbytes and watermark_scale_factor; what is None stays.

        Source: Linux 7.3.4 watermark setup; the lowmem reserve of a zone is the managed pages of
        the zones above it on its node by `LOWMEM_RESERVE_RATIO`.
        """
        if min_free_kbytes is not None:
            self.min_free_kbytes = min_free_kbytes
        if scale is not None:
            self.watermark_scale_factor = scale
        per = self.pages_per_frame
        lowmem = sum(z.managed for z in self.zones if z.name != "Movable") * per
        for zone in self.zones:
            marks = zone_watermarks(
                self.min_free_kbytes,
                zone.managed * per,
                lowmem,
                movable=zone.name == "Movable",
                watermark_scale_factor=self.watermark_scale_factor,
            )
            zone.marks = Watermark(*(-(-mark // per) for mark in marks))
        for nid in range(len(self.topology.nodes)):
            above = 0
            for zone in reversed(self.zones_of_node(nid)):
                zone.reserve = above // LOWMEM_RESERVE_RATIO if zone.name.startswith("DMA") else 0
                above += zone.managed

    # -- counting ----------------------------------------------------------------------------------

    def managed_frames(self, nid: int) -> int:
        """Frames the allocator manages on a node (MemTotal)."""
        return sum(zone.managed for zone in self.zones_of_node(nid))

    def free_frames(self, nid: int) -> int:
        """Free frames of a node (MemFree)."""
        return sum(zone.free for zone in self.zones_of_node(nid))

    # -- allocation (for the migrator only) --------------------------------------------------------

    def allocate(
        self, nr: int, nodes: Sequence[int], marks: Sequence[str], size: int = 1, cpu: str = "touch"
    ) -> np.ndarray:
        """Hand out frames the way the page allocator walks its zonelist.

        Parameters
        ----------
        nr : int
            Frames, or blocks of `size` frames.
        nodes : sequence of int
            Node order.
        marks : sequence of str
            Watermarks tried in turn (``"low"``, then ``"min"``); a zone serves while its free
            frames are above mark + lowmem reserve. The test precedes a refill of the per-CPU list,
            so a zone can end below the mark by up to a refill.
        size : int
            1, or the frames of one folio, which then are contiguous and aligned.
        cpu : str
            Whose per-CPU list serves; the thread that touches and the one that moves run apart.

        Returns
        -------
        int64[<=nr]
            Frames (of each folio the first); fewer if all zones refuse.
        """
        parts: list[np.ndarray] = []
        for mark in marks:
            for nid in nodes:
                for zone in reversed(self.zones_of_node(nid)):
                    if nr <= 0:
                        break
                    floor = getattr(zone.marks, mark) + zone.reserve + zone.kept
                    part = (
                        self._take(zone, nr, floor, cpu)
                        if size == 1
                        else self._take_blocks(zone, nr, floor, size)
                    )
                    if len(part):
                        parts.append(part)
                        nr -= len(part)
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _take(self, zone: ZoneState, nr: int, floor: int, cpu: str) -> np.ndarray:
        """Serve single frames from the per-CPU list of `cpu`, refilling it while free > floor."""
        if zone.pcp_of != cpu:
            zone.free += zone.in_pcp  # another CPU's list is drained before long
            zone.pcp_of, zone.in_pcp, zone.refills = cpu, 0, 0
        while zone.in_pcp < nr and zone.free > floor:
            batch = self._refill_frames(zone)
            usable = zone.free - zone.kept
            moved = min(batch, usable)
            if zone.refills >= PCP_MAX_SCALE:  # batches have their full size: all at once
                wanted = -(-(nr - zone.in_pcp) // batch)
                moved = min(min(wanted, -(-(zone.free - floor) // batch)) * batch, usable)
            zone.free -= moved
            zone.in_pcp += moved
            zone.refills += 1
        take = min(nr, zone.in_pcp)
        if take <= 0:
            return np.empty(0, np.int64)
        zone.in_pcp -= take
        return zone.frames.take(take)

    def in_hand(self, nid: int, cpu: str) -> int:
        """Single frames that the next ones on a node get before what is free changes again."""
        for zone in reversed(self.zones_of_node(nid)):
            if zone.pcp_of == cpu and zone.in_pcp:
                return zone.in_pcp
            if zone.free > zone.marks.low + zone.reserve + zone.kept:
                break
        return 1

    def _refill_frames(self, zone: ZoneState) -> int:
        """Frames of the next refill of a per-CPU list; small zones (DMA) refill page by page.

        Source: recorded guests: zone DMA stops at its mark, DMA32 up to 63 * 32 pages below.
        Assumption: a batch is at most 1/4096 of the zone.
        """
        pages = zone.managed * self.pages_per_frame
        batch = min(PCP_BATCH_PAGES, max(1, pages >> 12)) << min(zone.refills, PCP_MAX_SCALE)
        return max(1, batch // self.pages_per_frame)

    def _take_blocks(self, zone: ZoneState, nr: int, floor: int, size: int) -> np.ndarray:
        allowed = max(0, (zone.free - floor) // size)  # what is left must reach the floor
        heads = zone.frames.take_aligned(min(nr, allowed), size)
        zone.free -= len(heads) * size
        return heads

    def release(self, frames: np.ndarray) -> None:
        """Free `frames` (int64[N]) to their zones."""
        if not len(frames):
            return
        self.page_of[frames] = FREE
        for zone in self.zones:
            own = np.zeros(len(frames), bool)
            for first, last in zone.span:
                own |= (frames >= first) & (frames < last)
            if own.any():
                mine = frames[own]
                zone.frames.give(mine)
                zone.free += len(mine)

    def goal_of(self, zone: ZoneState) -> int:
        """Free frames from which kswapd leaves a zone alone: HIGH, PROMO with tiering, or TPP's."""
        mark = zone.marks.promo if self.promo_headroom else zone.marks.high
        mark = max(mark, zone.managed * self.demotion_bp.get(zone.node, 0) // 10_000)
        return mark + zone.reserve

    def is_balanced(self, nid: int) -> bool:
        """Whether some zone of a node has free frames above its goal."""
        return any(zone.free > self.goal_of(zone) for zone in self.zones_of_node(nid))

    def make_room(self, nodes: Sequence[int], nr: int) -> int:
        """The allocating task reclaims by itself until `nr` frames are free; frames freed."""
        return 0 if self.direct_reclaim is None else self.direct_reclaim(nodes, nr)

    def wake_kswapd(self, nid: int) -> int:
        """Drop page cache that is not ours up to the goal, wake kswapd for the rest; frames freed.

        Notes
        -----
        Source: Linux 7.3.4 kswapd balancing. Assumption: page cache of others is clean and colder
        than anything else, and dropped at once. kswapd itself runs if the machine may demote or
        swap (`numasim.reclaim`); else anonymous memory is not reclaimable.
        """
        want = sum(max(0, self.goal_of(z) - z.free) for z in self.zones_of_node(nid))
        freed = self.others.drop(nid, want)
        if self.kswapd is not None and not self.is_balanced(nid):
            self.kswapd(nid)
        return freed
