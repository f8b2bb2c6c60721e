"""How kdamonds look: sampling interval, regions, CPU time, and how well they see."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from numasim.report.furniture import label_ends, log_axis, nothing, percent_axis, timeline_of
from numasim.report.series import Clock, contexts, thin, topology
from numasim.report.style import KDAMONDS, styled
from numasim.result import Result
from numasim.units import format_duration

INTERVALS = "How often kdamonds look, and at how many regions"
ERROR = "How well DAMON sees"


@styled
def intervals(result: Result) -> Figure:
    """Sampling interval, number of regions and CPU time of every kdamond over time."""
    if not len(result.kdamonds):
        return nothing(result, "No kdamond ran.", INTERVALS)
    fig, panels, clock = timeline_of(result, INTERVALS, [1.9, 1.9, 1.2])
    table = result.kdamonds
    cpu = table.groupby("kdamond").cpu_ns.diff() / table.groupby("kdamond").t_s.diff() / 1e9
    series = {
        "sampling interval (log)": table.sample_us * 1000.0,
        "regions (log)": table.nr_regions.astype(float),
        "share of one CPU": cpu,
    }
    titles = (
        "Sampling interval: short where much is accessed, long where little is",
        "Regions",
        "CPU time",
    )
    for axes, (label, values), title in zip(panels[:, 0], series.items(), titles, strict=True):
        axes.set_title(title)
        axes.set_ylabel(label)
        _lines(axes, table, values, clock, 120 if values is cpu else 1500)
    _log(panels[0, 0], format_duration)
    _log(panels[1, 0], "{:,.0f}".format)
    panels[2, 0].set_ylim(0, None)
    percent_axis(panels[2, 0].yaxis)
    for axes, values in zip(panels[:2, 0], list(series.values())[:2], strict=True):
        _label(axes, table, values, result)
    return fig


@styled
def monitoring_error(result: Result) -> Figure:
    """Earth mover's distance and F1 of the hot set over time, per kdamond."""
    table = result.monitoring
    if not len(table):
        why = "No DAMON snapshot was recorded, so there is no monitoring error."
        return nothing(result, why, ERROR)
    fig, panels, clock = timeline_of(result, ERROR, [2.0, 2.0])
    for axes, column, title, best in (
        (panels[0, 0], "f1", "Hot set: F1 of what DAMON calls hot (1 is perfect)", 1.0),
        (
            panels[1, 0],
            "emd",
            "Distance of the heat seen from the true heat, as a share of the memory (0 is perfect)",
            0.0,
        ),
    ):
        axes.set_title(title)
        axes.axhline(best, color="#aab2bb", lw=1.0, ls=(0, (6, 2)))
        _lines(axes, table, table[column].astype(float), clock)
        high = float(np.nanmax(table[column].to_numpy(float), initial=0.0))
        axes.set_ylim(-0.03 * max(high, 0.05), 1.06 * max(high, 0.05))
        _label(axes, table, table[column].astype(float), result)
    panels[0, 0].set_ylabel("F1")
    panels[1, 0].set_ylabel("earth mover's distance")
    percent_axis(panels[1, 0].yaxis)
    return fig


def where(result: Result) -> dict[str, str]:
    """What each kdamond does and where it looks: ``"kdamond.1\\nmigrate_hot on cxl0"``."""
    machine = topology(result)
    names = {}
    for kdamond, context in contexts(result).items():
        spans = [r for target in context.targets for r in target.regions]
        touched = [
            node.name
            for n, node in enumerate(machine.nodes)
            if any(a < end and start < b for a, b in spans for start, end in machine.node_ranges(n))
        ]
        actions = ", ".join(dict.fromkeys(scheme.action for scheme in context.schemes))
        place = f"on {', '.join(touched)}" if context.ops == "paddr" and len(touched) < 3 else ""
        about = " ".join(part for part in (actions or "monitors", place) if part)
        names[kdamond] = f"{kdamond}\n{about}"
    return names


def _each(table: pd.DataFrame) -> list[str]:
    return sorted(set(table.kdamond), key=lambda k: (len(k), k))


def _lines(
    axes: Axes, table: pd.DataFrame, values: pd.Series, clock: Clock, most: int = 1500
) -> None:
    names = _each(table)
    for i, kdamond in enumerate(names):
        own = table.kdamond == kdamond
        width = 2.6 - 1.4 * (i + 1) / len(names)  # thinner ones on top: equal lines stay visible
        t, y = thin(table.t_s[own].to_numpy(float), values[own].to_numpy(float), most)
        axes.step(t * clock.scale, y, where="post", lw=width, color=KDAMONDS[i % len(KDAMONDS)])


def _label(axes: Axes, table: pd.DataFrame, values: pd.Series, result: Result) -> None:
    names, labels = where(result), []
    for i, kdamond in enumerate(_each(table)):
        known = values[table.kdamond == kdamond].dropna()
        if len(known):
            recent = float(known.iloc[-max(1, len(known) // 12) :].median())
            labels.append((recent, names.get(kdamond, kdamond), KDAMONDS[i % len(KDAMONDS)]))
    label_ends(axes, labels, size=7.5)


def _log(axes: Axes, form: Callable[[float], str]) -> None:
    """With room above and below."""
    log_axis(axes.yaxis, form)
    low, high = axes.get_ylim()
    axes.set_ylim(low / 1.3, high * 1.3)
