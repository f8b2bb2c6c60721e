"""A damo command line as kdamonds: the published commands run verbatim.

Options bind by order of occurrence: the i-th ``--damos_age`` belongs to the i-th scheme, wherever
it stands, also between start markers. Where that (or anything else damo does in silence) surprises,
a warning says so. Source: damo 3.4.3, and 3.3.0 where several filters per scheme are accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numasim.errors import ConfigError, Problem
from numasim.formats import damo_schemes, kdamonds
from numasim.formats.damo_contexts import ContextBuilder, NodeRanges, Range, kept
from numasim.formats.damo_options import OUTPUT, CommandLine, Given, per_object, split
from numasim.formats.damo_schema import KDAMONDS
from numasim.formats.damo_shares import Shares, count_contexts, deal, shares_of
from numasim.formats.damo_specs import to_specs
from numasim.formats.damo_tree import Parsed, Reader


def parse(
    command: str | Sequence[str],
    *,
    node_ranges: NodeRanges | None = None,
    default_range: Callable[[], Range] | None = None,
    base_dir: str | Path = ".",
    strict: bool = False,
    source: str = "damo command line",
) -> Parsed:
    """The kdamonds that a damo command asks for.

    Parameters
    ----------
    command : str or sequence of str
        As typed in a shell, or its words; ``damo start`` in front is optional.
    node_ranges : callable, optional
        Physical byte ranges of a node, for ``--numa_node``: None for a node that does not exist, an
        empty list for one without memory.
    default_range : callable, optional
        First and last byte of memory, for paddr targets that name neither nodes nor regions;
        without it they get no regions.
    base_dir : path
        Where files named in the command are looked for.
    strict : bool
        Whether warnings are mistakes.
    source : str
        Name of the command in messages.

    Raises
    ------
    ConfigError
        With every mistake, placed at its option.
    """
    line = split(command)
    if line.verb == "stop" or (file := _file(line, Path(base_dir))) is None:
        return _built(line, node_ranges, default_range, Path(base_dir), strict, source)
    if line.problems:
        raise ConfigError(line.problems, source)
    others = [name for name in line.given if name != "--kdamonds"]
    warnings = [f"{name}: is ignored next to a kdamonds file" for name in others]
    if strict and warnings:
        raise ConfigError(warnings, source)
    parsed = file(strict)
    return Parsed(parsed.kdamonds, parsed.tree, (*warnings, *parsed.warnings), line.verb)


def _file(line: CommandLine, base_dir: Path) -> Callable[[bool], Parsed] | None:
    """How to read the kdamonds file (or text) that a command names; None if it names none."""
    for given in line.all("--kdamonds"):
        text = str(given.words[0])
        if text.lstrip().startswith(("{", "[")):
            return lambda strict: kdamonds.loads(text, "json", source="--kdamonds", strict=strict)
        if text.endswith((".yaml", ".yml")):
            hint = "name the file without --kdamonds"
            line.problems.append(Problem("--kdamonds", "damo reads only JSON here", hint))
        return lambda strict: kdamonds.read(base_dir / text, strict=strict)
    if len(line.positional) == 1 and line.positional[0].endswith((".json", ".yaml", ".yml")):
        name = str(line.positional[0])
        return lambda strict: kdamonds.read(base_dir / name, strict=strict)
    return None


def _built(
    line: CommandLine,
    node_ranges: NodeRanges | None,
    default_range: Callable[[], Range] | None,
    base_dir: Path,
    strict: bool,
    source: str,
) -> Parsed:
    """Build the tree that the options describe, read it, and raise every problem at once."""
    warnings: list[str] = []
    reader = Reader(line.problems, warnings)
    raw: dict[str, Any] = {"kdamonds": []}
    if line.verb == "stop":
        words = [*line.positional, *line.given]
        line.problems += [Problem(word, "damo stop takes no options") for word in words]
    else:
        _ignore_output(line, warnings)
        _deduce(line)
        builder = ContextBuilder(line, warnings, node_ranges, default_range)
        raw = _tree(line, builder, base_dir)
    tree = reader.read(KDAMONDS, raw)
    if strict:
        line.problems += [Problem("", warning) for warning in warnings]
    if line.problems:
        raise ConfigError(line.problems, source)
    return Parsed(to_specs(tree), tree, tuple(warnings), line.verb)


def _ignore_output(line: CommandLine, warnings: list[str]) -> None:
    """What ``damo args damon`` is told about its output means nothing here."""
    for name in OUTPUT:
        if line.all(name) and line.verb == "args":
            warnings.append(f"{name}: is ignored")
        elif line.all(name):
            line.problems.append(Problem(name, "goes with damo args damon only"))


def _deduce(line: CommandLine) -> None:
    """The word that stands alone: ``paddr`` or a process id, instead of the option for it."""
    words = line.positional
    if not words:
        return
    if len(words) > 1 or not (words[0] == "paddr" or words[0].isdigit()):
        hint = "expected paddr, a process id or a kdamonds file; programs are not started"
        line.problems.append(Problem("", f'cannot take "{" ".join(words)}" as a target', hint))
        return
    option = "--ops" if words[0] == "paddr" else "--target_pid"
    if option in line.given:
        line.problems.append(Problem(words[0], f"is given next to {option}"))
    else:
        line.given[option] = [Given(words[0], (words[0],), -1)]
    if count_contexts(line) > 1:
        line.problems.append(Problem(words[0], "a bare target goes with a single context only"))


def _tree(line: CommandLine, builder: ContextBuilder, base_dir: Path) -> dict[str, Any]:
    """The whole tree as words; what is wrong is kept in the command line's problems."""
    schemes = _schemes(line, builder.warnings, base_dir)
    shares = shares_of(line, len(schemes))
    _add_goals_and_filters(line, schemes, shares)
    contexts = builder.contexts(len(shares.targets))
    parts = {
        "targets": deal(builder.targets(contexts, shares.targets), shares.targets),
        "schemes": deal(schemes, shares.schemes),
        "probes": deal(builder.probes(shares), shares.probes),
    }
    for name, dealt in parts.items():
        for context, some in zip(contexts, dealt, strict=True):
            context[name] = some
    built: list[dict[str, Any]] = [{"contexts": some} for some in deal(contexts, shares.contexts)]
    refresh = per_object(line, "--refresh_stat", len(built), "kdamond", builder.warnings)
    for kdamond, given in zip(built, refresh, strict=True):
        if given:
            kdamond["refresh_ms"] = given.words[0]
    return {"kdamonds": built}


