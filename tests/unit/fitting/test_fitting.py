"""Recordings of known programs are fitted to what they are; replay and fit look alike to DAMON."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from numasim.cli import app
from numasim.errors import ConfigError
from numasim.fitting import Settings, compare, fitted
from numasim.fitting.seen import CELLS, ROWS, apart, emd, f1, truth
from numasim.formats import page_trace
from numasim.loader import load_workload
from numasim.tape import open_tape
from tests import recordings

INTERVALS, PAGES, SWEPT = 160, 512, 128
RATES = {"warm": 0.3, "cold": 0.02}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A sweep over 128 pages in 16 intervals; 256 warm pages, 128 cold; they change places."""
    rng = np.random.Generator(np.random.PCG64DXSM(2))
    rows = []
    for i in range(INTERVALS):
        at = 8 * i % SWEPT
        rows += [(i, 1, at + k, 64, 0, 0, 64) for k in range(8)]
        rate = np.where(np.arange(SWEPT, PAGES) < 384, RATES["warm"], RATES["cold"])
        rate = rate if i < INTERVALS // 2 else rate[::-1]
        seen = SWEPT + np.flatnonzero(rng.random(PAGES - SWEPT) < -np.expm1(-rate))
        rows += [(i, 1, int(p), 3, 1, 1, 5) for p in seen]
    columns = dict(zip(page_trace.DTYPES, np.array(rows, np.int64).T, strict=True))
    path = tmp_path_factory.mktemp("fit") / "made"
    header = {"program": "made up", "est_seconds_per_interval": 0.01}
    page_trace.write(path, columns, intervals=INTERVALS, pages=PAGES, header=header)
    return path.with_name("made.json")


def test_segments_and_phases_are_those_of_the_program(made):
    model = fitted(open_tape(made))
    assert {0, 128, 256, 384, 512} <= set(model.segments) and len(model.segments) <= 6
    assert model.phases == [0, 80, 160]
    sweep = model.parts[0][0]
    assert sweep.swept and sweep.visits == pytest.approx(8) and sweep.fills == pytest.approx(512)
    for phase, warm in zip(model.parts, ((128, 384), (256, 512)), strict=True):
        for part, (first, last) in zip(phase, pairwise(model.segments), strict=True):
            if not part.swept and last - first >= 64:
                want = RATES["warm" if warm[0] <= first and last <= warm[1] else "cold"]
                assert part.visits / (last - first) == pytest.approx(want, rel=0.15)
                assert not part.rates  # alike, but for chance


def test_the_fit_is_a_workload_with_the_recordings_lines(made, tmp_path):
    tape = open_tape(made)
    model = fitted(tape)
    for stretch in (1, 4):
        plain = model.to_workload("fit", compute="1 ms", stretch=stretch)
        work = load_workload(plain)
        (process,) = work.processes
        assert work.footprint_bytes == PAGES * stretch * 4096
        (actor,) = process.actors
        assert actor.repeat and [p.operations for p in actor.phases] == [80, 80]
        fills = sum(
            a.visits * a.lines * a.miss * p.operations for p in actor.phases for a in p.access
        )
        want = sum(int(tape.columns[name].sum()) for name in ("loads", "stores"))
        assert fills == pytest.approx(want, rel=1e-3)
    starts = process.addresses()
    sizes = [m.size for m in process.mappings]
    assert [b - a for a, b in pairwise(starts)] == sizes[:-1]


