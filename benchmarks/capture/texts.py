"""What the kernel prints, as numbers: trace lines, zones, node counters, page maps."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

PAGE_BYTES = 4096
MOST_RUNS = 20_000  # of a page map; beyond them only counts per 512 frames are kept
SAME_STEP_S = 0.5  # regions applied to within one step are no further apart
PRESENT, PFN = 1 << 63, (1 << 55) - 1

_LINE = re.compile(
    r"^\s*(?P<kd>\S.*?)(?:-|\s+)(?P<pid>\d+)\s+(?:\([^)]*\)\s+)?\[\d+\]\s+(?:\S+\s+)?"
    r"(?P<t>\d+\.\d+):\s+(?:damon:)?(?P<event>\w+):\s+(?P<rest>.*)$"
)
_PAIR = re.compile(r"(\w+)=(-?\d+)")
_REGION = re.compile(r"(\d+)-(\d+):\s+(\d+)(?:\s+(\d+))?")
_ZONE = re.compile(r"^Node \d+, zone\s+\w+$")
_ZONE_VALUE = re.compile(r"^(?:min|low|high|spanned|present|managed)\s+\d+$|^start_pfn:\s+\d+$")


@dataclass(frozen=True)
class TraceLine:
    """One event of DAMON: whose, when (seconds of the trace clock), its fields, its region."""

    kd: str
    pid: int
    t: float
    event: str
    fields: dict[str, int]
    region: list[int] | None


def trace_line(text: str) -> TraceLine | None:
    """An event from a line of ``trace_pipe`` or of ``perf script``; None for anything else."""
    match = _LINE.match(text)
    if match is None:
        return None
    rest = match["rest"]
    found = _REGION.search(rest)
    region = None
    if found:
        start, end = int(found[1]), int(found[2])
        pages = [start // PAGE_BYTES, (end - start) // PAGE_BYTES]
        region = [*pages, int(found[3]), int(found[4] or 0)]
    fields = {key: int(value) for key, value in _PAIR.findall(rest)}
    return TraceLine(
        match["kd"].strip(), int(match["pid"]), float(match["t"]), match["event"], fields, region
    )


@dataclass
class Sorted:
    """Events as the files of a recording want them; times are seconds since time zero."""

    snapshots: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    applied: list[dict[str, Any]] = field(default_factory=list)
    incomplete: int = 0


def sort_events(lines: Iterable[str], zero_s: float) -> Sorted:
    """Group regions to snapshots and apply steps, keep what changed.

    Parameters
    ----------
    lines : iterable of str
        Of ``trace_pipe``.
    zero_s : float
        Trace clock at time zero.
    """
    found = Sorted()
    open_snapshots: dict[tuple[str, int, int], dict[str, Any]] = {}
    open_steps: dict[tuple[str, int, int], dict[str, Any]] = {}
    taken: dict[tuple[str, int, int], int] = {}
    quotas: dict[tuple[str, int, int], int] = {}
    for line in filter(None, map(trace_line, lines)):
        t, who = round(line.t - zero_s, 4), {"kd": line.kd, "pid": line.pid}
        if line.event == "damon_aggregated" and line.region:
            key = (line.kd, line.pid, line.fields.get("target_id", 0))
            _add_region(found, open_snapshots, taken, key, line, t)
            continue
        scheme = line.fields.get("scheme_idx", 0)
        key = (line.kd, line.pid, scheme)
        if line.event == "damos_before_apply" and line.region:
            step = open_steps.get(key)
            if step is None or t - step["last"] > SAME_STEP_S:
                step = {"t": t, **who, "ctx": line.fields.get("ctx_idx", 0), "scheme": scheme}
                step |= {"r": [], "last": t}
                open_steps[key] = step
                found.applied.append(step)
            step["r"].append(line.region)
            step["last"] = t
        elif line.event == "damos_esz":
            if quotas.get(key) != line.fields.get("esz"):
                quotas[key] = line.fields.get("esz", 0)
                found.events.append({"t": t, **who, "ev": line.event, **line.fields})
        elif line.event in ("damon_monitor_intervals_tune", "damos_stat_after_apply_interval"):
            open_steps.pop(key, None)
            found.events.append({"t": t, **who, "ev": line.event, **line.fields})
    found.incomplete += len(open_snapshots)
    for step in found.applied:
        del step["last"]
    return found


def _add_region(
    found: Sorted,
    waiting: dict[tuple[str, int, int], dict[str, Any]],
    taken: dict[tuple[str, int, int], int],
    key: tuple[str, int, int],
    line: TraceLine,
    t: float,
) -> None:
    """One region of a snapshot; the last one completes it."""
    nr, region = line.fields.get("nr_regions", 0), line.region
    assert region is not None
    snapshot = waiting.get(key)
    if snapshot and (snapshot["nr"] != nr or region[0] < sum(snapshot["r"][-1][:2])):
        found.incomplete += 1  # events were lost: another one has begun
        taken[key] = taken.get(key, 0) + 1
        snapshot = None
    if snapshot is None:
        kd, pid, target = key
        snapshot = {"t": t, "kd": kd, "pid": pid, "target": target, "nr": nr, "r": []}
        waiting[key] = snapshot
    snapshot["r"].append(region)
    if len(snapshot["r"]) == nr:
        snapshot["i"] = taken.get(key, 0)
        taken[key] = snapshot["i"] + 1
        found.snapshots.append(snapshot)
        del waiting[key]


# -- files of /proc and /sys -----------------------------------------------------------------------


def zone_lines(zoneinfo: str) -> list[str]:
    """Lines of ``/proc/zoneinfo`` that tell sizes and watermarks, per-CPU lists left out."""
    lines = (line.strip() for line in zoneinfo.splitlines())
    return [line for line in lines if _ZONE.match(line) or _ZONE_VALUE.match(line)]


def ram_lines(iomem: str) -> list[str]:
    """Ranges of System RAM in ``/proc/iomem``, without what lies inside them."""
    return [line.rstrip() for line in iomem.splitlines() if re.match(r"^\S+ : System RAM", line)]


def node_meminfo(text: str) -> dict[str, int]:
    """``Node 0 MemFree: 12 kB`` and so on: kB (or counts) by key."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"Node \d+ (\S+):\s+(\d+)", line.strip())
        if match:
            found[match[1]] = int(match[2])
    return found


