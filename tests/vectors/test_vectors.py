"""Numeric facts about DAMON: every vector is one test, run against the production functions.

``NUMASIM_VECTORS`` names a file or a folder of files to be used instead of the checked-in ones.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.vectors.adapters import ADAPTERS

DEFAULT = Path(__file__).parents[1] / "data" / "vectors-core.json"


def _vectors() -> list[dict]:
    place = Path(os.environ.get("NUMASIM_VECTORS") or DEFAULT)
    files = sorted(place.glob("*.json")) if place.is_dir() else [place]
    return [vector for file in files for vector in json.loads(file.read_text())["vectors"]]


@pytest.mark.parametrize("vector", [pytest.param(v, id=v["id"]) for v in _vectors()])
def test_vector(vector: dict) -> None:
    category = vector["category"]
    assert category in ADAPTERS, f"no adapter for category {category}"
    got = ADAPTERS[category](vector["input"], vector["expected"])
    assert got == vector["expected"]
