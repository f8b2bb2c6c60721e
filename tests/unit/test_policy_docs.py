"""The page on policies: its code runs, its package registers, its table is what the classes say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from numasim.features import COLUMNS, features
from numasim.policies import Policy, registry
from tests import worlds

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/policies.md").read_text(encoding="utf-8")


def block(mark: str) -> str:
    """The code under a comment of the page."""
    found = re.search(rf"<!-- {mark} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert found, f"no block under {mark}"
    return found[1]


def test_it_is_twenty_lines():
    lines = [line for line in block("policy").splitlines() if line.strip()]
    code = [line for line in lines if not line.lstrip().startswith(("import ", "from "))]
    assert len(lines) <= 20 and len(code) <= 15


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """An environment in which the page's package is installed, by its own metadata."""
    project = tomllib.loads(block("entry point"))["project"]
    (group, points), *_ = project["entry-points"].items()
    ((name, target),) = points.items()
    package, _, module = target.partition(".")
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / package / f"{module}.py").write_text(block("policy"))
    info = tmp_path / f"{package}-{project['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head)
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {target}\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "100"}


def python(code: str, env: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    return done.stdout


def test_an_installed_package_brings_its_policy(installed):
    """Listed, shown with its parameter and its damo command, run, and checked as all others are."""
    document = worlds.document(policy={"kind": "promote_seen", "hot": "50 %"})
    document["topology"]["nodes"][0]["capacity"] = "48 MiB"
    document["workload"]["processes"][0]["mappings"][1]["policy"] = {
        "mode": "preferred", "nodes": ["slow"]
    }  # fmt: skip
    code = f"""
import numasim as ns
from numasim.cli import app
from numasim.features import markdown
from typer.testing import CliRunner

listed = CliRunner().invoke(app, ["list", "policies"]).stdout
assert "promote_seen" in listed and "accessed often enough" in listed
shown = CliRunner().invoke(app, ["show", "policy", "promote_seen", "-t", "dram_cxl"]).stdout
assert "25 %" in shown and "--damos_action migrate_hot 0" in shown
assert "| `promote_seen` |" in markdown()
found = ns.run(**{document!r})
print(found.policy, found.moves[found.moves.direction == "promotion"].bytes.sum() / 2**20)
try:
    ns.run(**{{**{document!r}, "policy": {{"kind": "promote_seen", "hit": 1}}}})
except ns.ConfigError as error:
    print(error)
"""
    told = python(code, installed)
    assert "promote_seen 8.0" in told, "all that is hot, and nothing else, is near"
    assert 'unknown key; did you mean "hot"?' in told
    assert "promote_seen" not in registry.names(), "not here, where it is not installed"


@pytest.mark.parametrize("row", features(), ids=lambda row: row["policy"])
def test_every_policy_says_what_it_goes_by(row):
    """Whoever moves pages says by what signal, in what unit, by which criterion."""
    cls = registry.get(row["policy"])
    assert all(row[column].strip() for column in COLUMNS)
    acts = cls.has_agents or cls.kdamonds is not Policy.kdamonds
    if acts:
        assert row["signal"] != Policy.observes, "it moves pages, so it observes something"
        assert cls.moves != Policy.moves
    else:
        assert row["signal"] == Policy.observes
        assert row["hot"] == row["cold"] == "none"


def test_the_table_is_what_the_classes_say():
    """Asked of a process of its own: other tests register policies."""
    program = (
        "import sys; from numasim.features import renewed; page = sys.stdin.read(); "
        "sys.exit(renewed(page) != page)"
    )
    done = subprocess.run([sys.executable, "-c", program], input=PAGE, text=True, cwd=ROOT)
    assert done.returncode == 0, "make docs renews it"


def test_every_hook_that_the_page_names_exists():
    for hook in re.findall(r"^\| `(\w+)\(", PAGE, re.MULTILINE):
        assert callable(getattr(Policy, hook))
