"""Errors say where, what and a way out, and survive the journey from a worker process."""

from __future__ import annotations

import pickle

import pytest

from numasim.errors import ConfigError, NumasimError, Problem, SimulationError, did_you_mean


def test_a_problem_reads_as_place_message_and_way_out():
    assert str(Problem("nodes[2].size", "got 3", "use GiB")) == "nodes[2].size: got 3; use GiB"
    assert str(Problem("", "got 3")) == "got 3"


def test_all_problems_are_told_under_their_source():
    error = ConfigError([Problem("a", "is missing"), "and more"], "file.yaml")
    assert str(error) == "file.yaml\n  a: is missing\n  and more"
    assert [p.place for p in error.problems] == ["a", ""]


def test_a_complaint_about_a_whole_file_is_one_line():
    assert str(ConfigError(Problem("", "no such file"), "a.yaml")) == "a.yaml: no such file"


def test_a_single_complaint_needs_no_list():
    assert str(ConfigError("no")) == str(ConfigError(Problem("", "no"))) == "no"


def test_errors_are_of_their_kinds():
    assert issubclass(ConfigError, NumasimError) and issubclass(ConfigError, ValueError)
    assert issubclass(SimulationError, NumasimError) and issubclass(SimulationError, RuntimeError)


@pytest.mark.parametrize(
    "error",
    [
        ConfigError([Problem("a", "b", "c"), Problem("d", "e")], "f"),
        SimulationError("out of memory", 1_500_000_000, "allocator"),
    ],
)
def test_errors_can_be_sent_home(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error)
    assert again.__dict__ == error.__dict__


def test_a_simulation_error_tells_when_and_who():
    error = SimulationError("stuck", 2_345_600_000, "kdamond.1")
    assert str(error) == "at 2.346 s: kdamond.1: stuck"
    assert (error.now_ns, error.actor) == (2_345_600_000, "kdamond.1")
    assert str(SimulationError("stuck")) == "at 0.000 s: stuck"


@pytest.mark.parametrize(
    ("word", "known", "answer"),
    [
        ("latncy", ["latency", "size"], 'did you mean "latency"?'),
        ("zzz", ["b", "a"], "known: a, b"),
        ("x", [], ""),
    ],
)
def test_a_misspelt_word_is_answered(word, known, answer):
    assert did_you_mean(word, known) == answer
