"""The heat map: its panels, limits and words."""

import numpy as np
import pytest

from numasim.report.heatmap import heatmap
from tests.unit.report.made import GIB, made


def _heat(fig):
    return [axes for axes in fig.axes if axes.images]


def _words(fig):
    found = [t for axes in fig.axes for t in (axes.title, axes._left_title, *axes.texts)]
    found += [axes.yaxis.label for axes in fig.axes]
    return [t.get_text() for t in (*found, *fig.texts)]


def test_truth_beside_view_for_every_node():
    panels = _heat(heatmap(made()))
    assert len(panels) == 4
    assert len({axes.images[0].norm.vmax for axes in panels}) == 1
    tops = [axes.get_ylim()[1] / GIB for axes in panels]
    assert tops == [16, 64, 16, 64]  # truth of both nodes, then what was seen of both
    assert all(axes.get_xlim() == (0, 300) for axes in panels)


def test_axes_have_titles_and_units():
    fig = heatmap(made())
    words = _words(fig)
    assert any("16 GiB DRAM" in w for w in words)
    assert any("a sample every 5 ms" in w for w in words)
    assert any("accesses to a page per second" in w for w in words)
    assert "frames of the node" in words


def test_migration_is_drawn_beneath():
    fig = heatmap(made())
    assert _words(fig).count("▲ migrated here") == 2
    assert _words(fig).count("■ tried by DAMOS") == 2


def test_without_damon_only_the_truth():
    fig = heatmap(made(policy="no_tiering"))
    assert len(_heat(fig)) == 2
    assert not any("DAMON saw" in w for w in _words(fig))


def test_a_node_used_in_part_is_shown_in_part():
    result = made()
    truth = result.truth
    truth.loc[(truth.node == "cxl0") & (truth.bin >= 4), "visits_per_s"] = 0.0
    snapshots = result.snapshots
    result.tables["snapshots"] = snapshots.assign(
        nr_accesses=np.where(snapshots.kdamond == "kdamond.1", 0, snapshots.nr_accesses)
    )
    fig = heatmap(result)
    assert _heat(fig)[1].get_ylim()[1] < 16 * GIB
    assert any("the rest is idle" in w for w in _words(fig))


def test_a_node_never_accessed_is_named_instead_of_drawn():
    result = made()
    result.truth.loc[result.truth.node == "cxl0", "visits_per_s"] = 0.0
    own = result.snapshots.kdamond == "kdamond.1"
    result.snapshots.loc[own, "nr_accesses"] = 0
    fig = heatmap(result)
    assert len(_heat(fig)) == 2
    assert any("never accessed: cxl0" in w for w in _words(fig))


def test_nothing_recorded_is_said():
    result = made(policy="no_tiering")
    result.tables["truth"] = result.truth.iloc[:0]
    assert any("No access" in w for w in _words(heatmap(result)))


def test_unmonitored_time_is_grey_and_named():
    result = made()
    table = result.snapshots
    result.tables["snapshots"] = table[table.t_s > 150].reset_index(drop=True)
    assert _words(heatmap(result)).count("not\nmonitored") == 2


@pytest.mark.parametrize("topology", ["two_socket_four_node", "gh200"])
def test_machines_of_any_size(topology):
    result = made(topology)
    assert len(_heat(heatmap(result))) == 2 * result.truth.node.nunique()
