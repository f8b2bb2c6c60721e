"""Searches: the same wherever they stopped, and honest about what failed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from numasim.errors import ConfigError
from numasim.tune import Search, Trial, read_search, tune
from tests.unit.sweep.plans import plan, write_python
from tests.worlds import tiering

pytest.importorskip("optuna")


def search(folder: Path, **more: Any) -> Path:
    path = folder / "search.yaml"
    data = {
        **plan(policies={"tier": tiering()}, seeds=1, duration="300 ms"),
        "space": {"quota": {"from": "1 MiB", "to": "16 MiB", "scale": "log"}},
        "objectives": {"throughput_ops_per_s": "maximize", "promoted_bytes": "minimize"},
        "batch": 2,
        **more,
    }
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def found(made: Search, out: Path, n: int, **more: Any) -> list[Trial]:
    return tune(made, out, trials=n, here=True, **more)


def told(trials: list[Trial]) -> list[tuple[dict[str, Any], dict[str, float]]]:
    return [(trial.parameters, trial.values) for trial in trials]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_search_that_was_cut_off_goes_on(sampler: str, tmp_path: Path) -> None:
    made = read_search(search(tmp_path, sampler=sampler))
    whole = found(made, tmp_path / "whole", 4)
    assert len(whole) == 4 and any(trial.best for trial in whole)
    assert all(set(trial.values) == set(made.objectives) for trial in whole)
    assert len({trial.parameters["quota"] for trial in whole}) == 4

    ended = []

    def cut_off(now: object, task: object, done: object) -> None:
        ended.extend([done] if done else [])
        if len(ended) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found(made, tmp_path / "cut", 4, on_progress=cut_off)
    assert told(found(made, tmp_path / "cut", 4)) == told(whole)
    assert len(list((tmp_path / "cut/runs").rglob("*.parquet"))) == 4
    more = found(made, tmp_path / "cut", 5)
    assert told(more[:4]) == told(whole) and len(more) == 5


def test_another_space_or_machine_is_another_search(tmp_path: Path) -> None:
    """Its trials would not mean the same; runs that are the same are there already."""
    out, others = tmp_path / "out", []
    first = found(read_search(search(tmp_path)), out, 2)
    space = {"quota": {"from": "2 MiB", "to": "16 MiB"}}
    for more in ({"space": space}, {"duration": "310 ms"}):
        found(read_search(search(tmp_path, **more)), out, 2, on_others=others.append)
    assert others == [2, 4] and len(list((out / "runs").rglob("*.parquet"))) == 6
    again = found(read_search(search(tmp_path)), out, 2, on_others=others.append)
    assert told(again) == told(first) and len(others) == 2


def test_a_search_in_python_brings_its_policy(tmp_path: Path) -> None:
    path = write_python(
        tmp_path, policies=["litters"], seeds=1, duration="300 ms",
        space={"record": {"from": "50 ms", "to": "100 ms"}},
        objectives={"throughput_ops_per_s": "maximize"},
    )  # fmt: skip
    made = read_search(path)
    assert len(found(made, tmp_path / "out", 1)) == 1
    assert list((tmp_path / "out/runs").rglob("*.parquet"))


def test_without_optuna_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"needs Optuna .* pip install 'numasim\[tune\]'"):
        found(read_search(search(tmp_path)), tmp_path / "out", 1)


def test_wrong_number_of_trials(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--trials: got 0"):
        found(read_search(search(tmp_path)), tmp_path / "out", 0)


def test_the_front_has_what_nothing_beats(tmp_path: Path) -> None:
    made = read_search(
        search(
            tmp_path, duration=plan()["duration"],
            space={"interval": {"from": "10 ms", "to": "50 ms"}},
            objectives={"throughput_ops_per_s": "maximize", "demoted_bytes": "minimize"},
        )
    )  # fmt: skip
    trials = found(made, tmp_path / "out", 6)
    assert len({str(t.values) for t in trials}) > 2
    front = [t.values for t in trials if t.best]
    speed, moved = made.objectives
    for trial in trials:
        beaten = any(
            o[speed] >= trial.values[speed]
            and o[moved] <= trial.values[moved]
            and o != trial.values
            for o in front
        )
        assert trial.best != beaten


def test_every_mistake_at_once(tmp_path: Path) -> None:
    path = search(
        tmp_path, sampler="tp", batch=0, objectives={"emd": "minimise"},
        space={"quota": {"from": "1 MiB"}, "hot": 3}, duration="3",
    )  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        read_search(path)
    text = str(caught.value)
    for words in ('no sampler "tp"', "batch", 'did you mean "minimize"?', "space.quota.to",
                  "space.hot", "duration"):  # fmt: skip
        assert words in text, text


def test_a_value_between_that_the_policy_does_not_take_is_told(tmp_path: Path) -> None:
    """Rather than in the middle of the search."""
    space = {"interval": {"from": "1 ms", "to": "3 ms"}}
    with pytest.raises(ConfigError, match=r"space\.interval .*expected whole milliseconds"):
        read_search(search(tmp_path, space=space))


def test_an_end_that_the_policy_does_not_take_is_told(tmp_path: Path) -> None:
    space = {"used": {"from": "90 %", "to": "120 %"}}
    with pytest.raises(ConfigError, match=r"space\.used.*120 %"):
        read_search(search(tmp_path, space=space))
