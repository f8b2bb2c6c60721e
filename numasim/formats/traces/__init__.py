"""Traces of other tools as workloads: one reader per format, one recording or one model of rates.

| format | is | becomes |
|---|---|---|
| ``perf`` | text of ``perf script`` with data addresses | a recording |
| ``lackey`` | valgrind's lackey | a recording |
| ``csv``, ``oracle`` | libCacheSim | a recording |
| ``page`` | a recording as numasim has them | it is played as it is |
| ``damo`` | damo's JSON record | rates by block and phase |
| ``damon`` | text of ``damon_aggregated`` events | the same |

Files may be larger than memory, but for JSON: rows go through the disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

import numpy as np

from numasim.errors import ConfigError, Problem
from numasim.formats import page_trace
from numasim.formats.machines.reading import STDIN
from numasim.formats.traces import damon_rates, damon_snapshots
from numasim.formats.traces.accesses import Spool
from numasim.formats.traces.caches import Cache
from numasim.formats.traces.damon_rates import Reading
from numasim.formats.traces.lackey import Lackey
from numasim.formats.traces.libcachesim import RECORD, Csv, Objects, OracleGeneral
from numasim.formats.traces.perf_script import LINE as PERF_LINE
from numasim.formats.traces.perf_script import PerfScript
from numasim.formats.traces.reading import HEAD_BYTES, Cut, opened
from numasim.formats.traces.writing import (
    Playing,
    beside,
    workload_of,
    write_recordings,
    write_workload,
)
from numasim.units import format_duration
from numasim.workload import Workload

__all__ = ["FORMATS", "Imported", "Playing", "Reading", "Wanted", "import_trace", "recognised"]

Format = Literal["perf", "lackey", "csv", "oracle", "page", "damo", "damon"]
FORMATS: tuple[Format, ...] = ("perf", "lackey", "csv", "oracle", "page", "damo", "damon")
EVERY = {"lackey": 1_000_000, "csv": 1000, "oracle": 1000}
"""Instructions or requests of an interval, unless told otherwise."""
INTERVAL_NS = 1_000_000
NS_PER_INSTRUCTION, NS_PER_REQUEST = 0.4, 3000.0
"""Assumptions: native time per instruction of the recorded PageRank, per request of the recorded
memcached (18 ms for 6283 requests of one of two threads, rounded)."""

OTHERS = (
    (b"PERFILE2", "is perf's binary file", "print it: perf script -F "
     "comm,pid,tid,time,period,event,addr"),
    (b"\x1f\x8b", "is compressed by gzip", "unpack it: gunzip"),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd", "unpack it: zstd -d"),
    (b"BZh", "is compressed by bzip2", "unpack it: bunzip2"),
    (b"\xfd7zXZ", "is compressed by xz", "unpack it: unxz"),
    (b"PK\x03\x04", "is a zip archive", "of a recording name the .json"),
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What is to be made of a trace.

    Parameters
    ----------
    interval_ns : int or None
        Length of an interval of the recording; None: 1 ms where the trace has a clock, else a
        guess from what `every` counts.
    every : int or None
        Instructions, references or requests of an interval where a trace has no clock.
    pids : collection of int
        Only these processes; empty: all.
    cache_bytes, cache_ways : int
        Cache that touches of ``lackey`` go through; 0: none.
    lines : int
        Lines of a request of libCacheSim where objects are pages.
    objects : str or None
        Whether libCacheSim's objects are ``pages`` or ``packed``; None: by the first one's size.
    packed : bool
        Whether recordings are deflated; otherwise they are mapped where they lie.
    playing : Playing
    reading : Reading
        Of DAMON's recordings.
    """

    interval_ns: int | None = None
    every: int | None = None
    pids: Collection[int] = ()
    cache_bytes: int = 0
    cache_ways: int = 16
    lines: int = 1
    objects: Objects | None = None
    packed: bool = True
    playing: Playing = field(default_factory=Playing)
    reading: Reading = field(default_factory=Reading)


