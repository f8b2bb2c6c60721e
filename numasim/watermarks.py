"""Zone watermarks: how many free pages a zone keeps before the kernel begins to worry."""

from __future__ import annotations

from typing import NamedTuple

_HIGHMEM_MIN_PAGES = (32, 128)  # bounds of MIN in a movable or highmem zone
_PAGE_KB = 4


class Watermark(NamedTuple):
    """The four marks of one zone, in pages."""

    min: int
    low: int
    high: int
    promo: int


def zone_watermarks(
    min_free_kbytes: int,
    zone_managed_pages: int,
    lowmem_managed_pages: int,
    *,
    movable: bool = False,
    watermark_scale_factor: int = 10,
) -> Watermark:
    """The watermarks of one zone.

    Parameters
    ----------
    min_free_kbytes : int
        The sysctl of that name, in KiB.
    zone_managed_pages : int
        Managed pages of this zone.
    lowmem_managed_pages : int
        Managed pages of all zones that are neither movable nor highmem.
    movable : bool
        Whether the zone is movable (or highmem).
    watermark_scale_factor : int
        The sysctl of that name, in 1/10000 of the zone.

    Returns
    -------
    Watermark
        In pages.

    Notes
    -----
    Source: numa-balancing-tiering specification, section 4 (Linux 7.3.4).
    """
    min_free_pages = min_free_kbytes // _PAGE_KB
    share = min_free_pages * zone_managed_pages // max(lowmem_managed_pages, 1)
    step = max(share // 4, zone_managed_pages * watermark_scale_factor // 10_000)
    lowest = share
    if movable:
        floor, ceiling = _HIGHMEM_MIN_PAGES
        lowest = min(max(zone_managed_pages // 1024, floor), ceiling)
    return Watermark(lowest, lowest + step, lowest + 2 * step, lowest + 3 * step)
