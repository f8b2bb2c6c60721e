"""Traces of other tools: what each line becomes, which format a file is in, what is refused."""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from numasim.errors import ConfigError
from numasim.formats import page_trace
from numasim.formats.traces import (
    Playing,
    Reading,
    Wanted,
    import_trace,
    recognised,
)
from numasim.formats.traces.caches import Cache
from numasim.formats.traces.perf_script import from_memory
from numasim.loader import load_workload
from numasim.running import run

SAMPLES = Path(__file__).parents[2] / "data" / "samples" / "traces"
KINDS = {
    "lackey_gups.txt": "lackey", "lackey_banner.txt": "lackey", "perf_page_faults.txt": "perf",
    "perf_mem_gups.txt": "perf", "perf_mem.txt": "perf", "libcachesim_pages.csv": "csv",
    "libcachesim_pages.oracleGeneral.bin": "oracle", "tiny.damon.data": "damo",
    "two_node.damon.data": "damo", "tiny.damon.perf.txt": "damon",
}  # fmt: skip


def made(tmp_path: Path, text: str | bytes, kind: str | None = None, **wanted):
    """A trace imported; its columns, and what was made."""
    source = tmp_path / "trace.txt"
    source.write_bytes(text.encode() if isinstance(text, str) else text)
    found = import_trace(source, tmp_path / "made", kind, Wanted(**wanted))
    tapes = [page_trace.open_tape(path) for path in found.recordings]
    return tapes, found


def refused(tmp_path: Path, text: str | bytes, kind: str | None = None, **wanted) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        made(tmp_path, text, kind, **wanted)
    assert caught.value.source.endswith("trace.txt")
    return caught.value


def sums(tape) -> dict[str, int]:
    names = ("loads", "stores", "writebacks", "touches")
    return {name: int(tape.columns[name].sum()) for name in names}


@pytest.mark.parametrize("name", KINDS)
def test_every_sample_is_recognised_imported_and_run(name, tmp_path):
    with (SAMPLES / name).open("rb") as file:
        assert recognised(file.read(1 << 16), (SAMPLES / name).stat().st_size) == KINDS[name]
    found = import_trace(SAMPLES / name, tmp_path / "mine")
    work = load_workload(str(found.workload))
    assert len(work.processes) >= 1
    result = run("dram_cxl", str(found.workload), duration="20 ms", record="10 ms")
    assert (result.phases.operations > 0).all()


# -- perf ------------------------------------------------------------------------------------------

FAULT = "  prog 7/{tid} [001] 10.{us:06d}: 1 page-faults: {addr:16x} sym {ip:16x} main\n"


def test_faults_are_touches_of_threads_in_intervals(tmp_path):
    text = "".join(
        FAULT.format(tid=tid, us=us, addr=addr, ip=0x401136)
        for tid, us, addr in (
            (7, 0, 0x1000),
            (8, 400, 0x5000),
            (7, 1200, 0x1008),
            (7, 1300, 0x1010),
        )
    )
    (tape,), found = made(tmp_path, text)
    assert tape.columns["page"].tolist() == [0, 1, 0]
    assert tape.columns["thread"].tolist() == [1, 2, 1]
    assert tape.columns["touches"].tolist() == [1, 1, 2]
    assert tape.bounds.tolist() == [0, 2, 3]
    assert sums(tape) == {"loads": 0, "stores": 0, "writebacks": 0, "touches": 4}
    assert "only the first ones" in found.remarks[0]
    assert tape.header.interval_ns == pytest.approx(1e6) and tape.header.program == "prog"


@pytest.mark.parametrize(
    ("word", "missed", "store"),
    [
        (0x10268100142, False, False),  # L1 hit
        (0x11A68101042, True, False),  # local RAM
        (0x13A68100042, True, False),  # remote RAM
        (0x10205080144, False, True),  # L1 hit of a store
        (0x68101042, True, False),  # without a level's number
        (0x4, None, True),
        (0x9 << 33 | 2, True, False),  # CXL
        (0xC << 33 | 2, False, False),  # a line-fill buffer
    ],
)
def test_data_sources_say_what_came_from_memory(word, missed, store):
    assert from_memory(word) == (missed, store)


