"""The report of a comparison: who is faster, how sure that is, and why."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

from numasim.comparison import HEADLINE, Comparison
from numasim.report.furniture import short_number
from numasim.report.overview import comparison_overview
from numasim.report.page.bars import bars
from numasim.report.page.charts import Trace, layout, line, with_marks
from numasim.report.page.content import (
    Chart,
    Page,
    Picture,
    Reason,
    Section,
    Table,
    joined,
    number,
    percent,
    words,
)
from numasim.report.page.forest import Estimate, forest_chart
from numasim.report.page.numbers import between, effect, title, write
from numasim.report.page.overhead import PARTS, in_all, paid, row_metrics, share, told
from numasim.report.page.reproduce import compare_again
from numasim.report.page.run import details, made_of
from numasim.report.series import Clock, common_marks, speeds
from numasim.report.speed import throughput
from numasim.report.style import POLICIES
from numasim.result import Result
from numasim.statistics import LEVEL, Interval, method

REASONS = ("local_share", "loaded_latency_ns", "emd")
BARS = (*REASONS, "promoted_bytes", "demoted_bytes", "both_ways_bytes", "kdamond_cpu",
        "thread_cpu", "kswapd_cpu", "worker_cpu")  # fmt: skip
MOST_RUNS = 8


def comparison_page(comparison: Comparison, folder: Path | None = None) -> Page:
    """A report of a comparison.

    Parameters
    ----------
    comparison : Comparison
    folder : Path, optional
        Where it was read from.
    """
    first = comparison.scenarios[comparison.baseline]
    seeds = comparison.seeds
    nr = f"{len(seeds)} seed{'s' * (len(seeds) != 1)}"
    duration = f"{first.duration_ns / 1e9:g} s"
    about = f"{first.topology.name} · {first.workload.name} · {duration} · {nr}"
    text, mark = verdict(comparison)
    runs = {policy: comparison.results[policy, seeds[0]] for policy in comparison.policies}
    sections = [
        _side_by_side(comparison, runs), *_each(runs, fastest(comparison)),
        *_again(comparison, runs),
    ]  # fmt: skip
    name = " against ".join(comparison.policies[::-1]) if len(comparison.policies) == 2 else ""
    heading = name or f"{len(comparison.policies)} policies"
    found = _reasons(comparison)
    return Page("comparison", heading, about, text, mark, found, sections, folder)


def verdict(comparison: Comparison) -> tuple[str, str]:
    """One sentence about the fastest policy, and whether it is surely faster than the first."""
    best = fastest(comparison)
    base, nr = comparison.baseline, len(comparison.seeds)
    if len(comparison.policies) == 1:
        speed = comparison.mean(base, HEADLINE).mean
        return f"{base} ran at {short_number(speed)} operations/s.", "plain"
    if best is None:
        return "No policy has a throughput to compare: no phase began before the end.", "bad"
    if best == base:
        return _baseline_wins(comparison)
    found = comparison.ratio(best, HEADLINE)
    ratio = f"{found.mean:.3g} times as fast as {base}"
    if nr == 1 or not math.isfinite(found.low):
        return f"{best} was {ratio}, with one seed: chance may have a part in it.", "plain"
    how = between(found.low, found.high, nr, LEVEL)
    if found.low > 1:
        return f"{best} is {ratio} ({how}).", "good"
    return f"{best} seems {ratio}, but that may be chance ({how}).", "plain"


def _baseline_wins(comparison: Comparison) -> tuple[str, str]:
    others = []
    for policy in _real(comparison):
        found = comparison.ratio(policy, HEADLINE)
        sure = math.isfinite(found.high) and found.high < 1
        word = "slower" if sure else "not surely slower" if len(comparison.seeds) > 1 else "slower"
        others.append(f"{policy} is {word} ({found.mean:.3g} times its speed)")
    return f"Nothing beats {comparison.baseline}: {joined(others)}.", "plain"


def _real(comparison: Comparison) -> list[str]:
    """Policies that could be used: neither the baseline nor an oracle."""
    return [p for p in comparison.policies if p not in (comparison.baseline, comparison.oracle)]


def fastest(comparison: Comparison) -> str | None:
    """The policy of the best throughput that is no oracle, the baseline too; None if none ran."""
    means = {
        policy: comparison.mean(policy, HEADLINE).mean
        for policy in (comparison.baseline, *_real(comparison))
    }
    known = {policy: mean for policy, mean in means.items() if math.isfinite(mean)}
    return max(known, key=lambda p: known[p]) if known else None


def _reasons(comparison: Comparison) -> list[Reason]:
    """The best policy's numbers beside the baseline's; of a lone policy, its own."""
    base = comparison.baseline
    real = _real(comparison)
    best = fastest(comparison) if fastest(comparison) != base else (real or [base])[0]
    if best is None:
        return []
    found = []
    for metric in REASONS:
        if metric in comparison.metrics:
            mine, other = (comparison.mean(p, metric).mean for p in (best, base))
            if math.isnan(mine) and math.isnan(other):
                continue  # such as a monitoring error where nobody monitors
            text = f"{base}: {write(metric, other)}." if best != base else ""
            found.append(Reason(f"{title(metric)}, {best}", write(metric, mine), text))
    own, others = _paid(comparison, best), _paid(comparison, base)
    text = f"Of one CPU: {told(own)}."
    text += f" {base}: {share(in_all(others))} in all." if best != base else ""
    found.append(Reason(f"Overhead, {best}", share(in_all(own)), text))
    found[2:2] = _migrated(comparison, best, base)
    if comparison.oracle is not None:
        far = comparison.distance(best)
        text = f"Share of {comparison.oracle}'s throughput that is left; it knows the truth."
        found.append(Reason(f"Distance to the oracle, {best}", f"{100 * far.mean:.3g} %", text))
    return found


def _migrated(comparison: Comparison, best: str, base: str) -> list[Reason]:
    """How much moved, and how much of it for nothing."""

    def mean(policy: str, metric: str) -> float:
        return comparison.mean(policy, metric).mean

    moved = {p: mean(p, "promoted_bytes") + mean(p, "demoted_bytes") for p in (best, base)}
    text = f"▲ {write('promoted_bytes', mean(best, 'promoted_bytes'))} up, "
    text += f"▼ {write('demoted_bytes', mean(best, 'demoted_bytes'))} down the tiers."
    text += f" {base}: {write('promoted_bytes', moved[base])}." if best != base else ""
    found = [Reason(f"Migrated, {best}", write("promoted_bytes", moved[best]), text)]
    both, refused = mean(best, "both_ways_bytes"), mean(best, "refused_bytes")
    if math.isnan(both):
        return found
    text = "Of one mapping, both ways within one phase."
    text += f" {base}: {write('both_ways_bytes', mean(base, 'both_ways_bytes'))}." * (best != base)
    text += f" {write('refused_bytes', refused)} more found no room." if refused else ""
    value = f"≤ {write('both_ways_bytes', both)}" if both else "none"
    return [*found, Reason(f"Wasted migration, {best}", value, text)]


def _paid(comparison: Comparison, policy: str) -> dict[str, float]:
    """Shares of one CPU by who paid, means over seeds."""
    return paid(lambda part: comparison.mean(policy, part).mean)


# -- side by side ----------------------------------------------------------------------------------


def _side_by_side(comparison: Comparison, runs: dict[str, Result]) -> Section:
    rows = [_estimate(comparison, i, policy) for i, policy in enumerate(comparison.policies)]
    axis = f"throughput as a multiple of {comparison.baseline}'s"
    note = f"{LEVEL:.0%} intervals ({method(len(comparison.seeds))}), not widened for how many "
    note += "policies there are; thin ticks are seeds."
    charts = [forest_chart("Who is faster", axis, rows, 1.0, note=note), _course(runs)]
    for metric in BARS:
        means = {p: comparison.mean(p, metric).mean for p in comparison.policies}
        known = [value for value in means.values() if math.isfinite(value)]
        if known and (metric in REASONS or any(known)):
            charts.append(bars(title(metric), means, partial(write, metric)))
    pictures = [
        Picture("Who is faster, and why", lambda: comparison_overview(comparison)),
        Picture("Throughput over time", lambda: throughput(comparison)),
    ]
    tables = [*_sureness(comparison), _means(comparison), _overheads(comparison),
              _seeds(comparison)]  # fmt: skip
    return Section("Side by side", charts=charts, pictures=pictures, tables=tables)


def _estimate(comparison: Comparison, position: int, policy: str) -> Estimate:
    colour = POLICIES[position % len(POLICIES)]
    if policy == comparison.baseline:
        return Estimate(policy, 1.0, math.nan, math.nan, "what others are compared to", colour)
    found = comparison.ratio(policy, HEADLINE)
    mine, base = (comparison.per_seed(p, HEADLINE) for p in (policy, comparison.baseline))
    each = tuple(a / b for a, b in zip(mine, base, strict=True) if b > 0)
    return Estimate(policy, found.mean, found.low, found.high, _interval(found), colour, each)


def _interval(found: Interval) -> str:
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return f"{found.mean:.4g}" if math.isfinite(found.mean) else "not known"
    return f"{found.mean:.4g} [{found.low:.4g}, {found.high:.4g}]"


def _course(runs: dict[str, Result]) -> Chart:
    """Throughput of every policy over time, first seed; the sum over actors is not taken."""
    clock = Clock.of(*runs.values())
    data: list[Trace] = []
    for i, (policy, result) in enumerate(runs.items()):
        actors = speeds(result)
        for actor, rows in actors.items():
            name = policy if len(actors) == 1 else f"{policy}, {actor}"
            colour = POLICIES[i % len(POLICIES)]
            at = rows.t_s * clock.scale
            data.append(line(name, at, rows.ops_per_s, colour, " operations/s", position=i))
    figure = {"data": data, "layout": layout(clock, "operations/s")}
    marked = with_marks(figure, common_marks(runs.values()), clock)
    return Chart("Throughput over time, first seed", marked, time="time", height=320)


def _means(comparison: Comparison) -> Table:
    rows = []
    for metric in comparison.metrics:
        cells = [
            (f"{write(metric, found.mean)}{_range(metric, found)}", _sortable(found.mean))
            for found in (comparison.mean(policy, metric) for policy in comparison.policies)
        ]
        rows.append((*words(title(metric)), *cells))
    columns = ("mean over seeds", *comparison.policies)
    return Table("Numbers", columns, rows, len(comparison.policies))


def _sureness(comparison: Comparison) -> list[Table]:
    """How sure it is that policies are faster or slower than the first."""
    base, rows = comparison.per_seed(comparison.baseline, HEADLINE), []
    for policy, one in comparison.differences().items():
        ratio, mine = comparison.ratio(policy, HEADLINE), comparison.per_seed(policy, HEADLINE)
        better = sum(a > b for a, b in zip(mine, base, strict=True)) / len(base)
        p = "< 0.001" if one.p_holm < 0.001 else f"{one.p_holm:.3f}"
        rows.append((
            *words(policy), (_interval(ratio), _sortable(ratio.mean)),
            (percent(better), better), effect(one.effect),
            ("–" if math.isnan(one.p_holm) else p, _sortable(one.p_holm)),
        ))  # fmt: skip
    if not rows or len(base) < 2:
        return []
    note = "Effect: mean log ratio over its spread between seeds (Hedges' g; from three seeds on). "
    note += "p: that there is no difference, paired by seed and corrected for "
    note += f"{len(rows)} comparison{'s' * (len(rows) > 1)} (Holm)."
    columns = ("policy", f"ratio to {comparison.baseline}", "seeds faster", "effect size",
               "p (Holm)")  # fmt: skip
    return [Table("How sure it is", columns, rows, 4, note)]


def _overheads(comparison: Comparison) -> Table:
    """CPU time that each policy's watching and moving took, whoever paid it."""
    rows = []
    for policy in comparison.policies:
        shares = _paid(comparison, policy)
        values = (*shares.values(), in_all(shares))
        rows.append((*words(policy), *((share(v), _sortable(v)) for v in values)))
    note = "Shares of one CPU, means over seeds; – where a policy has nothing of the kind."
    columns = ("policy", *PARTS.values(), "in all")
    return Table("Overhead", columns, rows, len(columns) - 1, note)


