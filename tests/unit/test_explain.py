"""Explanations agree with the tables of the run they explain."""

from __future__ import annotations

from pathlib import Path

import pytest

import numasim as ns
from numasim.errors import ConfigError
from numasim.explain import (
    final_schemes,
    find_mapping,
    mapping_timeline,
    mappings,
    page_timeline,
    verdict,
)

DATA = Path(__file__).parents[1] / "data"
PAGE = 4096


@pytest.fixture(scope="module")
def result() -> ns.Result:
    names = [str(DATA / f"tiny_{part}.yaml") for part in ("machine", "workload", "policy")]
    return ns.run(*names, duration="8 s", set=["scenario.record='100 ms'"])


def moved_pages(result: ns.Result, mapping: str) -> int:
    moves = result.moves[result.moves.mapping == mapping]
    return int(moves.bytes.sum()) // PAGE


def test_mappings_by_name(result: ns.Result) -> None:
    assert mappings(result) == [("app", "cold"), ("app", "hotA"), ("app", "hotB")]
    assert find_mapping(result, "hotA") == ("app", "hotA")
    with pytest.raises(ConfigError, match='did you mean "cold"'):
        find_mapping(result, "colt")
    with pytest.raises(ConfigError, match="no process"):
        find_mapping(result, "hotA", "apq")


def test_a_mapping_s_story_holds_every_move(result: ns.Result) -> None:
    story = mapping_timeline(result, "app", "hotB")
    assert [e.t_s for e in story] == sorted(e.t_s for e in story)
    moves = [e for e in story if "→" in e.what]
    assert moves and all("migrate_" in e.why and "nr_accesses" in e.why for e in moves)
    assert any(e.what.startswith("populated: 16 MiB on cxl0") for e in story)
    assert any("phase B" in e.what for e in story)


def test_of_two_schemes_the_one_that_moves_there_is_named() -> None:
    both = (
        "damo start --numa_node 0 1 --monitoring_intervals 5ms 100ms 1s "
        "--damos_action migrate_hot 0 --damos_action migrate_cold 1 "
        "--damos_access_rate 20% max --damos_access_rate 0% 0%"
    )
    names = [str(DATA / f"tiny_{part}.yaml") for part in ("machine", "workload")]
    result = ns.run(*names, both, duration="5 s", set=["scenario.record='100 ms'"])
    found = [e for _, name in mappings(result) for e in mapping_timeline(result, "app", name)]
    for way, action in (("→ dram0", "migrate_hot"), ("→ cxl0", "migrate_cold")):
        moves = [e for e in found if e.what.endswith(way)]
        assert moves and all(action in e.why for e in moves), way


def test_a_page_s_story_is_the_run_s(result: ns.Result) -> None:
    assert moved_pages(result, "hotB") > 0
    scenario = result.scenario()
    stories = [page_timeline(scenario, "app", "hotB", page) for page in (0, 100, 4095)]
    for story in stories:
        assert (story[0].what, story[0].target) == ("first touch", "cxl0")
    moves = [e for story in stories for e in story if e.what == "moved"]
    assert moves, "none of three pages of the hot set was promoted"
    for event in moves:
        start, end, nr_accesses, _ = event.region
        assert event.cause in ("kdamond.1 migrate_hot", "kdamond.0 migrate_cold")
        assert start < end and nr_accesses >= 0
        assert event.source != event.target


def test_pages_beyond_the_mapping(result: ns.Result) -> None:
    for page in (-1, 4096):
        with pytest.raises(ConfigError, match="0 to 4095"):
            page_timeline(result.scenario(), "app", "hotB", page)


def test_what_schemes_came_to(result: ns.Result) -> None:
    last = final_schemes(result)
    assert list(last.action) == ["migrate_cold", "migrate_hot"]
    for row in last.itertuples():
        assert row.goal in verdict(row)
    starved = last.iloc[1].copy()
    starved["esz"] = 9
    assert "moves nothing" in verdict(starved)
