"""numasim import trace: what it writes, what it warns of, and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from numasim.cli import app
from numasim.cli.importing_trace import FORMATS as NAMED
from numasim.formats.traces import FORMATS
from numasim.loader import load_workload

SAMPLES = Path(__file__).parents[2] / "data" / "samples" / "traces"


def numasim(*words: str, code: int = 0, stdin: bytes = b"") -> Any:
    result = CliRunner().invoke(app, list(words), input=stdin, env={"COLUMNS": "80"})
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


def test_a_trace_is_imported_shown_and_run(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    found = numasim("import", "trace", str(SAMPLES / "perf_mem_gups.txt"), "-o", str(out))
    assert found.stdout == f"wrote {out}.yaml\nwrote {out}.json\n"
    assert "gups" in numasim("show", "workload", f"{out}.yaml").stdout
    words = ["run", "-t", "dram_cxl", "-w", f"{out}.yaml", "-d", "50 ms"]
    assert "throughput" in numasim(*words).stdout


def test_it_reads_stdin_and_warns_of_what_a_trace_cannot_tell(tmp_path: Path) -> None:
    data = (SAMPLES / "lackey_gups.txt").read_bytes()
    found = numasim("import", "trace", "-", "-o", str(tmp_path / "x.yaml"), stdin=data)
    assert "lackey sees no cache" in found.stderr and "is a guess (--interval)" in found.stderr
    words = ["--cache", "1 MiB", "--interval", "1 ms", "--every", "100"]
    found = numasim("import", "trace", "-", "-o", str(tmp_path / "x"), *words, stdin=data)
    assert found.stderr == ""


def test_options_reach_the_workload(tmp_path: Path) -> None:
    out = tmp_path / "x"
    words = ["--copies", "2", "--slower", "4", "--stretch", "3", "--interval", "10 ms", "--once"]
    words += ["--start", "3 s"]
    numasim("import", "trace", str(SAMPLES / "libcachesim_pages.csv"), "-o", str(out), *words)
    work = load_workload(f"{out}.yaml")
    assert [p.start for p in work.processes] == [3_000_000_000] * 2
    phase = work.processes[1].actors[0].phases[0]
    assert phase.compute == 40_000_000 and not phase.access[0].loop
    words = ["--blocks", "4", "--phases", "2", "--lines", "2.5", "--miss", "0.5", "--write", "0.1"]
    numasim("import", "trace", str(SAMPLES / "tiny.damon.data"), "-o", str(out), *words)
    phases = load_workload(f"{out}.yaml").processes[0].actors[0].phases
    assert len(phases) <= 2
    access = phases[0].access[0]
    assert (access.lines, access.miss, access.write, len(access.weights)) == (2.5, 0.5, 0.1, 4)


def test_threads_go_to_accessors(tmp_path: Path) -> None:
    trace = "".join(f"p 7/{tid} 1.00000{tid}: page-faults: {tid}000\n" for tid in (7, 8, 9))
    words = ["import", "trace", "-", "-o", str(tmp_path / "x"), "--on", "CPU=1", "--on"]
    found = numasim(*words, "GPU=2,5", code=2, stdin=trace.encode())
    assert "no thread 5, the recording has 1, 2, 3" in found.stderr
    assert not (tmp_path / "x.yaml").exists()
    numasim(*words, "GPU=2,3", stdin=trace.encode())
    actors = load_workload(str(tmp_path / "x.yaml")).processes[0].actors
    assert [(a.on, a.phases[0].access[0].threads) for a in actors] == [
        ("CPU", (1,)),
        ("GPU", (2, 3)),
    ]


def test_every_mistake_of_the_options_is_named(tmp_path: Path) -> None:
    words = ["import", "trace", "x", "-o", str(tmp_path / "x"), "--interval", "1", "--miss", "2"]
    words += [
        "--copies",
        "0",
        "--format",
        "lacky",
        "--on",
        "CPU",
        "--objects",
        "page",
        "--every",
        "0",
    ]
    found = numasim(*words, code=2)
    for part in (
        '--interval: got "1"', "--miss: got 2", "--copies: got 0", "--every: got 0",
        '--format: got "lacky"; did you mean "lackey"?', '--on: got "CPU"', "--objects",
    ):  # fmt: skip
        assert part in found.stderr, found.stderr
    assert not list(tmp_path.iterdir())


def test_formats_are_named_once() -> None:
    assert NAMED == FORMATS


@pytest.mark.parametrize("command", [["import", "trace"], ["fit"]])
def test_every_command_gives_an_example(command: list[str]) -> None:
    assert "Example: num" in numasim(*command, "--help").output