def _sortable(value: float) -> float | None:
    return None if math.isnan(value) else max(-1e308, min(1e308, value))


def _range(metric: str, found: Interval) -> str:
    if not (math.isfinite(found.low) and math.isfinite(found.high)) or found.low == found.high:
        return ""
    return f" [{write(metric, max(0.0, found.low))}, {write(metric, found.high)}]"


def _seeds(comparison: Comparison) -> Table:
    metrics, rows = row_metrics(comparison.metrics), []
    for policy in comparison.policies:
        for seed in comparison.seeds:
            found = comparison.summaries[policy, seed]
            cells = [number(float(found.get(m, math.nan)), partial(write, m)) for m in metrics]
            taken = in_all(paid(lambda part, f=found: float(f.get(part, math.nan))))  # type: ignore[misc]
            run = (*words(policy), number(float(seed), lambda v: f"{v:.0f}"))
            rows.append((*run, *cells, number(taken, share)))
    columns = ("policy", "seed", *(title(m) for m in metrics), "Overhead (of one CPU)")
    return Table("Every run", columns, rows, len(metrics) + 2)


# -- runs ------------------------------------------------------------------------------------------


def _each(runs: dict[str, Result], best: str | None) -> list[Section]:
    """The first seed of each policy in full, all but the best one folded."""
    shown = list(runs.items())[:MOST_RUNS]
    parts = [
        Section(f"{policy}, seed {result.seed}", folded=policy != best, parts=details(result))
        for policy, result in shown
    ]
    left = len(runs) - len(shown)
    note = "The first seed of each policy."
    note += f" {left} more policies are left out." if left else ""
    return [Section("Runs in detail", note, parts=parts)]


def _again(comparison: Comparison, runs: dict[str, Result]) -> list[Section]:
    documents = {policy: result.provenance["scenario"] for policy, result in runs.items()}
    again = compare_again(documents, comparison.seeds)
    first = runs[comparison.baseline]
    parts = [made_of(result, again)[0] for result in runs.values()]
    tables = [table for part in parts for table in part.tables]
    return [Section("Parameters", tables=tables, folded=True), *made_of(first, again)[1:2]]
