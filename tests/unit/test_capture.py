"""Recording a kernel, as far as that goes without one: what it prints, a made-up /proc and /sys."""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.capture import __main__ as capture
from benchmarks.capture import texts, touch
from benchmarks.capture.system import DAMON, EVENTS, System
from benchmarks.capture.tracing import INSTANCE
from numasim.validate import recording

# -- what the kernel prints ------------------------------------------------------------------------

AGGREGATED = "damon_aggregated: target_id=0 nr_regions={nr} {start}-{end}: {hits} {age}"


def line(event: str, t: float = 12.345678, kd: str = "kdamond.0", pid: int = 137) -> str:
    return f"       {kd}-{pid}     [001] .....    {t:.6f}: {event}"


def region(nr: int, first: int, last: int, hits: int = 3, age: int = 7) -> str:
    return AGGREGATED.format(nr=nr, start=first * 4096, end=last * 4096, hits=hits, age=age)


def test_a_line_of_the_trace():
    found = texts.trace_line(line(region(2, 10, 15)))
    assert (found.kd, found.pid, found.t, found.event) == (
        "kdamond.0", 137, 12.345678, "damon_aggregated",
    )  # fmt: skip
    assert found.fields == {"target_id": 0, "nr_regions": 2}
    assert found.region == [10, 5, 3, 7]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# tracer: nop",
        "CPU:1 [LOST 25 EVENTS]",
        "kdamond.0-137 [001] no time: x: y",
    ],
)
def test_lines_that_tell_nothing_are_none(text):
    assert texts.trace_line(text) is None


@pytest.mark.parametrize(
    "head",
    ["  kdamond.1-138 ( 138) [000] d..1.  9.000001: ", "kdamond.1   138 [000]  9.000001: damon:"],
)
def test_lines_with_thread_groups_of_perf_script_and_without_age(head):
    text = head + "damon_aggregated: "
    found = texts.trace_line(text + "target_id=1 nr_regions=1 0-8192: 4")
    assert found.region == [0, 2, 4, 0] and found.fields["target_id"] == 1
    assert (found.kd, found.pid) == ("kdamond.1", 138)


def test_regions_become_snapshots():
    lines = [
        line(region(2, 0, 4), 10.0), line(region(2, 4, 9), 10.00001),
        line(region(1, 7, 8), 10.5, "kdamond.1", 140),
        line(region(2, 0, 5), 11.0), line(region(2, 5, 9), 11.00001),
    ]  # fmt: skip
    found = texts.sort_events(lines, 9.0)
    assert [(s["kd"], s["t"], s["i"], s["nr"]) for s in found.snapshots] == [
        ("kdamond.0", 1.0, 0, 2), ("kdamond.1", 1.5, 0, 1), ("kdamond.0", 2.0, 1, 2),
    ]  # fmt: skip
    assert found.snapshots[2]["r"] == [[0, 5, 3, 7], [5, 4, 3, 7]]
    assert not found.incomplete


def test_snapshots_with_lost_regions_are_left_out_but_counted():
    lines = [
        line(region(3, 0, 4), 10.0), line(region(3, 4, 6), 10.0),  # the third is lost
        line(region(2, 0, 4), 11.0), line(region(2, 4, 9), 11.0),
        line(region(2, 0, 4), 12.0),
    ]  # fmt: skip
    found = texts.sort_events(lines, 0.0)
    assert [(s["t"], s["i"]) for s in found.snapshots] == [(11.0, 1)]
    assert found.incomplete == 2


def test_other_events():
    stat = "damos_stat_after_apply_interval: ctx_idx=0 scheme_idx=1 nr_tried=4 sz_tried=8192"
    quota = "damos_esz: ctx_idx=0 scheme_idx=1 esz={}"
    apply = "damos_before_apply: ctx_idx=0 scheme_idx=1 target_idx=0 nr_regions=9 0-8192: 2 4"
    found = texts.sort_events(
        [
            line("damon_monitor_intervals_tune: sample_us=10000", 1.0),
            line(quota.format(5), 2.0), line(quota.format(5), 3.0), line(quota.format(6), 4.0),
            line(apply, 5.0), line(apply.replace("0-8192", "8192-16384"), 5.1), line(stat, 5.2),
            line(apply, 6.0),
        ],
        1.0,
    )  # fmt: skip
    assert [(e["t"], e["ev"]) for e in found.events] == [
        (0.0, "damon_monitor_intervals_tune"), (1.0, "damos_esz"), (3.0, "damos_esz"),
        (4.2, "damos_stat_after_apply_interval"),
    ]  # fmt: skip
    assert found.events[0]["sample_us"] == 10000 and found.events[3]["sz_tried"] == 8192
    assert [(a["t"], a["scheme"], a["r"]) for a in found.applied] == [
        (4.0, 1, [[0, 2, 2, 4], [2, 2, 2, 4]]), (5.0, 1, [[0, 2, 2, 4]]),
    ]  # fmt: skip