def test_samples_stand_for_their_period_and_only_those_from_memory_are_traffic(tmp_path):
    text = (
        "a b 1/1 1.000001: 100 cpu/mem-loads,ldlat=30/P: 1040 11a68101042 |OP LOAD|LVL X|N/A 9\n"
        "a b 1/1 1.000002: 100 cpu/mem-loads,ldlat=30/P: 2040 10268100142 |OP LOAD|LVL X|N/A 9\n"
        "a b 1/1 1.000003: 70000 cpu/mem-stores/P: 2040 4 |OP STORE|LVL N/A|N/A 9\n"
        "a b 1/1 1.000004: 10 mem_load_retired.l3_miss:Pu: 2040 \n"
        "a b 1/1 1.000005: 10 mem-stores:  ffff888000001000 \n"
    )
    (tape,), found = made(tmp_path, text)
    assert sums(tape) == {"loads": 110, "stores": 0, "writebacks": 0, "touches": 70210}
    assert tape.header.program == "a b"
    assert any("1 accesses do not say" in r for r in found.remarks)
    assert any("1 samples of kernel addresses" in r for r in found.remarks)


def test_processes_get_recordings_of_their_own_and_can_be_chosen(tmp_path):
    text = "".join(
        f"p{pid} {pid}/{pid} 1.00000{i}: page-faults: {0x1000 * i:x}\n"
        for i, pid in enumerate((3, 4, 3, 5), start=1)
    )
    tapes, found = made(tmp_path, text)
    assert [p.name for p in found.recordings] == [f"made-p{n}-{n}.json" for n in (3, 4, 5)]
    assert [t.header.pages for t in tapes] == [2, 1, 1]
    assert [p.name for p in load_workload(str(found.workload)).processes] == ["p3", "p4", "p5"]
    tapes, found = made(tmp_path, text, pids=[3])
    assert [p.name for p in found.recordings] == ["made.json"] and tapes[0].header.pages == 2
    error = refused(tmp_path, text, pids=[9])
    assert "--pid: no process 9 in it; known: 3 (p3), 4 (p4), 5 (p5)" in str(error)


def test_samples_without_addresses_are_refused_with_what_would_record_them(tmp_path):
    with pytest.raises(ConfigError) as caught:
        import_trace(SAMPLES / "perf_cpu_clock.txt", tmp_path / "made")
    assert "60 samples and no data address" in str(caught.value)
    assert "perf record -e page-faults -c 1 -d" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_call_chains_and_comments_are_passed_over(tmp_path):
    text = "# header\nprog 7 [0] 1.5: page-faults: 5000 \n\t  7f12 main+0x1 (a.out)\n\n"
    text += "prog 7 1.6: page-faults: 6000\n"
    (tape,), _ = made(tmp_path, text)
    assert tape.header.pages == 2 and tape.header.intervals == 101


def test_every_wrong_line_is_named(tmp_path):
    text = (
        "prog 7 2.000000: page-faults: 5000\n"
        "prog 7 1.000000: page-faults: 5000\n"
        "\x1b[31mnonsense\n"
        "prog 7 2.000001: 99999999999999999999 mem-loads: 5000\n"
        "prog 7 999999999999.0: page-faults: 5000\n"
    )
    error = refused(tmp_path, text, "perf")
    places = [p.place for p in error.problems]
    assert places == ["line 2", "line 3", "line 4", "line 5"]
    assert "it goes back 1.000000000 s" in str(error) and "\x1b" not in str(error)
    text = "prog 7 1.0: page-faults: 5000\nprog 7 90000.0: page-faults: 5000\n"
    error = refused(tmp_path, text)
    assert "is interval 89999000, expected fewer than 4194304; give --interval" in str(error)


# -- lackey ----------------------------------------------------------------------------------------


def test_lackey_has_touches_and_with_a_cache_traffic(tmp_path):
    text = "==9== Command: /bin/gups 1\nI  04000000,3\n L 1000,8\n S 103c,8\n M 2000,4\n"
    text += "I  04000003,3\n L 1000,8\n"
    (tape,), found = made(tmp_path, text, every=1)
    assert sums(tape) == {"loads": 0, "stores": 0, "writebacks": 0, "touches": 6}
    assert tape.header.program == "gups" and tape.header.intervals == 2
    assert any("--cache" in r for r in found.remarks)
    (tape,), found = made(tmp_path, text, every=1, cache_bytes=16 * 64)
    assert sums(tape) == {"loads": 2, "stores": 1, "writebacks": 0, "touches": 6}


