"""The reference pages of the site, generated from the code: nothing in them is written by hand.

Every class documents its parameters in its docstring; its fields are the keys of the files. What is
missing there is missing here, and `tests/unit/test_reference.py` says so.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pydantic_core
import typer.main

import numasim as ns
from numasim import features, library, patterns, policies, result, settings, sources
from numasim.cli import app
from numasim.cli.parameters import documented, written
from numasim.hardware import Curve, Directions, Rates
from numasim.kernel import CostSettings, KernelSettings
from numasim.mapping import Mapping
from numasim.patterns import Pattern
from numasim.scenario import SYSCTLS, Scenario
from numasim.timed_events import EVENT_KEYS
from numasim.topology import Topology
from numasim.units import Bandwidth, Bytes, DurationNs, RatePerS, Ratio
from numasim.workload import Actor, Phase, Process, Workload

UNITS = ((Bytes, "size"), (DurationNs, "time"), (Bandwidth, "bandwidth"), (Ratio, "share"),
         (RatePerS, "rate"))  # fmt: skip
HARDWARE = tuple(f"numasim.{name}" for name in ("hardware", "kernel", "mapping", "workload"))
PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false"}
WIDEST = 80
INNER = ("Raises", "Returns", "Attributes", "Examples", "Parameters", "Yields", "Methods")

SCENARIO = {
    "name": "what it is called",
    "description": "one line, shown by `numasim list`",
    "topology": "a shipped one, a file, or the machine itself in place",
    "workload": "a shipped one, a file (YAML or a masim `*.cfg`), or the programs in place",
    "policy": "what runs: a name, a file, `{kind: …, parameter: …}`, or a damo command",
    "policies": "a list of them for `numasim compare`; the others are compared to the first",
    "events": "what the experimenter does when; see below",
    "duration": "simulated time, such as `950 s`",
    "seed": "the seed of `numasim run`",
    "seeds": "how many seeds `numasim compare` takes, or a list of them",
    "record": "interval of the time series",
    "hot_ratio": "access rate, as a share of samples, from which the monitoring error calls a "
    "page hot",
    "exact_ticks": "draw the page of every sample instead of counts for whole regions: the slow "
    "twin, equal in distribution",
    "snapshots": "`thinned` keeps a sample of the monitoring results, `all` every one",
    "access_source": "what DAMON sees with where a context does not say; see the sources",
    "clocks": "lateness of kdamonds' ticks, by name, as recorded on a real machine",
    "sources": "parameters of access sources, by name",
    "accessor_truth": "record the true rates of every accessor for itself",
}
"""Keys of a scenario and what they mean; the test holds them against the loader's own list."""

EVENTS = {
    "at": "the instant",
    "damo": "a damo command: `damo start …`, `damo tune …`, `damo stop`",
    "kdamonds": "start the threads of a kdamonds file",
    "commit": "tune running kdamonds to a kdamonds file",
    "sysctl": "write kernel settings: `{vm.watermark_scale_factor: 100}`",
    "interleave": "change the weights of a mapping's weighted interleave",
    "available": "memory that others leave on a node, as measured",
    "start_process": "start a process of the workload",
    "stop_process": "end one, and free its memory",
}


def pages() -> dict[str, str]:
    """Markdown of every page by name.

    Returns
    -------
    dict of str to str
    """
    made: dict[str, Callable[[], str]] = {
        "policies": _policies, "sources": _sources, "patterns": _patterns, "cli": _commands,
        "scenario": _scenario, "topology": _topology, "workload": _workload, "results": _results,
        "library": _library, "python": _python,
    }  # fmt: skip
    return {name: make() for name, make in made.items()}


def write(folder: Path) -> None:
    """All pages into a folder; files that did not change are left alone."""
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


# -- pages -----------------------------------------------------------------------------------------


def _policies() -> str:
    parts = ["# Policies and their parameters",
             "What each observes and does, side by side: [](../policies.md). "
             "`numasim show policy NAME -t MACHINE` prints one as it is on a machine."]  # fmt: skip
    for row in features.features():
        cls = policies.registry.get(row["policy"])
        seen = [f"*{column}*: {row[column]}" for column in features.COLUMNS if row[column]]
        parts += [f"## {row['policy']}", prose(cls), " · ".join(seen), table(cls)]
    return _joined(parts)


