"""Sampling intervals, regions and monitoring error."""

import numpy as np
import pytest

from numasim.report.kdamonds import intervals, monitoring_error, where
from tests.unit.report.made import made


def _panels(fig):
    return [axes for axes in fig.axes if axes.get_title(loc="left")]


def _words(fig):
    return [t.get_text() for axes in fig.axes for t in axes.texts]


def test_intervals_regions_and_cpu():
    panels = _panels(intervals(made()))
    assert [axes.get_yscale() for axes in panels] == ["log", "log", "linear"]
    lines = [line for line in panels[0].lines if len(line.get_xdata()) > 2]
    assert [line.get_ydata()[0] for line in lines] == [5e6, 1e7]
    cpu = [line for line in panels[2].lines if len(line.get_xdata()) > 2]
    assert np.nanmax(cpu[0].get_ydata()) == pytest.approx(0.02)


def test_lines_are_labelled_with_what_they_do_and_where():
    words = _words(intervals(made()))
    assert "kdamond.0\nmigrate_cold on dram0" in words
    assert "kdamond.1\nmigrate_hot on cxl0" in words


def test_where_kdamonds_look():
    assert where(made("two_socket_four_node"))["kdamond.1"] == "kdamond.1\nmigrate_hot on cxl1"
    assert where(made(policy="no_tiering")) == {}


def test_error_panels_show_perfection():
    panels = _panels(monitoring_error(made()))
    assert ["F1" in panels[0].get_title(loc="left"), len(panels)] == [True, 2]
    assert panels[0].get_ylim()[1] > 1
    assert panels[1].get_ylim()[0] < 0


def test_unknown_errors_are_gaps():
    result = made()
    result.monitoring.loc[:, "f1"] = np.nan
    assert len(_panels(monitoring_error(result))) == 2


@pytest.mark.parametrize("draw", [intervals, monitoring_error])
def test_without_damon_it_is_said(draw):
    texts = " ".join(t.get_text() for t in draw(made(policy="no_tiering")).texts)
    assert "No kdamond" in texts or "no monitoring error" in texts
