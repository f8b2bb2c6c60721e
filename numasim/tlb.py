"""Translations that stay cached: an access that hits the TLB sets no accessed bit."""

from __future__ import annotations

import numpy as np

from numasim.hardware import Tlb

SERIES_BELOW = 1e-4


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
        ``rate * exp(-rate per core * residency)``; with flushes, each page's first visit after each
        as well.

    Notes
    -----
    Source: Che's approximation of LRU (Che, Tung, Wang, JSAC 2002): a translation stays for the
    time in which as many others are used as there are entries. Assumption: an LRU of all entries,
    threads spread evenly over the cores. Of the visits between two flushes the first walks, and
    each further one if there was none for the residency before it.
    """
    if not tlb.entries:
        return visit_rates
    per_core = visit_rates / max(cores, 1)
    stays = residency(per_core, nr_folios, tlb.entries)
    if tlb.flush_interval:
        walks = -np.expm1(-per_core * tlb.flush_interval)
        if stays < tlb.flush_interval:
            rest = per_core * (tlb.flush_interval - stays)
            walks += np.exp(-per_core * stays) * (rest + np.expm1(-rest))
        found: np.ndarray = max(cores, 1) * walks / tlb.flush_interval
        return found
    if not np.isfinite(stays):
        # everything fits and nothing is ever flushed: each translation walks once and then hides
        return np.zeros_like(visit_rates)
    return visit_rates * np.exp(-per_core * stays)


def seen_chance(visits: np.ndarray, spans_ns: np.ndarray, flush_ns: np.ndarray) -> np.ndarray:
    """Chance that visits set a bit although cached translations hide some of them.

    Parameters
    ----------
    visits : float64[N, C]
        Expected visits, at a constant rate, since the bit was cleared.
    spans_ns : float64[N]
        Time since then.
    flush_ns : float64[C]
        Everything cached is flushed this often, at no particular moment; 0: nothing is cached.

    Returns
    -------
    float64[N, C]
        ``1 - exp(-visits)`` where nothing is cached, less elsewhere.

    Notes
    -----
    With x the visits between two flushes and D those since the bit was cleared, the page is cached
    at that moment if it was visited since the last flush, and then hidden until the next one. The
    bit stays clear with ``exp(-D) sinh(x) / x`` for D >= x and ``(x - D + exp(-x) sinh(D)) / x``
    below: the mean over the moment within the flush interval. Assumption: the cache holds all that
    is visited between two flushes. Source: own derivation.
    """
    x = visits * (flush_ns / np.maximum(spans_ns, 1)[:, None])
    plain: np.ndarray = -np.expm1(-visits)
    cached = x > 0
    if not cached.any():
        return plain
    x = np.where(cached, x, 1.0)
    # both cases at once, sinh as a difference of exponentials that cannot overflow
    gap = np.exp(-np.abs(x - visits)) - np.exp(-x - visits)
    seen = 1.0 - (np.maximum(x - visits, 0.0) + gap / 2) / x
    few = np.where(
        visits >= x, plain - x * x / 6, visits * (1 - x / 2) - visits**3 / (6 * x)
    )  # beginning of the series, where the difference above is lost in rounding
    seen = np.where(x < SERIES_BELOW, few, seen)
    return np.where(cached, np.clip(seen, 0.0, 1.0), plain)


def residency(rates: np.ndarray, nr: np.ndarray, entries: int) -> float:
    """How long a translation stays, in the time of the rates; infinite where all fit.

    Parameters
    ----------
    rates : float64[C]
        Visits to one folio of each class.
    nr : float64[C]
        Folios.
    entries : int
    """
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
