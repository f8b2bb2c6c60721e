"""Contexts that can never see anything are told of at load; what the machine lacks is refused."""

from __future__ import annotations

import pytest

from numasim.errors import ConfigError
from numasim.loader import load_scenario

SAMPLING = "damo start --sample_primitives page_fault --damos_action stat"


def warned(command, topology="four_node_small", **more):
    document = {"topology": topology, "workload": "two_sockets", "duration": "6 s", **more}
    document["policy"] = (
        command if isinstance(command, dict) else {"kind": "damos", "damo": command}
    )
    return [w for w in load_scenario(document).warnings if "kdamonds" in w]


@pytest.mark.parametrize(
    ("filters", "said", "there"),
    [
        ("allow cpu 90-99", "`allow cpu 90-99`", "CPUs 0-31"),
        ("allow cpu ''", "`allow cpu ''`", "CPUs 0-31"),
        ("allow threads 777,888", "`allow threads 777,888`", "threads 1000-"),
        ("reject cpu 0-31", "`reject cpu 0-31`", "CPUs 0-31"),
    ],
)
def test_a_filter_that_nothing_passes(filters, said, there):
    (warning,) = warned(f"{SAMPLING} --sample_filter {filters}")
    assert "policy.kdamonds[0].contexts[0]" in warning
    assert said in warning and there in warning


def test_of_several_filters_the_one_in_the_way_is_named():
    (warning,) = warned(f"{SAMPLING} --sample_filter allow write --sample_filter allow cpu 64")
    assert "`allow cpu 64`" in warning


@pytest.mark.parametrize("filters", ["allow cpu 0-99", "allow write", "reject threads 777"])
def test_filters_that_something_passes(filters):
    assert warned(f"{SAMPLING} --sample_filter {filters}") == []


def test_the_semantics_chosen_count():
    rfc = {"sources": {"page_fault": {"filters": "rfc"}}}
    assert warned(f"{SAMPLING} --sample_filter allow cpu 90-99", **rfc) == []
    (warning,) = warned(f"{SAMPLING} --sample_filter reject write", **rfc)
    assert "`reject write`" in warning


def test_nobody_reports():
    document = {"topology": "gh200", "workload": "cpu_and_gpu", "duration": "6 s"}
    document["policy"] = {"kind": "holistic", "device_source": "report"}
    warnings = load_scenario(document).warnings
    assert any("names no reporters" in w for w in warnings)


def test_a_machine_without_what_is_to_count():
    eye = {"access_source": "gpu_counter"}
    with pytest.raises(ConfigError, match=r"gpu_counter needs a GPU.*cpu1 \(CPU\)"):
        warned("damo start --damos_action stat", **eye)


@pytest.mark.parametrize("topology", ["four_node_small", "two_socket_four_node"])
def test_holistic_itself_is_not_blind(topology):
    assert warned({"kind": "holistic"}, topology) == []


@pytest.mark.parametrize(("page", "interval", "told"), [
    ("2 MiB", None, True), ("2 MiB", "10 ms", False), ("4 KiB", None, False)
])  # fmt: skip
def test_a_workload_within_the_reach_of_a_tlb_that_is_never_flushed(page, interval, told):
    parts = ("private1", "private2", "shared", "idle1", "idle2")
    overrides = [f"workload.processes.app.mappings.{part}.page={page}" for part in parts]
    if interval:
        overrides += [
            f"topology.accessors.{a}.tlb.flush_interval={interval}" for a in ("cpu1", "cpu2")
        ]
    document = {"topology": "four_node_small", "workload": "two_sockets", "duration": "6 s"}
    for policy, concerned in (("holistic", True), ("tpp", True), ("no_tiering", False)):
        made = load_scenario({**document, "policy": policy}, overrides=overrides)
        assert any("which nothing flushes" in w for w in made.warnings) == (told and concerned)
