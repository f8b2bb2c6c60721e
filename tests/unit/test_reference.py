"""The generated pages: complete, and every key in them explained or obvious."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import pytest

import numasim as ns
from numasim import library, patterns, policies, result, settings, sources
from numasim.timed_events import EVENT_KEYS
from numasim.units import DurationNs

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))  # as the site's settings do

import describing  # noqa: E402
import reference  # noqa: E402

sys.path.remove(str(ROOT / "docs"))


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return reference.pages()


@pytest.mark.parametrize("registry", [policies.registry, patterns.registry, sources.registry])
def test_everything_registered_has_its_paragraph(registry, pages):
    page = pages[registry._package.split(".")[-1]]
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == registry.names()


@pytest.mark.parametrize("name", policies.registry.names())
def test_every_parameter_of_a_policy_says_what_it_means(name):
    for key, (_, takes, _, meaning) in describing.fields(policies.registry.get(name)).items():
        assert meaning and takes, f"{name}.{key}"


def test_keys_of_a_scenario_are_the_loaders():
    assert tuple(reference.SCENARIO) == settings.KEYS
    assert tuple(reference.EVENTS) == EVENT_KEYS


def test_every_table_of_a_result_is_there(pages):
    for name in result.COLUMNS:
        assert f"| `{name}` |" in pages["results"]


def test_every_command_with_its_options(pages):
    for words, command in reference.commands():
        assert f"## numasim {' '.join(words)}\n" in pages["cli"]
        assert command.help, words
        assert re.search(r"Example: .*numasim ", command.help), words


def test_units_are_told():
    @dataclasses.dataclass
    class Made:
        """One.

        Parameters
        ----------
        wait : int
            How long.
        """

        wait: DurationNs = 5_000_000

    assert describing.fields(Made)["wait"] == ("`wait`", "time", "5 ms", "How long.")


def test_the_citation_is_of_this_version():
    cited = library.read(ROOT / "CITATION.cff")
    assert cited["version"] == ns.__version__ and cited["license"] == "Apache-2.0"
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()


def test_it_is_written_once(tmp_path):
    reference.write(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    reference.write(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert set(reference.pages()) == {path.stem for path in before}


def test_notes_that_nobody_can_read_lead_to_what_everybody_can(pages):
    origins = (ROOT / "docs" / "origins.md").read_text(encoding="utf-8")
    text = "\n".join(pages.values())
    named = re.findall(r"(\S+)\s+specification(.{0,20})", text)
    assert len(named) > 10
    for word, after in named:
        assert word == "the" or after.startswith("](../origins.md)"), f"{word} specification"
        known = word.lstrip("([").removeprefix("numa-balancing-")
        assert f"{known} specification" in origins or known == "the", word
