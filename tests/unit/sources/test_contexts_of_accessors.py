"""Whole runs: several contexts on one memory, each for its own accessor, from damo's options."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import numasim as ns
from numasim.errors import ConfigError
from numasim.formats import kdamonds
from numasim.formats.damo_args import parse
from numasim.loader import load_scenario
from tests import worlds

VERBATIM = (
    "damo start --sample_primitives page_fault --sample_filter allow cpu 0-4 "
    "--sample_filter allow threads 777,888,999 --sample_filter reject write"
)
REGIONS = "--monitoring_nr_regions_range 20 200"


def document(*commands: str, **more: Any) -> dict[str, Any]:
    """Two sockets with a private mapping each and a shared one; a kdamond for each command."""
    node = {"capacity": "64 MiB", "latency": "100 ns", "bandwidth": "50 GB/s"}
    topology = {
        "name": "two",
        "nodes": [{"name": "d0", "at": "s0", **node}, {"name": "d1", "at": "s1", **node}],
        "accessors": [
            {"name": "cpu0", "cpus": "0-3", "at": "s0"},
            {"name": "cpu1", "cpus": "4-7", "at": "s1"},
        ],
        "links": [{"between": ["s0", "s1"], "latency": "60 ns", "bandwidth": "40 GB/s"}],
        "kernel": {"min_free_kbytes": 256, "transparent_hugepage": "never"},
    }

    def actor(name: str, on: str, write: str) -> dict[str, Any]:
        own = {"pattern": "uniform", "mapping": name, "write": write}
        shared = {"pattern": "uniform", "mapping": "shared", "visits": 0.5}
        phase = {"compute": "1 us", "access": [own, shared]}
        return {"name": name, "on": on, "threads": 4, "phases": [phase]}

    process = {
        "name": "app",
        "pid": 777,
        "mappings": [worlds.mapping(n, "8 MiB") for n in ("one", "two", "shared", "idle")],
        "actors": [actor("one", "cpu0", "0 %"), actor("two", "cpu1", "50 %")],
    }
    events = [{"at": f"{10 * i} ms", "damo": c} for i, c in enumerate(commands, start=1)]
    work = {"name": "two", "processes": [process]}
    return {
        "topology": topology, "workload": work, "events": events, "duration": "2 s",
        "record": "500 ms", **more,
    }  # fmt: skip


def run(*commands: str, **more: Any) -> ns.Result:
    return ns.run_scenario(load_scenario(document(*commands, **more)))


def test_the_proposed_line_runs_verbatim():
    found = run(VERBATIM)
    last = found.sources[found.sources.t_s == found.sources.t_s.max()].iloc[0]
    assert (last.source, last.kdamond) == ("page_fault", "kdamond.0")
    # 777 is named, one of the four threads (777, 778, ...) that are on CPUs 0 to 3: of the first
    # touches of their pages a quarter, of the shared ones an eighth, of the others nothing
    assert 0.05 * last.events < last.reports < 0.26 * last.events
    own = found.accessor_errors.groupby("accessor").own.all()
    assert own["cpu0"] and not own["cpu1"]


def test_as_coded_the_proposed_line_sees_nothing():
    found = run(VERBATIM, sources={"page_fault": {"filters": "rfc"}})
    assert found.sources.reports.max() == 0 < found.sources.events.max()
    assert (found.snapshots.nr_accesses == 0).all()


def test_a_kdamonds_file_says_the_same(tmp_path):
    scenario = load_scenario(document(VERBATIM))
    file = tmp_path / "k.json"
    kdamonds.write(file, scenario.events[0].kdamonds)
    data = document()
    data["events"] = [{"at": "10 ms", "kdamonds": str(file)}]
    again = load_scenario(data)
    assert again.events[0].kdamonds == scenario.events[0].kdamonds
    assert "pebs" not in file.read_text(), "what damo does not know is not written"


@pytest.mark.parametrize("kind", ["pebs", "ibs", "cxl_counter", "gpu_counter", "report"])
def test_our_primitives_are_words_too(kind):
    made = parse(f"damo start --sample_primitives {kind}", default_range=lambda: (0, 1 << 30))
    (context,) = made.kdamonds[0].contexts
    assert context.sample_control.source("accessed_bits") == kind
    tree = json.loads(kdamonds.dumps(made.kdamonds))
    control = tree["kdamonds"][0]["contexts"][0]["sample_control"]["primitives_enabled"]
    assert control == {"page_table": False, "page_fault": False, kind: True}


def test_an_unknown_primitive_is_answered_with_the_known():
    with pytest.raises(ConfigError, match=r"expected page_table or page_fault.*pebs"):
        load_scenario(document("damo start --sample_primitives lbr"))


def test_filters_need_a_source_that_knows_who():
    line = "damo start --sample_filter allow cpu 0"
    with pytest.raises(ConfigError, match="accessed_bits do not say who"):
        load_scenario(document(line))
    assert load_scenario(document(line, access_source="page_fault"))


@pytest.mark.parametrize(
    "kind, filters, told",
    [
        ("cxl_counter", "allow cpu 0", "cxl_counter do not say who"),
        ("cxl_counter", "reject write", "cxl_counter do not say who"),
        ("gpu_counter", "reject write", "gpu_counter does not say what is a write"),
        ("gpu_counter", "allow threads 777", "gpu_counter does not say by which thread"),
        ("gpu_counter", "allow cpu 8", ""),
        ("pebs", "allow cpu 0 --sample_filter allow threads 777 --sample_filter reject write", ""),
    ],
)
def test_filters_need_a_device_that_can_tell(kind, filters, told):
    line = f"damo start --sample_primitives {kind} --sample_filter {filters}"
    data = document(line)
    data["topology"]["accessors"].append({"name": "gpu0", "kind": "GPU", "at": "s0"})
    if not told:
        assert load_scenario(data)
        return
    with pytest.raises(ConfigError, match=told):
        load_scenario(data)


@pytest.mark.parametrize("absurd", ["cpu 0-99999999999", f"threads {10**30}"])
def test_filters_of_absurd_size_are_refused_at_the_door(absurd):
    line = f"damo start --sample_primitives page_fault --sample_filter allow {absurd}"
    with pytest.raises(ConfigError, match=r"--sample_filter.*: got .*expected (CPUs|thread ids)"):
        load_scenario(document(line))


def test_mistakes_in_parameters_are_told_at_the_door():
    wrong = {"pebs": {"period": 0, "perod": 3}, "ibs": {"period": 100}, "lbr": {}}
    with pytest.raises(ConfigError) as caught:
        load_scenario(document(sources=wrong))
    told = str(caught.value)
    assert "sources.pebs.period" in told and "sources.pebs.perod" in told
    assert "sources.ibs.period: got 100, expected a multiple of 16" in told
    assert 'sources.lbr: unknown access source "lbr"' in told
    wrong = {"cxl_counter": {"nodes": ["d0", "d9"]}, "report": {"reporters": ["me"]}}
    with pytest.raises(ConfigError) as caught:
        load_scenario(document(sources=wrong))
    told = str(caught.value)
    assert 'sources.cxl_counter.nodes[1]: no node "d9"' in told
    assert 'sources.report.reporters[0]: no reporter "me"' in told


@pytest.mark.parametrize("kind", ["page_fault", "pebs", "ibs"])
def test_each_context_sees_its_own_accessor(kind):
    """Two contexts on the same memory, both right about their own and wrong about the other."""
    lines = [
        f"damo start {REGIONS} --sample_primitives {kind} --sample_filter allow cpu {cpus}"
        for cpus in ("0-3", "4-7")
    ]
    settings = {"page_fault": {"flush": "none"}, "pebs": {"period": 500}, "ibs": {"period": 1600}}
    found = run(*lines, sources={kind: settings[kind]}, hot_ratio=0.2)
    errors = found.accessor_errors[found.accessor_errors.t_s > 1]
    emd = errors.groupby(["kdamond", "accessor"]).emd.mean()
    for kdamond, own, other in (("kdamond.0", "cpu0", "cpu1"), ("kdamond.1", "cpu1", "cpu0")):
        # not nothing: of the shared pages half the first touches are the other's
        assert emd[kdamond, own] < 0.5 * emd[kdamond, other]
    # the error that monitoring tells of is that against the truth it was set up for
    mine = found.monitoring[found.monitoring.t_s > 1].groupby("kdamond").emd.mean()
    assert mine.to_numpy() == pytest.approx([emd["kdamond.0", "cpu0"], emd["kdamond.1", "cpu1"]])


def test_the_truth_of_accessors_adds_up():
    found = run("damo start", accessor_truth=True)
    by_accessor = found.accessor_truth.groupby(["t_s", "node"]).visits_per_s.sum()
    everybody = found.truth.groupby(["t_s", "node"]).visits_per_s.sum()
    both = by_accessor.index.intersection(everybody.index)
    assert len(both) > 4
    some = everybody[both] > 0
    assert np.allclose(by_accessor[both][some], everybody[both][some], rtol=0.02)


def test_in_one_array_contexts_hear_of_each_others_faults():
    """As proposed, each of k contexts hears about k times as much, and loses k times as often."""
    line = f"damo start {REGIONS} --sample_primitives page_fault"

    def heard(nr, **more):
        found = run(*[line] * nr, sources={"page_fault": {"flush": "none", **more}})
        last = found.sources[found.sources.t_s == found.sources.t_s.max()]
        return last[["reports", "lost"]].sum() / last.events.sum()

    assert heard(3).reports == pytest.approx(1, abs=0.02), "ideal: each report in its own context"
    one, three = (heard(nr, array="rfc", capacity=500) for nr in (1, 3))
    # how many checks come within the age of a report depends on whose sample it fell into
    assert 2.5 < three.reports / one.reports < 3.6
    assert 2 < three.lost / one.lost < 4


@pytest.mark.parametrize("kind", ["page_fault", "pebs", "ibs"])
def test_what_looking_costs_is_charged_once(kind):
    """Owed is what every event takes; paid is what was owed, but for the last windows."""
    more = {"page_fault": {"interrupt": "0 ns"}, "pebs": {"period": 100}, "ibs": {"period": 800}}
    line = f"damo start {REGIONS} --sample_primitives {kind}"
    found = run(line, line, sources={kind: more[kind]}, duration="4 s")
    last = found.sources[found.sources.t_s == found.sources.t_s.max()]
    tolls = found.tolls[found.tolls.t_s == found.tolls.t_s.max()]
    each = {"page_fault": 1000, "pebs": 500, "ibs": 1500}[kind]
    assert last.stall_ns.sum() == pytest.approx(each * last.events.sum(), rel=1e-3)
    assert tolls.owed_ns.sum() == pytest.approx(last.stall_ns.sum())
    assert (tolls.owed_ns - tolls.paid_ns).abs().max() < 0.1 * tolls.owed_ns.min()
    if kind != "page_fault":
        assert (last.kdamond == "").sum() == 1, "two readers share one sampler"


@pytest.mark.parametrize("kind", ["page_fault", "pebs"])
def test_faults_cost_for_each_accessor_watched_and_samples_once(kind):
    """Every context arms pages of its own, and waits for its own flushes; a sampler has readers."""
    owed, events, busy = {}, {}, {}
    for nr in (2, 4):
        lines = [
            f"damo start --monitoring_nr_regions_range 50 100 --sample_primitives {kind} "
            f"--sample_filter allow cpu {cpus}"
            for cpus in ("0-3", "4-7", "0-3", "4-7")[:nr]
        ]
        found = run(*lines, sources={"pebs": {"period": 100}})
        last = found.sources[found.sources.t_s == found.sources.t_s.max()]
        owed[nr], events[nr] = found.tolls.groupby("actor").owed_ns.max().sum(), last.events.sum()
        kdamonds = found.kdamonds[found.kdamonds.t_s == found.kdamonds.t_s.max()]
        assert len(kdamonds) == nr
        busy[nr] = kdamonds.cpu_ns.sum()
    grows = 2 if kind == "page_fault" else 1
    assert owed[4] == pytest.approx(grows * owed[2], rel=0.05)
    assert events[4] == pytest.approx(grows * events[2], rel=0.05)
    if kind == "page_fault":
        assert busy[4] == pytest.approx(2 * busy[2], rel=0.05)


def test_faults_report_nothing_while_numa_balancing_is_on():
    """As the proposal codes it; as an extension of ours both learn from one fault."""
    line = f"damo start {REGIONS} --sample_primitives page_fault"
    balancing = {"kind": "numa_balancing", "mode": 1, "scan_delay": "100 ms"}
    off = {"at": "1 s", "sysctl": {"kernel.numa_balancing": 0}}
    reports = {}
    for shared in (False, True):
        data = document(line, policy=balancing, sources={"page_fault": {"shared_fault": shared}})
        data["events"].append(off)
        found = ns.run_scenario(load_scenario(data)).sources.set_index("t_s")
        own = found[found.source == "page_fault"]
        assert own.events[1.0] > 100
        reports[shared] = own.reports
    assert reports[False][1.0] == 0 < reports[False].iloc[-1], "on, then off"
    honest = reports[False].iloc[-1]
    assert reports[True][1.0] > 0.5 * honest, "as many as without it, and those of its own faults"


def test_threads_that_pay_do_not_work():
    free = run("damo start --sample_primitives pebs", sources={"pebs": {"period": 1e9}})
    dear = run("damo start --sample_primitives pebs", sources={"pebs": {"period": 20}})
    for name, rows in dear.actors.groupby("actor"):
        tolls = dear.tolls[(dear.tolls.actor == name) & (dear.tolls.t_s >= 1)]
        paying = np.diff(tolls.paid_ns) / np.diff(tolls.t_s * 1e9) / 4
        before = free.actors[(free.actors.actor == name) & (free.actors.t_s > 1)].ops_per_s
        after = rows[rows.t_s > 1].ops_per_s
        slower = 1 - after.to_numpy() / before.to_numpy()
        assert paying.mean() > 0.015
        assert slower == pytest.approx(paying, rel=0.1)


@pytest.mark.parametrize("kind", ["page_fault", "pebs", "ibs", "cxl_counter"])
def test_the_same_run_twice_is_the_same(kind):
    line = f"damo start {REGIONS} --sample_primitives {kind}"
    more = {"cxl_counter": {"nodes": ["d0", "d1"], "granularity": "64 KiB"}}
    settings = {k: v for k, v in more.items() if k == kind}
    one, two = (run(line, line, sources=settings, duration="1 s") for _ in range(2))
    for name in one.tables:
        assert one.tables[name].equals(two.tables[name]), name
    again = ns.run_scenario(one.scenario())
    assert again.snapshots.equals(one.snapshots)
    assert one.snapshots.nr_accesses.max() > 0


def test_taking_notifications_is_work_of_a_kdamond():
    line = f"damo start {REGIONS} --sample_primitives cxl_counter"
    more = {"nodes": ["d0", "d1"], "granularity": "64 KiB", "threshold": 64}
    found = run(line, line, sources={"cxl_counter": more}, duration="4 s")
    last = found.kdamonds[found.kdamonds.t_s == found.kdamonds.t_s.max()]
    events = found.sources.events.max()
    assert last.cpu_ns.sum() == pytest.approx(events * 500, rel=0.1), "each is taken once"
    assert found.tolls.owed_ns.max() == 0, "applications do not notice"


def test_a_running_context_takes_new_filters_and_no_other_primitive():
    start = f"damo start {REGIONS} --sample_primitives page_fault"
    tune = start.replace("start", "tune") + " --sample_filter allow cpu 100"
    data = document(start, duration="3 s")
    data["events"].append({"at": "1 s", "damo": tune})
    found = ns.run_scenario(load_scenario(data))
    reports = found.sources.set_index("t_s").reports
    assert reports[1.0] > 1000 and reports[3.0] == pytest.approx(reports[1.5], abs=100)
    data["events"][1]["damo"] = tune.replace("page_fault", "pebs")
    with pytest.raises(ns.SimulationError, match="its primitive changed while running"):
        ns.run_scenario(load_scenario(data))
