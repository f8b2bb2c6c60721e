"""Translations that stay cached: an access that hits the TLB sets no accessed bit."""

from __future__ import annotations

import numpy as np

from numasim.hardware import Tlb


def walk_rates(visit_rates: np.ndarray, nr_folios: np.ndarray, cores: int, tlb: Tlb) -> np.ndarray:
    """Rates of page walks, the visits whose translation was not cached.

    Parameters
    ----------
    visit_rates : float64[C]
        Visits per ns to one folio of each class by all cores.
    nr_folios : float64[C]
    cores : int
        Cores that share the visits evenly; each has its own TLB.
    tlb : Tlb

    Returns
    -------
    float64[C]
        ``rate * exp(-rate per core * residency)``.

    Notes
    -----
    Source: Che's approximation of LRU (Che, Tung, Wang, JSAC 2002): a translation stays for the
    time in which as many others are used as there are entries; flushes bound that time.
    Assumption: an LRU of all entries, threads spread evenly over the cores.
    """
    if not tlb.entries:
        return visit_rates
    per_core = visit_rates / max(cores, 1)
    residency = _residency_ns(per_core, nr_folios, tlb.entries)
    if tlb.flush_interval:
        residency = min(residency, tlb.flush_interval)
    if not np.isfinite(residency):
        # everything fits and nothing is ever flushed: each translation walks once and then hides
        return np.zeros_like(visit_rates)
    return visit_rates * np.exp(-per_core * residency)


def _residency_ns(rates: np.ndarray, nr: np.ndarray, entries: int) -> float:
    if float(nr[rates > 0].sum()) <= entries:
        return float("inf")
    low, high = 0.0, 1.0
    while float((nr * -np.expm1(-rates * high)).sum()) < entries:
        low, high = high, high * 4
    for _ in range(40):
        middle = (low + high) / 2
        if float((nr * -np.expm1(-rates * middle)).sum()) < entries:
            low = middle
        else:
            high = middle
    return (low + high) / 2
