"""What each node holds over time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from numasim.report.furniture import byte_axis, halo, label_ends, nothing, tell, timeline_of
from numasim.report.series import Clock, topology
from numasim.report.style import (
    INK,
    LIMIT,
    MAPPINGS,
    MUTED,
    OTHER_MAPPING,
    node_colour,
    shade,
    styled,
)
from numasim.result import Result
from numasim.units import format_bytes

TITLE = "What each node holds"
MOST_MAPPINGS = 8
CROP_BELOW, CROPPED_TO = (
    0.35,
    0.7,
)  # a node filled to less than that is shown only as far as this share is filled


@styled
def occupancy(result: Result) -> Figure:
    """Bytes of every mapping on every node over time, what is held by others, and what is free.

    One panel per node, as high as the node is large where sizes allow it.
    """
    nodes = topology(result).nodes
    if not len(result.nodes):
        return nothing(result, "No occupancy was recorded in this run.", TITLE)
    height = max(0.9, min(2.2, 8.0 / len(nodes)))
    fig, panels, clock = timeline_of(result, TITLE, [height] * len(nodes))
    names = _names(result)
    for axes, node in zip(panels[:, 0], nodes, strict=True):
        own = result.nodes[result.nodes.node == node.name]
        _panel(axes, own, _held(result, node.name, names), clock)
        axes.set_title(
            f"{node.name}  ({format_bytes(node.capacity)} {node.kind})",
            color=node_colour(node.kind),
            fontweight="bold",
        )
    return fig


def _names(result: Result) -> list[str]:
    """Mappings by size, largest first; more than `MOST_MAPPINGS` become one."""
    labels = _labelled(result.residency)
    peak = (
        labels.groupby(["t_s", "name"]).bytes.sum().groupby("name").max()
        if len(labels)
        else pd.Series()
    )
    order = list(dict.fromkeys(labels.name))
    biggest = sorted(order, key=lambda n: -peak[n])
    if len(order) > MOST_MAPPINGS:
        keep = set(biggest[: MOST_MAPPINGS - 1])
        return [n for n in order if n in keep] + ["other mappings"]
    return order


def _labelled(residency: pd.DataFrame) -> pd.DataFrame:
    many = residency.process.nunique() > 1
    name = residency.process + "/" + residency.mapping if many else residency.mapping
    return residency.assign(name=name.astype(str))


def _held(result: Result, node: str, names: list[str]) -> dict[str, pd.Series]:
    """Bytes of each named mapping on a node, by time."""
    rows = _labelled(result.residency[result.residency.node == node])
    rows = rows.assign(name=rows.name.where(rows.name.isin(names), "other mappings"))
    table = rows.groupby(["t_s", "name"]).bytes.sum().unstack(fill_value=0)
    return {name: table[name] for name in names if name in table}


def _panel(axes: Axes, own: pd.DataFrame, held: dict[str, pd.Series], clock: Clock) -> None:
    at = own.t_s.to_numpy(float)
    capacity = own.managed_bytes.to_numpy(float)
    free, ours = own.free_bytes.to_numpy(float), own.workload_bytes.to_numpy(float)
    layers = {"held by others": (np.maximum(0, capacity - free - ours), OTHER_MAPPING)}
    for i, (name, series) in enumerate(held.items()):
        colour = OTHER_MAPPING if name == "other mappings" else MAPPINGS[i % len(MAPPINGS)]
        layers[name] = (series.reindex(at, fill_value=0).to_numpy(float), colour)
    top = float(capacity.max())
    used = float((capacity - free).max())
    cropped = 0 < used < CROP_BELOW * top
    high = used / CROPPED_TO if cropped else top
    axes.set_ylim(0, high * 1.12)
    labels, bottom = [], np.zeros(len(at))
    for name, (layer, colour) in layers.items():
        if layer.max() <= 0.002 * high:
            continue
        axes.fill_between(at * clock.scale, bottom, bottom + layer, color=colour, lw=0)
        axes.plot(at * clock.scale, bottom + layer, color="white", lw=0.8)
        if not _name(axes, at * clock.scale, bottom, layer, name, high):
            labels.append((float(bottom[-1] + layer[-1] / 2), name, shade(INK, 0.2)))
        bottom = bottom + layer
    _name(
        axes,
        at * clock.scale,
        bottom,
        np.minimum(capacity, high) - bottom,
        "free",
        high,
        colour=MUTED,
    )
    _capacity(axes, at * clock.scale, capacity, cropped)
    byte_axis(axes.yaxis, high)
    axes.set_ylabel("bytes")
    label_ends(axes, labels)


def _capacity(axes: Axes, at: np.ndarray, capacity: np.ndarray, cropped: bool) -> None:
    """The line of what the node can hold, or where it would be."""
    top = float(capacity.max())
    words = f"capacity {format_bytes(top)}"
    if cropped:
        tell(axes, 0.995, 0.97, f"▲ {words}, far above", ha="right", va="top", color=LIMIT)
        return
    axes.plot(at, capacity, color=LIMIT, lw=1.4)
    tell(axes, 0.995, 0.905, words, ha="right", va="bottom", color=LIMIT)


def _name(
    axes: Axes,
    at: np.ndarray,
    low: np.ndarray,
    layer: np.ndarray,
    name: str,
    top: float,
    colour: str = INK,
) -> bool:
    """Write a layer's name where it has been thick for longest; whether there was room."""
    thick = layer >= 0.085 * top
    if not thick.any():
        return False
    edges = np.flatnonzero(np.diff(np.r_[0, thick.astype(int), 0]))
    first, last = max(zip(edges[::2], edges[1::2], strict=True), key=lambda e: e[1] - e[0])
    if at[last - 1] - at[first] < len(name) * 0.0095 * (at[-1] - at[0]):
        return False
    middle = (first + last) // 2
    text = axes.text(
        at[middle],
        low[middle] + layer[middle] / 2,
        name,
        ha="center",
        va="center",
        size=8.5,
        color=colour,
    )
    halo(text, width=1.5)
    return True
