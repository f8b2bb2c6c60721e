"""How intervals were tuned: where they settle, and the way there by samples and by seconds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numasim.validate.metrics.case import Case, Measured, time_mean
from numasim.validate.observed import Observed

FIRST = 8
"""Tunings of the way there."""


def tuning(case: Case, seen: Observed) -> Iterator[Measured]:
    """Metrics of each kdamond whose intervals were tuned."""
    several = len(case.seen.kdamonds) > 1
    for k, recorded in enumerate(case.seen.kdamonds):
        if not len(recorded.tuned_us):
            continue
        prefix = f"{recorded.name} " if several else ""
        one = seen.kdamonds[k] if k < len(seen.kdamonds) else None
        t_s = one.tuned_s if one else np.zeros(0)
        us = one.tuned_us.astype(float) if one else np.zeros(0)
        first_us = recorded.context.attrs.sample_us if recorded.context else us[:1].sum()
        from_s, until_s = recorded.tuned_s[0], recorded.watches[0].t_s[-1]
        yield Measured(f"{prefix}tunings", float(len(us)), "", False)
        middle = (max(0.0, from_s) + until_s) / 2
        late = us[(t_s >= middle) & (t_s <= until_s)]
        value = float(np.median(late)) if len(late) else float(us[-1]) if len(us) else np.nan
        yield Measured(
            f"{prefix}tuned sample_us", value, "us", True, log=True, resolution=0.02
        )  # fmt: skip
        yield from _way(prefix, us, int(min(len(recorded.tuned_us), FIRST)), first_us)
        log_us = np.log2(np.append(first_us, us))
        times = np.append(-np.inf, t_s)
        for name, a, b in (("first", from_s, (from_s + until_s) / 2), ("last", middle, until_s)):
            mean = 2 ** time_mean(times, log_us, float(a), float(b))
            yield Measured(
                f"{prefix}sample_us over the {name} half", float(mean), "us", True, log=True,
                resolution=0.02,
            )  # fmt: skip


def _way(prefix: str, us: np.ndarray, nr: int, first_us: float) -> Iterator[Measured]:
    """Geometric mean of the first tunings: the way by sample count, whatever the seconds."""
    early = us[:nr] if len(us) else np.array([first_us])
    mean = float(np.exp(np.mean(np.log(early))))
    name = f"{prefix}sample_us of the first {nr} tunings"
    yield Measured(name, mean, "us", True, log=True, resolution=0.02)