def _sources() -> str:
    parts = ["# Access sources and their parameters",
             "How accesses become visible to DAMON. A scenario names one as "
             "`access_source`, `--sample_primitives` of damo chooses one for a context, and "
             "parameters stand under `sources:` of a scenario."]  # fmt: skip
    for name in sources.registry.names():
        cls = sources.registry.get(name)
        module = sys.modules[cls.__module__].__doc__ or ""
        parts += [f"## {name}", prose(cls), _text(module)]
        if sources.knows_accessors(cls):
            parts.append(table(type(sources.default_settings(cls))))
    return _joined(parts)


def _patterns() -> str:
    parts = ["# Access patterns", "Each is an entry of `access` in a phase of a workload: "
             "`{pattern: zipf, mapping: heap, exponent: 0.99}`. All have these keys:",
             table(Pattern)]  # fmt: skip
    common = {field.name for field in dataclasses.fields(Pattern)}
    for name in patterns.registry.names():
        cls = patterns.registry.get(name)
        own = {f.name for f in dataclasses.fields(cls)} - common
        parts += [f"## {name}", prose(cls), table(cls, own)]
    return _joined(parts)


def _topology() -> str:
    head = ("# Keys of a topology", "A machine as YAML; a unit is always written. How to write "
            "one: [](../howto/write_topology.md).")  # fmt: skip
    return _joined([*head, *_tree(Topology, (Rates, Directions, Curve, KernelSettings,
                                             CostSettings))])  # fmt: skip


def _workload() -> str:
    head = ("# Keys of a workload", "Programs as YAML. `parameters:` at the top gives names to "
            "values; `$name` stands for one anywhere below, and `--set workload.name=value` "
            "changes it. How to write one: [](../howto/write_workload.md).")  # fmt: skip
    return _joined([*head, *_tree(Workload, (Process, Mapping, Actor, Phase))])


def _scenario() -> str:
    defaults = {f.name: f.default for f in dataclasses.fields(Scenario)}
    rows = []
    for key in settings.KEYS:
        value = defaults.get(key, defaults.get(f"{key}_ns", dataclasses.MISSING))
        shown = "" if value in (dataclasses.MISSING, ()) else _value(value, type(value))
        rows.append((f"`{key}`", "1 s" if key == "record" else shown, SCENARIO[key]))
    events = [(f"`{key}`", EVENTS[key]) for key in EVENT_KEYS]
    sysctls = [(f"`{name}`", f"{least} … {most}") for name, (least, most) in SYSCTLS.items()]
    return _joined([
        "# Keys of a scenario",
        "One YAML file says everything a run depends on. `numasim list scenarios` names those that "
        "are shipped; `--set scenario.KEY=VALUE` changes one value.",
        grid(("key", "default", "meaning"), rows), "## Timed events",
        "A list under `events`; each entry has `at` and one of the others.",
        grid(("key", "meaning"), events), "## Kernel settings that an event may write",
        grid(("setting", "bounds"), sysctls),
    ])  # fmt: skip


def _results() -> str:
    text = _constant_docs("numasim.result")["COLUMNS"]
    parts = ["# Tables of a result", "`Result.tables[NAME]`, or `Result.NAME`; on disk, "
             "`NAME.parquet` in a run's folder.", _text(text)]  # fmt: skip
    rows = [
        (f"`{name}`", " ".join(f"`{column}`" for column in columns.split()))
        for name, columns in result.COLUMNS.items()
    ]
    summary = _text(result.Result.summary.__doc__ or "", keep=("Returns",))
    return _joined([*parts, grid(("table", "columns"), rows), "## Summary", summary])


def _library() -> str:
    parts = ["# What is shipped", "By name, wherever a file could be given. `numasim show` prints "
             "one in full; every file opens with where its numbers come from."]  # fmt: skip
    for kind in ("topologies", "workloads", "scenarios"):
        rows = []
        for name in library.names(kind):
            data = library.read(library.folder(kind) / f"{name}.yaml")
            rows.append((f"`{name}`", str(data.get("description", ""))))
        parts += [f"## {kind.capitalize()}", grid(("name", "what it is"), rows)]
    return _joined(parts)


def _python() -> str:
    parts = ["# From Python", "`import numasim as ns`; these names are kept stable."]
    for name in ns.__all__:
        made = getattr(ns, name)
        called = "" if isinstance(made, type) else signature(f"ns.{name}", made)
        parts += [f"## {name}", called, prose(made, keep=INNER)]
        if isinstance(made, type):
            for key in vars(made):
                own = getattr(made, key)  # a class method is bound already
                if not key.startswith("_") and callable(own) and own.__doc__:
                    parts += [f"### {name}.{key}", signature(key, own), prose(own, keep=INNER)]
    return _joined(parts)


