"""How to make a result again: the whole scenario, the seed, the versions it was made with."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from numasim.scenario import Scenario

PACKAGES = ("numasim", "numpy", "simpy", "scipy", "pandas", "pydantic")


def provenance(scenario: Scenario) -> dict[str, Any]:
    """Plain data that re-runs to identical tables (same numpy version and processor class).

    Returns
    -------
    dict
        ``scenario`` (document and seed), ``hash`` of it, ``versions``, ``platform``.
    """
    document = {**scenario.document, "seed": scenario.seed}
    text = json.dumps(document, sort_keys=True, default=str)
    return {
        "scenario": document,
        "policy_name": scenario.policy_name,
        "hash": hashlib.sha256(text.encode()).hexdigest()[:16],
        "versions": {name: _version(name) for name in PACKAGES},
        "platform": {"python": platform.python_version(), "machine": platform.machine()},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
