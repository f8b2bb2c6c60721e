"""Which slow pages are hot enough to go up: latency, threshold, rate limit of one fast node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.balancing.tunables import Tunables

PAGES_PER_MB = 256
RATE_WINDOW_MS = 1000
THRESHOLD_STEPS = 16  # of twice the reference threshold
FREE_LEAST_PAGES = 1 << 18  # 1 GiB
FREE_SHARE = 16  # or that part of the node, whichever is more
PID_BITS = 8
LAST_CPUPID_BITS_LEAST = 12


def enough_pages(present_pages: int) -> int:
    """Free 4 KiB pages above PROMO with which a node takes whatever faults.

    Source: numa-balancing-tiering specification, section 3.1 (Linux 7.3.4).
    """
    return max(FREE_LEAST_PAGES, present_pages // FREE_SHARE)


def access_time_bits(max_cpus: int) -> int:
    """Bits of a page that hold its access time: those of the last CPU and thread.

    Source: numa-balancing-tiering specification, section 3.1 (Linux 7.3.4).
    """
    return max(LAST_CPUPID_BITS_LEAST, PID_BITS + max(max_cpus - 1, 1).bit_length())


def hint_latency_ms(now_ms: np.ndarray, access_ms: np.ndarray, bits: int) -> np.ndarray:
    """int64[N]: time from arming to the fault as the kernel reads it, which wraps.

    Parameters
    ----------
    now_ms, access_ms : int64[N]
    bits : int
        Width of the stored time.

    Notes
    -----
    Source: numa-balancing-tiering specification, section 3.1 (Linux 7.3.4).
    """
    latency: np.ndarray = (now_ms - access_ms) & ((1 << bits) - 1)
    return latency


@dataclass
class Promotion:
    """State of a fast node as a target of promotion. Times in ms, candidates in 4 KiB pages.

    Parameters
    ----------
    threshold : int
        0 until it is first adapted: the reference holds.
    th_start, th_nr_cand : int
        When it was last adapted, and the candidates by then.
    rl_start, rl_nr_cand : int
        When the window of the rate limit began, and the candidates by then.
    candidate, candidate_nrl : int
        Candidates so far that count for the limits, and those taken as there was much room.
    """

    threshold: int = 0
    th_start: int = 0
    th_nr_cand: int = 0
    rl_start: int = 0
    rl_nr_cand: int = 0
    candidate: int = 0
    candidate_nrl: int = 0

    def adjust_threshold(self, now_ms: int, tunables: Tunables) -> None:
        """Once per longest scan period, move the threshold towards the candidates wanted.

        Source: numa-balancing-tiering specification, section 3.1 (Linux 7.3.4).
        """
        if now_ms - self.th_start <= tunables.scan_period_max_ms:
            return
        self.th_start = now_ms
        reference = tunables.hot_threshold_ms
        limit = tunables.rate_limit_mbps * PAGES_PER_MB
        wanted = limit * tunables.scan_period_max_ms // 1000
        came = self.candidate - self.th_nr_cand
        unit = reference * 2 // THRESHOLD_STEPS
        threshold = self.threshold or reference
        if came > wanted * 11 // 10:
            threshold = max(threshold - unit, unit)
        elif came < wanted * 9 // 10:
            threshold = min(threshold + unit, reference * 2)
        self.th_nr_cand, self.threshold = self.candidate, threshold

    def limited(self, now_ms: int, nr: int, tunables: Tunables) -> bool:
        """Count `nr` candidate pages; whether the rate limit forbids their promotion.

        Source: numa-balancing-tiering specification, section 3.1 (Linux 7.3.4).
        """
        self.candidate += nr
        if now_ms - self.rl_start > RATE_WINDOW_MS:
            self.rl_start, self.rl_nr_cand = now_ms, self.candidate
        return self.candidate - self.rl_nr_cand >= tunables.rate_limit_mbps * PAGES_PER_MB

    def hot(
        self, now_ms: np.ndarray, latency_ms: np.ndarray, nr: np.ndarray, tunables: Tunables
    ) -> np.ndarray:
        """bool[N]: which faults on slow pages, in order of time, ask for promotion; counts them.

        Parameters
        ----------
        now_ms, latency_ms : int64[N]
        nr : int64[N]
            4 KiB pages of each.
        tunables : Tunables

        Notes
        -----
        One fault after the other in effect: between two adaptations of the threshold, and within
        one window of the limit, nothing but a running sum changes. For a node without much room.
        """
        found = np.zeros(len(now_ms), bool)
        at = 0
        while at < len(now_ms):
            self.adjust_threshold(int(now_ms[at]), tunables)
            due = self.th_start + tunables.scan_period_max_ms
            until = int(np.searchsorted(now_ms, due, "right"))
            stop = max(until, at + 1)
            threshold = self.threshold or tunables.hot_threshold_ms
            own = at + np.flatnonzero(latency_ms[at:stop] < threshold)
            found[own] = ~self._limited(now_ms[own], nr[own], tunables)
            at = stop
        return found

    def _limited(self, now_ms: np.ndarray, nr: np.ndarray, tunables: Tunables) -> np.ndarray:
        """bool[N]: as `limited` for candidates one after the other."""
        found = np.zeros(len(now_ms), bool)
        limit = tunables.rate_limit_mbps * PAGES_PER_MB
        at = 0
        while at < len(now_ms):
            stop = int(np.searchsorted(now_ms, self.rl_start + RATE_WINDOW_MS, "right"))
            if stop <= at:  # the next one begins a window
                found[at] = self.limited(int(now_ms[at]), int(nr[at]), tunables)
                at += 1
                continue
            total = self.candidate + np.cumsum(nr[at:stop])
            found[at:stop] = total - self.rl_nr_cand >= limit
            self.candidate = int(total[-1])
            at = stop
        return found

    def plenty(self, nr: int) -> None:
        """There is much room: pages are taken whatever their latency, the threshold is forgotten.

        Source: numa-balancing-tiering specification, section 3.1 (Linux 7.3.4).
        """
        self.threshold = 0
        self.candidate_nrl += nr
