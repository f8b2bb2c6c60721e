"""Sample filters: which access reports count. Per-CPU, per-thread, read or write-only monitoring.

Two semantics. ``intent``, what the documentation promises: a report has to pass every filter in
turn; ``allow`` keeps what matches, ``reject`` drops what matches. ``rfc``, what the proposed code
does: a matching ``reject`` drops, a matching ``allow`` does not decide, and what is left is kept if
the *last* filter allows: a lone ``allow`` filters nothing, a last ``reject`` drops everything.
Source: "mm/damon: introduce per-CPUs/threads/write/read monitoring", RFC v3.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np

from numasim.damon.spec import SampleFilter
from numasim.units import parse_cpulist

Semantics = Literal["intent", "rfc"]


def passes(
    filters: Sequence[SampleFilter],
    cpu: np.ndarray,
    tid: np.ndarray,
    is_write: np.ndarray,
    semantics: Semantics = "intent",
) -> np.ndarray:
    """Whether reports pass the filters.

    Parameters
    ----------
    filters : sequence of SampleFilter
    cpu, tid : int64[N]
        Who accessed; -1 where that is not known, which no list matches.
    is_write : bool[N]
    semantics : str

    Returns
    -------
    bool[N]
    """
    kept = np.ones(len(cpu), bool)
    for one in filters:
        matches = _condition(one, cpu, tid, is_write) == one.matching
        if not one.allow:
            kept &= ~matches
        elif semantics == "intent":
            kept &= matches
    if semantics == "rfc" and filters and not filters[-1].allow:
        kept[:] = False
    return kept


def _condition(
    one: SampleFilter, cpu: np.ndarray, tid: np.ndarray, is_write: np.ndarray
) -> np.ndarray:
    """bool[N]: whether what a filter is about holds for each report."""
    if one.type == "write":
        return is_write
    if one.type == "threads":
        return np.isin(tid, one.threads)
    return np.isin(cpu, _cpus(one.cpumask or ""))


@cache
def _cpus(cpumask: str) -> np.ndarray:
    """int64[N]: the CPUs of a list, which is looked at in every window."""
    return np.array(parse_cpulist(cpumask), np.int64)
