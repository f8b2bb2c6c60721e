"""What schemes did: tried, applied, quotas, and the pulses in which pages moved."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numasim.validate.metrics.case import Case, Measured, time_mean
from numasim.validate.observed import Observed, SchemeSeen

MIB = 1024 * 1024
PULSE_BYTES_PER_S = MIB
PULSE_GAP_S = 3.0
ESZ_RESOLUTION = float(np.log(2))
"""After the workload has populated, an effective quota is known to no better than a factor 2."""


def quotas(case: Case, seen: Observed) -> Iterator[Measured]:
    """Metrics of every scheme."""
    several = sum(len(k.schemes) for k in case.seen.kdamonds) > 1
    for k, recorded in enumerate(case.seen.kdamonds):
        until_s = float(recorded.watches[0].t_s[-1])
        for s, kernel in enumerate(recorded.schemes):
            own = seen.kdamonds[k].schemes if k < len(seen.kdamonds) else ()
            one = own[s] if s < len(own) else _nothing()
            action = recorded.context.schemes[s].action if recorded.context else f"scheme {s}"
            prefix = f"{recorded.name} {action}: " if several else f"{action}: "
            yield from _totals(prefix, one, until_s)
            yield from _effective(prefix, one, kernel, until_s)
            if action.startswith("migrate"):
                yield from _pulses(prefix, one, until_s)


def _nothing() -> SchemeSeen:
    none = np.zeros(0)
    return SchemeSeen(none, np.zeros((0, 7), np.int64), none, none)


def at_end(one: SchemeSeen, counter: str, until_s: float) -> float:
    """A cumulative counter at a time; 0 before the scheme was first applied."""
    nr = int(np.searchsorted(one.t_s, until_s + 1e-6, "right"))
    return float(one.counter(counter)[nr - 1]) if nr else 0.0


def _totals(prefix: str, one: SchemeSeen, until_s: float) -> Iterator[Measured]:
    for counter, name in (("sz_tried", "tried"), ("sz_applied", "moved or applied")):
        mib = at_end(one, counter, until_s) / MIB
        yield Measured(f"{prefix}{name}", mib + 1, "MiB + 1", True, log=True, resolution=0.01)
    exceeds = at_end(one, "qt_exceeds", until_s)
    yield Measured(f"{prefix}qt_exceeds", exceeds, "windows", True, resolution=1.0)


def _effective(
    prefix: str, one: SchemeSeen, kernel: SchemeSeen, until_s: float
) -> Iterator[Measured]:
    """Geometric mean of the effective quota: before the workload, in its first and last half."""
    if not len(kernel.esz_s):
        return
    first_s = float(kernel.esz_s[0])
    half_s = max(first_s, 0.0) + (until_s - max(first_s, 0.0)) / 2
    parts = [("while idle", first_s, 0.0), ("in the first half", max(first_s, 0.0), half_s)]
    for name, from_s, to_s in [*parts, ("in the last half", half_s, until_s)]:
        if to_s <= from_s:
            continue
        times = np.append(-np.inf, one.esz_s)
        sizes = np.append(1.0, np.maximum(one.esz, 1.0))
        mean = float(np.exp(time_mean(times, np.log(sizes), from_s, to_s)))
        yield Measured(
            f"{prefix}quota {name}", mean, "bytes", True, log=True, resolution=ESZ_RESOLUTION
        )


def _pulses(prefix: str, one: SchemeSeen, until_s: float) -> Iterator[Measured]:
    sizes = pulses(one, until_s)
    yield Measured(f"{prefix}pulses", float(len(sizes)), "", True, resolution=1.0)
    mean = float(np.mean(sizes)) / MIB if len(sizes) else 0.0
    yield Measured(f"{prefix}mean pulse", mean + 1, "MiB + 1", True, log=True, resolution=0.05)


def pulses(one: SchemeSeen, until_s: float) -> np.ndarray:
    """Bytes of each pulse: a time in which more than 1 MiB/s moved, with gaps below 3 s.

    Returns
    -------
    float64[P]
    """
    t, done = np.append(0.0, one.t_s), np.append(0.0, one.counter("sz_applied").astype(float))
    inside = t <= until_s + 1e-6
    t, done = t[inside], done[inside]
    more, took = np.diff(done), np.maximum(np.diff(t), 1e-3)
    busy = np.flatnonzero(more > PULSE_BYTES_PER_S * took)
    if not len(busy):
        return np.zeros(0)
    gaps = t[busy[1:]] - t[busy[:-1] + 1]
    number = np.concatenate([[0], np.cumsum(gaps > PULSE_GAP_S)])
    found: np.ndarray = np.bincount(number, more[busy])
    return found
