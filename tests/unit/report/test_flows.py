"""Promotion and demotion, mirrored."""

import pytest

from numasim.report.flows import migration_rate
from tests.unit.report.made import made


def _words(fig):
    return " | ".join(t.get_text() for axes in fig.axes for t in axes.texts)


def test_up_and_down_are_mirrored_and_named():
    fig = migration_rate(made())
    panel = next(axes for axes in fig.axes if "⇄" in axes.get_title(loc="left"))
    low, high = panel.get_ylim()
    assert low == -high
    assert high > (1 << 27) / 5
    words = _words(fig)
    assert "▲ promotion to dram0: 2.5 GiB by kdamond.1" in words
    assert "▼ demotion to cxl0: 2.5 GiB by kdamond.0" in words


def test_failures_have_their_own_panel():
    fig = migration_rate(made())
    assert any("Could not be migrated" in axes.get_title(loc="left") for axes in fig.axes)
    assert "256 MiB by kdamond.1" in _words(fig)


def test_failures_without_moves():
    result = made()
    result.tables["moves"] = result.moves.iloc[:0]
    titles = [axes.get_title(loc="left") for axes in migration_rate(result).axes]
    assert len([t for t in titles if t]) == 1


def test_moves_without_failures():
    result = made()
    result.tables["failed_moves"] = result.failed_moves.iloc[:0]
    titles = [axes.get_title(loc="left") for axes in migration_rate(result).axes]
    assert [t for t in titles if t] == ["cxl0 ⇄ dram0"]


def test_every_pair_of_nodes_has_a_panel():
    result = made("two_socket_four_node")
    result.moves.loc[result.moves.index[::2], ["source", "target"]] = ["cxl2", "dram2"]
    titles = [axes.get_title(loc="left") for axes in migration_rate(result).axes]
    assert {"cxl1 ⇄ dram1", "cxl2 ⇄ dram2"} <= set(titles)


@pytest.mark.parametrize("policy", ["no_tiering"])
def test_nothing_moved_is_said(policy):
    texts = [t.get_text() for t in migration_rate(made(policy=policy)).texts]
    assert "Nothing was migrated in this run." in texts