ZONEINFO = """Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 0
  pages free     3840
        boost    0
        min      8
        low      10
        high     12
        spanned  4095
        present  3998
        managed  3840
        protection: (0, 1881, 1881, 1881)
  pagesets
    cpu: 0
              count:    0
              high:     5
              batch:    1
  start_pfn:           1
"""


def test_zones_without_the_lists_of_cpus():
    assert texts.zone_lines(ZONEINFO) == [
        "Node 0, zone      DMA", "min      8", "low      10", "high     12", "spanned  4095",
        "present  3998", "managed  3840", "start_pfn:           1",
    ]  # fmt: skip


def test_ram_meminfo_counters_and_numa_maps():
    iomem = "00000000-00000fff : Reserved\n00001000-0009ffff : System RAM\n  00002000-3 : Kernel\n"
    assert texts.ram_lines(iomem) == ["00001000-0009ffff : System RAM"]
    text = "Node 0 MemFree:    12 kB\nNode 0 Active(anon):  5 kB\nNode 0 HugePages_Free: 3\n"
    assert texts.node_meminfo(text) == {"MemFree": 12, "Active(anon)": 5, "HugePages_Free": 3}
    assert texts.counters("numa_hit 5\nnonsense\nnuma_miss 6\n") == {"numa_hit": 5, "numa_miss": 6}
    maps = (
        "7f0000000000 default anon=5 dirty=5 N0=3 N1=2 kernelpagesize_kB=4\n"
        "7f0000400000 default anon=1 N1=1 kernelpagesize_kB=2048\n"
        "7f1000000000 default anon=9 N0=9 kernelpagesize_kB=4\n"
    )
    assert texts.numa_pages(maps, 0x7F0000000000, 0x7F0000800000) == {0: 3, 1: 2 + 512}


def entries(*frames: int) -> bytes:
    return b"".join(struct.pack("<Q", f | texts.PRESENT if f >= 0 else 0) for f in frames)


def test_page_maps_are_runs_or_counts_of_blocks(monkeypatch):
    data = entries(10, 11, 12, -1, -1, 600, 11)
    assert list(texts.page_runs(data)) == [[0, 10, 3], [3, -1, 2], [5, 600, 1], [6, 11, 1]]
    assert texts.page_map(0, "hot", data)["runs_vpage_pfn_n"][0] == [0, 10, 3]
    monkeypatch.setattr(texts, "MOST_RUNS", 2)
    assert texts.page_map(1, "hot", data) == {
        "wl": 1, "region": "hot", "pages_per_512pfn_block": [[0, 4], [1, 1]],
    }  # fmt: skip


# -- a machine that will not do --------------------------------------------------------------------


def test_a_machine_without_damon_is_refused_with_every_reason(tmp_path):
    reasons = System(tmp_path).refusals(1000)
    assert [r.split(":")[0].split(";")[0] for r in reasons] == [
        "not root", "no /sys/kernel/mm/damon/admin/kdamonds", "no trace events",
        "no /sys/devices/system/node",
    ]  # fmt: skip
    (tmp_path / "sys/kernel/tracing/events").mkdir(parents=True)
    assert any("no trace event damon:damon_aggregated" in r for r in System(tmp_path).refusals(0))


