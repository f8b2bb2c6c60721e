"""What was moved and used, by the names that users grep for: schemes, vmstat, bandwidth, footprint.

DAMON's migrations count as ``pgmigrate_success`` only, in Linux and here: ``pgpromote_*`` and
``pgdemote_*`` are of other mechanisms. So that mechanisms can be compared, ``promoted`` and
``demoted`` beside them count pages up and down the tiers of the process, whoever moved them.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from numasim.damon.spec import Context
from numasim.formats.damo_export import scheme_stats
from numasim.formats.damo_record import contexts_of
from numasim.hardware import PAGE_BYTES
from numasim.result import Result

MOVED = ("pgmigrate_success", "pgmigrate_fail", "promoted", "demoted")
NAMES = (
    "numa_pte_updates", "numa_hint_faults", "numa_hint_faults_local", "numa_pages_migrated",
    "pgpromote_success", "pgpromote_candidate", "pgdemote_kswapd", "pgdemote_direct",
    "pgdemote_khugepaged", "pgmigrate_success", "pgmigrate_fail", "promoted", "demoted",
)  # fmt: skip
"""Counters in the order of /proc/vmstat, with our two; pages of 4 KiB."""
BYTES_PER_MB = 1e6
RECLAIM = re.compile(r"(reclaim|kswapd\d+|direct reclaim)( \(remap\))?")
"""What the kernel's reclaim is called: as it counts for the machine, and as it moves pages."""
NO_QUOTA = float(1 << 62)  # as it is recorded


def schemes(result: Result) -> pd.DataFrame:
    """The eight statistics of every scheme at the end of the run, and pages applied.

    Returns
    -------
    pandas.DataFrame
        ``kdamond, scheme, action``, the kernel's names, ``applied_pages``.
    """
    known, rows = contexts_of(result.scenario(), tuned=True), []
    for (kdamond, s), own in result.schemes.groupby(["kdamond", "scheme"]):
        context, number = known.get(str(kdamond), Context()), int(str(s))
        limits = {i: scheme.max_nr_snapshots for i, scheme in enumerate(context.schemes)}
        stats = scheme_stats(result, str(kdamond), number, limits.get(number, 0))
        pages = stats["sz_applied"] * context.addr_unit // PAGE_BYTES
        who = {"kdamond": str(kdamond), "scheme": number, "action": own.action.iloc[-1]}
        rows.append({**who, **stats, "applied_pages": pages})
    rows.sort(key=lambda row: (int(row["kdamond"].rpartition(".")[2]), row["scheme"]))
    return pd.DataFrame(rows)


def trace(result: Result) -> pd.DataFrame:
    """What is tuned on the way, at every row of the time series: intervals, quotas, goals.

    Returns
    -------
    pandas.DataFrame
        ``t_s, kdamond, sample_us, aggr_us, nr_regions``, and of each scheme ``scheme, action``,
        ``esz`` (bytes, NaN without a quota), ``goal, goal_current, goal_target`` (in the metric's
        unit), ``sz_applied`` so far.
    """
    kdamonds = result.kdamonds[["t_s", "kdamond", "sample_us", "aggr_us", "nr_regions"]]
    columns = ["scheme", "action", "esz", "goal", "goal_current", "goal_target", "sz_applied"]
    found = kdamonds.merge(result.schemes[["t_s", "kdamond", *columns]], "left", ["t_s", "kdamond"])
    contexts = contexts_of(result.scenario(), tuned=True)
    limited = {
        (name, s)
        for name, context in contexts.items()
        for s, scheme in enumerate(context.schemes)
        if scheme.quota.ms or scheme.quota.sz or scheme.quota.goals
    }
    known = [pair in limited for pair in zip(found.kdamond, found.scheme, strict=True)]
    found["esz"] = found.esz.where(np.array(known, dtype=bool) & (found.esz < NO_QUOTA))
    return found


