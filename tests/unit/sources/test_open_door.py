"""The open door: what components may report, and for how long it is kept."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.damon.reports import Reports
from numasim.errors import ConfigError
from numasim.monitors import observing_of
from numasim.sources.report import register_reporter, reporters
from tests import eyes, worlds

S = 1_000_000_000


def test_nothing_is_kept_that_nobody_will_read():
    made = eyes.running(eyes.workload([eyes.actor("one", "cpu0")], worlds.mapping("m", "2 MiB")))
    eyes.context(made, "page_table")
    observing = observing_of(made)
    observing.report_access(S + 1, 0)
    assert not observing.door.lots, "there is no reader"
    eyes.context(made, "report", name="a")
    eyes.context(made, "pebs", name="b")
    observing.report_access(S + 2, 0)
    observing.forget("a")
    assert len(observing.door.lots) == 1, "the other may read it"
    observing.forget("b")
    assert not observing.door.lots, "the last reader has gone"


@pytest.mark.parametrize(
    "place, wrong",
    [
        ("page", {"page": -1}),
        ("page", {"page": 10**9}),
        ("page", {"page": 1.5}),
        ("page", {"page": [0, 512]}),
        ("page", {"page": 2**70}),
        ("page", {"page": np.uint64(2**64 - 1)}),
        ("time_ns", {"time_ns": np.nan}),
        ("time_ns", {"time_ns": -5}),
        ("time_ns", {"time_ns": 1e9}),
        ("cpu", {"cpu": "0"}),
        ("tid", {"tid": -2}),
        ("is_write", {"is_write": 2}),
        ("expected one length", {"page": [0, 1], "cpu": [0, 1, 2]}),
        ("expected one length", {"page": [[0, 1]]}),
    ],
)
def test_what_is_no_access_is_refused_at_the_door(place, wrong):
    made = eyes.running(eyes.workload([eyes.actor("one", "cpu0")], worlds.mapping("m", "2 MiB")))
    eyes.context(made, "report")
    with pytest.raises(ConfigError, match=place):
        made.observing.report_access(**{"time_ns": S, "page": 0, **wrong})
    assert not made.observing.door.lots


def test_all_mistakes_of_a_report_are_told_at_once():
    made = eyes.running(eyes.workload([eyes.actor("one", "cpu0")], worlds.mapping("m", "2 MiB")))
    eyes.context(made, "report")
    with pytest.raises(ConfigError) as caught:
        made.observing.report_access(np.nan, [0, -1], tid=0.5)
    told = str(caught.value)
    assert "page: got -1, expected 0..511" in told and "time_ns" in told and "tid" in told


def test_a_component_that_reports_pages_that_are_not_there_is_refused():
    @register_reporter("blind")
    class Blind:
        """Reports a page of nobody."""

        def __init__(self, observing, rng): ...

        def report(self, grid_ns):
            return Reports.of(grid_ns[1:], np.full(len(grid_ns) - 1, -1))

    try:
        made = eyes.running(
            eyes.workload([eyes.actor("one", "cpu0")], worlds.mapping("m", "2 MiB"))
        )
        seen = eyes.context(made, "report", reporters=["blind"])
        with pytest.raises(ConfigError, match=r'(?s)reporter "blind".*page: got -1'):
            eyes.ask(seen, [0], [4096], 7)
    finally:
        del reporters._known["blind"]
