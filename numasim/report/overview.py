"""A comparison at a glance: who was faster, how sure that is, and why."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from numasim.comparison import Comparison
from numasim.report.furniture import byte_ticks, halo, short_bytes, short_number
from numasim.report.style import DEMOTION, INK, LIMIT, MUTED, PROMOTION, line_of, page, styled

ROW_IN, WIDTH_IN = 0.46, 14.0
TEXT_SHARE = 0.46  # of the ratio panel, for the numbers
NUMBER_SHARE = 0.46  # of a narrow panel
HEADLINE = "throughput_ops_per_s"


@dataclass(frozen=True)
class Reason:
    """One narrow panel: the title over it, the metrics in it, how values are written.

    Parameters
    ----------
    title : str
    metrics : tuple of str
        One, or those of promotion and demotion.
    form : callable
    good : str
        What to look for, beneath it.
    top : float
        The most there can be; not a number where there is no such thing.
    """

    title: str
    metrics: tuple[str, ...]
    form: Callable[[float], str]
    good: str
    top: float = math.nan


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


REASONS = (
    Reason("Local accesses", ("local_share",), _percent, "more is better", 1.0),
    Reason("Loaded latency", ("loaded_latency_ns",), lambda v: f"{v:.3g} ns", "less is better"),
    Reason("Bytes moved", ("promoted_bytes", "demoted_bytes"), short_bytes, "▲ up   ▼ down"),
    Reason("Monitoring error", ("emd",), _percent, "less is better"),
    Reason("kdamond CPU", ("kdamond_cpu",), _percent, "of one CPU"),
    Reason("Shifts followed", ("shifts_followed",), _percent, "more is better", 1.0),
    Reason("Shift followed after", ("convergence_s",), lambda v: f"{v:.3g} s", "less is better"),
)


@styled
def comparison_overview(comparison: Comparison) -> Figure:
    """Throughput against the first policy with confidence intervals, and the reasons beside it.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    matplotlib.figure.Figure
        One row per policy. Left the ratio (a point per seed, the mean, its interval), then a narrow
        panel for each reason.
    """
    policies = comparison.policies
    reasons = [r for r in REASONS if _known(comparison, r)]
    first = comparison.scenarios[comparison.baseline]
    seeds = len(comparison.seeds)
    about = f"{first.topology.name} · {first.workload.name} · {first.duration_ns / 1e9:g} s · "
    about += f"{seeds} seed{'s' * (seeds != 1)}" + (", 95 % intervals" if seeds > 1 else "")
    fig = page(
        ROW_IN * max(2, len(policies)) + 0.85, "Who is faster, and why", about, width_in=WIDTH_IN
    )
    grid = fig.add_gridspec(1, 1 + len(reasons), width_ratios=[3.2] + [1.0] * len(reasons))
    _forest(fig.add_subplot(grid[0, 0]), comparison)
    for i, reason in enumerate(reasons):
        _reason(fig.add_subplot(grid[0, 1 + i]), comparison, reason)
    return fig


def _known(comparison: Comparison, reason: Reason) -> bool:
    """Whether any policy has anything to show here."""
    means = [
        comparison.mean(policy, metric).mean
        for metric in reason.metrics
        if metric in comparison.metrics
        for policy in comparison.policies
    ]
    return any(not math.isnan(v) and (v != 0 or reason.top == 1.0) for v in means)


def _rows(axes: Axes, comparison: Comparison, named: bool) -> np.ndarray:
    """One line of the picture per policy, first on top."""
    nr = len(comparison.policies)
    at = np.arange(nr)[::-1].astype(float)
    axes.set_ylim(-0.6, nr - 0.4)
    axes.yaxis.set_major_locator(FixedLocator(at.tolist()))
    axes.tick_params(axis="y", length=0, labelleft=named)
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    if named:
        axes.set_yticklabels(comparison.policies, size=9.5)
        for i, label in enumerate(axes.get_yticklabels()):
            label.set(color=line_of(i)["color"], fontweight="bold")
    for y in at[::2]:
        axes.axhspan(y - 0.5, y + 0.5, color="#f5f6f8", lw=0, zorder=0)
    return at


def _forest(axes: Axes, comparison: Comparison) -> None:
    at = _rows(axes, comparison, named=True)
    axes.set_title(f"Throughput, as a multiple of {comparison.baseline}'s")
    base = comparison.per_seed(comparison.baseline, HEADLINE)
    span, texts = [1.0], []
    for i, (policy, y) in enumerate(zip(comparison.policies, at, strict=True)):
        colour = line_of(i)["color"]
        if policy == comparison.baseline:
            mean = comparison.mean(policy, HEADLINE).mean
            axes.annotate(
                f"1 = {short_number(mean)} operations/s", (1.0, y), (7, 0),
                textcoords="offset points", va="center", size=8, color=MUTED,
            )  # fmt: skip
            axes.plot([1.0], [y], "D", color=colour, ms=6)
            continue
        found = comparison.ratio(policy, HEADLINE)
        each = [
            a / b for a, b in zip(comparison.per_seed(policy, HEADLINE), base, strict=True) if b > 0
        ]
        known = [
            v for v in (found.mean, found.low, found.high, *each) if math.isfinite(v) and v > 0
        ]
        if not math.isfinite(found.mean):
            axes.text(
                0.5,
                y,
                "not known",
                transform=axes.get_yaxis_transform(),
                size=8,
                color=MUTED,
                va="center",
            )
            continue
        span += known
        axes.plot(each, [y] * len(each), "|", color=colour, ms=9, mew=1.1, alpha=0.5)
        axes.plot([found.low, found.high], [y, y], color=colour, lw=3, solid_capstyle="butt")
        axes.plot([found.mean], [y], "o", color=colour, ms=7.5, mec="white", mew=1.0)
        texts.append((y, _times(found.mean, found.low, found.high)))
    _ratio_axis(axes, min(span), max(span))
    if comparison.oracle not in (None, comparison.baseline):
        bound = comparison.ratio(str(comparison.oracle), HEADLINE).mean
        axes.axvline(bound, color=LIMIT, lw=1.0, ls=(0, (1, 2)), zorder=1)
    for y, text in texts:
        written = axes.text(
            0.985, y, text, transform=axes.get_yaxis_transform(), ha="right", va="center",
            size=8.5, color=INK, fontweight="bold",
        )  # fmt: skip
        halo(written)


def _times(mean: float, low: float, high: float) -> str:
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        return f"×{mean:.3g}"
    return f"×{mean:.3f}  [{low:.3f}, {high:.3f}]"


def _ratio_axis(axes: Axes, low: float, high: float) -> None:
    """Ratios on a logarithmic axis, so that half and double are equally far; room for the text."""
    axes.axvline(1.0, color=LIMIT, lw=1.0, ls=(0, (6, 2)), zorder=1)
    axes.set_xscale("log")
    reach = max(math.log(high), -math.log(low), 0.02)
    left = min(math.log(low), -0.15 * reach) - 0.1 * reach
    right = max(math.log(high), 0.15 * reach) + 0.1 * reach
    axes.set_xlim(math.exp(left), math.exp(right + (right - left) * TEXT_SHARE / (1 - TEXT_SHARE)))
    axes.xaxis.set_minor_locator(NullLocator())
    ticks = MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]).tick_values(math.exp(left), math.exp(right))
    inside = [t for t in ticks if math.exp(left) <= t <= math.exp(right)]
    axes.xaxis.set_major_locator(FixedLocator(inside))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"×{v:.4g}"))
    axes.set_xlabel("slower  ◄     ►  faster")


def _reason(axes: Axes, comparison: Comparison, reason: Reason) -> None:
    """Bars on the left, their numbers in a column on the right: neither meets the other."""
    at = _rows(axes, comparison, named=False)
    axes.set_title(reason.title, size=8.5)
    axes.set_xlabel(reason.good, size=7.5, loc="left")
    limit = reason.top if math.isfinite(reason.top) else _longest(comparison, reason)
    for i, (policy, y) in enumerate(zip(comparison.policies, at, strict=True)):
        if len(reason.metrics) == 1:
            colour = line_of(i)["color"]
            _bar(axes, comparison, policy, reason.metrics[0], y, colour, reason, limit, 0.44)
            continue
        up, down = reason.metrics
        _bar(axes, comparison, policy, up, y + 0.18, PROMOTION, reason, limit, 0.26, "▲ ")
        _bar(axes, comparison, policy, down, y - 0.18, DEMOTION, reason, limit, 0.26, "▼ ")
    axes.set_xlim(0, limit / (1 - NUMBER_SHARE))
    axes.spines["bottom"].set_bounds(0, limit)
    axes.xaxis.set_major_locator(FixedLocator([0.0, *_tick(reason, limit)]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: reason.form(v) if v else "0"))


def _longest(comparison: Comparison, reason: Reason) -> float:
    """How far bars and whiskers reach; a whisker beyond twice the longest bar is cut off there."""
    found = [comparison.mean(p, m) for p in comparison.policies for m in reason.metrics]
    bars = max((one.mean for one in found if math.isfinite(one.mean)), default=0.0)
    whiskers = max((one.high for one in found if math.isfinite(one.high)), default=0.0)
    return max(bars, min(whiskers, 2 * bars), 1e-12)


def _tick(reason: Reason, limit: float) -> list[float]:
    """The largest round value that the bars can reach: more than one would not fit."""
    if reason.form is short_bytes:
        ticks = byte_ticks(limit, most=2).tolist()
    else:
        ticks = [float(t) for t in MaxNLocator(1).tick_values(0, limit)]
    return [t for t in ticks if 0 < t <= limit * 1.01][-1:]


def _bar(
    axes: Axes,
    comparison: Comparison,
    policy: str,
    metric: str,
    y: float,
    colour: str,
    reason: Reason,
    limit: float,
    height: float,
    arrow: str = "",
) -> None:
    """A bar to the mean, a whisker over its interval, and the number."""
    found = comparison.mean(policy, metric)
    if math.isfinite(found.mean):
        number, look = arrow + reason.form(found.mean), colour if arrow else INK
        axes.barh(y, found.mean, height=height, color=colour, lw=0)
    else:
        number, look = "never" if found.mean == math.inf else "–", MUTED
    if math.isfinite(found.high) and found.high > found.low:
        ends = np.clip([found.low, found.high], 0.0, limit)
        axes.plot(ends, [y, y], color=INK, lw=1.0, solid_capstyle="butt")
    axes.text(
        0.985, y, number, transform=axes.get_yaxis_transform(), ha="right", va="center",
        size=7.5 if height > 0.3 else 6.8, color=look,
    )  # fmt: skip
