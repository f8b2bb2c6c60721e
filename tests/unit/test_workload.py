"""Descriptions of programs: what is refused, where, and what follows from the rest."""

from __future__ import annotations

import pytest

from numasim.errors import ConfigError
from numasim.mapping import Mempolicy
from numasim.workload import FIRST_ADDRESS, GUARD_BYTES, Workload
from tests import worlds

MIB = 1 << 20


def process(**more) -> dict:
    return {"name": "app", "mappings": [worlds.mapping("m", "8 MiB")], **more}


def actor(*phases: dict, **more) -> dict:
    return {"phases": list(phases or ({"compute": "1 us"},)), **more}


def complaints(*processes: dict) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Workload.from_dict({"name": "w", "processes": list(processes)})
    return [str(p) for p in caught.value.problems]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"size": "8 MB"},
            "processes[0].mappings[0].size: got 8000000 bytes, expected whole pages",
        ),
        ({"size": "3 MiB", "page": "2 MiB"}, "expected whole pages of 2097152"),
        ({"page": "8 KiB"}, "mappings[0].page: got 8192 bytes, expected 4 KiB, 64 KiB or 2 MiB"),
        ({"size": 4096}, "a bare number has no unit"),
        ({"size": "0 MiB"}, "mappings[0].size"),
        ({"address": 0x1001}, "mappings[0].address: got 0x1001, expected a page boundary"),
        ({"kind": "hugetlb"}, "mappings[0].kind"),
        ({"sise": "1 MiB"}, 'mappings[0].sise: unknown key; did you mean "size"?'),
        ({"busy": [2048]}, "mappings[0].busy: got page 2048, the mapping has 2048"),
        ({"busy": [1], "populate": False}, "mappings[0].busy: needs pages that exist"),
        ({"policy": {"mode": "bind"}}, "policy.nodes: is empty, bind needs at least one"),
        ({"policy": {"mode": "weighted_interleave"}}, "policy.nodes: is empty"),
        (
            {"policy": {"mode": "weighted_interleave", "nodes": ["a", "b"], "weights": [1]}},
            "policy.weights: got 1 for 2 nodes, expected one each",
        ),
        ({"policy": {"mode": "interleave", "weights": [1]}}, "are for weighted_interleave"),
        ({"policy": {"nodes": ["a"]}}, "policy.nodes: are given, but local"),
        (
            {"policy": {"mode": "weighted_interleave", "nodes": ["a"], "weights": [256]}},
            "policy.weights[0]",
        ),
    ],
)
def test_mappings_that_make_no_sense(fields, text):
    (complaint,) = complaints(process(mappings=[{**worlds.mapping("m", "8 MiB"), **fields}]))
    assert text in complaint


@pytest.mark.parametrize(
    ("phase", "text"),
    [
        ({}, "an operation that takes no time; give compute"),
        ({"access": [{"pattern": "uniform", "mapping": "m", "visits": 0}]}, "takes no time"),
        ({"access": [{"pattern": "uniform", "mapping": "m", "miss": 0}]}, "takes no time"),
        (
            {"compute": "1 us", "duration": "1 s", "operations": 3},
            "phases[0].operations: is given beside duration",
        ),
        ({"compute": "1 us", "access": [{"mapping": "m"}]}, "access[0].pattern: is missing"),
        (
            {"compute": "1 us", "access": [{"pattern": "unifrom", "mapping": "m"}]},
            'unknown pattern "unifrom"; did you mean "uniform"?',
        ),
        (
            {"compute": "1 us", "access": [{"pattern": "uniform", "mapping": "n"}]},
            'access[0].mapping: no mapping "n"',
        ),
        ({"compute": "1 us", "burst": 1 << 17}, "burst: has no pattern to go to"),
        ({"compute": "1 us", "chances": [1]}, "chances: are for bursts"),
        ({"compute": "1 us", "operations": float("inf")}, "operations: got inf"),
    ],
)
def test_phases_that_make_no_sense(phase, text):
    found = complaints(process(actors=[actor(phase)]))
    assert len(found) == 1
    assert text in found[0]


def test_a_pace_or_compute_is_time_enough():
    for phase in ({"pace": "5 /s"}, {"compute": "1 ns"}):
        Workload.from_dict({"name": "w", "processes": [process(actors=[actor(phase)])]})


