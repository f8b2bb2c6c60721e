"""Does every mistake come with its place, its value and a way out, all at once?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import pytest
from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.checking import build
from numasim.errors import ConfigError, Problem
from numasim.units import Bytes, DurationNs
from numasim.wholes import checked, join_place, known

CONFIG = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=CONFIG)
class Leaf:
    size: Bytes
    wait: DurationNs | None = None


@dataclass(frozen=True, config=CONFIG)
class Tree:
    name: str
    leaves: tuple[Leaf, ...] = ()
    by_name: dict[str, Leaf] | None = None
    height: int = 1

    def __post_init__(self):
        if self.height > 9:
            raise ConfigError([Problem("height", "too high"), Problem("", "too much")])


def complaints(data, **how):
    with pytest.raises(ConfigError) as caught:
        build(how.pop("cls", Tree), data, **how)
    return [str(p) for p in caught.value.problems]


def test_good_data_becomes_a_frozen_description():
    tree = build(Tree, {"name": "oak", "leaves": [{"size": "2 KiB", "wait": "3 us"}]})
    assert tree == Tree("oak", (Leaf(2048, 3000),))


def test_all_mistakes_at_once_each_at_its_place():
    data = {
        "nmae": "oak",
        "leaves": [{"size": "1 KiB"}, {"size": "64 gigs", "colour": "red"}],
        "by_name": {"top": {"size": "1 KiB", "wait": "soon"}},
        "height": "tall",
    }
    found = complaints(data)
    assert 'nmae: unknown key; did you mean "name"?' in found
    assert "name: is missing" in found
    assert "leaves[1].colour: unknown key; known: size, wait" in found
    assert 'height: got "tall", expected a whole number' in found
    assert any(
        text.startswith('leaves[1].size: got "64 gigs", expected a size such as') for text in found
    )
    assert any(
        text.startswith('by_name.top.wait: got "soon", expected a duration') for text in found
    )
    assert len(found) == 6


def test_a_bare_number_where_a_unit_is_wanted_is_refused_unless_told_otherwise():
    data = {"name": "oak", "leaves": [{"size": 7}]}
    assert "leaves[0].size: got 7, expected a size" in complaints(data)[0]
    assert build(Tree, data, context=None).leaves == (Leaf(7),)


def test_the_wrong_kind_of_thing():
    assert complaints([1]) == ["got [1], expected a mapping"]
    assert complaints({"name": "oak", "leaves": 5}) == ["leaves: got 5, expected a list"]
    assert complaints({"name": "oak", "leaves": [5]}) == ["leaves[0]: got 5, expected a mapping"]
    assert complaints({"name": None}) == ["name: got nothing, expected text"]


@dataclass(frozen=True, config=CONFIG)
class Birds:
    names: tuple[str, ...] = ()


def test_a_plain_value_where_a_list_of_them_is_wanted_is_shown_as_one():
    with pytest.raises(ConfigError) as refused:
        build(Birds, {"names": "owl"})
    hint = "write [owl]; on a command line within quotes, '[owl]'"
    assert str(refused.value) == f'names: got "owl", expected a list; {hint}'


def test_a_check_of_the_description_itself_keeps_its_places():
    assert complaints({"name": "oak", "height": 10}, place="forest[3]") == [
        "forest[3].height: too high",
        "forest[3]: too much",
    ]


def test_the_file_is_named_above():
    with pytest.raises(ConfigError, match=r"^trees\.yaml\n  name: is missing$"):
        build(Tree, {}, source="trees.yaml")


@dataclass(frozen=True, config=CONFIG)
class Forest:
    trees: Annotated[tuple[Tree, ...], Field(min_length=1)]
    fenced: bool = False

    def _check_names(self) -> Iterator[Problem]:
        names = [known(tree, "name") for tree in self.trees]
        for i, name in enumerate(names):
            if name is not None and name in names[:i]:
                yield Problem(f"trees[{i}].name", "is taken")

    def _check_fence(self) -> Iterator[Problem]:
        if self.fenced and sum(tree.height for tree in self.trees) > 5:
            yield Problem("fenced", "too much wood")

    checks: ClassVar = (_check_names, _check_fence)
    _checked = model_validator(mode="after")(checked)


def test_a_whole_is_checked_by_all_its_checks():
    oak = {"name": "oak", "height": 4}
    found = complaints({"trees": [oak, oak], "fenced": True}, cls=Forest)
    assert found == ["trees[1].name: is taken", "fenced: too much wood"]
    assert build(Forest, {"trees": [oak]}).trees[0].height == 4


def test_a_whole_with_wrong_parts_is_checked_on_the_others():
    trees = [{"name": "oak"}, {"name": "oak", "height": "tall"}, {"height": 9}, 7]
    found = complaints({"trees": trees, "fenced": True}, cls=Forest, place="wood")
    assert sorted(found) == [
        'wood.trees[1].height: got "tall", expected a whole number',
        "wood.trees[1].name: is taken",
        "wood.trees[2].name: is missing",
        "wood.trees[3]: got 7, expected a mapping",
    ]


def test_a_list_is_too_short_only_by_itself():
    assert complaints({"trees": []}, cls=Forest) == ["trees: is empty; expected at least 1"]
    assert complaints({"trees": [{}]}, cls=Forest) == ["trees[0].name: is missing"]


def test_sections_are_not_shown():
    assert complaints({"name": [{"a": 1}]}) == ["name: got a list, expected text"]


def test_places_join():
    assert join_place("nodes", "[2]", "", "size") == "nodes[2].size"
