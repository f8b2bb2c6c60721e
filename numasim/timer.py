"""When a kernel thread that asks to sleep really wakes."""

from __future__ import annotations

HRTIMER_TICKS = 4
# (ticks from which it holds, granularity in ticks): levels of the timer wheel
WHEEL = ((4032, 512), (504, 64), (63, 8), (0, 1))


def is_wheel(sleep_us: int, hz: int) -> bool:
    """Whether a sleep ends on the timer wheel; shorter ones use a high-resolution timer."""
    return sleep_us * 1000 >= HRTIMER_TICKS * (1_000_000_000 // hz)


def wheel_ns(sleep_us: int, hz: int) -> int:
    """Granularity of the timer wheel for a sleep of that length, ns."""
    tick_ns = 1_000_000_000 // hz
    ticks = -(-sleep_us * 1000 // tick_ns)
    return next(g for least, g in WHEEL if ticks >= least) * tick_ns


def wake_ns(now_ns: int, sleep_us: int, hz: int, slack_ns: int) -> int:
    """The instant at which a sleep of `sleep_us` that starts at `now_ns` ends.

    Parameters
    ----------
    now_ns : int
    sleep_us : int
    hz : int
        Timer ticks per second.
    slack_ns : int
        How late a high-resolution timer fires.

    Returns
    -------
    int
        ns; later than `now_ns`.

    Notes
    -----
    Source: Linux 7.3.4: sleeps of four ticks or more are rounded up to ticks and end on the timer
    wheel, which rounds up to its level's granularity; recorded at HZ=250: 20 → 24.4 ms, 320 → 352
    ms, 1280 → 1312 ms. Shorter ones use a high-resolution timer. The level above 4,032 ticks
    (granularity 512) continues the wheel's rule of a factor eight per level.
    """
    tick_ns = 1_000_000_000 // hz
    if not is_wheel(sleep_us, hz):
        return now_ns + max(sleep_us, 1) * 1000 + slack_ns
    ticks = -(-sleep_us * 1000 // tick_ns)
    granularity = wheel_ns(sleep_us, hz) // tick_ns
    wake_tick = ((now_ns // tick_ns + ticks) // granularity + 1) * granularity
    return wake_tick * tick_ns