def vmstat(result: Result) -> pd.DataFrame:
    """Counters of every mechanism at the end of the run.

    Returns
    -------
    pandas.DataFrame
        A row for each counter, a column for each mechanism that did something, and ``total`` where
        there are several.

    Notes
    -----
    What a mechanism counts itself is taken as it says; what it does not count of migrations follows
    from what was moved in its name. Every node's kswapd and direct reclaim are one mechanism,
    ``reclaim``, as ``pgdemote_*`` are counted for the machine.
    """
    table: dict[str, dict[str, int]] = {}
    told = result.vmstat.drop_duplicates(["agent", "counter"], keep="last")
    for agent, counter, value in zip(told.agent, told.counter, told.value, strict=True):
        own = table.setdefault(_mechanism(agent), {})
        own[str(counter)] = own.get(str(counter), 0) + int(value)
    for cause, rows in result.moves.groupby(result.moves.cause.map(_mechanism), sort=True):
        own = table.setdefault(str(cause), {})
        up = rows.direction == "promotion"
        own.setdefault("pgmigrate_success", int(rows.bytes.sum()) // PAGE_BYTES)
        own["promoted"] = int(rows.bytes[up].sum()) // PAGE_BYTES
        own["demoted"] = int(rows.bytes[~up].sum()) // PAGE_BYTES
    failed = result.failed_moves
    for cause, rows in failed.groupby(failed.cause.map(_mechanism), sort=True):
        own = table.setdefault(str(cause), {})
        own.setdefault("pgmigrate_fail", int(rows.bytes.sum()) // PAGE_BYTES)
    found = pd.DataFrame(table).fillna(0).astype("int64")
    names = [*NAMES, *(n for n in found.index if n not in NAMES)]
    found = found.reindex(names, fill_value=0)
    if len(table) > 1:
        found["total"] = found.sum(axis=1)
    found.index.name = "counter"
    return found.reset_index()


def _mechanism(who: object) -> str:
    """The mechanism of an agent, or of the cause of a move."""
    return "reclaim" if RECLAIM.fullmatch(str(who)) else str(who)


def bandwidth(result: Result, by_socket: bool = False) -> pd.DataFrame:
    """Bandwidth of every node between two rows of the time series, MB/s (10^6 bytes).

    Parameters
    ----------
    result : Result
    by_socket : bool
        Sum nodes of a socket, CXL apart: the columns of HMSDK's bwprof.

    Returns
    -------
    pandas.DataFrame
        ``Timestamp`` (s) and ``<node>-RD``, ``-WR``, ``-SUM``, or ``SKT0-RD … SKT0-CXLSUM``.
    """
    columns: dict[str, pd.Series] = {}
    machine = result.scenario().topology
    sockets = list(dict.fromkeys(node.at for node in machine.nodes))
    stamps = pd.Index([], dtype=float)
    for node in machine.nodes:
        rows = result.nodes[result.nodes.node == node.name].set_index("t_s")
        speeds = rows[["read_bytes", "written_bytes"]].diff().iloc[1:]
        seconds = pd.Series(rows.index, rows.index).diff().iloc[1:]
        stamps = speeds.index
        name, kind = f"{node.name}-", ""
        if by_socket:
            name = f"SKT{sockets.index(node.at)}-"
            kind = "CXL" if node.kind.upper().startswith("CXL") else ""
        for word, speed in (
            ("RD", speeds.read_bytes), ("WR", speeds.written_bytes), ("SUM", speeds.sum(axis=1))
        ):  # fmt: skip
            key = f"{name}{kind}{word}"
            columns[key] = columns.get(key, 0.0) + speed / seconds / BYTES_PER_MB
    if by_socket:
        wanted = [
            f"SKT{i}-{kind}{word}"
            for i in range(len(sockets)) for kind in ("", "CXL") for word in ("RD", "WR", "SUM")
        ]  # fmt: skip
        zero = pd.Series(0.0, stamps)
        columns = {key: columns.get(key, zero) for key in wanted}
    found = pd.DataFrame(columns)
    found.insert(0, "Timestamp", found.index)
    return found.reset_index(drop=True)


def footprint(result: Result) -> pd.DataFrame:
    """Resident bytes of every process on every node over time.

    Returns
    -------
    pandas.DataFrame
        ``t_s, process``, a column for each node, ``total``.
    """
    names = [node.name for node in result.scenario().topology.nodes]
    found = result.residency.pivot_table(
        index=["t_s", "process"], columns="node", values="bytes", aggfunc="sum", fill_value=0
    )
    found = found.reindex(columns=names, fill_value=0).astype("int64")
    found["total"] = found.sum(axis=1)
    found.columns.name = None
    return found.reset_index()