def test_the_command_refuses_before_it_does_anything(tmp_path):
    config, out = tmp_path / "touch.cfg", tmp_path / "run"
    config.write_text(CONFIG)
    with pytest.raises(SystemExit) as caught:
        capture.main(["--out", str(out), "--workload", str(config), "--root", str(tmp_path)])
    assert "this machine cannot be recorded" in str(caught.value.code)
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments", [[], ["--workload", "nowhere.cfg"], ["--command", "x", "--at", "soon damo stop"]]
)
def test_options_that_make_no_sense(arguments, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        capture.parse(["--out", str(tmp_path), *arguments])
    assert caught.value.code == 2 and "error" in capsys.readouterr().err


# -- the workload ----------------------------------------------------------------------------------

CONFIG = """seed 3
region hot 1   # a comment
region cold 2
phase 300
acc hot 100 rand
acc cold 10 seq
phase 200
acc cold 50 rand
"""


def test_configurations_of_the_workload():
    config = touch.parse(CONFIG)
    assert config.regions == {"hot": 1, "cold": 2} and config.seed == 3
    assert config.phases == [
        (300, [("hot", 100.0, "rand"), ("cold", 10.0, "seq")]), (200, [("cold", 50.0, "rand")]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("region a 0", "line 1"),
        ("region a 1\nregion a 1", "line 2"),
        ("region a 1\nacc a 1 rand", "comes before the first phase"),
        ("region a 1\nphase 5\nacc b 1 rand", "no region b"),
        ("region a 1\nphase 5\nacc a 1 zigzag", "is not understood"),
        ("region a 1\nphase 5", "expected at least one region"),
        ("", "expected at least one region"),
    ],
)
def test_configurations_that_are_wrong(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        touch.parse(text)


def test_the_workload_touches_what_it_counts(tmp_path):
    config, truth = tmp_path / "touch.cfg", tmp_path / "truth.csv"
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "benchmarks.capture.touch", str(config), str(truth)]
    done = subprocess.run(command, input="go\n", capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert [r["name"] for r in told["regions"]] == ["hot", "cold"]
    assert [r["pages"] for r in told["regions"]] == [256, 512]
    table = recording._truths(truth)[0]
    assert table.phase.tolist() == sorted(table.phase) and set(table.phase) == {0, 1}
    # what was not lost is what was asked for, to a quantum and a fraction of an access a row
    quanta = 300 - table.late_us[table.phase == 0].sum() / 1000
    assert table.acc0[table.phase == 0].sum() == pytest.approx(25.6 * quanta, abs=30)
    assert table.acc1[table.phase == 1].sum() == 0


# -- a whole recording on a made-up machine --------------------------------------------------------


def made_up_machine(root: Path) -> None:
    """As much of /proc and /sys as is read, of two nodes and a kdamond with a scheme."""

    def put(name: str, text: str) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    for n, cpus in enumerate(("0-1", "")):
        node = f"sys/devices/system/node/node{n}"
        sizes = "".join(
            f"Node {n} {key}: {kb} kB\n"
            for key, kb in (("MemTotal", 2048), ("MemFree", 1024), ("MemUsed", 1024), ("Slab", 7))
        )
        put(f"{node}/meminfo", sizes)
        put(f"{node}/numastat", "numa_hit 5\nnuma_miss 0\n")
        put(f"{node}/cpulist", cpus + "\n")
        put(f"{node}/distance", "10 20\n" if n == 0 else "20 10\n")
        put(f"{node}/access0/initiators/read_latency", f"{80 + 170 * n}\n")
        put(f"{node}/access0/initiators/read_bandwidth", "100000\n")
        put(f"{node}/access0/initiators/node0/x", "")
    put("proc/version", "Linux 7.3.4 made up\n")
    put("proc/zoneinfo", ZONEINFO + ZONEINFO.replace("Node 0", "Node 1"))
    put("proc/iomem", "00001000-001fffff : System RAM\n00200000-003fffff : System RAM\n")
    put("proc/vmstat", "pgmigrate_success 12\n")
    put("proc/77/comm", "kdamond.0\n")
    put("proc/77/schedstat", "123456 0 3\n")
    put("proc/sys/vm/min_free_kbytes", "67584\n")
    kdamond = f"{DAMON}/0"
    put(f"{kdamond}/refresh_ms", "0\n")
    context = f"{kdamond}/contexts/0"
    put(f"{context}/monitoring_attrs/intervals/sample_us", "5000\n")
    put(f"{context}/monitoring_attrs/intervals/aggr_us", "100000\n")
    put(f"{context}/schemes/0/stats/sz_tried", "8192\n")
    put(f"{context}/schemes/0/quotas/effective_bytes", "4096\n")
    put(f"{context}/schemes/0/tried_regions/0/start", "1\n")
    for event in EVENTS:
        for base in ("sys/kernel/tracing", f"sys/kernel/tracing/instances/{INSTANCE}"):
            put(f"{base}/events/damon/{event}/enable", "0")
    instance = f"sys/kernel/tracing/instances/{INSTANCE}"
    put(f"{instance}/trace_pipe", "")
    put(f"{instance}/per_cpu/cpu0/stats", "entries: 0\noverrun: 0\ncommit overrun: 0\n")


EMIT = """
import sys, time
now = time.monotonic()
with open(sys.argv[1], "a") as pipe:
    for k in range(5):
        for first in (0, 4):
            event = f"target_id=0 nr_regions=2 {first * 4096}-{(first + 4) * 4096}: {k} 1"
            t = f"{now + k / 10:.6f}"
            pipe.write(f"  kdamond.0-77  [001] .....  {t}: damon_aggregated: {event}\\n")
    quota = "damos_esz: ctx_idx=0 scheme_idx=0 esz=4096"
    pipe.write(f"  kdamond.0-77  [000] .....  {now:.6f}: {quota}\\n")
"""


@pytest.fixture
def recorded(tmp_path, monkeypatch) -> Path:
    """The folder of a run of a second on the made-up machine."""
    root, out = tmp_path / "root", tmp_path / "E1" / "r1"
    made_up_machine(root)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (tmp_path / "touch.cfg").write_text(CONFIG)
    (tmp_path / "emit.py").write_text(EMIT)
    pipe = root / "sys/kernel/tracing/instances" / INSTANCE / "trace_pipe"
    capture.main(
        [
            "--root", str(root), "--out", str(out), "--workload", str(tmp_path / "touch.cfg"),
            "--seconds", "0.8", "--every", "0.2",
            "--before", "/proc/sys/vm/min_free_kbytes=4096",
            "--ready", f"{sys.executable} {tmp_path / 'emit.py'} {pipe}",
            "--at", "0.3 echo {pid}", "--end", "false",
        ]
    )  # fmt: skip
    return out


def test_a_recording_can_be_read_by_numasim(recorded, capsys):
    found = recording.read(recorded)
    assert found.name == "E1/r1" and found.setup.kernel == "Linux 7.3.4 made up"
    assert [(z.node, z.name, z.managed, z.min) for z in found.setup.zones] == [
        (0, "DMA", 3840, 8), (1, "DMA", 3840, 8),
    ]  # fmt: skip
    assert found.setup.distances == ((10, 20), (20, 10))
    assert found.setup.latency_ns == {(0, 0): 80.0, (0, 1): 250.0}
    assert found.setup.free_bytes == (1 << 20, 1 << 20)
    (program,) = found.setup.programs
    assert [r.name for r in program.regions] == ["hot", "cold"]
    assert [len(phase) for phase in program.phases] == [2, 1]
    (kdamond,) = found.kdamonds
    assert [s.index for s in kdamond.snapshots] == [0, 1, 2, 3, 4]
    assert kdamond.snapshots[3].regions.tolist() == [[0, 4, 3, 1], [4, 4, 3, 1]]
    assert [esz for _, esz in kdamond.esz[0]] == [4096]
    assert -1 < kdamond.snapshots[0].t_s < 0, "emitted before the workload went"
    write, failed = found.setup.commands[0], found.setup.commands[-1]
    assert (write.text, write.value) == ("/proc/sys/vm/min_free_kbytes", 4096)
    assert failed.text == "false"
    spoken = next(c for c in found.setup.commands if c.text.startswith("echo"))
    assert spoken.text == f"echo {program.pid}" and 0.3 <= spoken.start_s < 0.6
    assert found.truth[0].index[-1] == pytest.approx(0.5, abs=0.01)


def test_the_timeline_has_what_was_counted(recorded):
    table = recording._table(recorded / "timeline.csv")
    assert table.index[0] < 0 < table.index[-1]
    last = table.iloc[-1]
    assert last["n0.MemFree_kB"] == 1024 and last["n1.numa_hit"] == 5
    assert last["vm.pgmigrate_success"] == 12 and last["cpu_ns.kdamond.0:77"] == 123456
    assert (last["kd0.sample_us"], last["kd0.s0.sz_tried"], last["kd0.s0.esz"]) == (
        5000, 8192, 4096,
    )  # fmt: skip
    assert "n0.numa_miss" not in table, "columns that stay 0 are left out"


def test_statistics_are_refreshed_and_events_switched_off_again(recorded):
    root = recorded.parents[1] / "root"
    assert (root / DAMON / "0/refresh_ms").read_text() == "1000"
    instance = root / "sys/kernel/tracing/instances" / INSTANCE
    assert (instance / "trace_clock").read_text() == "mono"
    for event in EVENTS:
        assert (instance / "events/damon" / event / "enable").read_text() == "0"
    settings = (recorded / "damon_sysfs_end.txt").read_text()
    assert "kdamonds/0/contexts/0/schemes/0/stats/sz_tried:8192\n" in settings
    assert "tried_regions" not in settings
    assert not (recorded / "trace.txt").exists()
    assert gzip.decompress((recorded / "snapshots.jsonl.gz").read_bytes()).count(b"\n") == 5


def test_the_example_configuration_is_one():
    path = Path(capture.__file__).with_name("tiering.cfg")
    config = touch.parse(path.read_text())
    assert sum(ms for ms, _ in config.phases) == 180_000