@dataclass
class Imported:
    """What was made.

    Parameters
    ----------
    kind : str
        A name of `FORMATS`.
    workload : Path
    recordings : list of Path
        Headers.
    remarks : list of str
        What the trace does not tell, or was guessed.
    """

    kind: str
    workload: Path
    recordings: list[Path] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def recognised(head: bytes, size: int | None = None) -> Format | None:
    """Name of the format that a file seems to be in, by its beginning.

    Parameters
    ----------
    head : bytes
    size : int, optional
        Of the whole file, where it is known.

    Returns
    -------
    str or None
    """
    start = head.lstrip()[:4096]
    if head[:1] == b"\x78" and head[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"):
        return "damo"
    if start[:1] in (b"[", b"{") and b"\0" not in head:
        return "page" if b"pgtrace-pages" in head else "damo"
    if b"\0" in head:
        return "oracle" if _seems_oracle(head, size) else None
    lines = head.split(b"\n")[:200]
    if any(b"damon_aggregated:" in line or b"damon_region_aggregated:" in line for line in lines):
        return "damon"
    if any(re.match(rb"(I | [LSM]) {1,2}[0-9a-f]+,\d+\s*$", line) for line in lines):
        return "lackey"
    if any(PERF_LINE.fullmatch(line.rstrip(b"\r")) for line in lines):
        return "perf"
    if re.match(rb"==\d+==", head):
        return "lackey"
    if re.match(rb'[\w" ]+(,[\w." +-]*){2,}\s*$', lines[0]):
        return "csv"
    return None


def _seems_oracle(head: bytes, size: int | None) -> bool:
    """Whether binary data can be records of requests: times go forward, sizes make sense."""
    rows = np.frombuffer(head[: len(head) // RECORD.itemsize * RECORD.itemsize], RECORD)[:100]
    if not len(rows) or (size is not None and size < RECORD.itemsize):
        return False
    later = (np.diff(rows["time"].astype(np.int64)) >= 0).all()
    return bool(later and (rows["size"] > 0).all() and (rows["next"] >= -1).all())


def import_trace(
    path: str | Path, out: str | Path, kind: str | None = None, wanted: Wanted | None = None
) -> Imported:
    """Make a workload of a trace: a recording for each process, or rates, and a YAML.

    Parameters
    ----------
    path : str or Path
        ``-`` is stdin.
    out : str or Path
        ``NAME``: writes ``NAME.yaml`` and, of recordings, ``NAME.json`` and ``NAME.npz``.
    kind : str, optional
        A name of `FORMATS`; left out, it is recognised by the contents.
    wanted : Wanted, optional

    Returns
    -------
    Imported

    Raises
    ------
    ConfigError
        If the file cannot be read or is not in that format, with every mistake.
    """
    wanted, name = wanted or Wanted(), Path(out)
    name = name.with_suffix("") if name.suffix in (".yaml", ".yml", ".json", ".npz") else name
    source = "stdin" if str(path) == STDIN else str(path)
    with opened(path) as file:
        size = None if str(path) == STDIN else Path(path).stat().st_size
        head = file.peek(HEAD_BYTES)[:HEAD_BYTES]
        if not head:
            raise ConfigError(Problem("", "is empty"), source)
        seems = recognised(head, size)
        chosen = kind or seems
        if chosen is None:
            raise ConfigError(_unknown(head), source)
        try:
            return _made(file, chosen, path, name, source, wanted)
        except ConfigError as error:
            if seems in (None, chosen):
                raise
            said = Problem("", f"is not {chosen}; it looks like {seems}", f"try --format {seems}")
            raise ConfigError([said, *error.problems], source) from None


def _unknown(head: bytes) -> Problem:
    for sign, what, hint in OTHERS:
        if head.startswith(sign):
            return Problem("", what, hint)
    hint = f"--format can be {', '.join(FORMATS)}"
    return Problem("", "is in no format that is known", hint)


def _made(
    file: IO[bytes], kind: str, path: str | Path, name: Path, source: str, wanted: Wanted
) -> Imported:
    if kind == "page":
        page_trace.open_tape(path)
        return _played([Path(path)], kind, name, source, wanted, [])
    if kind in ("damo", "damon"):
        return _rates(file, kind, name, source, wanted)
    cut = _cut(kind, wanted)
    seen: dict[int, str] = {}

    def keep(pid: int, program: str) -> bool:
        seen[pid] = program
        return not wanted.pids or pid in wanted.pids

    reader = _reader(file, kind, source, cut, keep, wanted)
    with Spool() as spool:
        for accesses in reader.accesses():
            spool.add(accesses)
        spool.close()
        if not spool.nr_rows:
            raise ConfigError(_nothing(seen, wanted), source)
        interval_ns = _length_ns(kind, cut, wanted)
        found = write_recordings(
            spool, reader.people, name, interval_ns / 1e9, source, wanted.packed
        )
    remarks = reader.remarks()
    if cut.every and wanted.interval_ns is None:
        what = "instructions" if kind == "lackey" else "requests"
        length = format_duration(interval_ns)
        remarks.append(
            f"intervals are cut by number: that {cut.every} {what} last {length} is a guess "
            "(--interval)"
        )
    return _played(found, kind, name, source, wanted, remarks)


def _cut(kind: str, wanted: Wanted) -> Cut:
    """How a trace is cut: by its clock, or where it has none (or is told so) by number."""
    if kind == "perf":
        if wanted.every is not None:
            hint = "it has a clock: give --interval"
            raise ConfigError(Problem("--every", "is not for perf script", hint))
        return Cut(interval_ns=wanted.interval_ns or INTERVAL_NS)
    if kind != "lackey" and wanted.every is None and wanted.interval_ns is not None:
        return Cut(interval_ns=wanted.interval_ns)
    return Cut(every=wanted.every or EVERY[kind])


def _length_ns(kind: str, cut: Cut, wanted: Wanted) -> float:
    if wanted.interval_ns is not None:
        return float(wanted.interval_ns)
    if cut.interval_ns is not None:
        return float(cut.interval_ns)
    assert cut.every is not None
    return max(1.0, cut.every * (NS_PER_INSTRUCTION if kind == "lackey" else NS_PER_REQUEST))


def _reader(
    file: IO[bytes],
    kind: str,
    source: str,
    cut: Cut,
    keep: Callable[[int, str], bool],
    wanted: Wanted,
) -> PerfScript | Lackey | Csv | OracleGeneral:
    if kind == "perf":
        return PerfScript(file, source, cut, keep)
    if kind == "lackey":
        cache = Cache(wanted.cache_bytes, wanted.cache_ways) if wanted.cache_bytes else None
        return Lackey(file, source, cut, cache)
    made = Csv if kind == "csv" else OracleGeneral
    return made(file, source, cut, wanted.lines, wanted.objects)


def _nothing(seen: dict[int, str], wanted: Wanted) -> Problem:
    """Why no access is left."""
    if wanted.pids and seen:
        known = ", ".join(f"{pid} ({program})" for pid, program in list(seen.items())[:10])
        missing = sorted(set(wanted.pids) - set(seen))
        if missing:
            return Problem("--pid", f"no process {missing[0]} in it", f"known: {known}")
    return Problem("", "has no data access")


def _rates(file: IO[bytes], kind: str, name: Path, source: str, wanted: Wanted) -> Imported:
    read = damon_snapshots.json_snapshots if kind == "damo" else damon_snapshots.text_snapshots
    targets = damon_rates.gather(read(file, source), source)
    reading, loop = wanted.reading, wanted.playing.loop
    try:
        data = damon_rates.to_workload(targets, name.name, reading, Path(source).name, loop)
    finally:
        for target in targets:
            target.close()
    Workload.from_dict(data, f"the workload of {Path(source).name}")
    remarks = [
        f"DAMON tells how often pages are accessed, not how: a visit is taken as {reading.lines:g} "
        f"line{'s' * (reading.lines != 1)}, {reading.miss:.0%} missed, {reading.write:.0%} writes "
        "(--lines, --miss, --write)"
    ]
    if any(target.guessed for target in targets):
        remarks.append(
            f"the recording does not tell its sampling interval: {damon_snapshots.RATIO} samples "
            "an aggregation are a guess (--sample)"
        )
    said = [f"Rates of {Path(source).name}, as DAMON saw them: numasim import trace", *remarks]
    workload = write_workload(data, name.with_name(name.name + ".yaml"), said)
    return Imported(kind, workload, [], remarks)


def _played(
    recordings: list[Path], kind: str, name: Path, source: str, wanted: Wanted, remarks: list[str]
) -> Imported:
    data = workload_of(recordings, name.name, wanted.playing)
    Workload.from_dict(data, f"the workload of {Path(source).name}")
    data = beside(data, name.parent)
    said = [f"Accesses of {Path(source).name}, recorded elsewhere: numasim import trace", *remarks]
    workload = write_workload(data, name.with_name(name.name + ".yaml"), said)
    return Imported(kind, workload, recordings, remarks)
