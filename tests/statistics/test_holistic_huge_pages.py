"""Huge pages, all within the reach of a TLB that nothing flushes: who sees them is known."""

from __future__ import annotations

import pytest

from numasim.loader import load_scenario
from numasim.running import run_scenario

MAPPINGS = ("private1", "private2", "shared", "idle1", "idle2")


def share_at_home(source: str, *more: str) -> float:
    """Share of both sockets' private data that is on their own DRAM in the end."""
    document = {"topology": "four_node_small", "workload": "two_sockets", "duration": "25 s"}
    document["policy"] = {"kind": "holistic", "source": source}
    huge = [f"workload.processes.app.mappings.{name}.page=2 MiB" for name in MAPPINGS]
    table = run_scenario(load_scenario(document, overrides=[*huge, *more])).residency
    last = table[table["t_s"] == table["t_s"].max()]
    private = last[last["mapping"].isin(["private1", "private2"])]
    homes = (("private1", "dram1"), ("private2", "dram2"))
    own = sum(
        private[(private["mapping"] == name) & (private["node"] == node)]["bytes"].sum()
        for name, node in homes
    )
    return float(own / private["bytes"].sum())


@pytest.mark.slow
def test_what_faulted_is_young_so_huge_pages_come_home():
    assert share_at_home("page_fault") > 0.95


@pytest.mark.slow
def test_samples_flush_nothing_so_the_young_filter_needs_another_flush():
    assert share_at_home("pebs") < 0.05
    flushed = [f"topology.accessors.{a}.tlb.flush_interval=10 ms" for a in ("cpu1", "cpu2")]
    assert share_at_home("pebs", *flushed) > 0.2  # on the way: samples find them more slowly
