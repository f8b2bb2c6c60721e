"""What an administrator can set of NUMA balancing, at the kernel's defaults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

NS_PER_MS = 1_000_000
NORMAL, TIERING = 1, 2
"""Bits of ``kernel.numa_balancing``."""
DEBUGFS = "sched/numa_balancing/"
SYSCTLS: dict[str, tuple[str, int, int]] = {
    "kernel.numa_balancing": ("mode", 0, 3),
    "kernel.numa_balancing_promote_rate_limit_MBps": ("rate_limit_mbps", 0, 2**31 - 1),
    f"{DEBUGFS}scan_delay_ms": ("scan_delay_ms", 1, 2**31 - 1),
    f"{DEBUGFS}scan_period_min_ms": ("scan_period_min_ms", 1, 2**31 - 1),
    f"{DEBUGFS}scan_period_max_ms": ("scan_period_max_ms", 1, 2**31 - 1),
    f"{DEBUGFS}scan_size_mb": ("scan_size_mb", 1, 2**31 - 1),
    f"{DEBUGFS}hot_threshold_ms": ("hot_threshold_ms", 1, 2**31 - 1),
}
"""Names as written to the machine → (tunable, least, most); the latter ones are in debugfs."""


class Scanning(Protocol):
    """A policy whose kernel scans, by the names of its fields."""

    @property
    def scan_delay(self) -> int: ...
    @property
    def scan_period_min(self) -> int: ...
    @property
    def scan_period_max(self) -> int: ...
    @property
    def scan_size(self) -> int: ...


@dataclass(frozen=True)
class Tunables:
    """Settings of NUMA balancing.

    Parameters
    ----------
    mode : int
        Bit mask: 1 places pages near who uses them, 2 promotes hot pages from slow tiers, 0 is off.
    scan_delay_ms, scan_period_min_ms, scan_period_max_ms : int
    scan_size_mb : int
        MiB of address space for one scan.
    hot_threshold_ms : int
        A slow page whose hint fault comes sooner after arming is hot.
    rate_limit_mbps : int
        MiB of promotion candidates per second and node.

    Notes
    -----
    Source: numa-balancing-tiering specification, section 1 (Linux 7.3.4).
    """

    mode: int = TIERING
    scan_delay_ms: int = 1000
    scan_period_min_ms: int = 1000
    scan_period_max_ms: int = 60_000
    scan_size_mb: int = 256
    hot_threshold_ms: int = 1000
    rate_limit_mbps: int = 65_536

    @classmethod
    def of(cls, policy: Scanning, mode: int = TIERING, **more: int) -> Tunables:
        """The settings of a policy that scans, whose times are in ns."""
        return cls(
            mode,
            policy.scan_delay // NS_PER_MS,
            policy.scan_period_min // NS_PER_MS,
            policy.scan_period_max // NS_PER_MS,
            policy.scan_size,
            **more,
        )

    @property
    def tiering(self) -> bool:
        """Whether slow pages are promoted by their hotness."""
        return bool(self.mode & TIERING)

    @property
    def normal(self) -> bool:
        """Whether pages are placed near who uses them."""
        return bool(self.mode & NORMAL)

    def written(self, changed: dict[str, Any]) -> Tunables:
        """The settings after sysctls were written; names of others have no effect."""
        own = {SYSCTLS[name][0]: int(value) for name, value in changed.items() if name in SYSCTLS}
        return replace(self, **own)
