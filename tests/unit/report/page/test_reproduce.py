"""Commands that make a result again."""

import json
import subprocess
from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from numasim.comparing import plan
from numasim.documents import read_document
from numasim.report.page.reproduce import as_yaml, compare_again, here_document, run_again
from numasim.report.page.sweep import _again
from numasim.scenario import Scenario
from numasim.sweep.reading import read_plan
from numasim.sweep.sweeping import described
from tests.unit.report.made import made
from tests.unit.report.page.sent import sweep

NASTY = "a 'b' \"c\" $HOME `ls` \\ \n END\nEND\nEND2\n</script> 😀 %{x} on"


def _written(text, tmp_path):
    """What a shell writes when the part before the last line is pasted into it."""
    script, _, last = text.rstrip("\n").rpartition("\n")
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True)
    return last


@pytest.mark.parametrize("text", [NASTY, "END", "x", NASTY + "\nEND3"])
def test_a_shell_writes_the_text_as_it_is(text, tmp_path):
    subprocess.run(["sh", "-c", here_document(text, "f")], cwd=tmp_path, check=True)
    assert (tmp_path / "f").read_text() == text.rstrip() + "\n"


def test_documents_survive():
    document = {"name": NASTY, "on": "on", "n": 1, "x": 1e-9, "l": ["1 ms", {"a": None}], "t": True}
    assert YAML(typ="safe", pure=True).load(as_yaml(document)) == document


def test_the_command_of_a_run_has_the_same_scenario(tmp_path):
    result = made()
    document = {**result.provenance["scenario"], "description": NASTY}
    command = _written(run_again(document), tmp_path)
    assert command == "numasim run scenario.yaml --out scenario_again"
    found = read_document(str(tmp_path / "scenario.yaml")).scenario()
    assert isinstance(found, Scenario)
    assert found.seed == result.seed
    assert {**found.document, "seed": found.seed} == document


def test_the_command_of_a_sweep_has_the_same_plan(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "# what it is for\ntopologies: [dram_cxl]\nworkloads: [cold_first]\nduration: 60 s\n"
        "policies: [no_tiering, tpp_damon]\nparameters: {policy.quota: [50 MiB, 200 MiB]}\n"
    )
    made = read_plan(file).with_seeds((1, 2, 3))
    told = json.loads(json.dumps(described(made, "code", 0.0), default=str))
    saved = replace(sweep(), plan=told, runs=sweep().runs.iloc[:0])
    command = _written(_again(saved, "throughput_ops_per_s").code, tmp_path)
    assert command == "numasim sweep plan.yaml --out sweep_again --seeds 3"
    again = read_plan(tmp_path / "plan.yaml").with_seeds((1, 2, 3))
    assert again.points == made.points and again.seeds == made.seeds


def test_the_command_of_a_comparison_has_the_same_plan(tmp_path):
    documents = {
        name: made(policy=kind).provenance["scenario"]
        for name, kind in (("none; rm -rf", "no_tiering"), ("tpp", "tpp_damon"))
    }
    command = _written(compare_again(documents, (1, 7)), tmp_path)
    assert command == "numasim compare comparison.yaml --out comparison_again"
    found = plan(read_document(str(tmp_path / "comparison.yaml")))
    assert found.seeds == (1, 7)
    assert list(found.scenarios) == list(documents)
    for name, scenario in found.scenarios.items():
        assert scenario.document["policy"] == documents[name]["policy"]
        assert scenario.document["workload"] == documents[name]["workload"]
