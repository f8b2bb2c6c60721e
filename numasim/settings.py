"""Settings with short keys: ``--set source=pebs`` for ``--set policy.source=pebs``.

A key without its root belongs to whatever has it: the policy (of several, any that has it), the
workload's parameters, or the scenario. Where more than one of them does, the user has to say.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from numasim import library
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.policies import registry
from numasim.policy_data import policy_data

ROOTS = ("topology", "workload", "policy", "scenario")
KEYS = (
    "name", "description", "topology", "workload", "policy", "policies", "events", "duration",
    "seed", "seeds", "record", "hot_ratio", "exact_ticks", "snapshots", "access_source", "clocks",
    "sources", "accessor_truth",
)  # fmt: skip
"""Keys of a scenario document."""
FIRST = re.compile(r"^\s*([^.\[=\s]+)")


def in_full(
    overrides: Sequence[str],
    document: Mapping[str, Any],
    policies: Sequence[Any],
    base: Path = Path("."),
) -> tuple[list[str], list[Problem]]:
    """Settings with the root of each key, and complaints about those that have none.

    Parameters
    ----------
    overrides : sequence of str
        ``KEY=VALUE``; those that have a root stay as they are.
    document : mapping
        The scenario's plain data.
    policies : sequence
        Policies that are to run, as users give them.
    base : Path
        Where files named in the document are looked for.

    Returns
    -------
    list of str
        Settings that are understood.
    list of Problem
        Keys that nothing has, and those that more than one thing has.
    """
    own: dict[str, frozenset[str]] = {}
    if not all(map(_rooted, overrides)):
        own = _owned(document, policies, base)
    found: list[str] = []
    problems: list[Problem] = []
    for text in overrides:
        roots = [""] if _rooted(text) else _owners(text, own)
        if len(roots) == 1 and "=" in text:
            found.append(f"{roots[0]}.{text.strip()}" if roots[0] else text)
        else:
            problems.append(_doubt(text, roots, own))
    return found, problems


def _owned(
    document: Mapping[str, Any], policies: Sequence[Any], base: Path
) -> dict[str, frozenset[str]]:
    """Keys by root; those of topologies are paths, which begin with their root."""
    return {
        "policy": frozenset().union(*(policy_keys(policy, base) for policy in policies)),
        "workload": frozenset(_parameters(document.get("workload"), base)),
        "scenario": frozenset(KEYS) - frozenset((*ROOTS, "policies", "name", "description")),
    }


def policy_keys(policy: Any, base: Path = Path(".")) -> frozenset[str]:
    """What can be set of a policy; nothing where it cannot be read, which is told elsewhere."""
    try:
        data = policy_data(policy, base=base)
        return frozenset(registry.get(str(data.get("kind"))).__dataclass_fields__) | data.keys()
    except ConfigError:
        return frozenset()


def _parameters(workload: Any, base: Path) -> Collection[str]:
    """Names of a workload's parameters; none where it cannot be read."""
    if isinstance(workload, str) and not workload.endswith(".cfg"):
        try:
            workload = library.read(library.find("workloads", workload, base))
        except ConfigError:
            return ()
    found = workload.get("parameters") if isinstance(workload, Mapping) else None
    return [str(name) for name in found] if isinstance(found, Mapping) else ()


def _rooted(text: str) -> bool:
    return text.strip().startswith(tuple(f"{root}." for root in ROOTS))


def _owners(text: str, own: Mapping[str, frozenset[str]]) -> list[str]:
    match = FIRST.match(text)
    return [root for root, keys in own.items() if match and match[1] in keys]


def _doubt(text: str, roots: Sequence[str], own: Mapping[str, frozenset[str]]) -> Problem:
    """What keeps a setting from being understood."""
    place, match = f"--set {text}", FIRST.match(text)
    if len(roots) > 1 and match and "=" in text:
        hint = "say " + " or ".join(f"{root}.{text.strip()}" for root in roots)
        return Problem(place, f'"{match[1]}" is a key of {" and of ".join(roots)}', hint)
    expected = "expected KEY=VALUE, KEY beginning with " + ", ".join(f"{r}." for r in ROOTS)
    known = sorted(frozenset().union(*own.values()))
    hint = did_you_mean(match[1], known) if match and "=" in text else ""
    return Problem(place, f"{expected} or known to one of them", hint)
