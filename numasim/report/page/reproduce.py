"""Commands that make a result again, to be pasted into a shell."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from numasim.plain import to_json

OPTIONAL = ("name", "description")


def as_yaml(document: Mapping[str, Any]) -> str:
    """A document as YAML, or as JSON (which is YAML too) where that would not be read the same."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.allow_unicode, yaml.width = False, True, 100
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    text = io.StringIO()
    yaml.dump(dict(document), text)
    if YAML(typ="safe", pure=True).load(text.getvalue()) == document:
        return text.getvalue()
    return to_json(document)


def here_document(text: str, file: str) -> str:
    """Shell lines that write a text to a file as it is, whatever is in it."""
    end, again = "END", 2
    while end in text.splitlines():
        end, again = f"END{again}", again + 1
    return f"cat > {file} <<'{end}'\n{text.rstrip()}\n{end}\n"


def run_again(document: Mapping[str, Any], stem: str = "scenario") -> str:
    """Shell lines that run a scenario with its seed."""
    file = f"{stem}.yaml"
    return f"{here_document(as_yaml(document), file)}numasim run {file} --out {stem}_again\n"


def compare_again(
    documents: Mapping[str, Mapping[str, Any]], seeds: tuple[int, ...], stem: str = "comparison"
) -> str:
    """Shell lines that compare the same policies on the same seeds.

    Parameters
    ----------
    documents : dict of str to dict
        Scenario of each policy; they differ in nothing else.
    seeds : tuple of int
    stem : str
    """
    first = next(iter(documents.values()))
    dropped = ("seed", "seeds", "policy", "policies")
    shared = {key: value for key, value in first.items() if key not in dropped}
    policies = {name: document["policy"] for name, document in documents.items()}
    whole = {**shared, "policies": policies, "seeds": list(seeds)}
    file = f"{stem}.yaml"
    return f"{here_document(as_yaml(whole), file)}numasim compare {file} --out {stem}_again\n"
