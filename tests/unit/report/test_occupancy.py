"""What nodes hold."""

import numpy as np
import pandas as pd
import pytest

from numasim.report.occupancy import occupancy
from tests.unit.report.made import GIB, made


def _words(axes):
    return [t.get_text() for t in axes.texts]


def _panels(fig):
    return [axes for axes in fig.axes if axes.get_title(loc="left")]


def test_one_panel_per_node_with_capacity_and_free():
    panels = _panels(occupancy(made()))
    assert [axes.get_title(loc="left") for axes in panels] == [
        "dram0  (16 GiB DRAM)", "cxl0  (64 GiB CXL)"
    ]  # fmt: skip
    for axes, size in zip(panels, (16, 64), strict=True):
        assert axes.get_ylim()[1] == pytest.approx(size * GIB * 1.12)
        assert {"cold", "hot", "free", f"capacity {size} GiB"} <= set(_words(axes))


def test_layers_add_up_to_what_is_used():
    axes = _panels(occupancy(made()))[0]
    tops = [c.get_paths()[0].vertices[:, 1].max() for c in axes.collections]
    assert max(tops) == pytest.approx(0.6 * 16 * GIB)


def test_memory_of_others_is_a_layer():
    result = made()
    result.nodes.loc[:, "workload_bytes"] //= 2
    assert "held by others" in _words(_panels(occupancy(result))[0])


def test_a_nearly_empty_node_is_magnified():
    result = made()
    own = result.nodes.node == "cxl0"
    result.nodes.loc[own, "free_bytes"] = 63 * GIB
    result.nodes.loc[own, "workload_bytes"] = GIB
    axes = _panels(occupancy(result))[1]
    assert axes.get_ylim()[1] < 4 * GIB
    assert any("far above" in w for w in _words(axes))


def test_many_mappings_become_one():
    result = made()
    more = [result.residency.assign(mapping=f"m{i:02d}", bytes=GIB // 4) for i in range(20)]
    result.tables["residency"] = pd.concat([result.residency, *more], ignore_index=True)
    axes = _panels(occupancy(result))[1]
    assert len(axes.collections) <= 10


def test_an_empty_node_is_all_free():
    result = made()
    result.nodes.loc[:, "free_bytes"] = result.nodes.managed_bytes
    result.nodes.loc[:, "workload_bytes"] = 0
    result.residency.loc[:, "bytes"] = 0
    assert all("free" in _words(axes) for axes in _panels(occupancy(result)))


def test_without_mappings():
    result = made()
    result.tables["residency"] = result.residency.iloc[:0]
    assert len(_panels(occupancy(result))) == 2


def test_without_rows_it_is_said():
    result = made()
    result.tables["nodes"] = result.nodes.iloc[:0]
    assert "No occupancy was recorded in this run." in [
        t.get_text() for t in occupancy(result).texts
    ]


def test_limits_are_finite():
    for axes in occupancy(made(policy="no_tiering")).axes:
        assert np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all()