def _schemes(line: CommandLine, warnings: list[str], base_dir: Path) -> list[dict[str, Any]]:
    """Schemes of the options, or of the JSON text or file of ``--schemes``."""
    given = line.all("--schemes")
    if not given or line.all("--damos_action"):
        if given:
            warnings.append("--schemes: is ignored next to --damos_action")
        return damo_schemes.schemes(line, warnings)
    for name in [name for name in line.given if name.startswith("--damos_")]:
        line.problems.append(Problem(name, "cannot go with --schemes"))
        del line.given[name]
    text = str(given[0].words[0])
    try:
        if not text.lstrip().startswith(("{", "[")):
            text = (base_dir / text).read_text(encoding="utf-8")
        raw = kdamonds.load_json(text)
    except (ConfigError, OSError, UnicodeDecodeError) as error:
        line.problems.append(Problem("--schemes", str(error)))
        return []
    raw = raw.get("schemes", [raw]) if isinstance(raw, dict) else raw
    return raw if isinstance(raw, list) else [raw]


def _add_goals_and_filters(
    line: CommandLine, schemes: list[dict[str, Any]], shares: Shares
) -> None:
    """Hand each scheme its quota goals and filters."""
    goals, filters = line.all("--damos_quota_goal"), line.all("--damos_filter")
    resets = line.all("--damos_quota_interval")
    whole = line.all("--damos_quotas")
    for i, some in enumerate(deal(goals, shares.goals)):
        reset = i < len(resets) or (i < len(whole) and len(whole[i].words) > 2)
        for given in some:
            if not reset:
                message = f"scheme {i} has no quota reset interval, which a goal needs"
                hint = "add --damos_quota_interval"
                line.problems.append(Problem(given.place, message, hint))
            if i < len(schemes):
                found = kept(line, given, lambda g: [damo_schemes.goal(g)])
                schemes[i]["quotas"]["goals"] += found
    for i, given_filters in enumerate(deal(filters, shares.filters)):
        for given in given_filters:
            found = kept(line, given, damo_schemes.damos_filters)
            if i < len(schemes):
                schemes[i]["filters"] += found
