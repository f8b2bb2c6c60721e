"""Why points of a sweep differ: what they placed, moved, wasted, saw wrongly, and what it cost."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pandas as pd

from numasim.report.page.bars import bars
from numasim.report.page.content import Chart, Section, Table, number, words
from numasim.report.page.numbers import title, write
from numasim.report.page.overhead import PARTS as PAID
from numasim.report.page.overhead import in_all, paid, share
from numasim.report.page.reading import SavedSweep
from numasim.sweep.plan import PARTS, is_own

NUMBERS = (
    "local_share", "loaded_latency_ns", "promoted_bytes", "demoted_bytes", "both_ways_bytes",
    "refused_bytes", "emd", "f1", *PAID,
)  # fmt: skip
MOST_BARS, HEADING = 12, "Why points differ"


def why_section(saved: SavedSweep, labels: list[str]) -> Section:
    """Means of every point; of the first machine and workload as bars, too.

    Parameters
    ----------
    saved : SavedSweep
    labels : list of str
        Parameters that points have, as columns of the dataset.
    """
    keys = [*PARTS, *labels]
    metrics = [m for m in NUMBERS if m in saved.runs and saved.runs[m].notna().any()]
    if not metrics:
        return Section(HEADING)
    means = saved.runs.groupby(keys, sort=False, dropna=False, observed=True)[metrics].mean()
    note = "Means over seeds of the first machine and workload."
    charts = _bars(saved, means, keys)
    table = _table(means, keys)
    return Section(HEADING, note if charts else "", charts, tables=[table])


def _table(means: pd.DataFrame, keys: list[str]) -> Table:
    rows = []
    metrics = [m for m in means.columns if m not in PAID]
    known = [part for part in PAID if part in means.columns]
    for key, values in zip(means.index, means.to_dict("records"), strict=True):
        shares = paid(lambda part, v=values: float(v.get(part, math.nan)))  # type: ignore[misc]
        cells = [number(float(values[m]), partial(write, m)) for m in metrics]
        cells += [number(shares[part], share) for part in known]
        cells.append(number(in_all(shares), share))
        rows.append((*words(*("" if pd.isna(k) else k for k in key)), *cells))
    titles = (*(title(m) for m in metrics), *(PAID[part] for part in known), "overhead in all")
    note = "Means over seeds. The last columns are shares of one CPU, by who paid: – where a "
    note += "policy has nothing of the kind."
    return Table("What points came to", (*keys, *titles), rows, len(titles), note)


def _bars(saved: SavedSweep, means: pd.DataFrame, keys: list[str]) -> list[Chart]:
    """A chart for each number in which the first machine's and workload's points differ."""
    first: dict[str, Any] = saved.plan["points"][0]
    shared = [i for i, k in enumerate(keys) if k != "policy" and not is_own(k)]
    own = [key for key in means.index if all(_same(key[i], first.get(keys[i])) for i in shared)]
    if not 1 < len(own) <= MOST_BARS:
        return []
    varies = [k for i, k in enumerate(keys) if len({str(key[i]) for key in own}) > 1]
    charts = []
    for metric in means.columns:
        values = {_named(key, keys, varies): float(means.loc[[key], metric].iloc[0]) for key in own}
        known = [value for value in values.values() if math.isfinite(value)]
        if any(known):
            charts.append(bars(title(metric), values, partial(write, metric)))
    return charts


def _same(value: Any, wanted: Any) -> bool:
    return bool(pd.isna(value)) if wanted is None else bool(value == wanted)


def _named(key: tuple[Any, ...], keys: list[str], varies: list[str]) -> str:
    """``tpp_damon (used=95 %)``: the policy, and those of its labels that differ."""
    labels = dict(zip(keys, key, strict=True))
    own = [k for k in varies if k not in PARTS and not pd.isna(labels[k])]
    more = [f"{k.rsplit('.', 1)[-1]}={labels[k]}" for k in own]
    return f"{labels['policy']} ({', '.join(more)})" if more else str(labels["policy"])
