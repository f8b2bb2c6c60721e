"""The kdamond, context, target and probe options of a damo command, as the tree of a kdamonds file.

Values stay words here; `damo_schema` reads them. Source: damo 3.4.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from numasim.damon.spec import EXTENSIONS
from numasim.errors import Problem
from numasim.formats import damo_schemes
from numasim.formats.damo_options import CommandLine, Given, per_object
from numasim.formats.damo_shares import PER_TARGET, Shares, deal
from numasim.formats.damo_tree import Word
from numasim.units import BadText, damo_bool, damo_bytes

Range = tuple[int, int]
NodeRanges = Callable[[int], "Sequence[Range] | None"]
Raw = dict[str, Any]
T = TypeVar("T")

AUTOTUNE = {"access_bp": "4%", "aggrs": 3, "min_sample_us": "5ms", "max_sample_us": "10s"}
INTERVALS = {"sample_us": "5ms", "aggr_us": "100ms", "ops_update_us": "1s"}
ATTRS = {
    "--monitoring_intervals": ("intervals", tuple(INTERVALS)),
    "--sample": ("intervals", ("sample_us",)),
    "--aggr": ("intervals", ("aggr_us",)),
    "--updr": ("intervals", ("ops_update_us",)),
    "--monitoring_nr_regions_range": ("nr_regions", ("min", "max")),
    "--minr": ("nr_regions", ("min",)),
    "--maxr": ("nr_regions", ("max",)),
}
SHORT_FILTERS = {  # sample filter and where its value goes
    "--exp_ops_write_only": ("write", ""),
    "--exp_ops_cpus": ("cpumask", "cpumask"),
    "--exp_ops_tids": ("threads", "tid_arr"),
}
MAX_NUMNODES = 1024


@dataclass
class ContextBuilder:
    """Builds what is not a scheme; `node_ranges` and `default_range` know the machine."""

    line: CommandLine
    warnings: list[str]
    node_ranges: NodeRanges | None
    default_range: Callable[[], Range] | None

    def each(self, name: str, count: int, what: str) -> list[Given | None]:
        """The i-th occurrence of an option for the i-th of `count` objects."""
        return per_object(self.line, name, count, what, self.warnings)

    def contexts(self, count: int) -> list[Raw]:
        """Contexts without targets, schemes and probes."""
        built: list[Raw] = [{"intervals": dict(INTERVALS), "nr_regions": {"min": 10, "max": 1000}}]
        built += [{key: dict(table) for key, table in built[0].items()} for _ in range(count - 1)]
        for option, (table, keys) in ATTRS.items():
            for context, given in zip(built, self.each(option, count, "context"), strict=True):
                if given:
                    context[table].update(zip(keys, given.words, strict=True))
        for option, key in {"--ops": "ops", "--damon_addr_unit": "addr_unit"}.items():
            for context, given in zip(built, self.each(option, count, "context"), strict=True):
                if given:
                    context[key] = given.words[0]
        self.add_intervals_goals(built)
        self.add_sample_control(built)
        for i in self.indices("--pause_ctx", count, "context"):
            built[i]["pause"] = True
        return built

    def add_intervals_goals(self, contexts: list[Raw]) -> None:
        """Goals of intervals auto-tuning; ``--monitoring_intervals_autotune`` is one for all."""
        autotune = bool(self.line.all("--monitoring_intervals_autotune"))
        goals = self.each("--monitoring_intervals_goal", len(contexts), "context")
        if autotune and any(goals):
            message = "is overruled by --monitoring_intervals_autotune"
            self.warnings.append(f"--monitoring_intervals_goal: {message}")
        for context, given in zip(contexts, goals, strict=True):
            if autotune:
                context["intervals"]["intervals_goal"] = dict(AUTOTUNE)
            elif given:
                goal = dict(zip(AUTOTUNE, given.words, strict=True))
                context["intervals"]["intervals_goal"] = goal

    def add_sample_control(self, contexts: list[Raw]) -> None:
        """Sampling primitives and filters: the proposed options and damo's experimental ones.

        With a single context every ``--sample_filter`` is its own; with several, the i-th belongs
        to the i-th context and may carry several filters.
        """

        def each(name: str) -> list[Given | None]:
            return self.each(name, len(contexts), "context")

        primitives, reports = each("--sample_primitives"), each("--exp_ops_use_reports")
        short = {name: each(name) for name in SHORT_FILTERS}
        proposed = [self.line.all("--sample_filter")]
        if len(contexts) > 1:
            proposed = [[given] if given else [] for given in each("--sample_filter")]
        for i, context in enumerate(contexts):
            filters: list[Raw] = []
            for name, (kind, key) in SHORT_FILTERS.items():
                if (given := short[name][i]) and (key or self.yes(given)):
                    found = {"filter_type": kind, "matching": True, "allow": True}
                    filters.append({**found, key: given.words[0]} if key else found)
            for given in proposed[i]:
                filters += kept(self.line, given, damo_schemes.sample_filters)
            primitive = self.primitive(primitives[i], reports[i])
            enabled = {name: name == primitive for name in ("page_table", "page_fault")}
            context["sample_control"] = {
                "primitives_enabled": {**enabled, primitive: True},
                "sample_filters": filters,
            }
        if any(context["sample_control"] != contexts[0]["sample_control"] for context in contexts):
            message = "damo 3.4.3 lets those of one context leak into others; here they do not"
            self.warnings.append(f"sampling options: {message}")

    def primitive(self, primitives: Given | None, reports: Given | None) -> str:
        """What a context samples by; `EXTENSIONS` are ours, no damo knows them."""
        if primitives and reports:
            self.line.problems.append(Problem(primitives.place, "excludes --exp_ops_use_reports"))
        if not primitives:
            return "page_fault" if reports is not None and self.yes(reports) else "page_table"
        words = " ".join(primitives.words)
        if words in ("page_table", "page_fault", *EXTENSIONS):
            return words
        message = f'got "{words}", expected page_table or page_fault'
        hint = "or, as an extension, one of " + ", ".join(EXTENSIONS)
        self.line.problems.append(Problem(primitives.place, message, hint))
        return "page_table"

    def yes(self, given: Given) -> bool:
        """The truth value of an option."""
        return any(kept(self.line, given, lambda g: [damo_bool(g.words[0])]))

    def targets(self, contexts: list[Raw], share: list[int]) -> list[Raw]:
        """Targets in order, and the operations set of contexts that were not told theirs."""
        count = sum(share)
        pids, regions, nodes = (self.each(name, count, "target") for name in PER_TARGET)
        obsolete = set(self.indices("--obsolete_targets", count, "target"))
        built = []
        for context, some in zip(contexts, deal(range(count), share), strict=True):
            watched = any(pids[i] for i in some)
            context.setdefault("ops", "vaddr" if watched else "paddr")
            for i in some:
                pid, given = pids[i], regions[i]
                found: list[Raw] = []
                if given and given.words[0].strip():
                    found = kept(self.line, given, _regions)
                elif context["ops"] == "paddr":
                    found = self.physical(nodes[i], context)
                elif nodes[i]:
                    message = f"--numa_node: is ignored, as ops is {context['ops']}"
                    self.warnings.append(message)
                built.append(
                    {"pid": pid and pid.words[0], "obsolete": i in obsolete, "regions": found}
                )
        return built

    def physical(self, nodes: Given | None, context: Raw) -> list[Raw]:
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
        if unit > 1 and ranges:
            message = "the ranges of memory are divided by it, which damo 3.4.3 forgets"
            self.warnings.append(f"--damon_addr_unit: {message}")
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

    def probes(self, shares: Shares) -> list[Raw]:
        """Data-attribute probes in order."""
        count = sum(shares.probes)
        weights = [word for given in self.line.all("--probe_weight") for word in given.words]
        if len(weights) > count:
            message = f"got {len(weights)} weights for {count} probes"
            self.line.problems.append(Problem("--probe_weight", message))
        built: list[Raw] = [{"filters": [], "preps": []} for _ in range(count)]
        for probe, weight in zip(built, weights, strict=False):
            probe["weight"] = weight
        filters, preps = self.line.all("--probe_filter"), self.line.all("--probe_prep")
        for probe, some in zip(built, deal(filters, shares.probe_filters), strict=True):
            for given in some:
                probe["filters"] += kept(self.line, given, damo_schemes.probe_filters)
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


def kept(line: CommandLine, given: Given, build: Callable[[Given], list[T]]) -> list[T]:
    """What `build` makes of an occurrence; nothing, and a problem kept, if it cannot."""
    try:
        return build(given)
    except BadText as error:
        line.problems.append(Problem(given.place, error.message, error.hint))
        return []


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
