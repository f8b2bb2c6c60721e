"""DAMON's own recordings, snapshot by snapshot: damo's JSON records, ``damon_aggregated`` text.

A JSON record (plain or zlib-compressed, as damo writes it) is one document, so it is read whole, up
to a size; the text of ``perf script`` may be of any size.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from numasim.errors import ConfigError, Problem
from numasim.formats.machines.reading import Complaints
from numasim.formats.traces.reading import LAST_NS, lines_of, shown

LONGEST_JSON = 256 << 20
LINE = re.compile(
    rb"\s*(?P<who>\S.{0,63}?)\s+\d{1,10}\s+(?:\[\d+\]\s+)?(?P<s>\d{1,12})\.(?P<sub>\d{1,9}):\s+"
    rb"(?:damon:)?(?P<event>damon_\w+|damos_\w+):\s*(?P<rest>.*)"
)
REGION = re.compile(
    rb"target_id=(?P<target>\d{1,20}) nr_regions=(?P<nr>\d{1,9}) "
    rb"(?P<start>\d{1,20})-(?P<end>\d{1,20}): (?P<hits>\d{1,10})(?: (?P<age>\d{1,10}))?\s*"
)
TUNED = re.compile(rb"sample_us=(\d{1,12})\s*")
RATIO = 20
"""Samples of an aggregation where a recording does not tell: damo's and the kernel's defaults."""
MOST_HITS = 10**9


@dataclass(frozen=True)
class Snapshot:
    """Regions of one target after one aggregation.

    Parameters
    ----------
    target : str
        Which one, the same in every snapshot of it.
    start_ns, end_ns : int
        The time that it tells of; `start_ns` -1 where the recording has no beginning.
    sample_ns : int
        Sampling interval; 0 where the recording does not tell.
    samples : int
        Samples of the aggregation; 0 where the recording does not tell.
    start, end : int64[R]
        Bytes; ascending, not overlapping.
    hits : int64[R]
        Samples that found the region accessed.
    """

    target: str
    start_ns: int
    end_ns: int
    sample_ns: int
    samples: int
    start: np.ndarray
    end: np.ndarray
    hits: np.ndarray


def checked(found: Snapshot, place: str, complaints: Complaints) -> bool:
    """Whether a snapshot can be; complaints if not."""
    before = len(complaints.problems)
    if not 0 <= found.end_ns <= LAST_NS or found.start_ns > found.end_ns:
        complaints.add(place, f"ends at {found.end_ns} ns, expected a time after its start")
    if not len(found.start):
        complaints.add(place, "has no regions")
        return False
    bad = np.flatnonzero(found.end <= found.start)
    if len(bad):
        low, high = int(found.start[bad[0]]), int(found.end[bad[0]])
        complaints.add(place, f"has a region {low}-{high}, expected an end after its start")
    back = np.flatnonzero(found.start[1:] < found.end[:-1])
    if len(back):
        at = int(found.start[back[0] + 1])
        complaints.add(place, f"has a region at {at} before the end of the one before it")
    most = found.samples or MOST_HITS
    if int(found.hits.max()) > most:
        hint = "" if found.samples else "give --sample"
        message = f"has {int(found.hits.max())} accesses in {most} samples of an aggregation"
        complaints.add(place, message, hint)
    return len(complaints.problems) == before


# -- damo's JSON -----------------------------------------------------------------------------------


def json_snapshots(file: IO[bytes], source: str) -> Iterator[tuple[str, Snapshot]]:
    """Snapshots of a JSON record with their places in it.

    Raises
    ------
    ConfigError
        If it is no such record, with every mistake.
    """
    complaints = Complaints(source)
    plain = _loaded(file, source)
    if not isinstance(plain, list) or not plain:
        raise ConfigError(Problem("", "expected a list of records, as damo writes"), source)
    found = []
    for r, record in enumerate(plain):
        place = f"[{r}]"
        if not isinstance(record, dict) or not isinstance(record.get("snapshots"), list):
            complaints.add(place, "expected a record with target_id and snapshots")
            continue
        names = ("kdamond_idx", "context_idx", "target_id")
        target = "/".join(str(record.get(name, 0)) for name in names)
        sample_us, aggr_us = _intervals(record.get("intervals"), f"{place}.intervals", complaints)
        for s, one in enumerate(record["snapshots"]):
            where = f"{place}.snapshots[{s}]"
            made = _snapshot(one, target, (sample_us, aggr_us), where, complaints)
            if made is not None and checked(made, where, complaints):
                found.append((where, made))
    complaints.done()
    yield from found


def _loaded(file: IO[bytes], source: str) -> Any:
    """A JSON document, inflated if it is compressed."""
    data = file.read(LONGEST_JSON + 1)
    if data[:1] == b"\x78":
        inflater = zlib.decompressobj()
        try:
            data = inflater.decompress(data, LONGEST_JSON + 1)
        except zlib.error as error:
            raise ConfigError(Problem("", f"cannot be inflated: {error}"), source) from None
        if not inflater.eof and len(data) <= LONGEST_JSON:
            hint = "is it truncated?"
            raise ConfigError(Problem("", "ends amid its compressed data", hint), source)
    if len(data) > LONGEST_JSON:
        hint = "damo convert_record_format --format perf_script makes text that is read in parts"
        message = f"is larger than {LONGEST_JSON >> 20} MiB"
        raise ConfigError(Problem("", message, hint), source)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 0)
        place = f"line {line}" if line else ""
        raise ConfigError(Problem(place, f"is no JSON: {str(error)[:80]}"), source) from None


def _whole(value: Any, most: int) -> int | None:
    """A number that may be text, as damo writes it; None if it is none."""
    text = str(value).replace(",", "") if isinstance(value, int | str) else ""
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,20}", text) or int(text) > most:
        return None
    return int(text)


def _intervals(value: Any, place: str, complaints: Complaints) -> tuple[int, int]:
    """Sampling and aggregation interval, us; 0 where there are none."""
    if value is None:
        return 0, 0
    found = [_whole(value.get(n), 10**15) for n in ("sample_us", "aggr_us")] if (
        isinstance(value, dict)
    ) else [None, None]  # fmt: skip
    if not found[0] or not found[1] or found[1] < found[0]:
        complaints.add(place, f'got "{str(value)[:60]}", expected sample_us up to aggr_us')
        return 0, 0
    return found[0], found[1]


def _snapshot(
    one: Any, target: str, intervals: tuple[int, int], place: str, complaints: Complaints
) -> Snapshot | None:
    if not isinstance(one, dict) or not isinstance(one.get("regions"), list):
        complaints.add(place, "expected start_time, end_time and regions")
        return None
    times = [_whole(one.get(name), LAST_NS) for name in ("start_time", "end_time")]
    if times[0] is None or times[1] is None:
        complaints.add(place, f"start_time or end_time is no time in ns below {LAST_NS}")
        return None
    rows = np.zeros((len(one["regions"]), 3), np.int64)
    for i, region in enumerate(one["regions"]):
        values: list[int | None] = [None] * 3
        if isinstance(region, dict):
            hits = region.get("nr_accesses")
            samples = hits.get("samples") if isinstance(hits, dict) else hits
            values = [
                _whole(region.get("start"), LAST_NS),
                _whole(region.get("end"), LAST_NS),
                _whole(samples, MOST_HITS),
            ]
        if None in values:
            wanted = "expected start, end and nr_accesses.samples"
            complaints.add(f"{place}.regions[{i}]", f'got "{str(region)[:60]}", {wanted}')
            return None
        rows[i] = [value or 0 for value in values]
    sample_us, aggr_us = intervals
    tuned = _whole(one.get("sample_interval_us") or sample_us, 10**15) or sample_us
    samples = aggr_us // sample_us if sample_us else 0  # tuning keeps the ratio
    return Snapshot(target, times[0], times[1], tuned * 1000, samples, *rows.T.copy())


# -- text ------------------------------------------------------------------------------------------


def text_snapshots(file: IO[bytes], source: str) -> Iterator[tuple[str, Snapshot]]:
    """Snapshots of the text of ``damon:damon_aggregated`` events, with their first lines.

    Raises
    ------
    ConfigError
        With the lines that are wrong.
    """
    complaints = Complaints(source)
    sample_ns: dict[bytes, int] = {}
    key: tuple[bytes, bytes, int] | None = None
    rows: list[tuple[int, int, int]] = []
    first, announced, before_ns = 0, 0, -1

    def ended() -> Iterator[tuple[str, Snapshot]]:
        if key is None:
            return
        who, target, at_ns = key
        place = f"line {first}"
        if len(rows) != announced:
            message = f"announces {announced} regions, {len(rows)} follow"
            complaints.add(place, message, "is the file whole?")
            return
        name = f"{shown(who)}/{target.decode()}"
        table = np.array(rows, np.int64).reshape(-1, 3).T.copy()
        made = Snapshot(name, -1, at_ns, sample_ns.get(who, 0), 0, *table)
        if checked(made, place, complaints):
            yield place, made

    for number, line in lines_of(file, source):
        match = LINE.fullmatch(line.rstrip(b"\r\n"))
        if match is None:
            if line.strip() and not line.startswith(b"#"):
                wanted = "expected comm pid [cpu] time: damon:damon_aggregated: target_id=... "
                complaints.add(f"line {number}", f'got "{shown(line)}", {wanted}')
            continue
        if match["event"] == b"damon_monitor_intervals_tune":
            tuned = TUNED.fullmatch(match["rest"])
            if tuned is not None:
                sample_ns[match["who"]] = int(tuned[1]) * 1000
            continue
        if match["event"] not in (b"damon_aggregated", b"damon_region_aggregated"):
            continue  # of schemes
        region = REGION.fullmatch(match["rest"])
        numbers = [int(region[n]) for n in ("start", "end", "hits")] if region else []
        if region is None or max(numbers) > LAST_NS:
            wanted = "expected target_id=T nr_regions=N START-END: SAMPLES"
            complaints.add(f"line {number}", f'got "{shown(match["rest"])}", {wanted}')
            continue
        at_ns = int(match["s"]) * 10**9 + int(match["sub"].ljust(9, b"0"))
        now = (match["who"], region["target"], at_ns)
        if now != key or len(rows) >= announced:
            yield from ended()
            if at_ns < before_ns:
                message = f"got {at_ns / 1e9:.6f} s, expected no earlier than {before_ns / 1e9:.6f}"
                complaints.add(f"line {number}", message, "sort the lines by time")
            key, rows, first, announced = now, [], number, int(region["nr"])
            before_ns = max(before_ns, at_ns)
        rows.append((numbers[0], numbers[1], numbers[2]))
    yield from ended()
    complaints.done()
