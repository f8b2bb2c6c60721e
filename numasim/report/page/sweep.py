"""The report of a sweep: which policy is best where, and what parameters do."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from numasim.report.page.charts import Trace, brief, safe
from numasim.report.page.content import (
    Chart,
    Page,
    Picture,
    Reason,
    Section,
    Table,
    joined,
    number,
    records,
    words,
)
from numasim.report.page.forest import Estimate, forest_chart, forest_picture
from numasim.report.page.numbers import METRICS, between, effect, title, write
from numasim.report.page.overhead import in_all, paid, row_metrics, share, told
from numasim.report.page.reading import SavedSweep
from numasim.report.page.reproduce import here_document, run_again
from numasim.report.page.sweep_why import why_section
from numasim.report.style import POLICIES
from numasim.statistics import LEVEL
from numasim.sweep.plan import PARTS, is_own
from numasim.sweep.ranking import HIGHER, METRIC

LEAST_SPREAD = 0.01
MOST_GROUPS, MOST_RUNS, MOST_PARAMETERS, MOST_TICKS = 12, 2000, 8, 8
RANKED = ("rank", "mean", "ratio", "low", "high", "seeds", "effect", "better", "p_holm")
REASONS = ("local_share", "loaded_latency_ns", "promoted_bytes", "demoted_bytes",
           "both_ways_bytes", "emd")  # fmt: skip


def sweep_page(saved: SavedSweep) -> Page:
    """A report of the dataset of a sweep."""
    plan, runs = saved.plan, saved.runs
    metric = ranked_by(saved)
    text, mark = _verdict(saved, metric)
    wanted = len(plan["points"])
    about = f"{wanted} points · {len(runs)} runs finished"
    about += f" · {len(saved.failed)} failed" if saved.failed else ""
    sections = [
        _ranking(saved, metric), why_section(saved, _labels(saved)), _parameters(saved, metric),
        _all_runs(saved), _failures(saved), _again(saved, metric),
    ]  # fmt: skip
    reasons = _reasons(saved, metric)
    return Page("sweep", plan["name"], about, text, mark, reasons, sections, saved.folder)


def ranked_by(saved: SavedSweep) -> str:
    """The metric of the ranking: the one whose means over seeds it has."""
    if not len(saved.ranking):
        return METRIC
    keys = [*PARTS, *_labels(saved)]
    metrics = [m for m in saved.runs.columns if m in METRICS]
    means = saved.runs.groupby(keys, dropna=False, observed=True)[metrics].mean()
    wanted = saved.ranking["mean"].dropna().to_numpy(float)
    for metric in (METRIC, *metrics):
        known = means[metric].to_numpy(float)
        if len(wanted) and all(np.isclose(known, w, rtol=1e-9).any() for w in wanted):
            return str(metric)
    return METRIC


def _labels(saved: SavedSweep) -> list[str]:
    """Parameters that points have, as columns of the dataset."""
    names = dict.fromkeys(k for point in saved.plan["points"] for k in point if k not in PARTS)
    return [name for name in names if name in saved.runs.columns]


def _groups(saved: SavedSweep) -> list[tuple[str, pd.DataFrame]]:
    """Rows of the ranking that are compared with each other, and what they have in common."""
    ranking = saved.ranking
    if not len(ranking):
        return []
    keys = [c for c in ranking.columns if c not in RANKED and c != "policy"]
    found = []
    for key, rows in ranking.groupby(keys, sort=False, dropna=False):
        labels = dict(zip(keys, key if isinstance(key, tuple) else (key,), strict=True))
        more = [f"{k}={v}" for k, v in labels.items() if k not in PARTS]
        name = ", ".join([f"{labels['workload']} on {labels['topology']}", *more])
        found.append((name, rows.sort_values("rank", kind="stable")))
    return found


def _verdict(saved: SavedSweep, metric: str) -> tuple[str, str]:
    groups = [(name, rows) for name, rows in _groups(saved) if len(rows) > 1]
    lost = f" {len(saved.failed)} runs failed." if saved.failed else ""
    if not groups:
        return f"{len(saved.runs)} runs finished; there is nothing to compare.{lost}", "plain"
    if len(groups) == 1:
        return _one_setting(saved, groups[0][1], metric, lost)
    winners = [str(rows.iloc[0].policy) for _, rows in groups]
    counts = sorted(((winners.count(w), w) for w in dict.fromkeys(winners)), key=lambda c: -c[0])
    told = joined([f"{name} in {nr}" for nr, name in counts[:4]])
    base = saved.plan["points"][0]["policy"]
    unsure = sum(not _is_sure(rows.iloc[0]) for _, rows in groups)
    first = f"Nothing surely beats {base} in {unsure} of {len(groups)} settings. " if unsure else ""
    text = f"{first}Best {title(metric).lower()} of {len(groups)} settings: {told}.{lost}"
    return text, "plain"


def _is_sure(best: Any) -> bool:
    """Whether the best row of a ranking surely differs from the policy that it is compared to."""
    return not math.isnan(best.p_holm) and bool(best.low > 1 or best.high < 1)


def _one_setting(saved: SavedSweep, rows: pd.DataFrame, metric: str, lost: str) -> tuple[str, str]:
    """Who is best where there is one machine and one workload."""
    best, base = rows.iloc[0], str(rows.policy[rows.index.min()])
    what = title(metric).lower()
    if math.isnan(best.ratio) or (rows["rank"] == 1).sum() == len(rows):
        return f"Nothing tells the policies apart in {what}.{lost}", "plain"
    if best.policy == base:
        return f"Nothing beats {base} in {what}.{lost}", "plain"
    alike = rows[(rows["rank"] == best["rank"]) & (rows.policy != base)]
    names = [str(policy) for policy in alike.policy]
    known = math.isfinite(best.low) and math.isfinite(best.high)
    how = between(best.low, best.high, best.seeds, LEVEL) if known else f"seeds: {best.seeds}"
    if not _is_sure(best):
        word = "seem best alike" if len(names) > 1 else "seems best"
        text = f"Nothing surely beats {base} in {what}: {joined(names[:4])} {word}, "
        text += f"{best.ratio:.4f} times {base}'s, but that may be chance ({how}).{lost}"
        return text, "plain"
    word = "are best alike" if len(names) > 1 else "is best"
    text = f"{joined(names[:4])} {word}: {what} {best.ratio:.4f} times {base}'s ({how}).{lost}"
    return text, "plain" if lost else "good"


def _reasons(saved: SavedSweep, metric: str) -> list[Reason]:
    """Numbers of the best point of the first group, beside those of the first policy there."""
    best = _best_runs(saved, metric)
    base = saved.runs[_is_point(saved, saved.plan["points"][0])]
    found = []
    for key in (metric, *(m for m in REASONS if m != metric)):
        if key in best and best[key].notna().any():
            other = f"{saved.plan['points'][0]['policy']}: {write(key, base[key].mean())}."
            found.append(Reason(title(key), write(key, float(best[key].mean())), other))
    own, others = (_paid(rows) for rows in (best, base))
    text = f"Of one CPU: {told(own)}. {saved.plan['points'][0]['policy']}: "
    return [
        *found,
        Reason("Overhead", share(in_all(own)), f"{text}{share(in_all(others))} in all."),
    ]


def _paid(runs: pd.DataFrame) -> dict[str, float]:
    """Shares of one CPU by who paid, means over runs."""
    return paid(lambda part: float(runs[part].mean()) if part in runs else math.nan)


def _best_runs(saved: SavedSweep, metric: str) -> pd.DataFrame:
    """Runs of the best point, of those that share machine and workload with the first."""
    first = saved.plan["points"][0]
    sign = 1 if metric in HIGHER else -1
    best, found = -math.inf, saved.runs.iloc[:0]
    for point in saved.plan["points"]:
        if any(point.get(k) != v for k, v in first.items() if k != "policy" and not is_own(k)):
            continue
        rows = saved.runs[_is_point(saved, point)]
        mean = sign * float(rows[metric].mean()) if len(rows) else math.nan
        if mean > best:
            best, found = mean, rows
    return found


def _is_point(saved: SavedSweep, point: dict[str, Any]) -> pd.Series[bool]:
    """Which runs are of a point."""
    same = pd.Series(True, index=saved.runs.index)
    for name in [*PARTS, *_labels(saved)]:
        column = saved.runs[name].astype(object)
        same &= column == point[name] if name in point else column.isna()
    return same


# -- sections --------------------------------------------------------------------------------------


def _ranking(saved: SavedSweep, metric: str) -> Section:
    charts, pictures = [], []
    groups = [(name, rows) for name, rows in _groups(saved) if len(rows) > 1]
    base = saved.plan["points"][0]["policy"]
    axis = f"{title(metric).lower()} as a multiple of {base}'s"
    for name, rows in groups[:MOST_GROUPS]:
        estimates = [
            Estimate(str(r.policy), float(r.ratio), float(r.low), float(r.high), _said(r),
                     POLICIES[1 + i % (len(POLICIES) - 1)])
            for i, r in enumerate(records(rows))
        ]  # fmt: skip
        charts.append(forest_chart(name, axis, estimates, 1.0))
        pictures.append(
            Picture(name, lambda n=name, e=estimates: forest_picture(n, axis, e, 1.0))  # type: ignore[misc]
        )
    nr = sum(len(rows) - 1 for _, rows in groups)
    note = f"Paired by seed; all {nr} intervals hold together at {LEVEL:.0%}. " if nr > 1 else ""
    left = len(groups) - MOST_GROUPS
    note += f"{left} more settings are in the table only." if left > 0 else ""
    return Section("Who is best", note, charts, pictures, [_ranking_table(saved, metric)])


def _said(row: Any) -> str:
    if not math.isfinite(row.low):
        return f"{row.ratio:.4f}"
    return f"{row.ratio:.4f} [{row.low:.4f}, {row.high:.4f}]"


def _ranking_table(saved: SavedSweep, metric: str) -> Table:
    rows = []
    for name, each in _groups(saved):
        for r in records(each):
            p = "" if math.isnan(r.p_holm) else "< 0.001" if r.p_holm < 0.001 else f"{r.p_holm:.3f}"
            rows.append((
                *words(name, r.policy), number(float(r.rank), lambda v: f"{v:.0f}"),
                number(float(r.mean), lambda v: write(metric, v)), (_said(r), float(r.ratio)),
                effect(float(r.effect)), number(float(r.better), lambda v: f"{v:.0%}"),
                (p, None if math.isnan(r.p_holm) else float(r.p_holm)),
            ))  # fmt: skip
    columns = ("setting", "policy", "rank", title(metric), "ratio", "effect size", "seeds better",
               "p (Holm)")  # fmt: skip
    note = "Effect: mean log ratio over its spread between seeds (Hedges' g). p: that there is no "
    note += "difference, corrected for all comparisons (Holm)."
    return Table("Ranking", columns, rows, 6, note)


def _parameters(saved: SavedSweep, metric: str) -> Section:
    """The metric over each numeric parameter: a mark for each run."""
    charts = []
    for name in _labels(saved)[:MOST_PARAMETERS]:
        base = next((c for c in saved.runs.columns if c.startswith(f"{name}_")), name)
        values = pd.to_numeric(saved.runs[base], errors="coerce")
        if values.nunique() < 2:
            continue
        written = saved.runs[name].astype(str)
        data: list[Trace] = []
        for i, (policy, rows) in enumerate(saved.runs.groupby("policy", sort=True, observed=True)):
            x = values[rows.index]
            if x.notna().any():
                data.append(_scatter(str(policy), x, rows[metric], written[rows.index], i))
        made = {
            "xaxis": _axis(name, base, values, written),
            "yaxis": {"title": {"text": safe(title(metric))}, "tickformat": "~s"}
            | _room(saved.runs[metric][values.notna()]),
            "hovermode": "closest",
        }
        charts.append(Chart(name, {"data": data, "layout": made}, half=True, height=320))
    note = "A mark for each run; other parameters vary, too."
    return Section("What parameters do", note, charts)


def _axis(
    name: str, base: str, values: pd.Series[float], written: pd.Series[str]
) -> dict[str, Any]:
    """An axis with the values as the plan has them, where they have a unit and room.

    Elsewhere it has plain numbers, and the name of the column in base units.
    """
    texts = dict(sorted(zip(values[values.notna()], written[values.notna()], strict=True)))
    at = np.array(list(texts), float)
    roomy = len(at) <= MOST_TICKS and np.diff(at).min() * MOST_TICKS >= np.ptp(at)
    if base == name or not roomy:
        return {"title": {"text": safe(base)}, "tickformat": _form(values)}
    ticks = [safe(text) for text in texts.values()]
    return {"title": {"text": safe(name)}, "tickvals": at.tolist(), "ticktext": ticks}


def _room(values: pd.Series[float]) -> dict[str, Any]:
    """Ends of an axis that differ enough for ticks with other numbers, where values hardly do."""
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(low + high) or high - low > LEAST_SPREAD * abs(high):
        return {}
    middle, room = (low + high) / 2, LEAST_SPREAD * (abs(high) or 1.0)
    return {"range": [middle - room, middle + room]}


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _form(values: pd.Series[float]) -> str:
    """How Plotly writes numbers of such a size."""
    return "~s" if values.abs().max() >= 10_000 else ".6~g"


def _scatter(
    policy: str, x: pd.Series[float], y: pd.Series[float], written: pd.Series[str], position: int
) -> Trace:
    symbols = ("circle", "square", "diamond", "triangle-up", "x", "star", "cross", "hexagon")
    known = x.notna() & np.isfinite(y.astype(float))
    return {
        "type": "scatter", "mode": "markers", "name": brief(policy),
        "x": x[known].astype(float).tolist(), "y": y[known].astype(float).tolist(),
        "marker": {"color": f"@{POLICIES[(position + 1) % len(POLICIES)]}", "size": 8,
                   "symbol": symbols[position % len(symbols)], "opacity": 0.7},
        "text": [safe(text) for text in written[known]], "hovertemplate": "%{text}: %{y:.4s}",
    }  # fmt: skip


def _all_runs(saved: SavedSweep) -> Section:
    labels = _labels(saved)
    metrics = row_metrics(saved.runs.columns)
    keys = [*PARTS, *labels]
    rows = []
    for run in saved.runs.head(MOST_RUNS).to_dict("records"):
        cells = words(*("" if pd.isna(run[k]) else run[k] for k in keys))
        seed = number(float(run["seed"]), lambda v: f"{v:.0f}")
        numbers = [number(float(run[m]), partial(write, m)) for m in metrics]
        taken = in_all(paid(lambda part, r=run: float(r.get(part, math.nan))))  # type: ignore[misc]
        rows.append((*cells, seed, *numbers, number(taken, share)))
    left = len(saved.runs) - len(rows)
    note = f"{left} more runs: pandas.read_parquet of the folder's runs has all." if left else ""
    columns = (*keys, "seed", *(title(m) for m in metrics), "Overhead (of one CPU)")
    table = Table("Every run", columns, rows, len(metrics) + 2, note)
    return Section("Runs", tables=[table], folded=True)


def _failures(saved: SavedSweep) -> Section:
    rows = []
    for one in saved.failed[:MOST_RUNS]:
        what = ", ".join(str(one.get(part, "")) for part in PARTS)
        last = (str(one.get("error", "")).splitlines() or [""])[-1]
        rows.append(words(what, one.get("seed", ""), one.get("how", ""), last))
    tables = [Table("Failed", ("run", "seed", "how", "error"), rows)] if rows else []
    return Section("What failed", tables=tables)


def _again(saved: SavedSweep, metric: str) -> Section:
    """The plan, and the best run as a scenario."""
    best = _best_runs(saved, metric)
    text, seeds = str(saved.plan.get("text", "")), saved.plan.get("seeds", [])
    file = f"plan.{'py' if saved.plan.get('python') else 'yaml'}" if text else "PLAN.yaml"
    code = here_document(text, file) if text else ""
    code += f"numasim sweep {file} --out sweep_again"
    whole = bool(seeds) and seeds == list(range(1, len(seeds) + 1))
    code += f" --seeds {len(seeds)}\n" if whole else "\n"
    if len(best):
        code += "\n# the best policy's first seed alone:\n"
        code += run_again(saved.document(str(best.iloc[0].run)), "best")
    keys = ("numasim", "code", "began", "seeds")
    rows = [words(key, _listed(saved.plan.get(key, ""))) for key in keys]
    rows += [words(key, _listed(value)) for key, value in saved.plan.get("parameters", {}).items()]
    table = Table("Provenance", ("what", "value"), rows)
    note = "Files that the plan names lie where it lay."
    if not text:
        note = (
            "PLAN.yaml is the file that the sweep was started with; the dataset does not hold it."
        )
    return Section("Make it again", note, code=code, tables=[table])