def signature(name: str, made: Any) -> str:
    """How it is called, as code: one line, or one for each parameter."""
    found = inspect.signature(made)
    words = [_parameter(one) for one in found.parameters.values()]
    kinds = [one.kind for one in found.parameters.values()]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        words.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    words = [word for word in words if word != "self"]
    gives = "" if found.return_annotation is found.empty else f" -> {found.return_annotation}"
    text = f"{name}({', '.join(words)}){gives}"
    if len(text) > WIDEST:
        inner = "".join(f"    {word},\n" for word in words)
        text = f"{name}(\n{inner}){gives}"
    return f"```python\n{text}\n```"


def _parameter(one: inspect.Parameter) -> str:
    stars = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
    typed = "" if one.annotation is one.empty else f": {one.annotation}"
    return f"{stars}{one.name}{typed}{'' if one.default is one.empty else f' = {one.default!r}'}"


def _commands() -> str:
    parts = ["# Command line", "`numasim COMMAND --help` says the same."]
    for words, command in commands():
        rows = []
        for parameter in command.params:
            if parameter.name == "help":
                continue
            names = ", ".join(f"`{o}`" for o in parameter.opts)
            told = getattr(parameter, "help", None) or ""
            if parameter.param_type_name == "argument":
                names = f"`{(parameter.metavar or parameter.name or '').upper()}`"
            rows.append((names, *_value_of(parameter), _escaped(told)))
        text = _text((command.help or "").split("\f")[0])
        text = re.sub(r"\s*Example: (.*)", r"\n\n```console\n$ \1\n```", text)
        parts += [f"## numasim {' '.join(words)}", text,
                  grid(("option", "takes", "default", "meaning"), rows)]  # fmt: skip
    return _joined(parts)


def _value_of(parameter: Any) -> tuple[str, str]:
    """What an option takes, and its default."""
    default = parameter.default
    if parameter.param_type_name == "argument" or getattr(parameter, "is_flag", False):
        return "", ""
    takes = f"`{parameter.metavar}`" if parameter.metavar else ""
    if isinstance(default, Enum):
        takes = ", ".join(f"`{choice.value}`" for choice in type(default))
        default = default.value
    if isinstance(default, tuple):
        default = " ".join(map(str, default))
    return takes, "" if default in (None, "") or callable(default) else f"`{default}`"


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    yield from _below(typer.main.get_command(app), ())


def _below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
        return
    for name, one in inner.items():
        yield from _below(one, (*words, name))


# -- fields ----------------------------------------------------------------------------------------


def _tree(root: type, more: tuple[type, ...]) -> list[str]:
    """A description and all that it is made of, each once, in the order met."""
    found: list[type] = []

    def walk(cls: type) -> None:
        if cls in found or cls is Pattern:
            return
        found.append(cls)
        for hint in typing.get_type_hints(cls, include_extras=True).values():
            for inner in _classes(hint):
                walk(inner)

    for cls in (root, *more):
        walk(cls)
    parts = []
    for cls in found:
        parts += [f"## {cls.__name__}", prose(cls), table(cls)]
    return parts


def _classes(hint: Any) -> Iterator[type]:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        yield hint
    for inner in typing.get_args(hint):
        yield from _classes(inner)


def table(cls: type, only: set[str] | None = None) -> str:
    """Fields of a description: key, what it takes, default, meaning."""
    rows = [row for key, row in fields(cls).items() if only is None or key in only]
    return grid(("key", "takes", "default", "meaning"), rows) if rows else ""


def fields(cls: type) -> dict[str, tuple[str, str, str, str]]:
    """What a user can set of a description, by its key.

    Returns
    -------
    dict of str to tuple of str
        Key as code, what it takes, its default as text, its documentation.
    """
    hints = typing.get_type_hints(cls, include_extras=True)
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        docs |= documented(base.__doc__ or "")
    found = {}
    for field in dataclasses.fields(cls):
        hint, default = hints[field.name], _default(field)
        shown = "*needed*" if default is dataclasses.MISSING else _escaped(_value(default, hint))
        found[field.name] = (f"`{field.name}`", takes(hint), shown, docs.get(field.name, ""))
    return found