def counters(text: str) -> dict[str, int]:
    """Lines of a name and a number, as in vmstat and numastat."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def numa_pages(numa_maps: str, start: int, end: int) -> dict[int, int]:
    """4 KiB pages by node of the mappings that begin in ``[start, end)``, from ``numa_maps``."""
    found: dict[int, int] = {}
    for line in numa_maps.splitlines():
        words = line.split()
        if not words or not start <= int(words[0], 16) < end:
            continue
        size = re.search(r"kernelpagesize_kB=(\d+)", line)
        scale = int(size[1]) // 4 if size else 1
        for node, pages in re.findall(r"\bN(\d+)=(\d+)", line):
            found[int(node)] = found.get(int(node), 0) + int(pages) * scale
    return found


def page_runs(pagemap: bytes) -> Iterator[list[int]]:
    """Runs ``[page, frame or -1, n]`` from the entries of a range in ``/proc/PID/pagemap``."""
    run: list[int] = []
    for page, (entry,) in enumerate(struct.iter_unpack("<Q", pagemap)):
        frame = entry & PFN if entry & PRESENT else -1
        follows = run and (
            frame == run[1] + run[2] if frame >= 0 and run[1] >= 0 else frame == run[1]
        )
        if follows:
            run[2] += 1
            continue
        if run:
            yield run
        run = [page, frame, 1]
    if run:
        yield run


def page_map(number: int, region: str, pagemap: bytes) -> dict[str, Any]:
    """One line of a page map: runs, or pages per block of frames where runs are very many."""
    runs = list(page_runs(pagemap))
    line: dict[str, Any] = {"wl": number, "region": region}
    if len(runs) <= MOST_RUNS:
        return {**line, "runs_vpage_pfn_n": runs}
    blocks: dict[int, int] = {}
    for _, frame, n in runs:
        for at in range(frame, frame + n) if frame >= 0 else ():
            blocks[at // 512] = blocks.get(at // 512, 0) + 1
    return {**line, "pages_per_512pfn_block": [list(pair) for pair in sorted(blocks.items())]}
