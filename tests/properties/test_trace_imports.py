"""Any accesses, written as any tool would and imported, are the accesses; any bytes are refused."""

from __future__ import annotations

import json
import tempfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from numasim.errors import ConfigError
from numasim.formats import page_trace
from numasim.formats.traces import FORMATS, Wanted, damon_rates, import_trace
from numasim.formats.traces import accesses as spools
from numasim.formats.traces.damon_snapshots import json_snapshots

ACCESSES = st.lists(
    st.tuples(
        st.integers(0, 3000),  # us since the one before
        st.sampled_from([10, 11, 12]),  # thread
        st.integers(1, (1 << 47) - 1),  # address
        st.booleans(),  # a write
        st.integers(1, 100),  # period
    ),
    min_size=1,
    max_size=60,
)
QUICK = settings(max_examples=40, deadline=None)


def imported(data: bytes, kind: str | None = None, **wanted):
    """Columns of the one recording that a trace becomes, with its virtual page numbers."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "trace"
        source.write_bytes(data)
        found = import_trace(source, Path(folder) / "made", kind, Wanted(**wanted))
        if not found.recordings:
            return None, None
        tape = page_trace.open_tape(found.recordings[0])
        with np.load(found.recordings[0].with_suffix(".npz")) as arrays:
            return {name: arrays[name] for name in (*page_trace.DTYPES, "page_vpn")}, tape


def counted(columns, name: str) -> Counter:
    """Sums of a column by interval, thread and virtual page."""
    found: Counter = Counter()
    keys = zip(columns["interval"], columns["thread"], columns["page_vpn"][columns["page"]],
               columns[name], strict=True)  # fmt: skip
    for interval, thread, page, nr in keys:
        found[int(interval), int(thread), int(page)] += int(nr)
    return +found


def threads_of(rows) -> dict[int, int]:
    """Numbers that an importer gives threads of process 10: its main thread first, if there."""
    seen = list(dict.fromkeys(tid for _, tid, *_ in rows))
    order = sorted(seen, key=lambda tid: (tid != 10, seen.index(tid)))
    return {tid: i + 1 for i, tid in enumerate(order)}


@pytest.fixture(autouse=True, params=[1 << 18, 7], ids=["at once", "in parts"])
def pending(request, monkeypatch):
    monkeypatch.setattr(spools, "PENDING_ROWS", request.param)
    monkeypatch.setattr(spools, "CHUNK_ROWS", max(5, request.param >> 3))


@QUICK
@given(ACCESSES)
def test_perf_mem(rows):
    text, want, now = "", {n: Counter() for n in ("loads", "stores", "touches")}, 5_000_000
    number, begin = threads_of([r for r in rows if r[2] >> 12]), None
    for step, tid, address, write, period in rows:
        now += step
        source = 0x68101044 if write else 0x68101042
        word = "STORE" if write else "LOAD"
        text += (
            f"  some prog  10/{tid} [003] {now // 10**6}.{now % 10**6:06d}: "
            f"{period} cpu/mem,ldlat=30/P: "
            f"{address:16x} {source:16x} |OP {word}|LVL Local RAM hit|BLK  N/A   30   401136 main\n"
        )
        begin = now if begin is None else begin
        if address >> 12:
            key = ((now - begin) // 1000, number[tid], address >> 12)
            want["stores" if write else "loads"][key] += period
            want["touches"][key] += period
    if not want["touches"]:
        return
    columns, tape = imported(text.encode(), interval_ns=10**6)
    assert {name: counted(columns, name) for name in want} == want
    assert (np.diff(columns["page_vpn"].astype(np.int64)) > 0).all()
    assert tape.header.rows == len(want["touches"])


@QUICK
@given(ACCESSES, st.integers(1, 5))
def test_lackey(rows, every):
    text, want = "==10== Lackey\n", Counter()
    for i, (_, _, address, write, _) in enumerate(rows):
        text += f"I  {0x400000 + i:08x},3\n {'S' if write else 'L'} {address:x},1\n"
        want[i // every, 1, address >> 12] += 1
    columns, _ = imported(text.encode(), every=every)
    assert counted(columns, "touches") == want
    assert not columns["loads"].any() and not columns["stores"].any()


@QUICK
@given(ACCESSES, st.integers(1, 5))
def test_libcachesim(rows, every):
    text, records = "time,obj_id,obj_size,op\n", np.zeros(len(rows), [
        ("time", "<u4"), ("object", "<u8"), ("size", "<u4"), ("next", "<i8")])  # fmt: skip
    reads, writes, now = Counter(), Counter(), 0
    for i, (step, _, page, write, _) in enumerate(rows):
        now += step
        text += f"{now},{page},4096,{'set' if write else 'get'}\n"
        records[i] = (now, page, 4096, -1)
        (writes if write else reads)[i // every, 1, page] += 1
    columns, _ = imported(text.encode(), every=every)
    assert (counted(columns, "loads"), counted(columns, "stores")) == (reads, writes)
    columns, _ = imported(records.tobytes(), "oracle", every=every)
    assert counted(columns, "loads") == reads + writes


@QUICK
@given(st.lists(st.lists(st.integers(0, 20), min_size=3, max_size=3), min_size=2, max_size=12))
def test_damons_rates_give_its_counts_back(hits):
    """The chance of a sample to find a block accessed, at the rate made of it, is what was seen."""
    size, rows = 64 << 12, []
    for i, one in enumerate(hits):
        regions = [
            {"start": r * size, "end": (r + 1) * size, "nr_accesses": {"samples": n}}
            for r, n in enumerate(one)
        ]
        rows.append({"start_time": i * 10**8, "end_time": (i + 1) * 10**8, "regions": regions})
    intervals = {"sample_us": 5000, "aggr_us": 100_000}
    plain = [{"target_id": 0, "intervals": intervals, "snapshots": rows}]
    with tempfile.TemporaryFile() as file:
        file.write(zlib.compress(json.dumps(plain).encode()))
        file.seek(0)
        targets = damon_rates.gather(json_snapshots(file, "made"), "made")
    reading = damon_rates.Reading(blocks=3, phases=1)
    data = damon_rates.to_workload(targets, "made", reading, "made")
    targets[0].close()
    (phase,) = data["processes"][0]["actors"][0]["phases"]
    mean = np.mean(hits, axis=0) / 20
    if not mean.any():
        assert "access" not in phase
        return
    (access,) = phase["access"]
    weights = np.array(access["weights"])
    rate = weights / weights.sum() * access["visits"] * 1000 / 64
    seen = -np.expm1(-rate * 5e-3)
    most = 1 - 0.5 / (20 * len(hits))
    assert seen == pytest.approx(np.minimum(mean, most), abs=2e-3)


TEXT = st.lists(
    st.sampled_from([
        b" L 1000,8\n", b"I  1000,3\n", b"==9== x\n", b"p 1 1.0: page-faults: 5000\n",
        b"p 1 0.5: 1 mem-loads: 99 2 |OP L\n", b"time,obj_id,obj_size\n", b"[", b"{}", b"]\n",
        b"1,2,4096\n", b"\0",
        b"k 1 [0] 1.1: damon:damon_aggregated: target_id=0 nr_regions=1 0-4096: 3 0\n",
        b'[{"target_id":0,"snapshots":[]}]', b"\xff\xfe", b"9" * 400 + b"\n", b"\n", b"-1,-1,-1\n",
    ]), max_size=8,
).map(b"".join)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | TEXT, st.sampled_from([None, *FORMATS]))
@example(b"[" * 100_000, "damo")
@example(zlib.compress(b"[]"), None)
@example(b'[{"target_id":0,"snapshots":[{"start_time":0,"end_time":1,"regions":[]}]}]', None)
@example(b"\0" * 240, "oracle")
def test_whatever_it_is_it_is_taken_or_refused(data, kind):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "trace"
        source.write_bytes(data)
        try:
            import_trace(source, Path(folder) / "made", kind)
        except ConfigError as error:
            assert error.problems
            assert error.source
