"""Scenario documents: found, anchored beside their file, complained about by line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from numasim import library
from numasim.damon.spec import Context, Kdamond, Scheme
from numasim.documents import read_document, read_events, warnings_of
from numasim.errors import ConfigError
from numasim.formats import kdamonds
from numasim.loader import load_scenario

DATA = Path(__file__).parents[1] / "data"
SCENARIO = """\
topology: machine.yaml
workload: workload.yaml
policies:
  - no_tiering
  - policy.yaml
policy: {file: policy.yaml}
events:
  - {at: 1 s, kdamonds: mine.yaml}
duration: 2 s
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("machine", "workload", "policy"):
        text = (DATA / f"tiny_{name}.yaml").read_text()
        (tmp_path / f"{name}.yaml").write_text(text)
    scheme = json.loads(kdamonds.dumps([Kdamond((Context(schemes=(Scheme(),)),))]))
    schemes = scheme["kdamonds"][0]["contexts"][0]["schemes"]
    (tmp_path / "mine.yaml").write_text(json.dumps(schemes))  # JSON is YAML
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    return tmp_path


@pytest.mark.parametrize("name", library.names("scenarios"))
def test_every_shipped_scenario_loads_and_says_what_it_is(name: str) -> None:
    document = read_document(name)
    assert document.data["name"] == name
    assert document.data["description"]
    document.scenario()


def test_files_beside_the_document(folder: Path) -> None:
    document = read_document(str(folder / "scenario.yaml"))
    assert document.data["topology"] == str(folder / "machine.yaml")
    assert document.data["policies"] == ["no_tiering", str(folder / "policy.yaml")]
    scenario = document.scenario()
    assert scenario.policy_name == "tiny_policy"
    assert len(scenario.events[0].kdamonds) == 1


def test_a_file_elsewhere_does_not_change_a_run(folder: Path) -> None:
    first = read_document(str(folder / "scenario.yaml")).scenario()
    (folder / "mine.yaml").unlink()
    (folder / "policy.yaml").unlink()
    again = load_scenario(first.document)
    assert again == first


def test_lines_of_mistakes(folder: Path) -> None:
    path = folder / "scenario.yaml"
    path.write_text(SCENARIO.replace("at: 1 s", "at: 1").replace("duration: 2 s", "duraton: 2 s"))
    with pytest.raises(ConfigError) as caught:
        read_document(str(path)).scenario()
    text = str(caught.value)
    assert str(path) in text.splitlines()[0]
    assert 'duraton (line 9): unknown key; did you mean "duration"?' in text
    assert "duration: is missing" in text


def test_mistakes_of_an_events_file_are_its_own(folder: Path) -> None:
    path = folder / "events.yaml"
    document = read_document(str(folder / "scenario.yaml"))
    for text, line in (("- {at: 1 s, frobnicate: 1}\n", 1), ("events:\n- {at: 1 s, x: 1}\n", 2)):
        path.write_text(text)
        document.data["events"], document.events_path = read_events(path), path
        with pytest.raises(ConfigError) as caught:
            document.scenario()
        assert f"(line {line}) ({path}): unknown key" in str(caught.value)


def test_events_of_a_file(folder: Path) -> None:
    path = folder / "events.yaml"
    path.write_text("- {at: 1 s, kdamonds: mine.yaml}\n")
    assert read_events(path) == [{"at": "1 s", "kdamonds": str(folder / "mine.yaml")}]
    path.write_text("at: 1 s\n")
    with pytest.raises(ConfigError, match="list"):
        read_events(path)


def test_no_such_scenario() -> None:
    with pytest.raises(ConfigError, match='did you mean "demo"'):
        read_document("dema")


def test_warnings_of_damo_commands(folder: Path) -> None:
    document = read_document(str(folder / "scenario.yaml"))
    quiet = document.scenario("no_tiering")
    told = warnings_of(quiet)
    assert any("bare list of schemes" in line for line in told)
