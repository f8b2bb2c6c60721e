"""Files for damo of a run: the record and what lies beside it, or the text of ``perf script``.

Beside a record lie the parameters with statistics (``.kdamonds``), memory footprints
(``.mem_footprint``), mappings (``.vmas``), and what schemes acted upon (``.schemes``), a record of
its own. Source: damo 3.4.3.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from numasim.formats.damo_record import STATS, Watched, records, watched
from numasim.formats.damo_specs import to_tree
from numasim.formats.damo_tried import tried
from numasim.result import Result

PAGE_BYTES, KIB = 4096, 1024

# -- side files ----------------------------------------------------------------------------------


def kdamonds(result: Result) -> list[dict[str, Any]]:
    """Kdamonds with their parameters, and each scheme's eight statistics at the end of the run."""
    scenario = result.scenario()
    started = [*scenario.policy.kdamonds(scenario.topology)]
    started += [k for e in scenario.events if e.action == "start" for k in e.kdamonds]
    tree: list[dict[str, Any]] = to_tree(started)["kdamonds"]
    number = 0
    for kdamond, spec in zip(tree, started, strict=True):
        kdamond["state"], kdamond["pid"] = "on", None
        for context, described in zip(kdamond["contexts"], spec.contexts, strict=True):
            for s, scheme in enumerate(context["schemes"]):
                most = described.schemes[s].max_nr_snapshots
                scheme["stats"] = scheme_stats(result, f"kdamond.{number}", s, most)
            number += 1
    return tree


def scheme_stats(result: Result, kdamond: str, scheme: int, most: int = 0) -> dict[str, int]:
    """The eight statistics of a scheme, by the kernel's names.

    Parameters
    ----------
    result : Result
    kdamond : str
    scheme : int
        Position in its context.
    most : int
        Its limit on snapshots; 0 is none.

    Returns
    -------
    dict of str to int
    """
    rows = result.schemes[(result.schemes.kdamond == kdamond) & (result.schemes.scheme == scheme)]
    last = {name: int(rows[name].iloc[-1]) if len(rows) else 0 for name in STATS}
    return {**last, "max_nr_snapshots": most}


def footprints(result: Result) -> list[dict[str, Any]]:
    """Memory of every process (in pages of 4 KiB) and of the system (in KiB), at every row."""
    workload = result.scenario().workload
    sizes = {p.name: sum(m.size for m in p.mappings) for p in workload.processes}
    pids = {p.name: workload.pid(i) for i, p in enumerate(workload.processes)}
    held = result.residency.groupby(["t_s", "process"]).bytes.sum()
    system = result.nodes.groupby("t_s")[["managed_bytes", "free_bytes"]].sum()
    found = []
    for t_s, row in system.iterrows():
        processes = [
            {
                "pid": pids[name],
                "footprint": _of_process(sizes[name], int(held.get((t_s, name), 0))),
            }
            for name in sizes
            if held.get((t_s, name), 0) > 0
        ]
        total, free = int(row.managed_bytes) // KIB, int(row.free_bytes) // KIB
        memory = {"total": total, "free": free, "available": free, "buffers": 0, "cached": 0}
        found.append({"time": t_s, "footprints": [*processes, {"pid": None, "footprint": memory}]})
    return found


def _of_process(size_bytes: int, resident_bytes: int) -> dict[str, int]:
    size, resident = size_bytes // PAGE_BYTES, resident_bytes // PAGE_BYTES
    return {
        "size": size, "resident": resident, "shared": 0, "trs": 0, "lrs": 0, "drs": size, "dt": 0
    }  # fmt: skip


def vmas(result: Result) -> list[dict[str, Any]]:
    """Mappings of every process, from its start on."""
    workload = result.scenario().workload
    found = []
    for p, process in enumerate(workload.processes):
        areas = [
            {"start": at, "end": at + m.size, "name": m.name}
            for m, at in zip(process.mappings, process.addresses(), strict=True)
        ]
        start_s = process.start / 1e9
        found.append({"time": start_s, "procvmas": [{"pid": workload.pid(p), "vmas": areas}]})
    return found


# -- files ---------------------------------------------------------------------------------------

SIDE_FILES: dict[str, Callable[[Result], Any]] = {
    "kdamonds": kdamonds,
    "mem_footprint": footprints,
    "vmas": vmas,
}
"""Endings of the files beside a record → what they hold."""


def write(result: Result, path: str | Path) -> list[Path]:
    """Write a record and its side files.

    Parameters
    ----------
    result : Result
    path : str or Path
        Of the record; the side files add their endings.

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    ConfigError
        If nothing was monitored.
    """
    path = Path(path)
    path.write_bytes(_packed(records(result)))
    files = [path]
    for ending, content in SIDE_FILES.items():
        beside = path.with_name(f"{path.name}.{ending}")
        beside.write_text(json.dumps(content(result)))
        files.append(beside)
    beside, schemes = path.with_name(f"{path.name}.schemes"), tried(result)
    beside.unlink(missing_ok=True)  # one of an earlier export would be of another run
    if schemes:
        beside.write_bytes(_packed(schemes))
        files.append(beside)
    return files


def _packed(records: list[dict[str, Any]]) -> bytes:
    """Records in the one form that every damo recognises."""
    return zlib.compress(json.dumps(records).encode())


def write_perf_script(result: Result, path: str | Path) -> list[Path]:
    """Write the same as the text that ``perf script`` prints of ``damon:damon_aggregated``.

    It holds no intervals, so heat is in samples there, and ``damo report access`` needs more.

    Raises
    ------
    ConfigError
        If nothing was monitored.
    """
    path = Path(path)
    lines = [line for number, one in enumerate(watched(result)) for line in _lines(one, number)]
    tunings = result.tunings
    for t_s, kdamond, sample_us in zip(
        tunings.t_s, tunings.kdamond, tunings.sample_us, strict=True
    ):
        who = _who(int(str(kdamond).rpartition(".")[2]), round(t_s * 1e9))
        text = f"{who}: damon:damon_monitor_intervals_tune: sample_us={sample_us}\n"
        lines.append((round(t_s * 1e9), text))
    lines.sort(key=lambda line: line[0])  # stable: targets and regions stay in order
    path.write_text("".join(text for _, text in lines), encoding="ascii")
    return [path]


def _who(index: int, at_ns: int) -> str:
    """Thread, pid, CPU and time of a line."""
    seconds, ns = divmod(at_ns, 10**9)
    return f"kdamond.{index}  {4000 + index} [000] {seconds}.{ns // 1000:06d}"


def _lines(one: Watched, target_id: int) -> Iterator[tuple[int, str]]:
    for seen in one.snapshots:
        who = _who(one.index, seen.end_ns)
        what = f"damon:damon_aggregated: target_id={target_id} nr_regions={len(seen.start)}"
        columns = (seen.start, seen.end, seen.nr_accesses, seen.age)
        for start, end, nr, age in zip(*(c.tolist() for c in columns), strict=True):
            yield seen.end_ns, f"{who}: {what} {start}-{end}: {nr} {age}\n"
