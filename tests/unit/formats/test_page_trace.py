"""Recordings as workloads, and writing them."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.errors import ConfigError
from numasim.formats import page_trace
from numasim.workload import Workload
from tests import recordings


def test_a_recording_becomes_a_workload():
    plain = page_trace.to_workload(recordings.TINY, copies=2, slower=3.0, idle_bytes=10_000)
    work = Workload.from_dict(plain)
    assert [p.name for p in work.processes] == ["made up", "made up1"]
    for process, begin in zip(work.processes, (0.0, 75.0), strict=True):
        assert [m.size for m in process.mappings] == [48 * 4096, 3 * 4096]
        (actor,) = process.actors
        (pattern,) = actor.phases[0].access
        assert actor.phases[0].compute == 6_000_000
        assert (pattern.begin, pattern.threads, pattern.loop) == (begin, (), True)


def test_threads_go_to_accessors():
    plain = page_trace.to_workload(
        recordings.TINY, accessors={"CPU": [1], "GPU": [2]}, stretch=512, page_bytes=2 << 20
    )
    (process,) = Workload.from_dict(plain).processes
    assert [a.on for a in process.actors] == ["CPU", "GPU"]
    assert [a.phases[0].access[0].threads for a in process.actors] == [(1,), (2,)]
    assert process.mappings[0].size == 48 * 512 * (2 << 20)


def test_what_makes_no_sense_is_refused_at_once(tmp_path):
    page_trace.write(tmp_path / "made", recordings.columns(), intervals=150, pages=48)
    with pytest.raises(ConfigError) as caught:
        page_trace.to_workload(tmp_path / "made", copies=0, slower=-1.0, stretch=0)
    places = [p.place for p in caught.value.problems]
    assert places == ["copies", "slower", "stretch", "est_seconds_per_interval"]


def test_writing_refuses_what_the_format_cannot_hold(tmp_path):
    made = recordings.columns()
    made["loads"][3] = 1 << 32
    made["page"] = made["page"][:-1]
    with pytest.raises(ConfigError) as caught:
        page_trace.write(tmp_path / "made", made, intervals=150, pages=48)
    assert [p.place for p in caught.value.problems] == ["page", "loads"]
    with pytest.raises(ConfigError, match="touches: is missing"):
        del made["touches"]
        page_trace.write(tmp_path / "made", made, intervals=150, pages=48)
    assert not list(tmp_path.iterdir())


def test_packed_and_plain_hold_the_same(tmp_path):
    sizes = []
    for packed in (True, False):
        path = recordings.write(tmp_path / f"made{packed}", packed)
        sizes.append(path.with_suffix(".npz").stat().st_size)
        tape = page_trace.open_tape(path)
        assert (tape.columns["touches"] == recordings.columns()["touches"]).all()
        assert tape.columns["touches"].dtype == np.uint32
    assert sizes[0] < sizes[1]
