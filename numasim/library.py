"""The files that come with numasim, and the user's own: found by name or path, read with lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from numasim.errors import ConfigError, Problem, did_you_mean

HERE = Path(__file__).parent
SUFFIXES = (".yaml", ".yml", ".json")
PLACES = {"scenarios": "workloads/scenarios", "gates": "workloads/gates"}


def folder(kind: str) -> Path:
    """Where shipped files of a kind lie (``topologies``, ``workloads``, ``scenarios``)."""
    where = PLACES.get(kind, kind)
    packed = HERE / "data" / where
    return packed if packed.is_dir() else HERE.parent / where


def names(kind: str) -> list[str]:
    """Names of the shipped files of a kind."""
    return sorted(p.stem for p in folder(kind).glob("*.yaml"))


def find(kind: str, name: str, base: Path = Path(".")) -> Path:
    """The file of that name or path; a path is looked for beside `base` first.

    Raises
    ------
    ConfigError
        If there is none; the shipped names are suggested.
    """
    path = Path(name)
    if path.suffix in SUFFIXES or "/" in name:
        for place in (base / path, path):
            if place.is_file():
                return place
        a_folder = (base / path).is_dir() or path.is_dir()
        message = "is a folder, expected a file" if a_folder else "no such file"
        raise ConfigError(Problem("", message), str(path))
    shipped = folder(kind) / f"{name}.yaml"
    if shipped.is_file():
        return shipped
    raise ConfigError(
        Problem("", f'no {kind[:-1].replace("ie", "y")} "{name}"', did_you_mean(name, names(kind)))
    )


def read(path: Path) -> Any:
    """Plain data of a YAML (1.2) or JSON file.

    Raises
    ------
    ConfigError
        If it cannot be read, with the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(Problem("", "cannot be read: it is no text (UTF-8)"), str(path)) from None
    except OSError as error:
        raise ConfigError(Problem("", f"cannot be read: {error.strerror}"), str(path)) from None
    return read_text(text, str(path))


def read_text(text: str, source: str = "") -> Any:
    """Plain data of YAML (1.2) text; see `read`."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}" if mark else ""
        raise ConfigError(
            Problem(place, f"not YAML: {error.problem or error.context}"), source
        ) from None
    except YAMLError as error:
        first = str(error).splitlines()[0]
        raise ConfigError(Problem("", f"not YAML: {first}"), source) from None


def with_lines(error: ConfigError, path: Path) -> ConfigError:
    """The same complaints with the line of each place in the file."""
    try:
        tree = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError):
        return error  # then without lines: the complaints themselves matter more
    problems = []
    for problem in error.problems:
        line = _line(tree, problem.place)
        place = f"{problem.place} (line {line})" if line else problem.place
        problems.append(Problem(place, problem.message, problem.hint))
    return ConfigError(problems, error.source or str(path))


def _line(tree: Any, place: str) -> int | None:
    """Line on which the deepest existing part of a place begins."""
    if isinstance(tree, list):
        place = place.removeprefix("events")  # a file of timed events may be just their list
    found = None
    for key in re.findall(r"\[(\d+)\]|([^.\[\]]+)", place):
        step: Any = int(key[0]) if key[0] else key[1]
        try:
            mark = tree.lc.item(step) if isinstance(step, int) else tree.lc.key(step)
            found = mark[0] + 1
            tree = tree[step]
        except (KeyError, IndexError, AttributeError, TypeError):
            break
    return found
