"""Recorded runs described as scenarios."""

import json

import pytest

from numasim.errors import ConfigError
from numasim.running import run_scenario
from numasim.validate import paced
from numasim.validate.guest import NotSimulated, guest, remark
from numasim.validate.model import Model
from numasim.validate.recording import find_runs, read
from tests.unit.validate.made import DATA, head


@pytest.fixture(scope="module")
def monitored(tmp_path_factory):
    return head(tmp_path_factory.mktemp("recorded"))


def edited(folder, tmp_path, change):
    """A copy of a recorded folder with another config.json."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    change(config)
    (tmp_path / "config.json").write_text(json.dumps(config))
    return read(tmp_path)


def test_the_machine_is_the_recorded_one(monitored):
    found = guest(read(monitored), 1).scenario.topology
    managed = [zone.managed_pages for zones in found.zones for zone in zones]
    assert managed == [3840, 495_406, 1_020_244]
    assert found.kernel.hz == 250
    assert [list(row) for row in found.distances] == [[10, 20], [20, 10]]


def test_the_first_snapshot_is_as_the_kernels(monitored):
    """Initial regions follow from the address space alone; and so does when they are reported."""
    recording = read(monitored)
    described = guest(recording, 1)
    result = run_scenario(described.scenario)
    theirs = recording.kdamonds[0].snapshots[0]
    first = result.snapshots[result.snapshots.seen_s == result.snapshots.seen_s.min()]
    ours = (first.start // 4096).tolist()
    assert ours == theirs.regions[:, 0].tolist()
    assert first.seen_s.iloc[0] - described.zero_s == pytest.approx(theirs.t_s, abs=0.05)


def test_every_seed_is_another_run_and_the_same_seed_the_same(monitored):
    recording = read(monitored)
    runs = [run_scenario(guest(recording, seed).scenario).snapshots for seed in (1, 1, 2)]
    assert runs[0].equals(runs[1])
    assert not runs[0].equals(runs[2])


def test_accesses_are_those_counted(monitored):
    recording = read(monitored)
    described = guest(recording, 1)
    result = run_scenario(described.scenario)
    done = result.actors.groupby("actor").operations.max()
    until = described.scenario.duration_ns / 1e9 - described.zero_s
    truth = recording.truth[0]
    before, after = (truth[truth.index <= t].acc0.sum() for t in (until - 0.1, until + 0.1))
    assert before <= done["wl0/phase0.acc0"] <= after


def test_other_folders_work_too(monitored, tmp_path):
    """Two processors on two nodes, memory without any behind them, and other commands."""

    def change(config):
        nodes = config["guest_nodes"]
        nodes["node0"]["cpulist"] = "1"
        nodes["node1"]["cpulist"] = "0"

    recording = edited(monitored, tmp_path, change)
    found = guest(recording, 1).scenario
    assert [a.cpus for a in found.topology.accessors] == [(1,), (0,)]
    assert found.workload.processes[0].actors[0].on == "cpu1"
    run_scenario(found)


def test_a_sequential_and_a_popular_range(monitored, tmp_path):
    def change(config):
        lines = config["workloads"][0]["phases"][0]["acc"]
        lines[0]["pattern"] = "seq"
        lines[1] |= {"pattern": "zipf", "s": 0.9, "block_pages": 64}

    (tmp_path / "zipf_cold0.csv").write_text("block,probability\n0,0.5\n1,0.25\n3,0.25\n")
    recording = edited(monitored, tmp_path, change)
    patterns = [
        actor.phases[0].access[0].kind for actor in guest(recording, 1).scenario.workload
        .processes[0].actors
    ]  # fmt: skip
    assert patterns[:2] == ["sweep", "blocks"]


def test_what_is_not_simulated_is_named(monitored, tmp_path):
    def change(config):
        config["commands_and_events"].append(
            {"path": "/proc/sys/vm/zone_reclaim_mode", "val": "7", "ev": "write", "t_end": 5.0}
        )

    with pytest.raises(NotSimulated, match="zone_reclaim_mode"):
        guest(edited(monitored, tmp_path, change), 1)


def test_settings_of_the_kernel_become_events(monitored, tmp_path):
    written = [
        ("/proc/sys/kernel/numa_balancing", "2", ("kernel.numa_balancing", 2)),
        ("/sys/kernel/mm/numa/demotion_enabled", "true", ("numa/demotion_enabled", 1)),
        (
            "/sys/kernel/debug/sched/numa_balancing/scan_size_mb", "64",
            ("sched/numa_balancing/scan_size_mb", 64),
        ),
    ]  # fmt: skip

    def change(config):
        config["commands_and_events"] += [
            {"path": path, "val": value, "ev": "write", "t_end": 0.5} for path, value, _ in written
        ]

    scenario = guest(edited(monitored, tmp_path, change), 1).scenario
    assert (scenario.policy.kind, scenario.policy.mode) == ("numa_balancing", 0)
    found = [e.settings for e in scenario.events if e.action == "sysctl"]
    assert found == [dict([expected]) for _, _, expected in written]


def test_wrong_models_are_described_otherwise(monitored):
    recording = read(monitored)
    right = guest(recording, 1).scenario
    assert guest(recording, 1, Model(nominal_periods=True)).scenario.clocks == {}
    assert right.clocks
    still = guest(recording, 1, Model(no_stalls=True)).scenario.clocks["kdamond.0"].still
    assert still == ()


def test_all_that_is_missing_is_said_at_once(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError) as error:
        read(tmp_path)
    said = str(error.value)
    for word in ("topology", "workloads", "timeline.csv", "truth.csv"):
        assert word in said


def test_runs_are_found_at_any_depth():
    names = {path.name for path in find_runs([DATA])}
    assert "r1" in names or "r2" in names
    with pytest.raises(ConfigError, match="no recorded run"):
        find_runs([DATA / "nowhere"])


def test_numbers_that_cannot_be_are_all_told_with_their_place(monitored, tmp_path):
    def change(config):
        program = config["workloads"][0]
        program["regions"][0]["pages"] = 0
        program["phases"][0]["acc"][0]["rate_per_page_per_s"] = float("nan")
        program["phases"][0]["acc"][1]["region"] = "nowhere"

    with pytest.raises(ConfigError) as error:
        edited(monitored, tmp_path, change)
    said = str(error.value)
    for word in ("regions[0]", "phases[0].acc[0].rate_per_page_per_s", 'no region "nowhere"'):
        assert word in said


@pytest.mark.parametrize(
    ("row", "word"),
    [("5.0,inf,0,1", "infinite"), ("5.0,0.5,0,1", "whole"), ("nan,0,0,1", "instants")],
)
def test_true_counts_that_cannot_be_are_refused(tmp_path, row, word):
    folder = head(tmp_path)
    first = (folder / "truth.csv").read_text().splitlines()[0].split(",")
    values = dict(zip(("t_s", "phase", "late_us", "acc0"), row.split(","), strict=True))
    with (folder / "truth.csv").open("a") as file:
        file.write(",".join(values.get(column, "0") for column in first) + "\n")
    with pytest.raises(ConfigError, match=word):
        read(folder)


def test_time_that_stands_still_in_snapshots_is_refused(tmp_path):
    folder = head(tmp_path)
    lines = (folder / "snapshots.jsonl").read_text().splitlines()
    (folder / "snapshots.jsonl").write_text("\n".join([*lines, lines[-1]]) + "\n")
    with pytest.raises(ConfigError, match="expected later instants"):
        read(folder)


def test_what_is_not_replayed_is_said(monitored, tmp_path):
    def change(config):
        tune = {"ev": "sh", "cmd": "damo tune --monitoring_intervals 5ms 100ms 1s"}
        config["commands_and_events"].append(tune | {"t_start": 2.0, "t_end": 2.1})

    assert remark(read(monitored)) == ""
    assert "one changed it later" in remark(edited(monitored, tmp_path, change))


def balanced(config, mode="2"):
    config["commands_and_events"].append(
        {"path": "/proc/sys/kernel/numa_balancing", "val": mode, "ev": "write", "t_end": 2.0}
    )


def test_a_program_under_numa_balancing_goes_as_far_as_it_can(monitored, tmp_path):
    """Not by its counts, which the kernel's faults made: at the pace asked of it, less what its
    host took before anything could stop it."""
    recording = edited(monitored, tmp_path, balanced)
    (actor,) = guest(recording, 1).scenario.workload.processes[0].actors
    lost = paced.lost_share(recording, 0, 2.0)
    truth = recording.truth[0]
    rows = truth[truth.index <= 2.0]
    assert lost == pytest.approx(rows.late_us.sum() / 1e6 / rows.index[-1]) and 0 < lost < 0.2
    phase = actor.phases[0]
    assert not actor.course and phase.spins and phase.pace == pytest.approx(1000 * (1 - lost))
    lines = recording.setup.programs[0].phases[0]
    sizes = {r.name: r.pages for r in recording.setup.programs[0].regions}
    asked = [line.rate_per_page_per_s * sizes[line.region] / 1000 for line in lines]
    assert [p.visits for p in phase.access] == pytest.approx([a for a in asked if a > 0])


def test_one_that_is_never_balanced_follows_its_counts(monitored, tmp_path):
    recording = edited(monitored, tmp_path, lambda config: balanced(config, "0"))
    assert all(a.course for a in guest(recording, 1).scenario.workload.processes[0].actors)
