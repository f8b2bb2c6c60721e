"""Rows of a trace → one recording for each process, and the workload that plays them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from numasim.errors import ConfigError, Problem
from numasim.formats import page_trace
from numasim.formats.traces.accesses import COUNTS, Spool, Who

GAP_PAGES = 4096
"""Pages further apart than 16 MiB are of different regions."""
MOST_REGIONS = 64
MOST_PROCESSES = 64
OWN_THREADS = 65_535


@dataclass(frozen=True)
class Playing:
    """How recordings are played; see `page_trace.to_workload`.

    Parameters
    ----------
    copies : int
    slower : float
    stretch : int
    page_bytes : int
    accessors : mapping of str to sequence of int
        Accessor → threads; empty: all on the first CPU.
    idle_bytes : int
    loop : bool
    start_ns : int
        When the processes begin.
    """

    copies: int = 1
    slower: float = 1.0
    stretch: int = 1
    page_bytes: int = page_trace.PAGE_BYTES
    accessors: Mapping[str, Sequence[int]] | None = None
    idle_bytes: int = 0
    loop: bool = True
    start_ns: int = 0


def write_recordings(
    spool: Spool,
    people: Sequence[Who],
    name: Path,
    interval_s: float,
    source: str,
    packed: bool = True,
) -> list[Path]:
    """Write a recording for each process of a trace.

    Parameters
    ----------
    spool : Spool
        Closed.
    people : sequence of Who
        By the spool's thread numbers.
    name : Path
        Of the recording; of several, each adds its program and pid.
    interval_s : float
        Length of an interval.
    source : str
        The trace, for the header and messages.
    packed : bool
        Deflated, or to be mapped where they lie.

    Returns
    -------
    list of pathlib.Path
        Headers.

    Raises
    ------
    ConfigError
        If there are too many processes, or counts that no recording can hold.
    """
    owners: dict[int, list[int]] = {}
    for number, who in enumerate(people):
        if number in spool.pages:
            owners.setdefault(who.pid, []).append(number)
    if len(owners) > MOST_PROCESSES:
        busiest = sorted(owners, key=lambda pid: -sum(len(spool.pages[n]) for n in owners[pid]))
        some = ", ".join(f"{people[owners[p][0]].program} {p}" for p in busiest[:5])
        message = f"has {len(owners)} processes, expected {MOST_PROCESSES} at most"
        hint = f"choose with --pid; those with most pages: {some}"
        raise ConfigError(Problem("", message, hint), source)
    found = []
    for pid, numbers in owners.items():
        program = people[numbers[0]].program
        stem = name.name if len(owners) == 1 else f"{name.name}-{_plain(program)}-{pid}"
        path = name.with_name(stem + ".json")
        _write_one(spool, people, numbers, path, interval_s, source, packed)
        found.append(path)
    return found


def _plain(program: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in program)[:40] or "program"


def _write_one(
    spool: Spool,
    people: Sequence[Who],
    numbers: Sequence[int],
    path: Path,
    interval_s: float,
    source: str,
    packed: bool,
) -> None:
    """Write one process; its main thread is number 1, the others follow as they appear."""
    order = sorted(numbers, key=lambda n: (people[n].tid != people[n].pid, n))
    thread = np.zeros(max(len(people), 1), np.int64)
    thread[order] = np.arange(len(order)) + 1
    pages = np.unique(np.concatenate([spool.pages[n] for n in numbers]))
    columns = spool.selected(numbers)
    for low in range(0, len(columns["who"]), 1 << 20):
        part = slice(low, low + (1 << 20))
        columns["who"][part] = thread[columns["who"][part]]
        columns["page"][part] = np.searchsorted(pages, columns["page"][part].view(np.uint64))
    program = people[order[0]].program
    threads = [
        {"thread": i + 1, "program": people[n].program, "tid": people[n].tid}
        for i, n in enumerate(order[:OWN_THREADS])
    ]
    header = {
        "program": program,
        "command": f"imported from {Path(source).name}",
        "pid": people[order[0]].pid,
        "thread_names": threads,
        "regions": regions_of(pages),
        "est_seconds_per_interval": interval_s,
        "footprint_bytes": len(pages) * page_trace.PAGE_BYTES,
        "totals": {name: int(columns[name].sum()) for name in COUNTS},
    }
    columns["thread"] = columns.pop("who")
    page_trace.write(
        path, columns, intervals=spool.intervals, pages=len(pages), header=header,
        more={"page_vpn": pages}, packed=packed,
    )  # fmt: skip


def regions_of(pages: np.ndarray) -> list[dict[str, Any]]:
    """Stretches of pages (uint64[P], ascending) between wide gaps, the widest if there are many."""
    gaps = np.diff(pages)
    wide = np.flatnonzero(gaps > GAP_PAGES)
    if len(wide) >= MOST_REGIONS:
        wide = np.sort(wide[np.argsort(-gaps[wide].astype(np.float64))][: MOST_REGIONS - 1])
    edges = [0, *(wide + 1).tolist(), len(pages)]
    return [
        {
            "name": f"{int(pages[a]) << 12:#x}", "first_page": a, "n_pages": b - a,
            "first_vpn": int(pages[a]), "last_vpn": int(pages[b - 1]),
        }
        for a, b in pairwise(edges) if b > a
    ]  # fmt: skip


def workload_of(recordings: Sequence[Path], name: str, playing: Playing) -> dict[str, Any]:
    """Plain data of a workload that plays recordings, which lie beside it.

    Raises
    ------
    ConfigError
        As `page_trace.to_workload`.
    """
    processes, taken = [], set[str]()
    for path in recordings:
        one = page_trace.to_workload(
            path, name, copies=playing.copies, slower=playing.slower, stretch=playing.stretch,
            page_bytes=playing.page_bytes, accessors=playing.accessors,
            idle_bytes=playing.idle_bytes, loop=playing.loop,
        )  # fmt: skip
        for process in one["processes"]:
            label, again = process["name"], 2
            while process["name"] in taken:
                process["name"], again = f"{label} ({again})", again + 1
            taken.add(process["name"])
            if playing.start_ns:
                process["start"] = f"{playing.start_ns} ns"
            processes.append(process)
    return {"name": name, "description": one["description"], "processes": processes}


def write_workload(data: Mapping[str, Any], path: Path, said: Sequence[str]) -> Path:
    """Write a workload's YAML below a comment that says where it comes from.

    Parameters
    ----------
    data : mapping
    path : Path
    said : sequence of str
        Lines of the comment.

    Returns
    -------
    pathlib.Path
    """
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 100
    with path.open("w", encoding="utf-8") as file:
        for line in said:
            file.write(f"# {line}\n")
        yaml.dump(dict(data), file)
    return path


def beside(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Name recordings in a workload's plain data by their place in its own folder, in place."""
    for process in data["processes"]:
        for actor in process["actors"]:
            for phase in actor["phases"]:
                for access in phase["access"]:
                    file = Path(access["file"])
                    if file.parent == folder.resolve():
                        access["file"] = file.name
    return data
