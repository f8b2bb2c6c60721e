"""Promotion and demotion over time."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from numasim.report.furniture import byte_axis, nothing, tell, timeline_of
from numasim.report.series import Clock, Pair, migration, rate, times
from numasim.report.style import DEMOTION, FAILED, MUTED, PROMOTION, shade, styled
from numasim.result import Result
from numasim.units import format_bytes

TITLE = "What was promoted and demoted"
MOST_PAIRS = 6


@styled
def migration_rate(result: Result) -> Figure:
    """Bytes migrated per second between each two nodes, upwards and downwards, by cause.

    One mirrored panel per pair of nodes (the busiest six), and one of what could not be moved.
    """
    pairs = migration(result)[:MOST_PAIRS]
    failed = {
        str(c): rate(result, rows) for c, rows in result.failed_moves.groupby("cause", sort=True)
    }
    if not pairs and not failed:
        return nothing(result, "Nothing was migrated in this run.", TITLE)
    height = max(1.3, min(2.6, 7.5 / max(1, len(pairs))))
    heights = [height] * len(pairs) + [1.1] * bool(failed)
    fig, panels, clock = timeline_of(result, TITLE, heights)
    at = times(result)
    for axes, pair in zip(panels[:, 0], pairs, strict=False):
        _mirror(axes, at, pair, clock)
    if failed:
        _refused(panels[-1, 0], at, failed, clock)
    return fig


def _mirror(axes: Axes, at: np.ndarray, pair: Pair, clock: Clock) -> None:
    axes.set_title(f"{pair.slow} ⇄ {pair.fast}")
    tops = []
    for sign, causes, colour, word, target in (
        (1, pair.up, PROMOTION, pair.up_is, pair.fast),
        (-1, pair.down, DEMOTION, pair.down_is, pair.slow),
    ):
        tops.append(_stack(axes, at, causes, colour, sign, clock))
        y, side = (0.97, "top") if sign > 0 else (0.03, "bottom")
        arrow = "▲" if sign > 0 else "▼"
        words = f"{arrow} {word} to {target}{_totals(at, causes)}"
        tell(axes, 0.006, y, words, color=colour, size=8, va=side, fontweight="bold")
    high = 1.25 * max(*tops, 1.0)
    axes.set_ylim(-high, high)
    axes.axhline(0, color=MUTED, lw=0.8)
    byte_axis(axes.yaxis, high, -high, per="/s", most=6)
    axes.set_ylabel("migrated per second")


def _stack(
    axes: Axes, at: np.ndarray, causes: dict[str, np.ndarray], colour: str, sign: int, clock: Clock
) -> float:
    bottom = np.zeros(len(at))
    for i, (_, flow) in enumerate(sorted(causes.items())):
        axes.fill_between(
            at * clock.scale, sign * bottom, sign * (bottom + flow), step="pre",
            color=shade(colour, 0.35 * (i % 3)), lw=0.4,
        )  # fmt: skip
        bottom = bottom + flow
    return float(bottom.max(initial=0.0))


def _totals(at: np.ndarray, causes: dict[str, np.ndarray]) -> str:
    """``": 3.6 GiB by kdamond.1, 12 MiB by kdamond.3"``."""
    step = np.diff(at, prepend=at[0] - (at[1] - at[0] if len(at) > 1 else 1.0))
    found = [
        f"{format_bytes(float(flow @ step))} by {cause}" for cause, flow in sorted(causes.items())
    ]
    return ": " + ", ".join(found) if found else ": nothing"


def _refused(axes: Axes, at: np.ndarray, failed: dict[str, np.ndarray], clock: Clock) -> None:
    axes.set_title("Could not be migrated (no free frame at the destination)")
    top = _stack(axes, at, failed, FAILED, 1, clock)
    tell(axes, 0.006, 0.95, _totals(at, failed)[2:], size=8, va="top")
    axes.set_ylim(0, 1.3 * max(top, 1.0))
    byte_axis(axes.yaxis, 1.3 * max(top, 1.0), per="/s", most=4)
    axes.set_ylabel("failed per second")
