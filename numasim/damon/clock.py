"""How the kernel counts time for quotas: in ticks.

Source: DAMON core specification, section 8.2 and 8.4 (Linux 7.3.4).
"""

from __future__ import annotations

from numasim.damon.arith import U32

_INT_MAX = 2**31 - 1
_NEVER_JIFFIES = (2**62 - 1) - 1  # what an interval too long for the kernel's conversion becomes
_FIRST_JIFFY = 1  # the instant 0 is not jiffy 0, which quotas read as "never"


def jiffies(now_ns: int, tick_ns: int) -> int:
    """Ticks counted at an instant; never 0."""
    return now_ns // tick_ns + _FIRST_JIFFY


def msecs_to_jiffies(ms: int, tick_ns: int) -> int:
    """Ticks of a duration, rounded up; the kernel takes 32 bits of it, too long means never."""
    ms &= U32
    if ms > _INT_MAX:
        return _NEVER_JIFFIES
    return -(-ms * 1_000_000 // tick_ns)


def coarse_elapsed_ns(start_ns: int, end_ns: int, tick_ns: int) -> int:
    """Duration as a clock sees it that advances at ticks only."""
    return (end_ns // tick_ns - start_ns // tick_ns) * tick_ns