def test_pages_of_unlike_rates_are_in_classes(tmp_path):
    rng = np.random.Generator(np.random.PCG64DXSM(4))
    rate = rng.gamma(0.5, 0.4, 1000)
    seen = rng.random((200, 1000)) < -np.expm1(-rate)
    interval, page = np.nonzero(seen)
    ones = np.ones(len(page), np.int64)
    columns = {"interval": interval, "thread": ones, "page": page, "loads": 2 * ones,
               "stores": 0 * ones, "writebacks": 0 * ones, "touches": 5 * ones}  # fmt: skip
    page_trace.write(tmp_path / "x", columns, intervals=200, pages=1000)
    model = fitted(open_tape(tmp_path / "x"))
    assert model.segments == [0, 1000] and model.phases == [0, 200]
    ((part,),) = model.parts
    assert len(part.rates) == 10 and list(part.rates) == sorted(part.rates)
    (access,) = model.to_workload("x", pace="1 /s")["processes"][0]["actors"][0]["phases"][0][
        "access"
    ]
    share = np.array(access["pages"])
    rates = np.array(access["rates"])
    rates *= access["visits"] / 1000 / (share @ rates)
    for span in (1, 4, 16):  # the touched share, which one mean rate would get wrong
        want = want_of(rate, span)
        assert share @ -np.expm1(-rates * span) == pytest.approx(want, abs=0.02)
    assert -np.expm1(-rate.mean() * 4) > want_of(rate, 4) + 0.08


def want_of(rate: np.ndarray, span: float) -> float:
    """Share of the pages that are touched in so many intervals."""
    return float(-np.expm1(-rate * span).mean())


def test_replay_and_fit_look_alike(made):
    settings = Settings(span_s=2, passes=4, seeds=2, stretch=16)
    done = compare(made, settings)
    lines = {line.name: line for line in done.lines}
    assert set(done.views) == {"truth", "replay", "fit"}
    assert done.views["truth"].heat.shape == (ROWS, CELLS)
    far = lines["heatmap from the replay, EMD"]
    assert far.fit < far.noise + 0.06
    assert lines["working set, median"].fit == pytest.approx(
        lines["working set, median"].replay, rel=0.25
    )
    assert lines["hot set against the trace, F1"].fit > 0.6
    assert 0 < lines["local share under tpp_damon"].fit <= 1
    assert json.loads(json.dumps(done.to_json()))["phases"] == 2


def test_another_program_looks_different(made):
    """What is measured can tell: a fit of another recording fails where the right one does not."""
    tape = open_tape(made)
    right = truth(tape, INTERVALS, 0.1, 2)
    heat = right.heat
    assert emd(heat, heat) == 0 and f1(right.hot(0.05), right.hot(0.05)) == 1
    assert emd(heat, heat[:, ::-1]) > 0.05
    assert f1(right.hot(0.01), right.hot(0.01)[:, ::-1]) < 0.9
    assert apart(np.zeros(5), np.ones(3)) == 1


def test_the_truth_is_the_recordings(made):
    tape = open_tape(made)
    view = truth(tape, INTERVALS, 1.0, 4.0)
    warm = slice(CELLS // 4, CELLS // 2)  # pages 128 to 256, warm at first
    assert view.heat[: ROWS // 2, warm].mean() == pytest.approx(-np.expm1(-0.3), rel=0.1)
    assert view.heat[:, : CELLS // 4].mean() == pytest.approx(8 / 128, rel=0.3)


def test_the_command_writes_a_workload_a_picture_and_a_table(made, tmp_path):
    words = [
        "fit",
        str(made),
        "-o",
        str(tmp_path),
        "--span",
        "2 s",
        "--seeds",
        "1",
        "--stretch",
        "8",
    ]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output
    assert " segments, 2 phases" in result.output and "local share" in result.output
    assert (tmp_path / "made_fit.png").stat().st_size > 10_000
    assert load_workload(str(tmp_path / "made_fit.yaml")).processes[0].name == "fitted"


def test_what_makes_no_sense_is_refused(made, tmp_path):
    with pytest.raises(ConfigError) as caught:
        compare(made, Settings(span_s=-1, seeds=0, fast=0))
    assert [p.place for p in caught.value.problems] == ["--span", "--seeds", "--fast"]
    page_trace.write(tmp_path / "x", recordings.columns(), intervals=150, pages=48)
    with pytest.raises(ConfigError, match="est_seconds_per_interval: is missing"):
        compare(tmp_path / "x", Settings())