def test_the_cache_is_least_recently_used_and_writes_back():
    cache, twin = Cache(4 * 2 * 64, 2), [[] for _ in range(4)]
    rng = np.random.Generator(np.random.PCG64DXSM(3))
    for line, write in zip(rng.integers(0, 24, 4000).tolist(), rng.random(4000) < 0.3, strict=True):
        held = twin[line % 4]
        hit = [entry for entry in held if entry[0] == line]
        dirty = bool(write) or (bool(hit) and hit[0][1])
        if hit:
            held.remove(hit[0])
        held.append((line, dirty))
        evicted = held.pop(0) if len(held) > 2 else None
        want = evicted[0] if evicted is not None and evicted[1] else None
        assert cache.touch(line, bool(write)) == (not hit, want)
    with pytest.raises(ConfigError, match="--cache: got 1000 B, expected a multiple of 1024"):
        Cache(1000)


def test_wrong_lines_of_lackey_are_named(tmp_path):
    text = " L 1000,8\n X 1000,8\n L 1000,0\n L zz,8\n L 1000\n"
    error = refused(tmp_path, text)
    assert [p.place for p in error.problems] == [f"line {n}" for n in (2, 3, 4, 5)]


# -- libCacheSim -----------------------------------------------------------------------------------


def test_both_forms_of_libcachesim_say_the_same(tmp_path):
    both = [
        import_trace(
            SAMPLES / f"libcachesim_pages.{end}", tmp_path / end[:3], wanted=Wanted(every=50)
        )
        for end in ("csv", "oracleGeneral.bin")
    ]
    tapes = [page_trace.open_tape(one.recordings[0]) for one in both]
    assert (tapes[0].bounds == tapes[1].bounds).all() and tapes[0].header.intervals == 20
    fills = [t.columns["loads"].astype(int) + t.columns["stores"] for t in tapes]
    assert (fills[0] == fills[1]).all() and fills[0].sum() == 1000
    assert (tapes[0].columns["page"] == tapes[1].columns["page"]).all()


def test_objects_are_packed_side_by_side_in_the_order_of_first_requests(tmp_path):
    text = "0,9,3000,get\n0,5,3000,set\n1,9,3000,get\n2,7,64,delete\n"
    (tape,), found = made(tmp_path, text, every=10)
    assert tape.columns["page"].tolist() == [0, 1]  # 9 on page 0; 5 at 3000, on both
    assert tape.columns["loads"].tolist() == [94, 0] and tape.columns["stores"].tolist() == [18, 30]
    assert "all lines of its object" in found.remarks[0]
    error = refused(tmp_path, text, objects="pages")
    assert "--objects packed" in str(error) and len(error.problems) == 3


def test_the_clock_of_libcachesim_is_taken_when_an_interval_is_given(tmp_path):
    text = "time,obj_id,obj_size,op\n10,1,4096,get\n11.5,2,4096,get\n13,1,4096,get\n"
    (tape,), _ = made(tmp_path, text, interval_ns=10**9)
    assert np.diff(tape.bounds).tolist() == [1, 1, 0, 1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("time,obj_id,bytes\n1,2,3\n", "has no column obj_size or object_size or size"),
        ("1,2,4096\n1,-2,4096\n1\n1,2,0\n1,99999999999999999999,4096", "line 2"),
        ("5,2,4096\n4,2,4096\n", "line 2: got 4.000000000 s, expected no earlier than 5"),
    ],
)
def test_wrong_csv_is_refused(tmp_path, text, complaint):
    error = refused(tmp_path, text, "csv", interval_ns=10**9)
    assert complaint in str(error)


def test_wrong_records_are_refused(tmp_path):
    whole = (SAMPLES / "libcachesim_pages.oracleGeneral.bin").read_bytes()
    assert "ends amid a record: 7 of 24 bytes" in str(refused(tmp_path, whole[:2407]))
    spoilt = bytearray(whole[:2400])
    spoilt[24 * 50 + 16 : 24 * 50 + 24] = (-7).to_bytes(8, "little", signed=True)
    spoilt[24 * 60 + 12 : 24 * 60 + 16] = bytes(4)
    error = refused(tmp_path, bytes(spoilt), "oracle")
    assert {p.place for p in error.problems} == {"record 50", "record 60"}


