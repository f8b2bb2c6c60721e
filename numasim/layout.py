"""Where the frames of each node lie, and how much of them the kernel keeps free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import isqrt

from numasim.errors import Problem
from numasim.hardware import PAGE_BYTES, Node, Zone
from numasim.kernel import KernelSettings

FIRST_FRAME_ADDR = 4 << 30
"""Where node 0 starts unless the topology says: above the 32-bit zones, so that it is one zone."""


def lay_out(nodes: Sequence[Node]) -> tuple[tuple[Zone, ...], ...]:
    """Zones of every node; a node without explicit ones is one zone Normal after the one before.

    Parameters
    ----------
    nodes : sequence of Node

    Returns
    -------
    tuple of tuple of Zone
    """
    out: list[tuple[Zone, ...]] = []
    next_addr = FIRST_FRAME_ADDR
    for node in nodes:
        zones = node.zones
        if not zones:
            ranges = sorted(node.ranges) or [(next_addr, next_addr + node.capacity)]
            pages = sum(end - start for start, end in ranges) // PAGE_BYTES
            zones = (Zone("Normal", start=ranges[0][0], end=ranges[-1][1], managed=pages),)
        out.append(zones)
        next_addr = max(next_addr, *(zone.end_addr for zone in zones))
    return tuple(out)


def overlaps(nodes: Sequence[Node], zones: Sequence[Sequence[Zone]]) -> Iterator[Problem]:
    """Complaints about zones that share addresses, and ranges outside their node's zones."""
    spans = sorted((z.start, z.end_addr, nid) for nid, own in enumerate(zones) for z in own)
    for (_, end, one), (start, _, other) in pairwise(spans):
        if start < end:
            first, second = sorted((one, other))
            yield Problem(f"nodes[{second}].zones", f"overlaps with {nodes[first].name}'s")
    for nid, node in enumerate(nodes):
        for i, (start, end) in enumerate(node.ranges):
            spanned = merge_ranges((z.start, z.end_addr) for z in zones[nid])
            if not any(low <= start and end <= high for low, high in spanned):
                yield Problem(f"nodes[{nid}].ranges[{i}]", "lies outside the node's zones")


def merge_ranges(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges in ascending order with touching ones joined."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start == merged[-1][1]:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def min_free_kbytes(kernel: KernelSettings, zones: Iterable[Zone]) -> int:
    """The kernel's min_free_kbytes: as set, or as it computes it at boot.

    Parameters
    ----------
    kernel : KernelSettings
    zones : iterable of Zone
        All zones of the machine.

    Returns
    -------
    int
        KiB.

    Notes
    -----
    Source: Linux: isqrt(16 * lowmem in KiB), held in 128..262144. With transparent huge pages
    khugepaged raises it to 11 page blocks of 2 MiB per populated zone, at most 5 % of memory; the
    recorded guests (3 zones, min watermarks of 67,576 KiB in sum) agree.
    """
    if kernel.min_free_kbytes is not None:
        return kernel.min_free_kbytes
    zones = [zone for zone in zones if zone.managed_pages]
    low = sum(z.managed_pages for z in zones if z.name != "Movable") * PAGE_BYTES // 1024
    computed = min(max(isqrt(low * 16), 128), 262_144)
    if kernel.transparent_hugepage == "never":
        return computed
    return max(computed, min(len(zones) * 11 * 2048, low // 20))
