"""How the kernel counts time for a kdamond: ticks for quota windows and sleeps.

Source: DAMON core specification, sections 3.3 and 8.2 (Linux 7.3.4).
"""

from __future__ import annotations

from numasim.damon.arith import U32

_INT_MAX = 2**31 - 1
_NEVER_JIFFIES = (2**62 - 1) - 1  # what an interval too long for the kernel's conversion becomes
_FIRST_JIFFY = 1  # the instant 0 is not jiffy 0, which quotas read as "never"
_COARSE_SLEEP_TICKS = 4  # sleeps at least this long end on the timer wheel
_WHEEL_LEVEL = 63  # ticks that the finest level of the timer wheel reaches
_WHEEL_GROWTH = 8


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


def sleep_end_ns(now_ns: int, duration_us: int, tick_ns: int, slack_ns: int = 1_000) -> int:
    """When a kdamond that goes to sleep now wakes up.

    Parameters
    ----------
    now_ns : int
    duration_us : int
        Requested sleep.
    tick_ns : int
        Length of a tick (4,000,000 at HZ=250).
    slack_ns : int
        Timer slack of a high resolution sleep.

    Returns
    -------
    int
        Sleeps of four ticks and more end on a tick of the timer wheel, rounded up; the longer the
        sleep the coarser the wheel.
    """
    duration_ns = duration_us * 1_000
    if duration_ns < _COARSE_SLEEP_TICKS * tick_ns:
        return now_ns + duration_ns + slack_ns
    ticks = -(-duration_ns // tick_ns)
    granularity, reach = 1, _WHEEL_LEVEL
    while ticks >= reach:
        granularity, reach = granularity * _WHEEL_GROWTH, reach * _WHEEL_GROWTH
    wake = ((now_ns // tick_ns + ticks) // granularity + 1) * granularity
    return wake * tick_ns
