"""Settings with short keys: whose they are, and what is said where that is not clear."""

from __future__ import annotations

import pytest

from numasim.comparing import plan
from numasim.documents import Document
from numasim.errors import ConfigError
from numasim.loader import load_scenario
from numasim.settings import in_full

DEMO = {"topology": "four_node_small", "workload": "two_sockets", "duration": "9 s"}


def full(*texts, policies=("holistic",)):
    return in_full(texts, DEMO, policies)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("source=pebs", "policy.source=pebs"),
        ("weights[0]=0", "policy.weights[0]=0"),
        ("shared='1 GiB'", "workload.shared='1 GiB'"),
        ("hot_ratio=0.2", "scenario.hot_ratio=0.2"),
        ("sources.pebs.period=5", "scenario.sources.pebs.period=5"),
        ("policy.source=pebs", "policy.source=pebs"),
    ],
)
def test_a_key_that_only_one_thing_has_needs_no_root(text, expected):
    assert full(text) == ([expected], [])


@pytest.mark.parametrize("source", ["page_fault", "pebs", "ibs"])
def test_one_word_says_what_holistic_migration_sees_with(source):
    made = load_scenario(DEMO, policy="holistic", overrides=[f"source={source}"])
    controls = {
        k.contexts[0].sample_control.source("") for k in made.policy.kdamonds(made.topology)
    }
    assert controls == {source}


def test_a_key_of_two_things_is_asked_back():
    found, (problem,) = full("start=1 s", "source=ibs")
    assert found == ["policy.source=ibs"], "what is clear is taken"
    assert str(problem) == (
        '--set start=1 s: "start" is a key of policy and of workload; '
        "say policy.start=1 s or workload.start=1 s"
    )


def test_a_key_of_nothing_is_answered_with_a_likely_one():
    for text in ("sorce=pebs", "quta=1 GiB"):
        (problem,) = full(text)[1]
        assert 'did you mean "' in problem.hint, problem
    for text in ("source", "=pebs", ""):
        assert "expected KEY=VALUE" in full(text)[1][0].message


def test_of_several_policies_those_that_have_the_key_take_it():
    found = plan(Document(dict(DEMO)), ["no_tiering", "holistic"], 1, ["source=pebs"])
    assert found.scenarios["holistic"].policy.source == "pebs"  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="of policy and of workload"):
        plan(Document(dict(DEMO)), ["no_tiering", "holistic"], 1, ["start=1 s"])


def test_what_cannot_be_read_has_no_keys():
    document = {**DEMO, "workload": "nowhere"}
    assert in_full(["shared=1 GiB"], document, ["nothing"])[1]
    assert in_full(["seed=2"], document, ["nothing"]) == (["scenario.seed=2"], [])
