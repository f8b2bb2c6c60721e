"""The command line: what it prints where, how it fails, and how soon it answers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from numasim import library
from numasim.cli import app
from numasim.engine import Engine

DATA = Path(__file__).parents[2] / "data"
MACHINE, WORKLOAD, POLICY = (
    str(DATA / f"tiny_{part}.yaml") for part in ("machine", "workload", "policy")
)
TINY = ["-t", MACHINE, "-w", WORKLOAD]
HEAVY = ("numpy", "pandas", "scipy", "matplotlib", "simpy", "pyarrow")


def numasim(*words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "80", "NO_COLOR": "1"})
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


# -- quick help ----------------------------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from numasim.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_quiet_run_waits_for_no_tables_that_nobody_reads() -> None:
    """pandas and scipy take longer to come up than a tiny run."""
    command = ["run", *TINY, "-p", POLICY, "-d", "3 s", "--quiet"]
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from numasim.cli import app\n"
        f"done = CliRunner().invoke(app, {command})\n"
        "assert done.exit_code == 0, done.output\n"
        "print([name for name in ('pandas', 'pyarrow', 'scipy') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    "command", ["run", "compare", "list", "schedule", "explain", "show topology", "show workload",
                "show policy", "show scenario"],
)  # fmt: skip
def test_every_command_gives_an_example(command: str) -> None:
    assert "Example: numasim" in numasim(*command.split(), "--help").output


def test_version() -> None:
    assert numasim("--version").output.startswith("numasim 0.")


# -- run -----------------------------------------------------------------------------------------


def test_run_prints_a_table() -> None:
    text = numasim("run", *TINY, "-p", POLICY, "-d", "2 s", "--seed", "3").output
    assert "seed 3" in text and "throughput" in text and "local access share" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_json_is_one_document_and_nothing_else() -> None:
    result = numasim("run", *TINY, "-p", "no_tiering", "-d", "2 s", "--json", "-")
    document = json.loads(result.stdout)
    assert document["policy"] == "no_tiering"
    assert document["summary"]["emd"] is None
    assert document["summary"]["throughput_ops_per_s"] > 0


def test_json_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    numasim("run", *TINY, "-d", "2 s", "--json", str(path), "--quiet")
    assert json.loads(path.read_text())["seed"] == 1


def test_out_keeps_tables_and_pictures(tmp_path: Path) -> None:
    text = numasim("run", *TINY, "-d", "2 s", "--out", str(tmp_path)).output
    names = {path.name for path in tmp_path.iterdir()}
    assert {"manifest.json", "actors.parquet", "occupancy.svg"} <= names
    (line,) = [line for line in text.splitlines() if line.startswith("wrote")]
    assert line.startswith(f"wrote {len(names)} files in {tmp_path}: 1 json, ")


def test_quiet_says_nothing() -> None:
    assert numasim("run", *TINY, "-d", "2 s", "-q").output == ""


def test_options_win_over_the_scenario(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(
        f"topology: {MACHINE}\nworkload: {WORKLOAD}\npolicy: tpp_damon\nduration: 9 s\nseed: 5\n"
    )
    events = tmp_path / "events.yaml"
    events.write_text("- {at: 1 s, sysctl: {vm.watermark_scale_factor: 100}}\n")
    result = numasim(
        "run", str(path), "-p", "no_tiering", "-d", "2 s", "--json", "-", "--events", str(events),
        "--set", "workload.hot='8 MiB'",
    )  # fmt: skip
    document = json.loads(result.stdout)
    assert document["policy"] == "no_tiering"
    assert (document["seed"], document["duration"]) == (5, "2 s")
    assert "sysctl" in [event["what"] for event in document["events"]]


def test_damo_commands() -> None:
    words = "--numa_node 0 --damos_action stat"
    result = numasim("run", *TINY, "-d", "2 s", "--json", "-", "--damo", words)
    assert json.loads(result.stdout)["policy"] == "damo"
    numasim("run", *TINY, "-d", "2 s", "-p", f"damo start {words}", "-q")


def test_warnings_of_damo_go_to_stderr_or_are_mistakes() -> None:
    # one --damos_age after the second action binds to the first
    words = "--damos_action stat --damos_action stat --damos_age 1s max"
    result = numasim("run", *TINY, "-d", "2 s", "--json", "-", "--damo", words)
    json.loads(result.stdout)
    assert "warning: " in result.stderr
    strict = numasim("run", *TINY, "-d", "2 s", "--strict", "--damo", words, code=2)
    assert strict.stdout == ""


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("", "--damo: is empty; expected a command such as"),
        (" sudo damo ", "--damo: is empty"),
        ("damo record", 'policy.damo: "damo record" is no policy; use damo start'),
        ("tune --numa_node 0", '"damo tune" is no policy'),
        ("stop", '"damo stop" is no policy'),
        ("rm -rf / --numa_node 0", 'unknown damo command "rm"'),
        ("damo strat --numa_node 0", 'did you mean "start"'),
    ],
)
def test_what_is_no_damo_command(command: str, text: str) -> None:
    for what in ("run", "compare"):
        said = numasim(what, *TINY, "-d", "2 s", "--damo", command, code=2).stderr
        assert text in said and len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "front", ["", "damo start ", "start ", "$ sudo damo start ", "args damon "]
)
def test_damo_commands_begin_as_they_like(front: str) -> None:
    words = f"{front}--numa_node 0 --damos_action stat"
    numasim("run", *TINY, "-d", "1.1 s", "-q", "--damo", words)


def test_a_process_that_comes_later_is_monitored_later() -> None:
    words = ["run", *TINY, "-d", "2 s", "-q", "--damo", "--target_pid 1000"]
    assert "--set policy.start='1 s'" in numasim(*words, code=2).stderr
    numasim(*words, "--set", "policy.start='1 s'")


@pytest.mark.parametrize("command", ["run", "compare"])
def test_outputs_are_tried_before_the_run(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "run", lambda _: pytest.fail("it ran"))
    (tmp_path / "file").touch()
    bad = ["--out", str(tmp_path / "file" / "x"), "--json", str(tmp_path)]
    words = [command, *TINY, "-p", "no_tiering", "-d", "2 s"]
    said = numasim(*words, *bad, code=2).stderr
    assert "2 mistakes" in said and "--out: " in said and "--json: " in said


def test_folders_of_outputs_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.json"
    numasim("run", *TINY, "-d", "2 s", "-q", "--json", str(path))
    assert [p.name for p in path.parent.iterdir()] == ["run.json"]


def test_a_run_without_work_is_refused_or_warned_of() -> None:
    early = numasim("run", *TINY, "-d", "1 s", code=2)
    assert "duration: the run ends before app starts, at 1 s" in early.stderr
    for words in (["run"], ["compare", "-p", "no_tiering", "--seeds", "1", "--workers", "1"]):
        said = numasim(*words, *TINY, "-d", "1.01 s", "--json", "-")
        assert said.stderr.startswith("warning: no phase began before the end")
        json.loads(said.stdout)


# -- compare -------------------------------------------------------------------------------------


def test_compare() -> None:
    command = ["compare", *TINY, "-p", "no_tiering", "-p", POLICY, "-d", "2 s"]
    text = numasim(*command, "--seeds", "2", "--workers", "1").output
    assert "throughput ratio" in text and "tiny_policy" in text and "95% intervals" in text
    assert max(map(len, text.splitlines())) <= 80
    result = numasim(*command, "--seed-list", "4,2", "--workers", "1", "--json", "-")
    document = json.loads(result.stdout)
    assert document["seeds"] == [4, 2]
    assert list(document["policies"]) == ["no_tiering", "tiny_policy"]


def test_compare_many_policies_stays_readable() -> None:
    words = [w for word in ("no_tiering", "no_tiering", "no_tiering") for w in ("-p", word)]
    text = numasim("compare", *TINY, *words, "-d", "2 s", "--seeds", "1", "--workers", "1").output
    assert "no_tiering (3)" in text
    assert max(map(len, text.splitlines())) <= 80


# -- what there is -------------------------------------------------------------------------------


def test_list() -> None:
    text = numasim("list").output
    for word in ("dram_cxl", "cold_first", "tpp_damon", "uniform", "accessed_bits", "late_start"):
        assert word in text
    assert "dram_cxl" not in numasim("list", "policies").output


@pytest.mark.parametrize("kind", ["topology", "workload", "scenario"])
def test_show_everything_shipped(kind: str) -> None:
    folder = {"topology": "topologies", "workload": "workloads", "scenario": "scenarios"}[kind]
    for name in library.names(folder):
        text = numasim("show", kind, name).output
        assert text.startswith(name)
        assert max(map(len, text.splitlines())) <= 80


def test_show_topology_ranks_tiers_for_each_accessor() -> None:
    text = numasim("show", "topology", MACHINE).output
    assert "tiers of cpu0" in text and "271" in text and "64 MiB" in text and "0x100000000" in text


def test_show_policy_is_ready_for_a_real_machine(tmp_path: Path) -> None:
    text = numasim("show", "policy", "tpp_damon", "-t", MACHINE).output
    assert "share of the faster node that is free" in text and "damo start" in text
    damo = numasim("show", "policy", "tpp_damon", "-t", MACHINE, "--only", "damo").output.strip()
    assert damo.startswith("damo start") and "\n" not in damo
    path = tmp_path / "mine.yaml"
    path.write_text(numasim("show", "policy", POLICY, "-t", MACHINE, "--only", "kdamonds").output)
    own, file = (
        numasim("show", "policy", name, "-t", MACHINE, "--only", "damo").output
        for name in (POLICY, str(path))
    )
    assert own == file


def test_show_policy_says_where_it_is_not_the_published_one() -> None:
    for machine, text in (
        ("dram_cxl", ""),
        ("two_socket_four_node", "pair repeated for the 3 pairs of neighbouring tiers"),
        ("gh200", "the tiers are those of accessor 0 (cpu0)"),
    ):
        shown = " ".join(numasim("show", "policy", "tpp_damon", "-t", machine).output.split())
        assert text in shown and (" note " in shown) == bool(text)


def test_show_policy_says_what_no_real_machine_can_be_told() -> None:
    command = ("show", "policy", "holistic", "-t", "two_pcie_gpus")
    shown = " ".join(numasim(*command).output.split())
    assert "kdamonds 3, 4, 5, 6, 7, 8 are left out: they watch gpu0, gpu1" in shown
    damo = numasim(*command, "--only", "damo").output
    assert "--exp_ops_cpus 0-31" in damo and "--exp_ops_cpus 32" not in damo
    shown = " ".join(
        numasim("show", "policy", "holistic", "-t", "two_socket_four_node").output.split()
    )
    assert "damo 3.4.3 lets sampling options of one context leak into others" in shown
    assert "ours, no damo" not in shown
    one = ("--set", "source=pebs", "--set", "accessors=[cpu1]")
    shown = numasim("show", "policy", "holistic", "-t", "two_socket_four_node", *one).output
    assert "--sample_primitives pebs: ours, no damo" in " ".join(shown.split())
    assert "leak into others" not in shown


def test_show_policy_with_a_single_word_for_a_list() -> None:
    command = (
        "show",
        "policy",
        "holistic",
        "-t",
        "two_socket_four_node",
        "--set",
        "accessors=cpu1",
    )
    assert "'[cpu1]'" in numasim(*command, code=2).output


@pytest.mark.parametrize("name", ["accessed_bits", "page_fault", "report"])
def test_show_source(name: str) -> None:
    text = numasim("show", "source", name).output
    assert f"--set scenario.access_source={name}" in text
    assert ("page_fault: {filters: intent}" in text) == (name == "page_fault")


def test_show_policy_without_kdamonds() -> None:
    text = numasim("show", "policy", "no_tiering").output
    assert "no_tiering: Linux without demotion" in text and "damo start" not in text


def test_schedule() -> None:
    text = numasim("schedule", MACHINE, WORKLOAD, "-p", POLICY).output
    slots = [line.split()[1] for line in text.splitlines()[3:8]]
    assert slots == ["TRAFFIC", "KDAMOND", "POLICY", "MIGRATE", "RECORD"]
    assert "kdamond.1" in text and "starts at 1 s" in text and "every 50 ms" in text


# -- explain -------------------------------------------------------------------------------------


def test_explain(tmp_path: Path) -> None:
    import numasim as ns

    ns.run(MACHINE, WORKLOAD, POLICY, duration="7 s").save(tmp_path)
    text = numasim("explain", str(tmp_path)).output
    assert "hotA of app" in text and "cold of app" in text and "migrate_hot" in text
    assert max(map(len, text.splitlines())) <= 80
    page = numasim("explain", str(tmp_path), "--mapping", "hotB", "--page", "100").output
    assert "first touch on" in page
    assert "--mapping" in numasim("explain", str(tmp_path), "--page", "1", code=2).stderr
    assert "no result" in numasim("explain", str(tmp_path / "none"), code=2).stderr


# -- mistakes ------------------------------------------------------------------------------------


def test_a_broken_scenario_tells_all_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(
        "topology: dram_cxk\nworkload: cold_frist\npolicy: tpp_damn\nduration: 5\nx: 1\n"
    )
    result = numasim("run", str(path), code=2)
    assert result.stdout == ""
    for word in ("dram_cxl", "cold_first", "tpp_damon", "duration", "x (line 5)", "5 mistakes"):
        assert word in result.stderr
    assert "Traceback" not in result.stderr


def test_a_broken_topology_tells_all_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    text = Path(MACHINE).read_text()
    path.write_text(text.replace("64 MiB,", "64 gigs,").replace("kind: CPU", "knd: CPU"))
    result = numasim("compare", "-t", str(path), "-w", WORKLOAD, "-p", "no_tiering", code=2)
    for word in ("capacity", "64 gigs", "knd", 'did you mean "kind"', "line", "duration"):
        assert word in result.stderr


def test_broken_options_tell_all_mistakes() -> None:
    result = numasim(
        "run", *TINY, "-d", "2 s", "--set", "workload.hto=1", "--set", "colour=red",
        "--damo", "--damos_action migrate_hot 7 --damos_agee 3", code=2,
    )  # fmt: skip
    for word in ("workload.hto", 'did you mean "hot"', "colour", "damos_agee"):
        assert word in result.stderr


def test_unknown_options_and_commands_exit_2() -> None:
    assert "policyy" in numasim("run", "--policyy", "x", code=2).stderr
    numasim("rum", code=2)


def test_a_failed_run_exits_1() -> None:
    big = ["--set", "workload.cold='287 MiB'", "-d", "3 s"]
    result = numasim("run", *TINY, *big, code=1)
    assert "out of memory" in result.stderr and "Traceback" not in result.stderr
    words = ["compare", *TINY, "-p", "no_tiering", *big, "--seeds", "2", "--workers", "1"]
    both = numasim(*words, code=1)
    assert "2 of 2 runs failed" in both.stderr and "no_tiering, seed 1" in both.stderr


def test_debug_shows_where_it_comes_from() -> None:
    result = CliRunner().invoke(app, ["--debug", "run", "nonsense"])
    assert result.exception is not None and "nonsense" in str(result.exception)


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "numasim", "run", *TINY, "-d", "2 s", "--json", "-"]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    json.loads(done.stdout)
    assert time.monotonic() - began < 30
