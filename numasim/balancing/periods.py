"""How often an address space is scanned: windows, limits of the period, and its adaptation."""

from __future__ import annotations

from dataclasses import dataclass

from numasim.balancing.tunables import Tunables

MAX_SCAN_WINDOW_MB = 2560  # an address space is scanned at no more than this per second
PERIOD_SLOTS, PERIOD_THRESHOLD = 10, 7
PAGES_PER_MB = 256


def scan_windows(rss_pages: int, scan_size_mb: int) -> int:
    """Scans that an address space of so many resident 4 KiB pages takes.

    Source: numa-balancing-tiering specification, section 2.2 (Linux 7.3.4).
    """
    scan_pages = scan_size_mb * PAGES_PER_MB
    return -(-(rss_pages or scan_pages) // scan_pages)


def scan_min(rss_pages: int, tunables: Tunables) -> int:
    """Shortest scan period, ms.

    Source: numa-balancing-tiering specification, section 2.2 (Linux 7.3.4).
    """
    windows = MAX_SCAN_WINDOW_MB // tunables.scan_size_mb or 1
    floor = 1000 // windows
    return max(floor, tunables.scan_period_min_ms // scan_windows(rss_pages, tunables.scan_size_mb))


@dataclass(frozen=True)
class Sharing:
    """Of a group of tasks that share pages: its members and its fault counts."""

    members: int
    private: int
    shared: int

    def stretched(self, period_ms: int) -> int:
        """A limit of the period, ms: the more is shared the longer, never below the plain one.

        Source: numa-balancing-tiering specification, section 2.2 (Linux 7.3.4).
        """
        faults = self.private + self.shared
        period = period_ms * self.members * (self.shared + 1) // (faults + 1)
        return max(period_ms, period)


def scan_start(rss_pages: int, tunables: Tunables, sharing: Sharing | None = None) -> int:
    """First scan period of a task, ms.

    Source: numa-balancing-tiering specification, section 2.2 (Linux 7.3.4).
    """
    least = scan_min(rss_pages, tunables)
    return least if sharing is None else sharing.stretched(least)


def scan_max(rss_pages: int, tunables: Tunables, sharing: Sharing | None = None) -> int:
    """Longest scan period, ms.

    Source: numa-balancing-tiering specification, section 2.2 (Linux 7.3.4).
    """
    most = tunables.scan_period_max_ms // scan_windows(rss_pages, tunables.scan_size_mb)
    most = most if sharing is None else sharing.stretched(most)
    return max(scan_min(rss_pages, tunables), most)


@dataclass(frozen=True)
class Locality:
    """Faults of a task since its period was last adapted, in pages.

    Parameters
    ----------
    remote, local, failed : int
        By where the page was; those whose migration failed.
    private, shared : int
        By whether another thread had touched it last.
    """

    remote: int
    local: int
    failed: int
    private: int
    shared: int


def adapted_period(period_ms: int, least_ms: int, most_ms: int, seen: Locality) -> tuple[int, bool]:
    """The scan period after placement, ms, and whether the address space rests for one as well.

    Parameters
    ----------
    period_ms, least_ms, most_ms : int
    seen : Locality

    Returns
    -------
    int, bool

    Notes
    -----
    Source: numa-balancing-tiering specification, section 3.2 (Linux 7.3.4).
    """
    if seen.local + seen.shared == 0 or seen.failed:
        return min(most_ms, period_ms * 2), True
    slot = -(-period_ms // PERIOD_SLOTS)
    local = seen.local * PERIOD_SLOTS // (seen.local + seen.remote) if seen.local else 0
    faults = seen.private + seen.shared
    private = seen.private * PERIOD_SLOTS // faults if faults else 0
    if private >= PERIOD_THRESHOLD:
        step = max(private - PERIOD_THRESHOLD, 1) * slot
    elif local >= PERIOD_THRESHOLD:
        step = max(local - PERIOD_THRESHOLD, 1) * slot
    else:
        step = -(PERIOD_THRESHOLD - max(local, private)) * slot
    return min(max(period_ms + step, least_ms), most_ms), False
