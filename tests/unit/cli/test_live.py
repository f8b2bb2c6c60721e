"""The live view: it changes nothing, fits its screen, and is plain text in a pipe."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from numasim.cli import app
from numasim.cli.live import frame, line
from numasim.loader import load_scenario
from numasim.running import run_scenario
from numasim.views.live import Moment, Onlooker

DATA = Path(__file__).parents[2] / "data"
MACHINE, WORKLOAD, POLICY = (
    str(DATA / f"tiny_{part}.yaml") for part in ("machine", "workload", "policy")
)
WORDS = [
    "-t",
    MACHINE,
    "-w",
    WORKLOAD,
    "-p",
    POLICY,
    "-d",
    "4 s",
    "--set",
    "scenario.record=200 ms",
]


@pytest.fixture(scope="module")
def watched() -> tuple[Any, list[Moment]]:
    """A run that was looked at on every row, and what was seen."""
    scenario = load_scenario(
        {"topology": MACHINE, "workload": WORKLOAD, "duration": "4 s", "record": "200 ms"},
        policy=POLICY,
    )
    held: list[Onlooker] = []
    seen: list[Moment] = []
    result = run_scenario(
        scenario, lambda _: seen.append(held[0].look(40)), lambda e: held.append(Onlooker(e))
    )
    return result, seen


def test_looking_changes_nothing(watched: tuple[Any, list[Moment]]) -> None:
    result, _ = watched
    alone = run_scenario(result.scenario())
    for name, table in alone.tables.items():
        pd.testing.assert_frame_equal(table, result.tables[name])


def test_what_is_shown_is_what_is_recorded(watched: tuple[Any, list[Moment]]) -> None:
    result, seen = watched
    at = [m.t_s for m in seen]
    actors = result.actors[result.actors.t_s.isin(at)]
    assert [m.actors[0].ops_per_s for m in seen] == pytest.approx(actors.ops_per_s.tolist())
    nodes = result.nodes[(result.nodes.node == "cxl0") & result.nodes.t_s.isin(at)]
    assert [m.nodes[1].free_bytes for m in seen] == nodes.free_bytes.tolist()
    assert [m.nodes[1].workload_bytes for m in seen] == nodes.workload_bytes.tolist()
    last, rows = seen[-1], result.schemes[result.schemes.t_s == at[-1]]
    schemes = [s for k in last.kdamonds for s in k.schemes]
    assert [s.applied_bytes for s in schemes] == rows.sz_applied.tolist()
    assert [s.quota_bytes for s in schemes] == rows.esz.tolist()
    moved = sum((m.promoted_bytes_per_s + m.demoted_bytes_per_s) * 0.2 for m in seen)
    assert moved == pytest.approx(result.moves.bytes[result.moves.t_s <= at[-1]].sum())


def test_heat_is_that_of_the_last_snapshot(watched: tuple[Any, list[Moment]]) -> None:
    _, seen = watched
    hot = seen[-1].kdamonds[1]
    assert (hot.start, hot.end) == ((4 << 30) + (64 << 20), (4 << 30) + (320 << 20))
    assert len(hot.heat) == 40 and 0 < hot.heat.max() <= 1
    assert hot.heat[20:].max() == 0


@pytest.mark.parametrize("width", [55, 80, 100])
def test_a_frame_fits_its_screen(watched: tuple[Any, list[Moment]], width: int) -> None:
    out = io.StringIO()
    Console(file=out, width=width).print(frame(watched[1][-1], "a run", width))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    text = out.getvalue()
    assert "\x1b" not in text and text.isascii(), "no line is cut"
    for word in ("time", "app/workers", "dram0", "migration", "kdamond.1", "migrate_hot", "goal"):
        assert any(row.lstrip().startswith(word) for row in lines), word
    assert " in all" in text and "quota" in text and "exceeded" in text and " free" in text


def test_a_moment_is_a_line_too(watched: tuple[Any, list[Moment]]) -> None:
    text = line(watched[1][-1])
    assert "app/workers" in text and "cxl0" in text and "\n" not in text
    kdamond = watched[1][-1].kdamonds[1]
    assert f"{kdamond.name} {kdamond.sample_us / 1000:g}ms/" in text or "s/" in text
    assert text.count("quota ") == 2 and "migrate_hot quota " in text


def test_in_a_pipe_it_is_plain_lines_beside_the_output() -> None:
    found = CliRunner().invoke(app, ["run", *WORDS, "--live", "--json", "-"])
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("{") and found.stdout.rstrip().endswith("}")
    lines = found.stderr.splitlines()
    assert lines[0].startswith("running tiny_machine, tiny_workload, tiny_policy")
    assert 15 <= len(lines) <= 21 and "\x1b" not in found.stderr


def test_on_a_terminal_it_draws() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "numasim", "run", *WORDS, "--live", "--json", os.devnull]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=theirs, env=environment
    ) as child:
        os.close(theirs)
        text = b""
        while piece := _read(ours):
            text += piece
        assert child.wait() == 0
    os.close(ours)
    assert b"\x1b[" in text and b"migrate_hot" in text and b"of 4 s" in text


def _read(end: int) -> bytes:
    try:
        return os.read(end, 65536)
    except OSError:  # Linux says so when the other end is closed
        return b""