# -- DAMON -----------------------------------------------------------------------------------------


def snapshot(at_ms: int, hits: list[int], size: int = 1 << 20) -> dict:
    return {
        "start_time": str((at_ms - 100) * 10**6), "end_time": str(at_ms * 10**6),
        "regions": [
            {"start": str(i * size), "end": str((i + 1) * size),
             "nr_accesses": {"samples": n, "percent": None},
             "age": {"usec": None, "aggr_intervals": 0}}
            for i, n in enumerate(hits)
        ],
    }  # fmt: skip


def record(hits: list[list[int]], **more) -> bytes:
    intervals = {"sample_us": 5000, "aggr_us": "100,000", "ops_update_us": 1000000}
    snapshots = [snapshot(100 * (i + 1), one) for i, one in enumerate(hits)]
    return json.dumps(
        [{"target_id": 0, "intervals": intervals, "snapshots": snapshots, **more}]
    ).encode()


def test_access_counts_become_rates_and_changes_become_phases(tmp_path):
    hits = [[20, 10, 0, 0]] * 30 + [[0, 0, 4, 0]] * 10
    _, found = made(tmp_path, zlib.compress(record(hits)), reading=Reading(blocks=4))
    (process,) = load_workload(str(found.workload)).processes
    (actor,) = process.actors
    assert [round(p.duration / 1e6) for p in actor.phases] == [3000, 1000] and actor.repeat
    first, second = (phase.access[0] for phase in actor.phases)
    pages, taken = 256, 20 * 30
    want = [-np.log(0.5 / taken) / 5e-3 * pages, -np.log(0.5) / 5e-3 * pages, 0, 0]
    assert np.array(first.weights) * first.visits / sum(first.weights) * 1000 == pytest.approx(
        want, rel=1e-3
    )
    want = [0, 0, -np.log(1 - 4 / 20) / 5e-3 * pages, 0]
    assert np.array(second.weights) / sum(second.weights) * second.visits * 1000 == pytest.approx(
        want, rel=1e-3
    )


def test_text_and_json_of_one_recording_are_the_same_workload(tmp_path):
    found = [
        import_trace(
            SAMPLES / name, tmp_path / kind, wanted=Wanted(reading=Reading(sample_ns=5_000_000))
        )
        for name, kind in (("tiny.damon.data", "a"), ("tiny.damon.perf.txt", "b"))
    ]
    works = [load_workload(str(one.workload)) for one in found]
    for a, b in zip(*(w.processes[0].actors[0].phases for w in works), strict=True):
        assert a.duration == b.duration and a.access[0].weights == b.access[0].weights
        assert a.access[0].visits == pytest.approx(b.access[0].visits)


def test_tuned_intervals_are_taken_as_each_snapshot_has_them(tmp_path):
    one = json.loads(record([[10, 0]] * 4))
    for row in one[0]["snapshots"]:
        row["sample_interval_us"] = "50000"
    _, found = made(tmp_path, json.dumps(one), reading=Reading(blocks=2))
    access = load_workload(str(found.workload)).processes[0].actors[0].phases[0].access[0]
    assert access.visits * 1000 == pytest.approx(-np.log(0.5) / 50e-3 * 256, rel=1e-3)


def test_wrong_records_of_damo_are_all_named(tmp_path):
    one = json.loads(record([[1, 2]] * 4))
    rows = one[0]["snapshots"]
    rows[0]["regions"][0]["end"] = "0"
    rows[1]["end_time"] = "yesterday"
    rows[2]["regions"][1]["nr_accesses"] = None
    rows[3]["regions"][0]["nr_accesses"]["samples"] = 21
    error = refused(tmp_path, json.dumps(one))
    assert [p.place for p in error.problems] == [
        "[0].snapshots[0]", "[0].snapshots[1]", "[0].snapshots[2].regions[1]", "[0].snapshots[3]",
    ]  # fmt: skip
    whole = zlib.compress(record([[1]]))
    assert "ends amid its compressed data" in str(refused(tmp_path, whole[:-9]))
    assert "is no JSON" in str(refused(tmp_path, b'[{"target_id": 0, "snap'))
    rows = json.loads(record([[1]] * 3))
    rows[0]["snapshots"].reverse()
    error = refused(tmp_path, json.dumps(rows))
    assert "got 200000000 ns, expected no earlier than 300000000 ns" in str(error)


