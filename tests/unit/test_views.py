"""Views of a run: damo's definitions, the truth beside them, and what the command line prints."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from numasim import run
from numasim.cli import app
from numasim.errors import ConfigError
from numasim.formats.damo_record import watched
from numasim.result import Result
from numasim.views import access, counters
from numasim.views.cells import in_cells, mean_in_cells

DATA = Path(__file__).parents[1] / "data"
MACHINE = str(DATA / "tiny_machine.yaml")
MIB = 1 << 20
HALVES: dict[str, Any] = {
    "name": "halves",
    "processes": [
        {
            "name": "app",
            "mappings": [{"name": "warm", "size": "32 MiB"}, {"name": "cold", "size": "64 MiB"}],
            "actors": [
                {
                    "name": "workers",
                    "on": "CPU",
                    "phases": [
                        {
                            "compute": "2 us",
                            "pace": "400000 /s",
                            "access": [{"pattern": "uniform", "mapping": "warm", "visits": 1}],
                        }
                    ],
                }
            ],
        }
    ],
}
"""Warm pages are visited 400,000 / 8192 = 48.8 times a second, cold ones never."""
PADDR = (
    "damo start --numa_node 0 --numa_node 1 --monitoring_intervals 5ms 100ms 1s "
    "--monitoring_intervals 5ms 100ms 1s --damos_action stat --damos_action migrate_cold 1 "
    "--damos_access_rate 1% max --damos_access_rate 0% 0% --nr_ctxs 1 1 --nr_targets 1 1 "
    "--nr_schemes 1 1"
)
VADDR = "damo start --ops vaddr --target_pid 1000 --monitoring_intervals 5ms 100ms 1s"


@pytest.fixture(scope="module")
def paddr() -> Result:
    return run(MACHINE, HALVES, PADDR, duration="6 s", snapshots="all", record="200 ms")


@pytest.fixture(scope="module")
def vaddr() -> Result:
    return run(MACHINE, HALVES, VADDR, duration="4 s", snapshots="all", record="200 ms")


# -- a snapshot ----------------------------------------------------------------------------------


def test_the_definitions_are_damos(paddr: Result) -> None:
    for snapshot in access.snapshots_at(paddr, 3.0):
        r, seen = snapshot.regions, paddr.snapshots
        own = seen[(seen.kdamond == snapshot.kdamond) & (seen.seen_s == snapshot.t_s)]
        assert (snapshot.sample_us, snapshot.aggr_us, snapshot.max_hz) == (5000, 100_000, 200.0)
        assert r.samples.tolist() == own.nr_accesses.tolist()
        assert np.allclose(r.rate, own.nr_accesses / 20)
        assert np.allclose(r.hz, own.nr_accesses / 0.1)
        assert r.age_us.tolist() == (own.age * 100_000).tolist()
        idle = np.where(own.nr_accesses > 0, 0, (own.age + 1) * 100_000)
        assert r.idle_us.tolist() == idle.tolist()
        warm = 100 * 100 * r.rate + 100 * r.age_us
        assert np.allclose(r.temperature, np.where(r.samples > 0, warm, -warm))
        assert snapshot.bandwidth_bytes_per_s == pytest.approx((r.samples * r["size"]).sum() / 0.1)


def test_regions_know_their_node_and_true_rate(paddr: Result) -> None:
    near, far = access.snapshots_at(paddr, 5.0)
    assert set(near.regions["where"]) == {"dram0"} and set(far.regions["where"]) == {"cxl0"}
    # the first 32 MiB of physical memory are warm, all that follows is never visited
    warm = near.regions[near.regions.end <= near.regions.start.iloc[0] + 30 * MIB]
    assert warm.true_hz.to_numpy() == pytest.approx(400_000 / 8192, rel=0.02)
    assert far.regions.true_hz.max() == 0
    whole = near.regions.true_hz @ near.regions["size"] / 4096
    assert whole == pytest.approx(400_000, rel=0.02)


def test_virtual_regions_know_their_mapping_and_true_rate(vaddr: Result) -> None:
    (found,) = access.snapshots_at(vaddr)
    r = found.regions
    inside = r[r["where"] == "warm"]
    assert len(inside) and inside.true_hz.to_numpy() == pytest.approx(400_000 / 8192, rel=0.01)
    assert (r.true_hz[r["where"] == "cold"] == 0).all()


def test_the_latest_snapshot_of_an_instant_is_shown(paddr: Result) -> None:
    for one, snapshot in zip(watched(paddr), access.snapshots_at(paddr, 2.0), strict=True):
        ends = [seen.end_ns / 1e9 for seen in one.snapshots]
        assert snapshot.t_s == max(t for t in ends if t <= 2.0)
    with pytest.raises(ConfigError, match=r"nothing was seen by then; first at 0\.1"):
        access.snapshots_at(paddr, 0.01)
    with pytest.raises(ConfigError, match="there is no 7; known: 0, 1"):
        access.snapshots_at(paddr, 2.0, kdamond=7)


def test_percentiles_and_histograms_weigh_bytes() -> None:
    values, sizes = np.array([3.0, 1.0, 2.0]), np.array([10.0, 80.0, 10.0])
    assert access.percentiles(values, sizes) == [
        (0, 1), (1, 1), (25, 1), (50, 1), (75, 1), (99, 3), (100, 3)
    ]  # fmt: skip
    rows = access.histogram(values, sizes)
    assert [nr for _, _, nr in rows] == [80, 0, 0, 0, 0, 10, 0, 0, 0, 10]
    assert (rows[0][0], rows[-1][1]) == (1.0, 3.0)
    assert access.histogram(np.array([5.0, 5.0]), np.array([1.0, 2.0])) == [(5.0, 6.0, 3)]


def test_cells_take_their_share_of_regions() -> None:
    edges = np.array([0.0, 10, 20, 30])
    start, end, values = np.array([2, 12, 15]), np.array([4, 15, 25]), np.array([5.0, 1.0, 3.0])
    covered, total = in_cells(edges, start, end, values)
    assert covered.tolist() == [2, 8, 5] and total.tolist() == [10, 18, 15]
    nothing = mean_in_cells(np.array([30.0, 40]), start, end, values)
    assert np.isnan(nothing).all()


# -- over time -----------------------------------------------------------------------------------


def test_heat_is_the_mean_of_what_was_seen(paddr: Result) -> None:
    one = watched(paddr)[0]
    heat, span, (low, high) = access.heat_grid(one, 6, 16)
    assert (low, high) == (4 << 30, (4 << 30) + 64 * MIB)
    assert span[1] == one.snapshots[-1].end_ns / 1e9
    seen = paddr.snapshots[paddr.snapshots.kdamond == "kdamond.0"]
    each = seen.assign(hot=(seen.end - seen.start) * seen.nr_accesses / 0.1).groupby("seen_s")
    length = each.hot.sum() * np.diff([span[0], *each.hot.sum().index])
    assert heat.mean() == pytest.approx(length.sum() / (span[1] - span[0]) / (high - low), rel=1e-6)
    assert (heat[2:, :7] > 30).all() and (heat[2:, 9:] == 0).all()


def test_the_working_set_by_node_is_the_whole(paddr: Result) -> None:
    by_node = access.working_set_by_node(paddr)
    ours = paddr.working_set()
    for kdamond, node in (("kdamond.0", "dram0"), ("kdamond.1", "cxl0")):
        mine = by_node[by_node.kdamond == kdamond]
        assert set(mine["where"]) == {node}
        assert mine.bytes.tolist() == ours[ours.kdamond == kdamond].bytes.tolist()


def test_a_region_across_nodes_is_cut() -> None:
    whole = (
        PADDR.replace("--numa_node 0 --numa_node 1 ", "--regions 4G-4416M ")
        .split(" --damos_action")[0]
        .replace("--monitoring_intervals 5ms 100ms 1s --monitoring", "--monitoring")
    )
    result = run(MACHINE, HALVES, whole, duration="3 s", snapshots="all")
    found = access.working_set_by_node(result).groupby("seen_s").bytes.sum()
    assert found.tolist() == result.working_set().bytes.tolist()


def test_times_are_spans_of_snapshots(paddr: Result) -> None:
    one = watched(paddr)[0]
    ((begin, end),) = access.times_of(one, (0.1, 1.0), (4 << 30, (4 << 30) + 16 * MIB))
    assert end == one.snapshots[-1].end_ns / 1e9 and begin < 0.5
    assert access.times_of(one, (0.1, 1.0), ((4 << 30) + 50 * MIB, 5 << 30)) == []


# -- counters ------------------------------------------------------------------------------------


def test_schemes_have_their_eight_statistics(paddr: Result) -> None:
    found = counters.schemes(paddr)
    assert list(found.columns) == [
        "kdamond", "scheme", "action", "nr_tried", "sz_tried", "nr_applied", "sz_applied",
        "sz_ops_filter_passed", "qt_exceeds", "nr_snapshots", "max_nr_snapshots", "applied_pages",
    ]  # fmt: skip
    last = paddr.schemes[paddr.schemes.t_s == paddr.schemes.t_s.max()]
    assert found.sz_tried.tolist() == last.sz_tried.tolist()
    assert found.action.tolist() == ["stat", "migrate_cold"]


def test_a_scheme_that_came_with_tuning_is_there() -> None:
    begun = "start --numa_node 0 --monitoring_intervals 5ms 100ms 1s"
    tuned = "tune --numa_node 0 --monitoring_intervals 10ms 100ms 1s --damos_action stat"
    events = [{"at": "100 ms", "damo": f"damo {begun}"}, {"at": "2 s", "damo": f"damo {tuned}"}]
    result = run(MACHINE, HALVES, events=events, duration="4 s", snapshots="all")
    found = counters.schemes(result)
    assert found.action.tolist() == ["stat"] and found.nr_tried[0] > 0
    before, after = (access.snapshots_at(result, at)[0] for at in (1.9, 3.9))
    assert (before.sample_us, after.sample_us) == (5000, 10_000)
    assert (before.aggr_us, after.aggr_us) == (100_000, 100_000), "ten samples now, not twenty"
    assert after.regions.rate.max() <= 1


def test_what_was_tuned_is_told_over_time(paddr: Result) -> None:
    found = counters.trace(paddr)
    assert found.esz.isna().all(), "neither scheme has a quota"
    assert found.sz_applied.tolist() == paddr.schemes.sz_applied.tolist()
    policy = str(DATA / "tiny_policy.yaml")
    result = run(MACHINE, str(DATA / "tiny_workload.yaml"), policy, duration="4 s")
    tuned = counters.trace(result)
    assert tuned.sample_us.nunique() > 1 and tuned.esz.tolist() == result.schemes.esz.tolist()
    assert set(tuned.goal) == {"node_mem_free_bp", "node_mem_used_bp"}


def test_damon_counts_as_linux_counts_it() -> None:
    cold = PADDR.replace("migrate_cold 1", "migrate_cold 0").replace("stat", "migrate_cold 1")
    result = run(MACHINE, HALVES, cold.replace("1% max", "0% 0%"), duration="4 s")
    found = counters.vmstat(result).set_index("counter")["kdamond.0"]
    moved = int(result.moves[result.moves.cause == "kdamond.0"].bytes.sum()) // 4096
    assert found["pgmigrate_success"] == found["demoted"] == moved > 0
    assert found["pgpromote_success"] == found["pgdemote_kswapd"] == found["promoted"] == 0


def test_agents_count_for_themselves() -> None:
    result = run(MACHINE, HALVES, "numa_balancing", duration="4 s")
    found = counters.vmstat(result).set_index("counter")
    told = result.vmstat[result.vmstat.counter == "numa_pte_updates"].value.iloc[-1]
    assert found.loc["numa_pte_updates", "numa_balancing"] == told > 0
    assert list(found.index[:13]) == list(counters.NAMES)


def test_reclaim_has_one_column() -> None:
    result = run(MACHINE, HALVES, "tpp", duration="4 s")
    found = counters.vmstat(result).set_index("counter")
    assert not [name for name in found.columns if name.startswith(("kswapd", "direct"))]
    own = found["reclaim"]
    assert own["pgdemote_kswapd"] + own["pgdemote_direct"] == own["demoted"] > 0
    assert own["pgmigrate_success"] == own["demoted"]
    runs = result.vmstat[result.vmstat.counter == "pageoutrun"].groupby("agent").value.last()
    assert own["pageoutrun"] == runs.sum() > 0


def test_bandwidth_is_bytes_over_time(paddr: Result) -> None:
    found = counters.bandwidth(paddr)
    assert list(found.columns)[:4] == ["Timestamp", "dram0-RD", "dram0-WR", "dram0-SUM"]
    steps = found.Timestamp.diff().fillna(found.Timestamp[0])
    read = paddr.nodes[paddr.nodes.node == "dram0"].read_bytes.iloc[-1]
    assert (found["dram0-RD"] * 1e6 * steps).sum() == pytest.approx(read)
    socket = counters.bandwidth(paddr, by_socket=True)
    assert list(socket.columns) == [
        "Timestamp", "SKT0-RD", "SKT0-WR", "SKT0-SUM", "SKT0-CXLRD", "SKT0-CXLWR", "SKT0-CXLSUM"
    ]  # fmt: skip
    assert socket["SKT0-CXLSUM"].tolist() == found["cxl0-SUM"].tolist()


def test_footprints_add_up(paddr: Result) -> None:
    found = counters.footprint(paddr)
    assert found.total.iloc[-1] == 96 * MIB and found.cxl0.iloc[-1] >= 32 * MIB
    assert (found.dram0 + found.cxl0 == found.total).all()


# -- the command ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(paddr: Result, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(paddr.save(tmp_path_factory.mktemp("view") / "run"))


def view(*words: str, code: int = 0) -> str:
    found = CliRunner().invoke(app, ["view", *words], env={"COLUMNS": "80", "NO_COLOR": "1"})
    assert found.exit_code == code, f"{found.output}\n{found.exception!r}"
    assert "\x1b" not in found.output
    assert code or max(map(len, found.output.splitlines())) <= 88
    return found.output


@pytest.mark.parametrize("style", [
    "detailed", "simple-boxes", "hot", "cold", "recency-sz-hist", "temperature-sz-hist",
    "recency-percentiles", "temperature-percentiles",
])  # fmt: skip
def test_every_style_of_access(folder: str, style: str) -> None:
    text = view("access", folder, "--at", "4 s", "--style", style)
    assert "kdamond.1, target 0, at" in text and "total size: 64 MiB" in text


def test_hot_and_cold_are_turned_around(folder: str) -> None:
    hot, cold = (
        [
            line
            for line in view("access", folder, "-k", "0", "--style", s).splitlines()
            if "|" in line
        ]
        for s in ("hot", "cold")
    )
    assert hot != cold and sorted(hot) == sorted(cold)
    assert " 0 Hz" in cold[0] and " 0 Hz" not in hot[0]


@pytest.mark.parametrize(("words", "wanted"), [
    (["heatmap", "--resol", "5", "40"], "# access frequency: 0123456789"),
    (["wss"], "dram0"),
    (["nr_regions"], "regions over time"),
    (["footprints"], "total"),
    (["times", "--access_rate", "10%", "max"], "kdamond.0"),
    (["schemes"], "sz_ops_filter_passed"),
    (["trace"], "kdamond.1, scheme 0 (migrate_cold)"),
    (["bandwidth", "--by", "socket"], "SKT0-CXLSUM"),
])  # fmt: skip
def test_every_view_prints(folder: str, words: list[str], wanted: str) -> None:
    assert wanted in view(words[0], folder, *words[1:])


def test_numbers_come_as_csv(folder: str, tmp_path: Path) -> None:
    found = pd.read_csv(io.StringIO(view_csv(["access", folder, "-k", "0"])))
    assert {"start", "end", "hz", "true_hz", "where", "kdamond"} <= set(found.columns)
    path = tmp_path / "x.csv"
    assert view("bandwidth", folder, "--csv", str(path)) == f"wrote {path}\n"
    assert pd.read_csv(path).columns[0] == "Timestamp"


def view_csv(words: list[str]) -> str:
    return CliRunner().invoke(app, ["view", *words, "--csv", "-"]).stdout


def test_a_run_in_which_nothing_happened(tmp_path: Path) -> None:
    still = str(run(MACHINE, HALVES, "no_tiering", duration="1 s").save(tmp_path / "still"))
    assert view("schemes", still) == "No scheme ran.\n"
    assert view("trace", still) == "No kdamond ran.\n"
    assert "Nothing moved pages" in view("vmstat", still)
    assert "dram0-RD" in view("bandwidth", still) and "app" in view("footprints", still)
    assert "no monitoring snapshots" in view("wss", still, code=2)


def test_mistakes_are_messages(folder: str) -> None:
    assert "no manifest.json" in view("wss", "nowhere", code=2)
    assert "--at: got" in view("access", folder, "--at", "5", code=2)
    assert "the run ends at 6 s" in view("access", folder, "--at", "500 s", code=2)
    assert "--resol: got 0 5" in view("heatmap", folder, "--resol", "0", "5", code=2)
    for words in (["--access_rate", "x", "1%"], ["--address", "5G", "4G"]):
        assert f"{words[0]}: " in view("times", folder, *words, code=2)


def test_no_time_is_said_to_be_none(folder: str) -> None:
    assert view("times", folder, "--address", "100G", "max") == "At no time.\n"
