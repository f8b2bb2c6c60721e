"""The harness of the benchmarks: estimates, bounds, regressions, files, processes."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import harness
from benchmarks.estimating import Estimate, cost, middle, rate, ratio
from benchmarks.harness import Ask, Result, at_least, at_most


def result(name: str, value: float | None, unit: str = "times") -> Result:
    return Result(name, value, unit, None, True, 0.0)


@pytest.fixture
def registered(monkeypatch):
    """A registry of three questions: a rate, a time, a ratio."""
    registry: dict[str, harness.Benchmark] = {}
    monkeypatch.setattr(harness, "REGISTRY", registry)
    asks = (
        Ask("rate", "pages / CPU s", at_least(3)),
        Ask("time", "CPU us", at_most(9)),
        Ask("ratio", "times faster", better="higher"),
    )
    harness.benchmark(*asks)(lambda: [Estimate(1.0)] * 3)
    return registry


def test_bounds():
    assert at_least(3).holds(3) and not at_least(3).holds(2.99)
    assert at_most(3).holds(3) and not at_most(3).holds(3.01)
    assert str(at_least(60)) == ">= 60"


def test_a_result_is_an_estimate_and_its_verdict():
    found = harness._result(Ask("x", "times", at_most(2)), Estimate(2.0, 0.5))
    assert found == Result("x", 2.0, "times", "<= 2", True, 0.5)
    assert not harness._result(Ask("x", "times", at_most(2)), Estimate(3.0)).ok


def test_disturbed_turns_do_not_count():
    """One in two turns that takes up to three times as long changes neither side by a tenth."""
    rng = np.random.default_rng(3)
    disturbed = 1 + 2 * rng.random((2, 40)) * (rng.random((2, 40)) < 0.5)
    disturbed *= 1 + 0.02 * rng.random((2, 40))
    slow, fast = 6.0 * disturbed[0], 2.0 * disturbed[1]
    assert ratio(slow, fast).value == pytest.approx(3.0, rel=0.03)
    assert rate(fast, 8.0).value == pytest.approx(4.0, rel=0.03)
    assert cost(slow, 1e-3).value == pytest.approx(6000.0, rel=0.03)


def test_the_spread_is_what_halves_disagree_on():
    assert cost([2.0, 2.0, 3.0, 3.0]).spread == pytest.approx(0.5)
    assert ratio([2.0, 2.0, 3.0, 3.0], [1.0, 1.0, 1.5, 1.5]).spread == 0.0  # both were slow then
    assert rate([4.0]) == Estimate(0.25, 0.0)


def test_what_could_not_be_asked_is_neither_met_nor_missed_but_a_failure_is_missed():
    ask = Ask("x", "times", at_most(2))
    assert harness._result(ask, None, "skipped: not installed").ok is None
    assert harness._result(ask, None, harness.FAILED).ok is False


def test_sides_take_turns():
    order: list[str] = []
    sides = {name: (lambda name=name: order.append(name)) for name in "ab"}
    found = harness.turns(sides, nr=3, least_s=0.0)
    assert "".join(order) == "aaabbb" + "abbaab"  # three calls to warm up
    assert {name: len(times) for name, times in found.items()} == {"a": 3, "b": 3}


def test_what_is_used_up_is_made_anew():
    made: list[int] = []
    used: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    found = harness.turns_on({"x": (make, used.append)}, nr=2)
    assert used == made and len(found["x"]) == 2


@pytest.mark.parametrize(
    ("values", "complaints"),
    [
        ({"rate": 10, "time": 10, "ratio": 10}, []),
        ({"rate": 7.6, "time": 13.2, "ratio": 7.6}, []),
        ({"rate": 7.4, "time": 13.4, "ratio": 7.4}, ["rate", "time", "ratio"]),
        ({"rate": 99, "time": 1, "ratio": 99}, []),
    ],
)
def test_a_third_worse_is_a_regression(registered, values, complaints):
    units = {ask.name: ask.unit for one in registered.values() for ask in one.asks}
    committed = {name: result(name, 10, unit) for name, unit in units.items()}
    new = [result(name, value, units[name]) for name, value in values.items()]
    found = harness.regressions(new, committed)
    assert [one.split(":")[0] for one in found] == complaints


def test_rates_and_times_are_compared_at_the_speed_of_the_machine(registered):
    committed = {
        "rate": result("rate", 10, "pages / CPU s"),
        "time": result("time", 10, "CPU us"),
        "ratio": result("ratio", 10),
        harness.MACHINE: result(harness.MACHINE, 100, "reference jobs / CPU s"),
    }
    slow = result(harness.MACHINE, 50, "reference jobs / CPU s")
    half = [result("rate", 5, "pages / CPU s"), result("time", 20, "CPU us")]
    assert harness.regressions([*half, slow], committed) == []
    assert len(harness.regressions(half, committed)) == 2
    assert len(harness.regressions([result("ratio", 5), slow], committed)) == 1


def test_results_are_a_list_of_plain_objects(tmp_path):
    results = [result("a", 1.5), result("b", None, "skipped: no numba")]
    harness.write(results, tmp_path / "r.json")
    plain = json.loads((tmp_path / "r.json").read_text())
    assert [set(one) for one in plain] == [{"name", "value", "unit", "bound", "ok", "spread"}] * 2
    assert list(harness.read(tmp_path / "r.json").values()) == results


def test_names_are_unique_and_every_topic_has_some():
    names = [ask.name for one in harness.REGISTRY.values() for ask in one.asks]
    assert len(names) == len(set(names))
    topics = {module.__name__.rpartition(".")[2] for module in command.TOPICS}
    assert {command.topic(name) for name in harness.REGISTRY} == topics


def test_choosing_by_topic_or_by_name():
    assert command.chosen(["cost_model"]) == ["solve"] == command.chosen(["solve"])
    assert command.chosen([]) == list(harness.REGISTRY)
    with pytest.raises(SystemExit, match="no benchmark nonsense"):
        command.chosen(["nonsense"])


def test_a_benchmark_runs_in_a_process_of_its_own():
    *found, machine = harness.measure("solve")
    assert [one.name for one in found] == [ask.name for ask in harness.REGISTRY["solve"].asks]
    assert all(one.value and one.value > 0 for one in found)
    assert machine.name == harness.MACHINE and machine.value


def test_several_processes_answer_with_their_median(monkeypatch):
    told = iter([[[9.0, 0.1], [4.0, 0.1]], [[2.0, 0.1], [8.0, 0.1]], [[3.0, 0.1], [6.0, 0.1]]])

    def spawn(one: harness.Benchmark) -> subprocess.CompletedProcess[str]:
        first, machine = next(told)
        line = json.dumps({"answers": [first], harness.MACHINE: machine})
        return subprocess.CompletedProcess([], 0, line, "")

    monkeypatch.setattr(harness, "_spawn", spawn)
    three = harness.Benchmark("three", (Ask("x", "times", at_most(2.5)),), list, False, 3)
    monkeypatch.setitem(harness.REGISTRY, "three", three)
    found, machine = harness.measure("three")
    assert (found.value, found.ok, machine.value) == (3.0, False, 6.0)
    assert found.spread == pytest.approx((6.0 - 2.5) / 3.0)
    assert middle([Estimate(5.0, 0.2)]) == Estimate(5.0, 0.2)


def test_a_benchmark_that_fails_misses_its_bound(monkeypatch, capsys):
    monkeypatch.setitem(
        harness.REGISTRY, "gone", harness.Benchmark("gone", (Ask("x", "times"),), list, False)
    )
    (found,) = harness.measure("gone")  # the child does not know it
    assert found.ok is False and found.value is None
    assert "gone" in capsys.readouterr().err