def test_wrong_text_of_damon_is_named(tmp_path):
    line = "kdamond.0 4 [0] {t}: damon:damon_aggregated: target_id=0 nr_regions=2 {a}-{b}: {n} 0\n"
    rows = [line.format(t="1.1", a=0, b=4096, n=3), line.format(t="1.1", a=4096, b=8192, n=0)]
    error = refused(tmp_path, rows[0] + rows[0].replace("1.1", "1.2") + "junk\n" + rows[1], "damon")
    text = str(error)
    assert "line 1: announces 2 regions, 1 follow" in text and 'line 3: got "junk"' in text
    error = refused(tmp_path, "".join(rows), "damon")
    assert "give --sample and --aggr" in str(error)


# -- all -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is empty"),
        (b"PERFILE2\0\0\0", "is perf's binary file; print it: perf script"),
        (b"\x28\xb5\x2f\xfd\0", "is compressed by zstd; unpack it"),
        (b"hello\n", "is in no format that is known; --format can be perf, lackey"),
        (bytes(range(256)) * 9, "is in no format that is known"),
    ],
)
def test_files_in_no_format_are_refused(tmp_path, data, complaint):
    assert complaint in str(refused(tmp_path, data))


def test_another_format_than_said_is_suggested(tmp_path):
    error = refused(tmp_path, " L 1000,8\n", "perf")
    assert "is not perf; it looks like lackey; try --format lackey" in str(error)


def test_lines_without_end_are_refused(tmp_path):
    error = refused(tmp_path, b" L 1000,8\n" + b"x" * 100_000)
    assert "line 2: has more than 65536 characters" in str(error)


@pytest.mark.parametrize("kind", ["perf", "damon", "lackey", "csv"])
@pytest.mark.parametrize(
    "line",
    [b"a" + b" " * 60_000 + b"x", b"a 1 1.0: page-faults: 5000" + b" " * 60_000 + b"x",
     b"k 1 1.0: damon:damon_aggregated: " + b"1 " * 30_000, b"1," * 30_000, b"a:" * 30_000],
    ids=["blanks", "blanks behind", "numbers", "commas", "colons"],
)  # fmt: skip
def test_long_lines_take_no_time(kind, line, tmp_path):
    """No pattern goes back and forth over a line; a minute each if one did."""
    began = time.process_time()
    try:
        made(tmp_path, line + b"\n", kind)
    except ConfigError as error:
        assert all(len(str(p)) < 400 for p in error.problems)
    assert time.process_time() - began < 2


def test_a_recording_is_played_with_other_times_and_threads(tmp_path):
    (tape,), found = made(
        tmp_path, "".join(FAULT.format(tid=t, us=t, addr=4096 * t, ip=9) for t in (7, 8))
    )
    playing = Playing(
        copies=2, slower=3.0, stretch=4, accessors={"CPU": (1,), "GPU": (2,)}, loop=False
    )
    again = import_trace(found.recordings[0], tmp_path / "again", wanted=Wanted(playing=playing))
    work = load_workload(str(again.workload))
    assert len(work.processes) == 2 and again.kind == "page"
    first, second = work.processes[0].actors
    assert (first.on, second.on) == ("CPU", "GPU")
    assert second.phases[0].access[0].threads == (2,) and not second.phases[0].access[0].loop
    assert work.processes[0].mappings[0].size == tape.header.pages * 4 * 4096
    assert first.phases[0].compute == 3_000_000


def test_recordings_are_found_beside_their_workload(tmp_path, monkeypatch):
    made(tmp_path, " L 1000,8\n")
    monkeypatch.chdir("/")
    assert "file: made.json" in (tmp_path / "made.yaml").read_text()
    work = load_workload(str(tmp_path / "made.yaml"))
    assert work.processes[0].actors[0].phases[0].access[0].file == str(tmp_path / "made.json")


def test_counts_beyond_the_narrow_types_take_wider_ones(tmp_path):
    text = "".join(f"p 1 1.{us:06d}: 100000 l3_miss: 1040  55  \n" for us in range(3))
    (tape,), _ = made(tmp_path, text.replace("  55  ", "    0000000000000055 x"))
    assert tape.columns["loads"].tolist() == [300_000] and tape.columns["loads"].dtype == np.uint32
