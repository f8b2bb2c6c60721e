"""Plans: what they come to, and every mistake at once."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from numasim.errors import ConfigError
from numasim.sweep import read_plan
from numasim.sweep.values import drawn, grid_values, numbers_of, read_span
from tests.unit.sweep.plans import plan, write_python, write_yaml


def mistakes(given: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_plan(given)  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems]


def test_a_plan_is_the_product_of_its_parts() -> None:
    made = read_plan(
        plan(
            seeds=[3, 5],
            parameters={"quota": ["2 MiB", "4 MiB"], "record": ["100 ms", "200 ms"]},
        )
    )
    assert made.seeds == (3, 5)
    # no_tiering has no quota, so it runs once for each record interval
    names = sorted(p.policy() for p in made.points)
    assert names == sorted(["stay", "tier (quota=2 MiB)", "tier (quota=4 MiB)"] * 2)
    assert made.nr_runs == 12 and made.baseline == "stay"
    assert made.parameters == {
        "policy.quota": ["2 MiB", "4 MiB"], "scenario.record": ["100 ms", "200 ms"]
    }  # fmt: skip
    quotas = {getattr(p.scenario.policy, "quota", None) for p in made.points}
    assert quotas == {None, 2 << 20, 4 << 20}
    assert {p.scenario.record_ns for p in made.points} == {100_000_000, 200_000_000}
    assert len(made.groups()) == 2


def test_lists_and_samples_multiply_with_grids() -> None:
    made = read_plan(
        plan(
            parameters={"interval": ["100 ms", "200 ms"]},
            points=[{"free": "5 %", "used": "90 %"}, {"free": "10 %", "used": "95 %"}],
            samples={"n": 3, "parameters": {"quota": {"from": "1 MiB", "to": "8 MiB"}}},
        )
    )
    assert len(made.points) == 1 + 2 * 2 * 3
    pairs = {(p.labels.get("policy.free"), p.labels.get("policy.used")) for p in made.points}
    assert pairs == {(None, None), ("5 %", "90 %"), ("10 %", "95 %")}


def test_a_python_plan_brings_policies(tmp_path: Path) -> None:
    made = read_plan(write_python(tmp_path, policies=["no_tiering", "raises"]))
    assert made.source is not None and [p.policy() for p in made.points] == ["no_tiering", "raises"]


def test_files_are_found_beside_the_plan(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("{kind: tpp_damon, name: mine, quota: 4 MiB}")
    made = read_plan(write_yaml(tmp_path, policies=["no_tiering", "mine.yaml"]))
    assert [p.policy() for p in made.points] == ["no_tiering", "mine"]


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    path = write_yaml(
        tmp_path,
        polices=[],
        seeds=-1,
        keep=["actor"],
        limits={"time": 10, "memry": "1 GiB"},
        duration="3 sec",
        parameters={"quota": ["10 apples", "4 MiB"], "hubba": [1], "used": []},
        samples={"n": "three", "parameters": {"free": {"from": "1 %", "to": "9", "step": 2}}},
    )
    told = mistakes(path)
    expected = [
        'polices (line N): unknown key; did you mean "policies"?', "seeds (line N): got -1",
        'keep (line N): no table "actor"; did you mean "actors"?',
        "limits.time (line N): got 10", "limits.memry", 'did you mean "memory"?',
        "duration (line N)", '"3 sec"',
        "parameters.quota", '"10 apples"', "parameters.hubba", "parameters.used", "is empty",
        "samples.n", "'three'", "samples.parameters.free.step", "samples.parameters.free.to",
    ]  # fmt: skip
    text = re.sub(r"line \d+", "line N", "\n".join(told))
    assert not [words for words in expected if words not in text], text


def test_a_mistake_of_a_combination_names_it() -> None:
    (told,) = mistakes(plan(parameters={"scenario.duration": ["1 s", "-3 s"]}))
    assert told.startswith("parameters.scenario.duration") and "-3 s" in told


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"from": 5, "to": 1}, "got 1, expected more than 5"),
        ({"from": "1 MiB", "to": "3 s"}, "expected the same unit"),
        ({"from": 0, "to": 1, "scale": "log"}, "a log scale begins above 0"),
        ({"from": "x", "to": 1}, "expected a number"),
        ({"to": 1}, "from: is missing"),
    ],
)
def test_wrong_ranges(given: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_span(given)


def test_ranges_keep_units_and_whole_numbers() -> None:
    assert grid_values({"from": "1 MiB", "to": "4 MiB", "steps": 3, "scale": "log"}) == [
        "1 MiB", "2 MiB", "4 MiB"
    ]  # fmt: skip
    assert grid_values({"from": "100 ms", "to": "1 s", "steps": 2}) == ["100 ms", "1 s"]
    assert grid_values({"from": 1, "to": 10, "steps": 4}) == [1, 4, 7, 10]
    assert grid_values({"from": "90 %", "to": "99 %", "steps": 2}) == ["90 %", "99 %"]
    with pytest.raises(ConfigError, match="say how many"):
        grid_values({"from": 1, "to": 2})


@pytest.mark.parametrize(
    ("given", "share", "value"),
    [
        ({"from": "20 MiB", "to": "1 GiB", "scale": "log"}, 0.5, "143 MiB"),
        ({"from": "100 MiB", "to": "101 MiB"}, 0.1, "102504 KiB"),
        ({"from": "95 %", "to": "99.7 %"}, 1 / 3, "96.567 %"),
        ({"from": "1 %", "to": "50 %", "scale": "log"}, 0.4, "4.782 %"),
        ({"from": "10 ms", "to": "50 ms"}, 0.417, "27 ms"),
        ({"from": "100 ms", "to": "5 s", "scale": "log"}, 0.253, "269 ms"),
        ({"from": "1 s", "to": "10 s"}, 0.3333, "4 s"),
        ({"from": "1 s", "to": "10 s"}, 0.35, "4150 ms"),
        ({"from": "1 ms", "to": "3 ms"}, 0.3333, "1667 us"),
        ({"from": 0.99995, "to": 0.99999}, 0.5, 0.99997),
        ({"from": 1.23456, "to": 7.65432}, 1.0, 7.65432),
    ],
)
def test_values_between_are_as_fine_as_the_range_and_no_finer(
    given: dict[str, object], share: float, value: object
) -> None:
    assert read_span(given).at(share) == value


def test_a_latin_hypercube_has_one_sample_in_every_stratum() -> None:
    spans = [read_span({"from": 0.0, "to": 1.0}), read_span({"from": "1 MiB", "to": "101 MiB"})]
    rows = drawn(spans, 20, "latin_hypercube", seed=7)
    assert rows == drawn(spans, 20, "latin_hypercube", seed=7)
    assert sorted(int(row[0] * 20) for row in rows) == list(range(20))
    for method in ("random", "sobol"):
        assert len(drawn(spans, 5, method, 1)) == 5


def test_texts_with_units_become_numbers() -> None:
    assert numbers_of(["1 KiB", None, "2 KiB"]) == ("_bytes", [1024.0, None, 2048.0])
    assert numbers_of(["1 ms", "2 us"]) == ("_ns", [1e6, 2e3])
    found = numbers_of(["5 %"])
    assert found is not None and found[0] == "_ratio" and np.isclose(found[1][0], 0.05)
    assert numbers_of(["fast", "slow"]) is None
    assert numbers_of([1, 2]) is None
