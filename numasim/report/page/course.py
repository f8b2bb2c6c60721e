"""How a run went: speed, placement, latency, migration and monitoring over time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from numasim.hardware import Node
from numasim.report.page.charts import Trace, layout, line, with_marks
from numasim.report.page.content import Chart, Section
from numasim.report.series import Clock, marks, migration, rate, speeds, times, topology
from numasim.report.style import (
    DEMOTION,
    FAILED,
    GOOD,
    KDAMONDS,
    LIMIT,
    OVER,
    POLICIES,
    PROMOTION,
    node_colour,
)
from numasim.result import Result

MOST_CURVES = 8


def course_section(result: Result, clock: Clock) -> Section:
    """Curves over time that share their axis; those of which nothing was recorded are left out."""
    told = marks(result)
    found = [
        *_speed(result, clock), *_migration(result, clock), *_quota(result, clock),
        *_monitoring(result, clock),
    ]  # fmt: skip
    charts = [
        Chart(title, with_marks(figure, told, clock), note, time="time", half=True)
        for title, note, figure in found
    ]
    note = "Triangles at the top are events; the table of events lists them, too."
    return Section("How it went", note, charts)


Found = tuple[str, str, dict[str, object]]


def _figure(data: list[Trace], made: dict[str, object]) -> dict[str, object]:
    return {"data": data, "layout": made}


def _speed(result: Result, clock: Clock) -> list[Found]:
    """Operations, local share and loaded latency of every actor."""
    actors = dict(list(speeds(result).items())[:MOST_CURVES])
    if not actors:
        return []
    found: list[Found] = []
    for title, column, unit, scale, high in (
        ("Throughput", "ops_per_s", "operations/s", 1.0, None),
        ("Local accesses", "local_share", "%", 100.0, 103.0),
        ("Loaded latency", "latency_ns", "ns", 1.0, None),
    ):
        data = [
            line(name, rows.t_s * clock.scale, rows[column] * scale,
                 POLICIES[(i + 1) % len(POLICIES)], f" {unit}", position=i)
            for i, (name, rows) in enumerate(actors.items())
        ]  # fmt: skip
        note = ""
        if column == "local_share":
            note = "Share of missing cache lines that came from the nearest node."
            data += _best(result, list(actors), clock)
        found.append((title, note, _figure(data, layout(clock, unit, high=high))))
    return found


def _best(result: Result, actors: list[str], clock: Clock) -> list[Trace]:
    """What a perfect placement would give, where the run knows."""
    if len(actors) != 1 or result.actors.best_local_share.isna().all():
        return []
    own = result.actors[result.actors.actor == actors[0]]
    name = "best possible"
    values = own.best_local_share * 100
    return [line(name, own.t_s * clock.scale, values, LIMIT, " %", position=1)]


def _migration(result: Result, clock: Clock) -> list[Found]:
    """Up and down between each two nodes, and what found no room."""
    at, found = times(result), []
    for pair in migration(result)[:4]:
        data = []
        for causes, colour, word, sign in (
            (pair.up, PROMOTION, pair.up_is, 1),
            (pair.down, DEMOTION, pair.down_is, -1),
        ):
            if not causes:
                continue
            total = sum(causes.values(), np.zeros(len(at)))
            way = f"to {pair.fast if sign > 0 else pair.slow}"
            who = f"{way}: {word} by {', '.join(sorted(causes))}"
            data.append(line(who, at * clock.scale, sign * total, colour, "B/s",
                             position=int(sign < 0), step=True, fill=True))  # fmt: skip
        title = f"Migration: {pair.slow} to {pair.fast} is up"
        found.append((title, "", _figure(data, layout(clock, "bytes/s", low=None))))
    if len(result.failed_moves):
        failed = rate(result, result.failed_moves)
        data = [line("no free frame", at * clock.scale, failed, FAILED, "B/s", step=True,
                     fill=True)]  # fmt: skip
        title = "Could not be migrated"
        note = "No free frame at the destination."
        found.append((title, note, _figure(data, layout(clock, "bytes/s"))))
    return found


def _quota(result: Result, clock: Clock) -> list[Found]:
    """Effective quota of every scheme, logarithmic: it may grow from one byte."""
    data = []
    groups = result.schemes.groupby(["kdamond", "scheme"], sort=True)
    for i, ((kdamond, scheme), rows) in enumerate(groups):
        if i == MOST_CURVES or not (rows.esz > 0).any():
            continue
        name = f"{kdamond} {rows.action.iloc[-1]} ({scheme})"
        esz = rows.esz.astype(float).where(rows.esz > 0)
        data.append(line(name, rows.t_s * clock.scale, esz, KDAMONDS[i % len(KDAMONDS)], "B",
                         position=i, step=True))  # fmt: skip
    if not data:
        return []
    made = layout(clock, "bytes", low=None)
    made["yaxis"] |= {"type": "log", "dtick": 2}
    note = "What a scheme may move per reset interval; below one page it moves nothing."
    return [("Effective quota", note, _figure(data, made))]


def _monitoring(result: Result, clock: Clock) -> list[Found]:
    """Error against the truth, intervals and regions."""
    found: list[Found] = []
    if len(result.monitoring):
        data = []
        for i, (kdamond, rows) in enumerate(result.monitoring.groupby("kdamond", sort=True)):
            colour, x = KDAMONDS[i % len(KDAMONDS)], rows.t_s * clock.scale
            data.append(line(f"{kdamond}", x, rows.emd, colour, "", position=i))
        note = "Earth mover's distance between true heat and what was seen: 0 is perfect, 1 worst."
        found.append(("Monitoring error", note, _figure(data, layout(clock, "", form=".4~g"))))
    if len(result.kdamonds):
        for title, column, unit, scale in (
            ("Sampling interval", "sample_us", " ms", 1e-3),
            ("Regions", "nr_regions", "", 1.0),
        ):
            data = [
                line(str(kdamond), rows.t_s * clock.scale, rows[column] * scale,
                     KDAMONDS[i % len(KDAMONDS)], unit, position=i, step=True)
                for i, (kdamond, rows) in enumerate(result.kdamonds.groupby("kdamond", sort=True))
            ]  # fmt: skip
            found.append((title, "", _figure(data, layout(clock, unit))))
    return found


# -- nodes and links -------------------------------------------------------------------------------


def usage_section(result: Result, clock: Clock) -> Section | None:
    """How full and how busy nodes and links were; None if nothing was recorded."""
    if not len(result.nodes):
        return None
    told = marks(result)
    charts = [
        Chart(title, with_marks(figure, told, clock), note, time="time", half=True)
        for title, note, figure in [*_nodes(result, clock), *_links(result, clock)]
    ]
    return Section("Nodes and links", "", charts)


def _nodes(result: Result, clock: Clock) -> list[Found]:
    machine = topology(result)
    full, busy, late = [], [], []
    for i, node in enumerate(machine.nodes):
        rows = result.nodes[result.nodes.node == node.name]
        if not len(rows):
            continue
        x, colour = rows.t_s * clock.scale, node_colour(node.kind)
        held = 100 * (1 - rows.free_bytes / rows.managed_bytes)
        full.append(line(node.name, x, held, colour, " %", position=i))
        busy.append(line(node.name, x, 100 * node_utilisation(rows, node), colour, " %",
                         position=i))  # fmt: skip
        late.append(line(node.name, x, rows.loaded_latency_ns, colour, " ns", position=i))
    note = "Bytes read and written since the last row, as a share of the achievable peak; "
    note += "a duplex node's busier direction."
    return [
        ("How full nodes are", "", _figure(full, layout(clock, "%", high=103))),
        ("How busy nodes are", note, _figure(busy, layout(clock, "%"))),
        ("Latency of nodes under load", "", _figure(late, layout(clock, "ns"))),
    ]


def node_utilisation(rows: pd.DataFrame, node: Node) -> np.ndarray:
    """float64[T]: share of a node's bandwidth in use between two rows; NaN in the first.

    Parameters
    ----------
    rows : pandas.DataFrame
        Of the table `nodes`, one node's.
    node : numasim.hardware.Node

    Notes
    -----
    Assumption: as the machine does it, a byte written on a half-duplex node takes read/write
    bandwidth of a byte read.
    """
    step_ns = rows.t_s.diff().to_numpy(float) * 1e9
    read = rows.read_bytes.diff().to_numpy(float) / step_ns / node.bandwidth.read
    written = rows.written_bytes.diff().to_numpy(float) / step_ns / node.bandwidth.write
    both: np.ndarray = np.maximum(read, written) if node.is_duplex else read + written
    return both


def _links(result: Result, clock: Clock) -> list[Found]:
    """Share of a link's bandwidth in use, in both directions."""
    if not len(result.links):
        return []
    data = []
    for i, link in enumerate(topology(result).links[:MOST_CURVES]):
        rows = result.links[result.links.link == link.label]
        step_ns = rows.t_s.diff() * 1e9
        for way, peak, colour in (
            ("forward", link.bandwidth.forward, GOOD),
            ("backward", link.bandwidth.backward, OVER),
        ):
            share = 100 * rows[f"{way}_bytes"].diff() / step_ns / peak
            ends = link.between if way == "forward" else link.between[::-1]
            name = f"{link.label}: {ends[0]} to {ends[1]}"
            data.append(line(name, rows.t_s * clock.scale, share, colour, " %",
                             position=2 * i + (way == "backward")))  # fmt: skip
    return [("How busy links are", "", _figure(data, layout(clock, "%")))]