def _default(field: Any) -> Any:
    """The default of a field, pydantic's included; MISSING if there is none."""
    value = field.default
    factory = field.default_factory
    if hasattr(value, "default_factory"):
        value, factory = value.default, value.default_factory or factory
    if value is dataclasses.MISSING or value is pydantic_core.PydanticUndefined:
        return dataclasses.MISSING if factory in (dataclasses.MISSING, None) else factory()
    return value


def _value(value: Any, hint: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if dataclasses.is_dataclass(value) and not isinstance(value, policies.Policy):
        return "its own"
    if value in ((), {}, ""):
        return "empty"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        kinds = typing.get_args(hint)[1:] or (hint,)
        return ", ".join(f"{key}: {_value(one, kinds[0])}" for key, one in value.items())
    return written(value, hint)


def takes(hint: Any) -> str:
    """What a field takes, in words."""
    for unit, name in UNITS:
        own, theirs = getattr(unit, "__metadata__", ()), getattr(hint, "__metadata__", ())
        if own[:1] == theirs[:1] != ():
            return name
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return takes(inner[0])
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in inner)
    if origin in (tuple, list):
        kinds = list(dict.fromkeys(takes(one) for one in inner if one is not Ellipsis))
        return "list: " + ", ".join(kinds)
    if origin is dict:
        return f"{takes(inner[0])} → {takes(inner[1])}"
    if inner:
        return " or ".join(dict.fromkeys(takes(one) for one in inner if one is not type(None)))
    if hint in PLAIN:
        return PLAIN[hint]
    return f"[{hint.__name__}](#{hint.__name__.lower()})" if _below_here(hint) else "mapping"


def _below_here(hint: Any) -> bool:
    """Whether the same page describes it: parts of a machine and of a workload."""
    return dataclasses.is_dataclass(hint) and hint.__module__ in HARDWARE


# -- text ------------------------------------------------------------------------------------------


def prose(made: Any, keep: tuple[str, ...] = ()) -> str:
    """A docstring without its lists of parameters, as Markdown."""
    own = made.__dict__.get("__doc__") if isinstance(made, type) else made.__doc__
    return _text(own or "", keep)


def _text(docstring: str, keep: tuple[str, ...] = ()) -> str:
    lines = inspect.cleandoc(docstring).splitlines()
    kept: list[str] = []
    skipping = False
    for i, line in enumerate(lines):
        below = lines[i + 1] if i + 1 < len(lines) else ""
        if re.fullmatch(r"-{3,}", below.strip()) and line.strip():
            skipping = line.strip() in INNER and line.strip() not in keep
            kept += [] if skipping or line.strip() == "Notes" else [f"**{line.strip()}**", ""]
        elif not skipping and not re.fullmatch(r"-{3,}", line.strip()):
            kept.append(_item(line) if keep else line)
    kept = [line for line in kept if not line.startswith("Parameters: see")]
    text = re.sub(r"``([^`]+)``", r"`\1`", "\n".join(kept)).strip()
    text = re.sub(r"\n(Source|Assumption): ", r"\n\n*\1:* ", text)
    text = text.replace("\\[", "[")  # as rich wants it
    return text.replace("<", "&lt;") if "`" not in text else text


def _item(line: str) -> str:
    """A parameter's head as a line of its own; its text below needs no indent."""
    head = re.match(r"^(\w+(?:, \w+)*) : (.*)$", line)
    return f"\n`{head[1]}` ({head[2]}):" if head else line.removeprefix("    ")


def grid(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown, without columns that no row fills."""
    kept = [i for i in range(len(columns)) if i == 0 or any(row[i] for row in rows)]
    columns = tuple(columns[i] for i in kept)
    rows = [tuple(row[i] for i in kept) for row in rows]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = [re.sub(r"``([^`]+)``", r"`\1`", cell) for cell in row]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) if rows else ""


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*").replace("\n", " ")


def _constant_docs(module: str) -> dict[str, str]:
    """Strings under the constants of a module."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    found = {}
    for one, below in pairwise(tree.body):
        if isinstance(one, ast.Assign | ast.AnnAssign) and isinstance(below, ast.Expr):
            name = one.target if isinstance(one, ast.AnnAssign) else one.targets[0]
            found[getattr(name, "id", "")] = str(ast.literal_eval(below.value))
    return found


def _joined(parts: list[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