def test_names_and_pids_are_taken_once():
    twice = [worlds.mapping("m", "1 MiB")] * 2
    assert complaints(process(mappings=twice)) == ['processes[0].mappings[1].name: "m" is taken']
    found = complaints(process(actors=[actor(), actor()]))
    assert found == ['processes[0].actors[1].name: "main" is taken']
    assert complaints(process(), process()) == ['processes[1].name: "app" is taken']
    clash = complaints(process(), {**process(), "name": "b", "pid": 1000})
    assert clash == ["processes[1].pid: 1000 is taken"]


def test_mappings_do_not_overlap():
    found = complaints(
        process(
            mappings=[
                worlds.mapping("a", "8 MiB", address=0x10000000),
                worlds.mapping("b", "1 MiB", address=0x10400000),
            ]
        )
    )
    assert found == ["processes[0].mappings: overlap at 0x10400000"]


def test_a_process_ends_after_it_began():
    assert complaints(process(start="5 s", stop="5 s")) == [
        "processes[0].stop: expected an instant after start"
    ]


def test_all_mistakes_are_told_at_once():
    found = complaints(
        process(start="5 parsec", mappings=[{"name": "m", "size": "big"}]), {"name": "x"}
    )
    assert len(found) == 3


def test_a_wrong_part_hides_nothing_of_the_whole():
    access = [
        {"pattern": "uniform", "mapping": "b", "visits": -1},
        {"pattern": "unifrom", "mapping": "b"},
    ]
    found = complaints(
        process(
            start="soon",
            mappings=[{"name": "m", "size": "4 gigs"}, worlds.mapping("m", "1 MiB", pgae=1)],
            actors=[
                actor({"duration": "1 s", "operations": 5, "access": access}, threads=0),
                {"phases": []},
            ],
        )
    )
    wanted = [
        "mappings[0].size: got",
        'mappings[1].name: "m" is taken',
        "mappings[1].pgae: unknown key",
        "actors[0].threads: got 0",
        "phases[0].operations: is given beside duration",
        "access[0].visits: got -1",
        'access[0].mapping: no mapping "b"',
        'access[1].pattern: unknown pattern "unifrom"',
        'actors[1].name: "main" is taken',
        "actors[1].phases: is empty; expected at least 1",
        "start: got",
    ]
    for text in wanted:
        assert sum(f"processes[0].{text}" in f or text in f for f in found) == 1, (text, found)
    assert len(found) == len(wanted)
    assert not any("{" in text for text in found), "no complaint shows a whole section"


def test_what_a_wrong_name_may_stand_for_is_not_complained_about():
    named = [{"name": 5, "size": "1 MiB"}]
    phase = {"compute": "1 us", "access": [{"pattern": "uniform", "mapping": "m"}]}
    (found,) = complaints(process(mappings=named, actors=[actor(phase)]))
    assert found.startswith("processes[0].mappings[0].name: got 5")


def test_addresses_are_given_or_follow_with_a_gap():
    made = Workload.from_dict(
        {
            "name": "w",
            "processes": [
                process(
                    mappings=[
                        worlds.mapping("a", "12 KiB"),
                        worlds.mapping("b", "4 MiB", page="2 MiB"),
                        worlds.mapping("c", "1 MiB", address=0x7F80_0000_0000),
                        worlds.mapping("d", "1 MiB"),
                    ]
                )
            ],
        }
    )
    a, b, c, d = made.processes[0].addresses()
    assert a == FIRST_ADDRESS
    assert b % (2 * MIB) == 0 and b >= a + 12288 + GUARD_BYTES
    assert c == 0x7F80_0000_0000
    assert d == c + MIB + GUARD_BYTES + MIB, "rounded up to the next 2 MiB"
    assert made.footprint_bytes == 12288 + 6 * MIB
    assert made.frame_bytes == 4096


def test_pids_are_counted_or_given():
    made = Workload.from_dict(
        {"name": "w", "processes": [process(), {**process(), "name": "b", "pid": 7}]}
    )
    assert [made.pid(i) for i in range(2)] == [1000, 7]


def test_orders_follow_from_page_sizes():
    made = worlds.workload(
        [
            worlds.mapping(n, "2 MiB", page=p)
            for n, p in (("a", "4 KiB"), ("b", "64 KiB"), ("c", "2 MiB"))
        ]
    )
    assert [m.order for m in made.processes[0].mappings] == [0, 4, 9]


def test_descriptions_do_not_change():
    made = worlds.workload([worlds.mapping("m", "1 MiB")])
    with pytest.raises(AttributeError):
        made.processes[0].mappings[0].size = 3
    assert Mempolicy() == Mempolicy()
