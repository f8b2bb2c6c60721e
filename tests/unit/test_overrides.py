"""Parameters from the command line and inside files."""

from __future__ import annotations

import pytest

from numasim.errors import ConfigError
from numasim.overrides import apply_overrides, substitute


def data() -> dict:
    return {
        "parameters": {"hot": "8 GiB"},
        "name": "w",
        "deep": {"a": {"b": 1}},
        "list": [1, 1, 2],
        "named": [{"name": "x", "size": 1}, {"name": "y", "size": 1}],
    }


@pytest.mark.parametrize(
    ("text", "look"),
    [
        ("r.hot=4 GiB", lambda d: d["parameters"]["hot"] == "4 GiB"),
        ("r.deep.a.b=7", lambda d: d["deep"]["a"]["b"] == 7),
        ("r.deep.a.new=[1, 2]", lambda d: d["deep"]["a"]["new"] == [1, 2]),
        ("r.list[1]=5", lambda d: d["list"] == [1, 5, 2]),
        ("r.named[1].size=9", lambda d: d["named"][1]["size"] == 9),
        ("r.named.y.size=9", lambda d: [e["size"] for e in d["named"]] == [1, 9]),
        ("r.named.y={name: z}", lambda d: d["named"][1] == {"name": "z"}),
        ("r.deep.a.b=", lambda d: d["deep"]["a"]["b"] == ""),
        ("r.deep.a.b=x=y", lambda d: d["deep"]["a"]["b"] == "x=y"),
        ("r.deep.a.b=true", lambda d: d["deep"]["a"]["b"] is True),
    ],
)
def test_a_path_leads_to_its_value(text, look):
    assert look(apply_overrides(data(), [text], "r"))


def test_only_the_named_entry_changes_among_equal_ones():
    found = apply_overrides({"list": [{"s": 1}, {"s": 1}]}, ["r.list[1]=3"], "r")
    assert found["list"] == [{"s": 1}, 3]


def test_settings_are_made_in_order():
    assert apply_overrides(data(), ["r.name=a", "r.name=b"], "r")["name"] == "b"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("r.dep.a=1", '--set r.dep.a=1: nothing at "dep"; did you mean "deep"?'),
        ("r.named.z.size=1", '--set r.named.z.size=1: nothing at "z"; known: x, y'),
        ("r.list[9]=1", '--set r.list[9]=1: nothing at "9"'),
        ("r.name.deeper.x=1", 'nothing at "deeper"'),
        ("r.name.deeper=1", '"deeper" is inside a plain value'),
        ("r.deep[0]=1", '"0" is inside a plain value'),
        ("r.=1", "names nothing"),
        ("r.name=[1", "--set r.name=[1: not YAML"),
    ],
)
def test_a_path_that_leads_nowhere_is_told(text, complaint):
    with pytest.raises(ConfigError) as caught:
        apply_overrides(data(), [text], "r")
    assert complaint in str(caught.value)


def test_all_wrong_paths_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        apply_overrides(data(), ["r.a.b=1", "r.name=ok", "r.c.d=2"], "r")
    assert len(caught.value.problems) == 2


def test_a_workloads_single_word_is_a_parameter_or_a_key():
    made = apply_overrides(data(), ["workload.name=v"], "workload")
    assert made["name"] == "v"
    with pytest.raises(ConfigError, match='no such parameter; did you mean "hot"'):
        apply_overrides(data(), ["workload.hit=1"], "workload")


def test_parameters_are_filled_in_wherever_they_stand():
    found = substitute({"parameters": {"n": 3, "s": [1]}, "a": "$n", "b": [{"c": "$s"}, "x"]})
    assert found == {"a": 3, "b": [{"c": [1]}, "x"]}


def test_unknown_and_unused_parameters_are_told():
    with pytest.raises(ConfigError) as caught:
        substitute({"parameters": {"size": 3, "other": 1}, "a": ["$sise"], "b": "$other"})
    assert [str(p) for p in caught.value.problems] == [
        'a[0]: no parameter "sise"; did you mean "size"?',
        "parameters.size: is never used",
    ]


def test_without_parameters_nothing_changes():
    assert substitute({"a": 1}) == {"a": 1}
    with pytest.raises(ConfigError, match="parameters: expected a mapping"):
        substitute({"parameters": [1], "a": 1})
