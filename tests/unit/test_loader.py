"""Files and options become one scenario, or every complaint at once."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest

from numasim import library
from numasim.errors import ConfigError
from numasim.loader import load_scenario, load_topology, load_workload
from numasim.scenario import Scenario
from tests import worlds

DAMO_PADDR = "damo start --numa_node 0"
DAMO_VADDR = "damo start --target_pid 1000"


def workload(**process) -> dict:
    phase = {"compute": "1 us", "access": [{"pattern": "uniform", "mapping": "m"}]}
    striped = {"mode": "weighted_interleave", "nodes": ["n0", "n1"], "weights": [1, 1]}
    app = {
        "name": "app",
        "mappings": [worlds.mapping("m", "8 MiB"), worlds.mapping("s", "1 MiB", policy=striped)],
        "actors": [{"phases": [phase]}],
    }
    return {"name": "small", "processes": [{**app, **process}]}


def machine() -> dict:
    nodes = [
        {"name": f"n{i}", "capacity": "64 MiB", "latency": "100 ns", **worlds.SPEED}
        for i in range(2)
    ]
    accessors = [{"name": "cpu0", "cpus": "0-3", "at": "socket0"}]
    kernel = {"min_free_kbytes": 256}
    return {"name": "small", "nodes": nodes, "accessors": accessors, "kernel": kernel}


def document(**more: Any) -> dict:
    return {"topology": machine(), "workload": workload(), "duration": "10 s", **more}


def complaints(*, overrides=(), policy=None, **more) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_scenario(document(**more), overrides=overrides, policy=policy)
    return [str(p) for p in caught.value.problems]


# -- what is taken ---------------------------------------------------------------------------------


def test_defaults():
    made = load_scenario(document())
    assert (made.duration_ns, made.seed, made.record_ns) == (10**10, 1, 10**9)
    assert (made.policy.kind, made.policy_name, made.events) == ("no_tiering", "no_tiering", ())
    assert (made.exact_ticks, made.hot_ratio, made.access_source) == (False, 0.05, "accessed_bits")


def test_the_document_is_left_alone_and_kept():
    given = document(policies=["no_tiering"], seeds=[1, 2])
    before = copy.deepcopy(given)
    made = load_scenario(given)
    assert given == before
    assert "policies" not in made.document and "seeds" not in made.document


@pytest.mark.parametrize("name", library.names("scenarios"))
def test_a_loaded_scenario_loads_again_from_its_own_document(name):
    made = load_scenario(library.read(library.find("scenarios", name)))
    again = load_scenario(made.document)
    assert again == made
    assert again.document == made.document


def test_objects_are_taken_as_they_are_and_written_down():
    topology, work = load_topology(machine()), load_workload(workload())
    made = load_scenario(document(topology=topology, workload=work))
    assert made.topology == topology and made.workload == work
    again = load_scenario(made.document)
    assert again.topology == topology and again.workload == work


def test_files_beside_the_document(tmp_path: Path):
    shown = library.find("topologies", "dram_cxl").read_text()
    (tmp_path / "mine.yaml").write_text(shown.replace("16 GiB", "17 GiB"))
    (tmp_path / "w.yaml").write_text(library.find("workloads", "cold_first").read_text())
    made = load_scenario(
        {"topology": "mine.yaml", "workload": "w.yaml", "duration": "46 s"}, base=tmp_path
    )
    assert made.topology.nodes[0].capacity == 17 << 30
    assert load_scenario(made.document) == made


@pytest.mark.parametrize(
    ("override", "look"),
    [
        ("scenario.duration=3 s", lambda s: s.duration_ns == 3 * 10**9),
        ("scenario.seed=7", lambda s: s.seed == 7),
        ("topology.nodes.n1.capacity=80 MiB", lambda s: s.topology.nodes[1].capacity == 80 << 20),
        (
            "workload.processes[0].mappings.m.size=4 MiB",
            lambda s: s.workload.processes[0].mappings[0].size == 4 << 20,
        ),
        ("policy.start=2 s", lambda s: s.policy.start == 2 * 10**9),
    ],
)
def test_settings_reach_every_part(override, look):
    given = document(policy={"kind": "tpp_damon"})
    made = load_scenario(given, overrides=[override])
    assert look(made)
    assert look(load_scenario(made.document)), "and are kept"
    assert given == document(policy={"kind": "tpp_damon"})


def test_a_policy_handed_in_wins_and_is_left_alone():
    policy = {"kind": "tpp_damon", "quota": "1 MiB"}
    made = load_scenario(
        document(policy="no_tiering"), policy=policy, overrides=["policy.quota=2 MiB"]
    )
    assert made.policy.quota == 2 << 20
    assert policy == {"kind": "tpp_damon", "quota": "1 MiB"}


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"duration": "10"}, "duration: "),
        ({"duration": {"s": 10}}, "duration: got a mapping, expected a duration"),
        ({"topology": 5}, "topology: got 5, expected a mapping"),
        ({"workload": [1]}, "workload: expected a mapping"),
        ({"duration": "0 s"}, "duration: got 0 s, expected more than 0"),
        ({"record": "0 s"}, "record: got 0 s"),
        ({"seed": "one"}, "seed: got 'one', expected a whole number"),
        ({"seed": -1}, "seed: got -1"),
        ({"seed": True}, "seed: got True"),
        ({"hot_ratio": 5}, "hot_ratio: "),
        ({"exact_ticks": "no"}, "exact_ticks: got 'no', expected true or false"),
        ({"snapshots": "some"}, 'snapshots: got "some"'),
        ({"access_source": "lbr"}, 'access_source: unknown access source "lbr"'),
        ({"topologie": 3}, 'topologie: unknown key; did you mean "topology"?'),
        ({"topology": "dram_cxll"}, 'no topology "dram_cxll"; did you mean "dram_cxl"?'),
        ({"workload": "cold_fist"}, 'no workload "cold_fist"; did you mean "cold_first"?'),
        ({"policy": "tpp_daemon"}, 'unknown policy "tpp_daemon"; did you mean "tpp_damon"?'),
        ({"policy": 3}, "policy: got 3, expected a name"),
        ({"policy": {"quota": "1 MiB"}}, "policy.kind: is missing"),
        ({"policy": {"kind": "tpp_damon", "qouta": 3}}, 'policy.qouta: unknown key; did you mean'),
        ({"policy": {"kind": "tpp_damon", "accessor": 1}}, "policy.accessor: no accessor 1"),
        ({"policy": "damo start --nonsense 3"}, "policy"),
        ({"events": "soon"}, "events: expected a list"),
        ({"events": ["soon"]}, "events[0]: got 'soon', expected a mapping"),
        ({"events": [{"at": "1 s"}]}, "events[0]: expected at and one of"),
        ({"events": [{"damo": "stop"}]}, "events[0]: expected at and one of"),
        ({"events": [{"at": "1 s", "dammo": "stop"}]}, 'events[0].dammo: unknown key'),
        ({"events": [{"at": "11 s", "damo": "stop"}]}, "events[0].at: is after the end of the run"),
        ({"events": [{"at": "1 s", "sysctl": "vm.x"}]}, "events[0].sysctl: got 'vm.x'"),
        ({"events": [{"at": "1 s", "sysctl": {"vm.dirty_ratio": 1}}]}, "not simulated"),
        (
            {"events": [{"at": "1 s", "sysctl": {"vm.min_free_kbytes": "many"}}]},
            "sysctl.vm.min_free_kbytes: got 'many', expected a whole number",
        ),
        (
            {"events": [{"at": "1 s", "sysctl": {"vm.watermark_scale_factor": 0}}]},
            "expected a whole number in 1..3000",
        ),
        ({"events": [{"at": "1 s", "interleave": 3}]}, "interleave: got 3"),
        ({"events": [{"at": "1 s", "interleave": {"x": [1, 1]}}]}, "interleave.x: no such mapping"),
        (
            {"events": [{"at": "1 s", "interleave": {"m": [1, 1]}}]},
            "interleave.m: the mapping's policy is local",
        ),
        ({"events": [{"at": "1 s", "interleave": {"s": [1]}}]}, "got 1 for 2 nodes"),
        ({"events": [{"at": "1 s", "interleave": {"s": [1, 300]}}]}, "interleave.s.weights[1]"),
        ({"events": [{"at": "1 s", "stop_process": "ap"}]}, 'no process "ap"; did you mean "app"?'),
        ({"events": [{"at": "1 s", "damo": "tune --numa_node 0"}]}, "but none is running then"),
        ({"events": [{"at": "1 s", "damo": "show"}]}, "events[0]"),
    ],
)  # fmt: skip
def test_one_mistake_one_complaint(more, text):
    found = complaints(**more)
    assert len(found) == 1, found
    assert text in found[0]


@pytest.mark.parametrize("key", ["topology", "workload", "duration"])
def test_what_a_run_needs(key):
    given = document()
    del given[key]
    with pytest.raises(ConfigError, match=f"{key}: is missing"):
        load_scenario(given)


@pytest.mark.parametrize("text", ["duraton=3 s", "scenario.duration", "machine.x=1", "seed"])
def test_settings_name_what_they_set(text):
    (found,) = complaints(overrides=[text])
    assert "expected KEY=VALUE" in found


def test_mistakes_everywhere_are_told_together():
    found = complaints(
        topology={**machine(), "nodes": []}, duration="?", seed=-1, policy="nothing", colour="red"
    )
    assert len(found) == 5


EVENTS = [
    {"at": "-1 s", "start": "nothing"},
    {"at": "5 s", "sysctl": {"vm.min_free_kbyte": 1, "vm.watermark_scale_factor": -1}},
    {"at": "5 s", "frobnicate": 1},
    {"at": "99 s", "damo": "tune --numa_node 1 --agg 5"},
    {"at": "1 s", "interleave": {"x": [1, 1]}},
    7,
]
OF_EVENTS = [
    'events[0].at: got "-1 s", expected a duration',
    "events[0].start: unknown key",
    "events[1].sysctl.vm.min_free_kbyte: not simulated",
    "events[1].sysctl.vm.watermark_scale_factor: got -1",
    "events[2].frobnicate: unknown key",
    "events[3].at: is after the end of the run",
    "events[3].--agg",
    "events[5]: got 7",
]


@pytest.mark.parametrize(
    ("part", "value", "text"),
    [
        ("name", "x", ""),
        ("topology", "dram_cxll", 'topology: no topology "dram_cxll"'),
        ("topology", {**machine(), "nodes": []}, "topology.nodes: expected at least one"),
        ("workload", "cold_fist", 'workload: no workload "cold_fist"'),
        ("workload", {"name": "w"}, "workload.processes: is missing"),
    ],
)
def test_events_are_checked_without_what_they_are_about(part, value, text):
    found = complaints(**{part: value}, events=EVENTS)
    wanted = [*OF_EVENTS, *([text] if text else [])]
    if part != "workload":
        wanted.append("events[4].interleave.x: no such mapping")
    for line in wanted:
        assert sum(f.startswith(line) for f in found) == 1, (line, found)
    assert len(found) == len(wanted)


def test_instants_are_told_even_without_a_machine():
    found = complaints(topology="dram_cxll", events=[{"at": "99 s", "damo": "stop"}])
    assert "events[0].at: is after the end of the run" in found and len(found) == 2


def test_events_keep_their_numbers_beside_starts_of_processes():
    events = [{"at": "1 s", "start_process": "app"}, {"at": "2 s", "frobnicate": 1}]
    (found,) = complaints(events=events)
    assert found.startswith("events[1].frobnicate")


def test_policies_are_checked_without_the_machine():
    found = complaints(topology="dram_cxll", policy={"kind": "tpp_damon", "fre": 1})
    assert [f.split(":")[0] for f in found] == ["topology", "policy.fre"]


def test_what_a_comparison_runs_is_checked_too():
    (found,) = complaints(seeds=-1)
    assert found.startswith("seeds: got -1, expected how many")


def test_mistakes_of_settings_hide_nothing(tmp_path: Path):
    path = tmp_path / "t.yaml"
    path.write_text(library.find("topologies", "dram_cxl").read_text().replace("271 ns", "far"))
    wrong = workload(cgrop="/a")
    found = complaints(
        topology=str(path),
        workload=wrong,
        overrides=["workload.hto=1", "topology.nods.x=1"],
    )
    places = [f.split(":")[0] for f in found]
    assert places == [
        f"topology.nodes[1].latency (line 14) ({path})",
        "--set topology.nods.x=1",
        "--set workload.hto=1",
        "workload.processes[0].cgrop",
    ]


def test_files_that_are_none(tmp_path: Path):
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "w.yaml").write_text("name: w\nprocesses: [1, 2\nx: 3\n")
    found = complaints(topology=str(tmp_path / "b.yaml"), workload=str(tmp_path / "w.yaml"))
    assert found[0] == f"topology ({tmp_path}/b.yaml): cannot be read: it is no text (UTF-8)"
    assert found[1].startswith(f"workload ({tmp_path}/w.yaml, line 3): not YAML")
    found = complaints(topology=str(tmp_path), workload=str(tmp_path / "none.yaml"))
    assert found == [
        f"topology ({tmp_path}): is a folder, expected a file",
        f"workload ({tmp_path}/none.yaml): no such file",
    ]


def test_the_sources_name_stands_above():
    with pytest.raises(ConfigError) as caught:
        load_scenario(document(duration="?"), source="mine.yaml")
    assert str(caught.value).startswith("mine.yaml\n  duration: ")


def test_a_topology_file_is_complained_about_by_line(tmp_path: Path):
    path = tmp_path / "t.yaml"
    path.write_text(library.find("topologies", "dram_cxl").read_text().replace("271 ns", "far"))
    with pytest.raises(ConfigError, match=r"nodes\[1\]\.latency \(line \d+\)"):
        load_topology(str(path))
    with pytest.raises(ConfigError, match=r"nodes\[1\]\.latency \(line \d+\)"):
        load_scenario(document(topology=str(path)))


def test_a_workload_file_is_complained_about_by_line(tmp_path: Path):
    path = tmp_path / "w.yaml"
    text = library.find("workloads", "cold_first").read_text()
    path.write_text(text.replace("mapping: hotB", "mapping: hotC"))
    with pytest.raises(ConfigError, match=r"access\[0\]\.mapping \(line \d+\)"):
        load_scenario(document(workload=str(path)))


# -- what cannot be --------------------------------------------------------------------------------


def test_more_data_than_memory():
    big = workload(mappings=[worlds.mapping("m", "200 MiB"), worlds.mapping("s", "1 MiB")])
    (found,) = complaints(workload=big)
    assert (
        found == "workload: needs 0.2 GiB, small has 0.1 GiB for it; "
        "use a larger machine, less data, or kernel.swap"
    )


def test_what_does_not_fit_is_told_beside_wrong_policies_and_events():
    found = complaints(
        workload=workload(start="10 s", mappings=[worlds.mapping(n, "200 MiB") for n in "ms"]),
        policy={"kind": "tpp_damon", "fre": 1},
        events=[{"at": "99 s", "damo": "stop"}],
    )
    assert sorted(f.split(":")[0] for f in found) == [
        "duration", "events[0].at", "policy.fre", "workload",
    ]  # fmt: skip
    assert len(complaints(workload=workload(mappings=[worlds.mapping(n, "200 MiB") for n in "ms"]),
                          duration="soon")) == 2  # fmt: skip


def test_more_frames_than_can_be_numbered():
    nodes = machine()["nodes"]
    nodes[0]["capacity"] = "900 TiB"
    (found,) = complaints(topology={**machine(), "nodes": nodes})
    assert found.startswith(
        "topology: needs 241,591,926,784 frames of 4 KiB, at most 2,147,483,647"
    )
    assert "page: 2 MiB" in found and "smaller machine" in found
    huge = [worlds.mapping(n, "4 MiB", page="2 MiB") for n in "ms"]
    striped = {"mode": "weighted_interleave", "nodes": ["n0", "n1"], "weights": [1, 1]}
    huge[1]["policy"] = striped
    load_scenario(
        document(topology={**machine(), "nodes": nodes}, workload=workload(mappings=huge))
    )


def test_more_frames_than_this_computer_holds(monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 30, "SC_PAGE_SIZE": 4096}.__getitem__)
    (found,) = complaints()
    assert found.startswith("topology: simulating 32,768 frames and 2,304 pages takes 0.0 GiB, ")
    monkeypatch.delattr(os, "sysconf")
    load_scenario(document())


def test_a_run_ends_after_something_began():
    (found,) = complaints(workload=workload(start="10 s"))
    assert found == ("duration: the run ends before app starts, at 10 s; run for longer than 10 s")
    load_scenario(document(workload=workload(start="9 s")))


def test_crowded_cores_are_worth_a_warning():
    phase = {"compute": "1 us"}
    actors = [{"name": n, "threads": 3, "phases": [phase]} for n in "ab"]
    made = load_scenario(document(workload=workload(actors=actors)))
    assert made.warnings == ("workload: 6 threads on cpu0, which has 4 cores, which they share",)
    assert load_scenario(document()).warnings == ()
    (found,) = complaints(workload=workload(actors=[{"threads": 10**9, "phases": [phase]}]))
    assert found.endswith("threads: got 1000000000, expected less than or equal to 1000000")


def test_a_migration_needs_a_target():
    damo = "damo start --numa_node 0 --damos_action migrate_hot"
    (found,) = complaints(policy={"kind": "damos", "damo": damo})
    assert "migrate_hot needs a target node; name it after the action" in found
    assert found.endswith("nodes are 0 (n0), 1 (n1)")


def test_a_process_nobody_has():
    policy = {"kind": "damos", "damo": "damo start --target_pid 7"}
    (found,) = complaints(policy=policy)
    assert found.endswith("targets[0].pid: no process 7; there are 1000 (app)")


def test_accessors_and_nodes_must_exist():
    bound = worlds.mapping("m", "1 MiB", policy={"mode": "bind", "nodes": ["n7"]})
    phase = {"compute": "1 us"}
    found = complaints(
        workload=workload(mappings=[bound], actors=[{"on": "GPU", "phases": [phase]}])
    )
    assert [f.split(":")[0] for f in found] == [
        "workload.processes[0].actors[0].on",
        "workload.processes[0].mappings[0].policy.nodes",
    ]


def vaddr(start: str) -> dict:
    return {"kind": "damos", "damo": DAMO_VADDR, "start": start}


def test_a_process_is_there_before_it_is_monitored():
    late = workload(start="5 s")
    (found,) = complaints(workload=late, policy=vaddr("4 s"))
    assert found == (
        "policy.start: monitors process 1000 (app), which starts only at 5 s; "
        "begin at 5 s or later: --set policy.start='5 s'"
    )
    assert isinstance(load_scenario(document(workload=late), policy=vaddr("5 s")), Scenario)
    event = {"at": "1 s", "damo": DAMO_VADDR}
    (found,) = complaints(workload=late, events=[event])
    assert found.startswith("events[0]: monitors process 1000")


def test_a_process_is_there_before_it_is_stopped():
    late = workload(start="5 s")
    (found,) = complaints(workload=late, events=[{"at": "5 s", "stop_process": "app"}])
    assert found == "events[0]: app starts only at 5 s"


def tune(at: str, nr: int = 1) -> dict:
    schemes = " ".join(["--numa_node 0"] * nr)
    return {"at": at, "damo": f"tune {schemes}"}


def test_kdamonds_run_before_they_are_tuned():
    start = {"at": "2 s", "damo": DAMO_PADDR}
    stop = {"at": "4 s", "damo": "stop"}
    assert load_scenario(document(events=[start, tune("3 s")])).events[1].action == "commit"
    for events in ([start, tune("1 s")], [start, stop, tune("5 s")]):
        (found,) = complaints(events=events)
        assert "tunes kdamonds, but none is running then" in found
    assert load_scenario(document(events=[tune("5 s"), start])).events[0].action == "commit"


def test_as_many_are_tuned_as_run():
    (found,) = complaints(policy="tpp_damon", events=[tune("5 s")])
    assert found == "events[0]: tunes 1 kdamonds, but 2 are running then"


def test_an_event_can_start_a_process():
    made = load_scenario(document(events=[{"at": "250 ms", "start_process": "app"}]))
    assert made.workload.processes[0].start == 250_000_000 and not made.events
    assert load_scenario(made.document) == made
    (found,) = complaints(events=[{"at": "1 s", "start_process": "ap"}])
    assert found.startswith('events[0].start_process: no process "ap"; did you mean "app"?')


def test_a_running_context_keeps_its_operations():
    (found,) = complaints(policy=vaddr("0 s"), events=[tune("5 s")])
    assert found.startswith("events[0]: cannot change a running context from vaddr to paddr")


def test_what_needs_the_machine_is_not_judged_by_a_wrong_one():
    document = {
        "topology": {"name": "none", "nodes": "three"},
        "workload": "cold_first",
        "duration": "1 s",
        "events": [{"at": "0 s", "available": {"dram0": "1 GiB"}}],
    }
    with pytest.raises(ConfigError) as error:
        load_scenario(document)
    assert "nodes" in str(error.value) and "available" not in str(error.value)
