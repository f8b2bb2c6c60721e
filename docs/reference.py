"""The reference pages of the site, generated from the code: nothing in them is written by hand.

Every class documents its parameters in its docstring; its fields are the keys of the files. What is
missing there is missing here, and `tests/unit/test_reference.py` says so.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer.main
from describing import (
    INNER,
    constant_docs,
    default_text,
    described,
    escaped,
    grid,
    joined,
    markdown,
    prose,
    table,
)

import numasim as ns
from numasim import features, library, patterns, policies, result, settings, sources
from numasim.cli import app
from numasim.hardware import Curve, Directions, Rates
from numasim.kernel import CostSettings, KernelSettings
from numasim.mapping import Mapping
from numasim.patterns import Pattern
from numasim.scenario import SYSCTLS, Scenario
from numasim.timed_events import EVENT_KEYS
from numasim.topology import Topology
from numasim.workload import Actor, Phase, Process, Workload

WIDEST = 80

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
    return joined(parts)


def _sources() -> str:
    parts = ["# Access sources and their parameters",
             "How accesses become visible to DAMON. A scenario names one as "
             "`access_source`, `--sample_primitives` of damo chooses one for a context, and "
             "parameters stand under `sources:` of a scenario."]  # fmt: skip
    for name in sources.registry.names():
        cls = sources.registry.get(name)
        module = sys.modules[cls.__module__].__doc__ or ""
        parts += [f"## {name}", prose(cls), markdown(module)]
        if sources.knows_accessors(cls):
            parts.append(table(type(sources.default_settings(cls))))
    return joined(parts)


def _patterns() -> str:
    parts = ["# Access patterns", "Each is an entry of `access` in a phase of a workload: "
             "`{pattern: zipf, mapping: heap, exponent: 0.99}`. All have these keys:",
             table(Pattern)]  # fmt: skip
    common = {field.name for field in dataclasses.fields(Pattern)}
    for name in patterns.registry.names():
        cls = patterns.registry.get(name)
        own = {f.name for f in dataclasses.fields(cls)} - common
        parts += [f"## {name}", prose(cls), table(cls, own)]
    return joined(parts)


def _topology() -> str:
    head = ("# Keys of a topology", "A machine as YAML; a unit is always written. How to write "
            "one: [](../howto/write_topology.md).")  # fmt: skip
    return joined([*head, *described(Topology, (Rates, Directions, Curve, KernelSettings,
                                             CostSettings))])  # fmt: skip


def _workload() -> str:
    head = ("# Keys of a workload", "Programs as YAML. `parameters:` at the top gives names to "
            "values; `$name` stands for one anywhere below, and `--set workload.name=value` "
            "changes it. How to write one: [](../howto/write_workload.md).")  # fmt: skip
    return joined([*head, *described(Workload, (Process, Mapping, Actor, Phase))])


def _scenario() -> str:
    defaults = {f.name: f.default for f in dataclasses.fields(Scenario)}
    rows = []
    for key in settings.KEYS:
        value = defaults.get(key, defaults.get(f"{key}_ns", dataclasses.MISSING))
        shown = "" if value in (dataclasses.MISSING, ()) else default_text(value, type(value))
        rows.append((f"`{key}`", "1 s" if key == "record" else shown, SCENARIO[key]))
    events = [(f"`{key}`", EVENTS[key]) for key in EVENT_KEYS]
    sysctls = [(f"`{name}`", f"{least} … {most}") for name, (least, most) in SYSCTLS.items()]
    return joined([
        "# Keys of a scenario",
        "One YAML file says everything a run depends on. `numasim list scenarios` names those that "
        "are shipped; `--set scenario.KEY=VALUE` changes one value.",
        grid(("key", "default", "meaning"), rows), "## Timed events",
        "A list under `events`; each entry has `at` and one of the others.",
        grid(("key", "meaning"), events), "## Kernel settings that an event may write",
        grid(("setting", "bounds"), sysctls),
    ])  # fmt: skip


def _results() -> str:
    text = constant_docs("numasim.result")["COLUMNS"]
    parts = ["# Tables of a result", "`Result.tables[NAME]`, or `Result.NAME`; on disk, "
             "`NAME.parquet` in a run's folder.", markdown(text)]  # fmt: skip
    rows = [
        (f"`{name}`", " ".join(f"`{column}`" for column in columns.split()))
        for name, columns in result.COLUMNS.items()
    ]
    summary = markdown(result.Result.summary.__doc__ or "", keep=("Returns",))
    return joined([*parts, grid(("table", "columns"), rows), "## Summary", summary])


def _library() -> str:
    parts = ["# What is shipped", "By name, wherever a file could be given. `numasim show` prints "
             "one in full; every file opens with where its numbers come from."]  # fmt: skip
    for kind in ("topologies", "workloads", "scenarios"):
        rows = []
        for name in library.names(kind):
            data = library.read(library.folder(kind) / f"{name}.yaml")
            rows.append((f"`{name}`", str(data.get("description", ""))))
        parts += [f"## {kind.capitalize()}", grid(("name", "what it is"), rows)]
    return joined(parts)


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
    return joined(parts)


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
            rows.append((names, *_value_of(parameter), escaped(told)))
        text = markdown((command.help or "").split("\f")[0])
        text = re.sub(r"\s*Example: (.*)", r"\n\n```console\n$ \1\n```", text)
        parts += [f"## numasim {' '.join(words)}", text,
                  grid(("option", "takes", "default", "meaning"), rows)]  # fmt: skip
    return joined(parts)


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
