"""Kdamonds files, JSON and YAML, in and out.

Reads what damo writes and what its users write by hand; writes so that damo reads it without loss.
A file that was read, written, read and written again does not change any more.
Source: damo 3.4.3.
"""

from __future__ import annotations

import copy
import io
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from numasim.damon import spec
from numasim.errors import ConfigError, Problem
from numasim.formats.damo_schema import KDAMONDS
from numasim.formats.damo_specs import to_specs, to_tree
from numasim.formats.damo_tree import Parsed, Reader


def read(path: str | Path, *, strict: bool = False) -> Parsed:
    """The kdamonds of a file; its ending tells YAML (``.yaml``, ``.yml``) from JSON.

    Raises
    ------
    ConfigError
        If the file cannot be read, or with every mistake in it.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", source=str(path)) from error
    kind = "yaml" if path.suffix in (".yaml", ".yml") else "json"
    return loads(text, kind, source=str(path), strict=strict)


def loads(text: str, kind: str = "json", *, source: str = "", strict: bool = False) -> Parsed:
    """The kdamonds of a text.

    Parameters
    ----------
    text : str
    kind : {"json", "yaml"}
    source : str
        Name of the text for messages.
    strict : bool
        Whether warnings are mistakes.

    Raises
    ------
    ConfigError
        With every mistake, placed by path and, for YAML, by line.
    """
    return from_raw(_load(text, kind, source), source=source, strict=strict)


def from_raw(raw: Any, *, source: str = "", strict: bool = False) -> Parsed:
    """The kdamonds of a tree of mappings and lists, such as a scenario that holds one inline.

    Raises
    ------
    ConfigError
        With every mistake.
    """
    reader = Reader()
    raw = _wrapped(raw, reader)
    if _spells_out_nanoseconds(raw):
        reader.warnings.append(
            "this is the output of damo's --raw, where ages, quota times and watermark intervals "
            "are in ns; they are read so, while damo itself would take them for us and ms"
        )
        raw = copy.deepcopy(raw)
        _add_nanoseconds(raw)
    tree = reader.read(KDAMONDS, raw)
    if strict:
        reader.problems += [Problem("", warning) for warning in reader.warnings]
    if reader.problems:
        raise ConfigError(reader.problems, source)
    return Parsed(to_specs(tree), tree, tuple(reader.warnings))


def dumps(kdamonds: Mapping[str, Any] | Iterable[spec.Kdamond], kind: str = "json") -> str:
    """Text of a canonical tree or of descriptions, as JSON or YAML."""
    tree = dict(kdamonds) if isinstance(kdamonds, Mapping) else to_tree(kdamonds)
    if kind == "json":
        return json.dumps(tree, indent=4, ensure_ascii=False) + "\n"
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.width = 10_000  # no text is folded
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    out = io.StringIO()
    yaml.dump(tree, out)
    return out.getvalue()


def write(path: str | Path, kdamonds: Mapping[str, Any] | Iterable[spec.Kdamond]) -> None:
    """Write a canonical tree or descriptions; the ending tells YAML from JSON."""
    path = Path(path)
    kind = "yaml" if path.suffix in (".yaml", ".yml") else "json"
    path.write_text(dumps(kdamonds, kind), encoding="utf-8")


def load_json(text: str, source: str = "") -> Any:
    """JSON in which a key given twice is a mistake, as in YAML.

    Raises
    ------
    ConfigError
        If the text is no JSON.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            names = [name for name, _ in pairs]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ConfigError(Problem(", ".join(twice), "key is given twice"), source)
        return table

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}"
        raise ConfigError(Problem(place, f"this is no JSON: {error.msg}"), source) from error


def _load(text: str, kind: str, source: str) -> Any:
    if kind == "json":
        return load_json(text, source)
    try:
        return YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}" if mark else ""
        what = " ".join(str(error.problem or error.context).split())
        raise ConfigError(Problem(place, f"this is no YAML: {what}"), source) from error
    except YAMLError as error:
        raise ConfigError(f"this is no YAML: {error}", source) from error


def _wrapped(raw: Any, reader: Reader) -> Any:
    """The tree around what may stand alone: a list of kdamonds or of schemes."""
    if not isinstance(raw, list):
        return raw
    if not raw or any(isinstance(item, Mapping) and "contexts" in item for item in raw):
        return {"kdamonds": raw}
    reader.warnings.append("a bare list of schemes is put into one paddr context over all memory")
    context = {"ops": "paddr", "targets": [{"pid": None, "regions": []}], "schemes": raw}
    return {"kdamonds": [{"contexts": [context]}]}


RAW_NS = {
    "age": ("min", "max"),
    "quotas": ("time_ms", "reset_interval_ms"),
    "watermarks": ("interval_us",),
}


def _spells_out_nanoseconds(raw: Any) -> bool:
    """Whether shares have the six decimals by which damo's raw output is known."""
    if isinstance(raw, Mapping):
        weights = raw.get("weights")
        found = list(weights.values()) if isinstance(weights, Mapping) else []
        if found and all(re.fullmatch(r"\d+\.\d{6}", str(weight)) for weight in found):
            return True
        return any(_spells_out_nanoseconds(value) for value in raw.values())
    return isinstance(raw, list) and any(_spells_out_nanoseconds(item) for item in raw)


def _add_nanoseconds(raw: Any, under: str = "") -> None:
    """Write the unit that raw output leaves out."""
    if isinstance(raw, list):
        for item in raw:
            _add_nanoseconds(item)
    elif isinstance(raw, dict):
        for key, value in raw.items():
            if key in RAW_NS.get(under, ()) and str(value).isdigit():
                raw[key] = f"{value} ns"
            _add_nanoseconds(value, key)
