"""A damo command line as kdamonds: the published commands run verbatim.

Options bind by order of occurrence: the i-th ``--damos_age`` belongs to the i-th scheme, wherever it
stands, also between start markers. Where that (or anything else damo does in silence) surprises, a
warning says so. Source: damo 3.4.3, and 3.3.0 where several filters per scheme are accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from numasim.errors import ConfigError, Problem
from numasim.formats import damo_schemes, kdamonds
from numasim.formats.damo_options import CommandLine, Given, per_object, split
from numasim.formats.damo_schema import KDAMONDS
from numasim.formats.damo_shares import Shares, count_contexts, deal, shares_of
from numasim.formats.damo_specs import to_specs
from numasim.formats.damo_tree import Parsed, Reader, Word
from numasim.units import BadText, damo_bytes

Range = tuple[int, int]
NodeRanges = Callable[[int], "Sequence[Range] | None"]
T = TypeVar("T")

AUTOTUNE = {"access_bp": "4%", "aggrs": 3, "min_sample_us": "5ms", "max_sample_us": "10s"}
MAX_NUMNODES = 1024


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
        First and last byte of memory, for paddr targets that name neither nodes nor regions; without
        it they get no regions.
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
        raise ConfigError([Problem("", warning) for warning in warnings], source)
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
        _deduce(line)
        raw = _Build(line, warnings, node_ranges, default_range, base_dir).tree()
    tree = reader.read(KDAMONDS, raw)
    if strict:
        line.problems += [Problem("", warning) for warning in warnings]
    if line.problems:
        raise ConfigError(line.problems, source)
    return Parsed(to_specs(tree), tree, tuple(warnings), line.verb)


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


class _Build:
    """The raw tree of one command, put together object by object."""

    def __init__(
        self,
        line: CommandLine,
        warnings: list[str],
        node_ranges: NodeRanges | None,
        default_range: Callable[[], Range] | None,
        base_dir: Path,
    ) -> None:
        self.line, self.warnings = line, warnings
        self.node_ranges, self.default_range = node_ranges, default_range
        self.base_dir = base_dir

    def tree(self) -> dict[str, Any]:
        """The whole tree; what is wrong is kept in the command line's problems."""
        line = self.line
        schemes = self.schemes()
        shares = shares_of(line, len(schemes))
        self.add_goals_and_filters(schemes, shares)
        contexts = self.contexts(shares)
        targets = self.targets(contexts, shares)
        for context, some in zip(contexts, deal(targets, shares.targets), strict=True):
            context["targets"] = some
        for context, some in zip(contexts, deal(schemes, shares.schemes), strict=True):
            context["schemes"] = some
        for context, some in zip(contexts, deal(self.probes(shares), shares.probes), strict=True):
            context["probes"] = some
        built = [{"contexts": some} for some in deal(contexts, shares.contexts)]
        refresh = per_object(line, "--refresh_stat", len(built), "kdamond", self.warnings)
        for kdamond, given in zip(built, refresh, strict=True):
            if given:
                kdamond["refresh_ms"] = given.words[0]
        return {"kdamonds": built}

    def schemes(self) -> list[dict[str, Any]]:
        """Schemes of the options, or of the JSON text or file of ``--schemes``."""
        given = self.line.all("--schemes")
        if not given or self.line.all("--damos_action"):
            if given:
                self.warnings.append("--schemes: is ignored next to --damos_action")
            return damo_schemes.schemes(self.line, self.warnings)
        text = str(given[0].words[0])
        try:
            if not text.lstrip().startswith(("{", "[")):
                text = (self.base_dir / text).read_text(encoding="utf-8")
            raw = kdamonds.load_json(text)
        except (ConfigError, OSError, UnicodeDecodeError) as error:
            self.line.problems.append(Problem("--schemes", str(error)))
            return []
        raw = raw.get("schemes", [raw]) if isinstance(raw, dict) else raw
        return raw if isinstance(raw, list) else [raw]

    def add_goals_and_filters(self, schemes: list[dict[str, Any]], shares: Shares) -> None:
        """Hand each scheme its quota goals and filters."""
        goals, filters = self.line.all("--damos_quota_goal"), self.line.all("--damos_filter")
        resets = self.line.all("--damos_quota_interval")
        whole = self.line.all("--damos_quotas")
        for i, some in enumerate(deal(goals, shares.goals)):
            reset = i < len(resets) or (i < len(whole) and len(whole[i].words) > 2)
            for given in some:
                if not reset:
                    message = f"scheme {i} has no quota reset interval, which a goal needs"
                    hint = "add --damos_quota_interval"
                    self.line.problems.append(Problem(given.place, message, hint))
                if i < len(schemes):
                    found = self.kept(given, lambda g: [damo_schemes.goal(g)])
                    schemes[i]["quotas"]["goals"] += found
        for i, given_filters in enumerate(deal(filters, shares.filters)):
            for given in given_filters:
                found = self.kept(given, damo_schemes.damos_filters)
                if i < len(schemes):
                    schemes[i]["filters"] += found

    def kept(self, given: Given, build: Callable[[Given], list[T]]) -> list[T]:
        """What `build` makes of an occurrence; nothing, and a problem kept, if it cannot."""
        try:
            return build(given)
        except BadText as error:
            self.line.problems.append(Problem(given.place, error.message, error.hint))
            return []

    def contexts(self, shares: Shares) -> list[dict[str, Any]]:
        """Contexts without targets, schemes and probes."""
        count = len(shares.targets)

        def each(name: str) -> list[Given | None]:
            return per_object(self.line, name, count, "context", self.warnings)

        built: list[dict[str, Any]] = []
        for _ in range(count):
            intervals = {"sample_us": "5ms", "aggr_us": "100ms", "ops_update_us": "1s"}
            built.append({"intervals": intervals, "nr_regions": {"min": 10, "max": 1000}})
        many = {
            "--monitoring_intervals": ("intervals", ("sample_us", "aggr_us", "ops_update_us")),
            "--sample": ("intervals", ("sample_us",)),
            "--aggr": ("intervals", ("aggr_us",)),
            "--updr": ("intervals", ("ops_update_us",)),
            "--monitoring_nr_regions_range": ("nr_regions", ("min", "max")),
            "--minr": ("nr_regions", ("min",)),
            "--maxr": ("nr_regions", ("max",)),
        }
        for option, (table, keys) in many.items():
            for context, given in zip(built, each(option), strict=True):
                if given:
                    context[table].update(zip(keys, given.words, strict=True))
        autotune = bool(self.line.all("--monitoring_intervals_autotune"))
        goals = each("--monitoring_intervals_goal")
        if autotune and any(goals):
            message = "is overruled by --monitoring_intervals_autotune"
            self.warnings.append(f"--monitoring_intervals_goal: {message}")
        for context, given in zip(built, goals, strict=True):
            if autotune or given:
                words = given.words if given and not autotune else AUTOTUNE.values()
                goal = dict(zip(AUTOTUNE, words, strict=True))
                context["intervals"]["intervals_goal"] = goal
        for option, key in {"--ops": "ops", "--damon_addr_unit": "addr_unit"}.items():
            for context, given in zip(built, each(option), strict=True):
                if given:
                    context[key] = given.words[0]
        self.add_sample_control(built, each)
        for i in self.indices("--pause_ctx", count, "context"):
            built[i]["pause"] = True
        return built

    def add_sample_control(
        self, contexts: list[dict[str, Any]], each: Callable[[str], list[Given | None]]
    ) -> None:
        """Sampling primitives and filters: the proposed options and damo's experimental ones."""
        primitives, reports = each("--sample_primitives"), each("--exp_ops_use_reports")
        experimental = {
            "--exp_ops_write_only": "write",
            "--exp_ops_cpus": "cpumask",
            "--exp_ops_tids": "tid_arr",
        }
        short = {name: each(name) for name in experimental}
        proposed = self.line.all("--sample_filter")
        dealt = (
            [proposed]
            if len(contexts) == 1
            else [[g] if g else [] for g in each("--sample_filter")]
        )
        for i, context in enumerate(contexts):
            filters: list[dict[str, Any]] = []
            for name, key in experimental.items():
                given = short[name][i]
                if given and (key != "write" or given.words[0].lower() in ("y", "yes", "true")):
                    kind = {"tid_arr": "threads"}.get(key, key)
                    found = {"filter_type": kind, "matching": True, "allow": True}
                    filters.append(found if key == "write" else {**found, key: given.words[0]})
            for given in dealt[i]:
                filters += self.kept(given, damo_schemes.sample_filters)
            fault = self.page_fault(primitives[i], reports[i])
            context["sample_control"] = {
                "primitives_enabled": {"page_table": not fault, "page_fault": fault},
                "sample_filters": filters,
            }

    def page_fault(self, primitives: Given | None, reports: Given | None) -> bool:
        """Whether a context samples by page faults."""
        if primitives and reports:
            self.line.problems.append(Problem(primitives.place, "excludes --exp_ops_use_reports"))
        if primitives:
            words = primitives.words
            if len(words) != 1 or words[0] not in ("page_table", "page_fault"):
                message = f'got "{" ".join(words)}", expected page_table or page_fault'
                self.line.problems.append(Problem(primitives.place, message))
            return words[0] == "page_fault"
        return bool(reports and reports.words[0].lower() in ("y", "yes", "true"))

    def targets(self, contexts: list[dict[str, Any]], shares: Shares) -> list[dict[str, Any]]:
        """Targets in order, and the operations set of contexts that were not told theirs."""
        count = sum(shares.targets)

        def each(name: str) -> list[Given | None]:
            return per_object(self.line, name, count, "target", self.warnings)

        pids, regions, nodes = each("--target_pid"), each("--regions"), each("--numa_node")
        obsolete = set(self.indices("--obsolete_targets", count, "target"))
        built = []
        for context, some in zip(contexts, deal(list(range(count)), shares.targets), strict=True):
            watched = any(pids[i] for i in some)
            context.setdefault("ops", "vaddr" if watched else "paddr")
            for i in some:
                pid, given = pids[i], regions[i]
                found: list[dict[str, Any]] = []
                if given:
                    found = self.kept(given, _regions)
                elif context["ops"] == "paddr":
                    found = self.physical(nodes[i], context)
                elif nodes[i]:
                    message = f"--numa_node: is ignored, as ops is {context['ops']}"
                    self.warnings.append(message)
                built.append(
                    {"pid": pid and pid.words[0], "obsolete": i in obsolete, "regions": found}
                )
        return built

    def physical(self, nodes: Given | None, context: dict[str, Any]) -> list[dict[str, Any]]:
        """Regions of nodes, or of all memory, in the context's address unit."""
        ranges: list[Range] = []
        if nodes is None:
            if self.default_range is not None:
                ranges = [self.default_range()]
        elif self.node_ranges is None:
            self.line.problems.append(Problem(nodes.place, "needs a machine to look the node up"))
        else:
            for word in nodes.words:
                ranges += self.node(word, self.node_ranges)
        try:
            unit = max(damo_bytes(context.get("addr_unit", 1)), 1)
        except BadText:  # told when the tree is read
            unit = 1
        return [{"start": -(-a // unit), "end": b // unit} for a, b in _merged(ranges)]

    def node(self, word: Word, node_ranges: NodeRanges) -> list[Range]:
        """Ranges of one node."""
        found = node_ranges(int(word)) if word.isdigit() else None
        if found is None:
            known = [str(n) for n in range(MAX_NUMNODES) if node_ranges(n) is not None]
            hint = "known nodes: " + ", ".join(known)
            self.line.problems.append(Problem(word.place, f'got "{word}", expected a node', hint))
        elif not found:
            self.warnings.append(
                f"{word.place}: node {word} has no memory, so no region is watched"
            )
        return list(found or [])

    def probes(self, shares: Shares) -> list[dict[str, Any]]:
        """Data-attribute probes in order."""
        count = sum(shares.probes)
        weights = [word for given in self.line.all("--probe_weight") for word in given.words]
        if len(weights) > count:
            message = f"got {len(weights)} weights for {count} probes"
            self.line.problems.append(Problem("--probe_weight", message))
        built: list[dict[str, Any]] = [{"filters": [], "preps": []} for _ in range(count)]
        for probe, weight in zip(built, weights, strict=False):
            probe["weight"] = weight
        filters, preps = self.line.all("--probe_filter"), self.line.all("--probe_prep")
        for probe, some in zip(built, deal(filters, shares.probe_filters), strict=True):
            for given in some:
                probe["filters"] += self.kept(given, damo_schemes.probe_filters)
        for probe, some in zip(built, deal(preps, shares.probe_preps), strict=True):
            probe["preps"] += [{"prep_action": given.words[0]} for given in some]
        return built

    def indices(self, option: str, count: int, what: str) -> list[int]:
        """Indices that an option lists, each below `count`."""
        found = []
        for given in self.line.all(option):
            for word in given.words:
                if word.isdigit() and int(word) < count:
                    found.append(int(word))
                else:
                    message = f'got "{word}", expected the index of one of {count} {what}s'
                    self.line.problems.append(Problem(given.place, message))
        return found


def _regions(given: Given) -> list[dict[str, Any]]:
    """Regions of ``"4G-8G 12G-16G"``."""
    found = []
    for part in given.words[0].split():
        start, dash, end = part.partition("-")
        if not dash:
            raise BadText(f'got "{part}", expected a region such as "4G-8G"')
        place = given.place
        found.append({"start": Word(start, place), "end": Word(end, place)})
    return found


def _merged(ranges: list[Range]) -> list[Range]:
    """Ranges in ascending order, touching ones joined."""
    merged: list[Range] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
