"""Records that damo opens: what they hold, and what the real damo reports of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from numasim import run
from numasim.cli import app
from numasim.errors import ConfigError
from numasim.formats import damo_export, damo_record
from numasim.result import Result
from numasim.views import access

DATA = Path(__file__).parents[2] / "data"
TINY = (str(DATA / "tiny_machine.yaml"), str(DATA / "tiny_workload.yaml"))
FIXED = (
    "damo start --numa_node 0 --numa_node 1 --monitoring_intervals 5ms 100ms 1s "
    "--monitoring_intervals 5ms 100ms 1s "
    "--damos_action migrate_cold 1 --damos_action migrate_hot 0 "
    "--damos_access_rate 0% 0% --damos_access_rate 20% max --nr_ctxs 1 1 --nr_targets 1 1 "
    "--nr_schemes 1 1"
)  # fmt: skip


@pytest.fixture(scope="module")
def fixed() -> Result:
    """Two kdamonds with fixed intervals, every snapshot kept."""
    return run(*TINY, FIXED, duration="6 s", snapshots="all", record="100 ms")


@pytest.fixture(scope="module")
def tuned() -> Result:
    """Intervals tuned on the way."""
    policy = str(DATA / "tiny_policy.yaml")
    return run(*TINY, policy, duration="6 s", snapshots="all", record="100 ms")


def reread(path: Path) -> Any:
    return json.loads(zlib.decompress(path.read_bytes()))


def test_a_record_holds_every_snapshot_of_every_target(fixed: Result, tmp_path: Path) -> None:
    files = damo_export.write(fixed, tmp_path / "x.data")
    assert [f.name for f in files] == [
        "x.data", "x.data.kdamonds", "x.data.mem_footprint", "x.data.vmas", "x.data.schemes"
    ]  # fmt: skip
    records = reread(files[0])
    assert [(r["kdamond_idx"], r["target_id"]) for r in records] == [(0, 0), (1, 1)]
    rows = fixed.snapshots
    assert sum(len(s["regions"]) for r in records for s in r["snapshots"]) == len(rows)
    for record in records:
        own = rows[rows.kdamond == f"kdamond.{record['kdamond_idx']}"]
        ends = [int(s["end_time"]) for s in record["snapshots"]]
        assert ends == [round(t * 1e9) for t in own.seen_s.unique()]
        assert [int(s["start_time"]) for s in record["snapshots"]][1:] == ends[:-1]
        first = record["snapshots"][7]["regions"]
        seen = own[own.seen_s == own.seen_s.unique()[7]]
        assert [int(r["start"]) for r in first] == seen.start.tolist()
        assert [r["nr_accesses"]["samples"] for r in first] == seen.nr_accesses.tolist()
        assert [int(r["age"]["aggr_intervals"]) for r in first] == seen.age.tolist()
        assert all(s["total_bytes"] in (str(64 << 20), str(256 << 20)) for s in record["snapshots"])


def test_a_snapshot_carries_the_interval_it_was_seen_with(tuned: Result) -> None:
    for one in damo_record.watched(tuned):
        assert len({seen.sample_us for seen in one.snapshots}) > 2
        for before, seen in zip(one.snapshots, one.snapshots[1:], strict=False):
            # 20 samples, each late by up to a jiffy of 4 ms
            took_us = (seen.end_ns - before.end_ns) / 1000
            assert 20 * seen.sample_us <= took_us <= 25 * seen.sample_us


def test_statistics_are_those_of_the_run(fixed: Result) -> None:
    tree = damo_export.kdamonds(fixed)
    assert [k["state"] for k in tree] == ["on", "on"]
    stats = tree[1]["contexts"][0]["schemes"][0]["stats"]
    assert list(stats) == [*damo_record.STATS, "max_nr_snapshots"]
    last = fixed.schemes[fixed.schemes.kdamond == "kdamond.1"].iloc[-1]
    assert stats["sz_applied"] == last.sz_applied > 0


FILTERED = FIXED.replace("--nr_ctxs", "--damos_filter allow young --damos_nr_filters 0 1 --nr_ctxs")


def test_what_schemes_acted_upon_is_a_record_of_each(tmp_path: Path) -> None:
    result = run(*TINY, FILTERED, duration="4 s", snapshots="all", record="100 ms")
    records = reread(damo_export.write(result, tmp_path / "x.data")[-1])
    who = [(r["kdamond_idx"], r["scheme_idx"], r["target_id"]) for r in records]
    assert who == [(0, 0, 0), (1, 0, 1)]
    assert [len(r["scheme_filters"]) for r in records] == [0, 1]
    assert records[1]["scheme_filters"][0]["filter_type"] == "young"
    for record in records:
        name = f"kdamond.{record['kdamond_idx']}"
        last = result.applies[result.applies.kdamond == name].iloc[-1]
        snapshots = record["snapshots"]
        told = [s["damos_stats"] for s in snapshots]
        assert list(told[-1]) == [*damo_record.STATS, "max_nr_snapshots"]
        assert {k: told[-1][k] for k in damo_record.STATS} == {
            k: int(last[k]) for k in damo_record.STATS
        }
        # sums over regions are what the scheme counted between one application and the next
        for key, of in (("sz_tried", "end"), ("sz_ops_filter_passed", "sz_filter_passed")):
            counted = [t[key] - b[key] for b, t in pairwise([dict.fromkeys(told[0], 0), *told])]
            sums = [
                sum(int(r[of]) - (int(r["start"]) if of == "end" else 0) for r in s["regions"])
                for s in snapshots
            ]
            assert sums == counted and sum(sums) > 0
        assert sum(len(s["regions"]) for s in snapshots) == last.nr_tried
        for s in snapshots:
            starts = [int(r["start"]) for r in s["regions"]]
            assert starts == sorted(starts) and int(s["start_time"]) < int(s["end_time"])


def test_a_scheme_that_acted_on_nothing_has_no_record(tmp_path: Path) -> None:
    """damo makes no heatmap of a record without a region."""
    idle = FIXED.replace("20% max", "20% max --damos_age 0s max --damos_age 100s max")
    result = run(*TINY, idle, duration="3 s", snapshots="all")
    records = reread(damo_export.write(result, tmp_path / "x.data")[-1])
    assert [r["kdamond_idx"] for r in records] == [0]


def test_a_run_that_kept_a_sample_has_no_record_of_schemes(tmp_path: Path) -> None:
    result = run(*TINY, FIXED, duration="2 s")
    (tmp_path / "x.schemes").write_text("of an earlier export")
    names = [path.name for path in damo_export.write(result, tmp_path / "x")]
    assert "x.schemes" not in names and not (tmp_path / "x.schemes").exists()


def test_footprints_are_pages_and_kibibytes(fixed: Result) -> None:
    found = damo_export.footprints(fixed)
    process, system = found[-1]["footprints"]
    assert process["pid"] == 1000
    assert (
        process["footprint"]["resident"]
        == fixed.residency[fixed.residency.t_s == fixed.residency.t_s.max()].bytes.sum() // 4096
    )
    assert system["footprint"]["total"] == 320 << 10
    assert found[0]["footprints"][0]["pid"] is None, "nothing runs in the first second"


def test_a_run_without_kdamonds_has_nothing_to_export(tmp_path: Path) -> None:
    result = run(*TINY, "no_tiering", duration="2 s")
    with pytest.raises(ConfigError, match="no monitoring snapshots"):
        damo_export.write(result, tmp_path / "x")
    folder = result.save(tmp_path / "run")
    found = CliRunner().invoke(app, ["export", "damo", str(folder), "-o", str(tmp_path / "x")])
    assert found.exit_code == 2 and "no monitoring snapshots" in found.stderr


def test_the_text_of_perf_script(fixed: Result, tmp_path: Path) -> None:
    (path,) = damo_export.write_perf_script(fixed, tmp_path / "x.txt")
    lines = path.read_text().splitlines()
    assert len(lines) == len(fixed.snapshots)
    form = (
        r"kdamond\.\d  \d+ \[000\] \d+\.\d{6}: damon:damon_aggregated: target_id=[01] "
        r"nr_regions=\d+ \d+-\d+: \d+ \d+"
    )
    assert all(re.fullmatch(form, line) for line in lines)


def test_the_text_tells_tuned_intervals(tuned: Result, tmp_path: Path) -> None:
    (path,) = damo_export.write_perf_script(tuned, tmp_path / "x.txt")
    told = re.findall(r"damon_monitor_intervals_tune: sample_us=(\d+)\n", path.read_text())
    assert [int(us) for us in told] == tuned.tunings.sample_us.tolist()


def test_export_says_what_damo_leaves_out(tmp_path: Path) -> None:
    folder = run(*TINY, FIXED, duration="2 s").save(tmp_path / "run")
    found = CliRunner().invoke(app, ["export", "damo", str(folder), "-o", str(tmp_path / "x")])
    assert "wss and nr_regions leave out the first 20" in found.stderr
    assert "--per_target --all_wss --exclude_samples 0" in found.stderr
    assert "x.schemes); --set scenario.snapshots=all" in found.stderr.replace("\n", " ")


def test_export_says_that_no_scheme_acted(tmp_path: Path) -> None:
    ages = "20% max --damos_age 100s max --damos_age 100s max"
    idle = FIXED.replace("20% max", ages)
    folder = run(*TINY, idle, duration="3 s", snapshots="all").save(tmp_path / "run")
    found = CliRunner().invoke(app, ["export", "damo", str(folder), "-o", str(tmp_path / "x")])
    assert found.exit_code == 0 and not (tmp_path / "x.schemes").exists()
    told = f"no scheme acted on anything, so there is no {tmp_path / 'x.schemes'}"
    assert found.stderr == f"warning: {told}\n"


def test_export_of_every_snapshot_warns_of_nothing(tmp_path: Path) -> None:
    plain = "damo start --numa_node 0 --monitoring_intervals 5ms 100ms 1s"
    folder = run(*TINY, plain, duration="3 s", snapshots="all").save(tmp_path / "run")
    found = CliRunner().invoke(app, ["export", "damo", str(folder), "-o", str(tmp_path / "x")])
    assert found.exit_code == 0 and found.stderr == ""


# -- the real damo -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def damo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an installed damo, in an environment of its own."""
    if shutil.which("file") is None:
        pytest.skip("damo needs the program `file`")
    home = tmp_path_factory.mktemp("damo")
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, capture_output=True)
    install = [str(home / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "damo"]
    if subprocess.run(install, capture_output=True, timeout=300).returncode:
        pytest.skip("damo cannot be installed here")
    return home / "bin" / "damo"


def report(damo: Path, *words: str) -> str:
    done = subprocess.run([str(damo), "report", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_real_damo_opens_a_record(damo: Path, fixed: Result, tmp_path: Path) -> None:
    path = str(damo_export.write(fixed, tmp_path / "x.data")[0])
    assert "access" in report(damo, "access", "--input", path)
    heatmap = ["heatmap", "--input", path, "--output", "stdout", "--resol", "8", "60"]
    assert "# x-axis: space" in report(damo, *heatmap, "--kdamond_idx", "1")
    assert "# target_id" in report(damo, "wss", "--input", path)
    assert "# target_id" in report(damo, "nr_regions", "--input", path)
    assert "# (seconds)" in report(
        damo, "times", "--inputs", path, "x", "--access_rate", "50%", "100%"
    )
    assert "# <percentile> <rss>" in report(
        damo, "footprints", "rss", "--input", f"{path}.mem_footprint"
    )
    assert "kdamond_idx: 1" in report(damo, "record_info", "--input", path)
    assert "addr" in report(damo, "attrs", "--input", path), "it reads the kdamonds beside"
    schemes = f"{path}.schemes"
    assert "scheme 0" in report(damo, "access", "--input", schemes, "--snapshot_idx", "30", "31")
    assert "scheme_idx: 0" in report(damo, "record_info", "--input", schemes)
    assert "# target_id" in report(damo, "wss", "--input", schemes)


SEVERAL = (
    "damo start --numa_node 0 --numa_node 1 --monitoring_intervals 5ms 100ms 1s "
    "--monitoring_intervals 5ms 100ms 1s --damos_action stat --damos_action migrate_cold 1 "
    "--damos_action stat --damos_action migrate_hot 0 --damos_access_rate 0% max "
    "--damos_access_rate 0% 0% --damos_access_rate 5% max --damos_access_rate 20% max "
    "--damos_filter reject young --damos_filter allow young --damos_nr_filters 0 1 0 1 "
    "--nr_ctxs 1 1 --nr_targets 1 1 --nr_schemes 2 2"
)
VADDR = (
    "damo start --ops vaddr --target_pid 1000 --monitoring_intervals 5ms 100ms 1s "
    "--damos_action stat --damos_access_rate 5% max"
)


@pytest.mark.slow
@pytest.mark.parametrize(("command", "nr"), [(SEVERAL, 4), (VADDR, 1)])
def test_every_report_of_the_real_damo(damo: Path, command: str, nr: int, tmp_path: Path) -> None:
    late = ["policy.start='1 s'"]  # when the process is there
    result = run(*TINY, command, duration="6 s", snapshots="all", record="100 ms", set=late)
    path = str(damo_export.write(result, tmp_path / "x.data")[0])
    acted = {r["scheme_idx"] for r in reread(Path(f"{path}.schemes"))}
    assert len(reread(Path(f"{path}.schemes"))) == nr and acted == set(range(max(1, nr // 2)))
    for file in (path, f"{path}.schemes"):
        for kind in ("access", "wss", "nr_regions"):
            assert report(damo, kind, "--input", file)
        heatmap = ["--output", "stdout", "--resol", "4", "40"]
        assert "# x-axis: space" in report(damo, "heatmap", "--input", file, *heatmap)
        assert "# (seconds)" in report(damo, "times", "--inputs", file, "x")
    text = report(damo, "footprints", "rss", "--input", f"{path}.mem_footprint")
    assert "# <percentile> <rss>" in text


@pytest.mark.slow
def test_the_real_damo_finds_our_working_set(damo: Path, fixed: Result, tmp_path: Path) -> None:
    path = str(damo_export.write(fixed, tmp_path / "x.data")[0])
    options = ["--all_wss", "--per_target", "--raw_number"]
    text = report(damo, "wss", "--input", path, *options, "--exclude_samples", "0")
    theirs: dict[int, list[int]] = {}
    for line in text.splitlines():
        if match := re.match(r"# target_id\s+(\d+)", line):
            theirs[int(match[1])] = own = []
        elif match := re.fullmatch(r"\s*\d+\s+(\d+)\s*", line):
            own.append(int(match[1]))
    ours = fixed.working_set().groupby("kdamond").bytes.apply(lambda b: sorted(b.tolist()))
    assert max(ours["kdamond.1"]) > 0
    assert [sorted(theirs[0]), sorted(theirs[1])] == [ours["kdamond.0"], ours["kdamond.1"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("style", "column"),
    [("recency-percentiles", "idle_us"), ("temperature-percentiles", "temperature")],
)
def test_our_views_say_what_the_real_damo_says(
    damo: Path, fixed: Result, tmp_path: Path, style: str, column: str
) -> None:
    path = str(damo_export.write(fixed, tmp_path / "x.data")[0])
    words = ["--snapshot_idx", "40", "41", "--style", style, "--raw_number"]
    blocks = report(damo, "access", "--input", path, *words).split("snapshot time:")[1:]
    seen = [(one, s) for one in damo_record.watched(fixed) for s in one.snapshots[40:42]]
    assert len(blocks) == len(seen) == 4
    for block, (one, snapshot) in zip(blocks, seen, strict=True):
        ours = access.described(fixed, fixed.scenario(), one, snapshot)
        values, sizes = (ours.regions[name].to_numpy(float) for name in (column, "size"))
        theirs = re.findall(r"^ *(\d+) +(-?\d+) +\|", block, re.MULTILINE)
        assert [(int(p), float(v)) for p, v in theirs] == access.percentiles(values, sizes)
        estimate = float(re.search(r"bw estimate: (\d+)", block)[1])  # type: ignore[index]
        assert estimate == pytest.approx(ours.bandwidth_bytes_per_s, rel=1e-6)


@pytest.mark.slow
def test_the_real_damo_opens_tuned_intervals_and_perf_text(
    damo: Path, tuned: Result, tmp_path: Path
) -> None:
    path = str(damo_export.write(tuned, tmp_path / "x.data")[0])
    text = report(damo, "access", "--input", path, "--snapshot_idx", "5", "6")
    rates = {float(rate) for rate in re.findall(r"intervals: sample ([\d.]+) ms", text)}
    assert len(rates) > 1, "each snapshot has its own interval"
    (text_path,) = damo_export.write_perf_script(tuned, tmp_path / "x.txt")
    for kind in ("heatmap", "wss", "record_info"):
        report(damo, kind, "--input", str(text_path))
