"""Who gets how many: contexts per kdamond, targets per context, filters per scheme.

Told by lists (``--nr_targets 1 1``) or, since damo 3.4.1, by start markers (``--damon_target``),
never by both. Source: damo 3.4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from numasim.errors import Problem
from numasim.formats.damo_options import LISTS, MARKERS, CommandLine, are
from numasim.units import BadText, damo_count

T = TypeVar("T")

PER_CONTEXT = (
    "--ops", "--monitoring_intervals", "--sample", "--aggr", "--updr",
    "--monitoring_nr_regions_range", "--minr", "--maxr", "--monitoring_intervals_goal",
)  # fmt: skip
PER_TARGET = ("--target_pid", "--regions", "--numa_node")


@dataclass
class Shares:
    """How many of each go to each owner, in order; every list sums to what there is."""

    contexts: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    schemes: list[int] = field(default_factory=list)
    probes: list[int] = field(default_factory=list)
    goals: list[int] = field(default_factory=list)
    filters: list[int] = field(default_factory=list)
    probe_filters: list[int] = field(default_factory=list)
    probe_preps: list[int] = field(default_factory=list)


def shares_of(line: CommandLine, nr_schemes: int) -> Shares:
    """The shares that a command tells; contradictions go to its problems."""
    told = _marked(line) if any(line.all(marker) for marker in MARKERS) else _listed(line)
    contexts = max(1, count_contexts(line), *(len(told.get(n, [])) for n in LISTS[1:4]))
    targets = max(contexts, *(len(line.all(name)) for name in PER_TARGET))
    probes = _nr_probes(line, told)
    share = _Sharing(line, told)
    goals, filters = len(line.all("--damos_quota_goal")), len(line.all("--damos_filter"))
    return Shares(
        contexts=share("--nr_ctxs", contexts, "context", None),
        targets=share("--nr_targets", targets, "target", contexts),
        schemes=share("--nr_schemes", nr_schemes, "scheme", contexts),
        probes=share("--nr_probes", probes, "probe", contexts),
        goals=share("--damos_nr_quota_goals", goals, "quota goal", nr_schemes),
        filters=share("--damos_nr_filters", filters, "filter", nr_schemes),
        probe_filters=share(
            "--nr_probe_filters", len(line.all("--probe_filter")), "probe filter", probes
        ),
        probe_preps=share("--nr_probe_preps", len(line.all("--probe_prep")), "probe prep", probes),
    )


def count_contexts(line: CommandLine) -> int:
    """How many contexts the repetitions of the per-context options ask for."""
    return max(len(line.all(name)) for name in (*PER_CONTEXT, "--damon_ctx"))


def deal(items: Sequence[T], counts: Sequence[int]) -> list[list[T]]:
    """Items in order, so many for each owner."""
    dealt, first = [], 0
    for count in counts:
        dealt.append(list(items[first : first + count]))
        first += count
    return dealt


@dataclass
class _Sharing:
    line: CommandLine
    told: dict[str, list[int]]

    def __call__(self, name: str, count: int, what: str, owners: int | None) -> list[int]:
        """Shares of `count` things among `owners` (None: as many as told, one if not)."""
        counts = self.told.get(name)
        if owners == 0:
            if count:
                message = f"there is no {self._owner(name)} for it"
                self.line.problems.append(Problem(_MARKER_OF[name], message))
            return []
        if counts is None:
            if owners is not None and owners > 1 and count:
                message = f"is needed to share {what}s among {owners} {self._owner(name)}s"
                hint = f'such as "{name} {" ".join(["1"] * owners)}"'
                self.line.problems.append(Problem(name, message, hint))
            return [count] + [0] * ((owners or 1) - 1)
        if sum(counts) == count and (owners is None or len(counts) == owners):
            return counts
        listed = " ".join(map(str, counts))
        message = f"shares out {sum(counts)} ({listed}), but there {are(count, what)}"
        if sum(counts) == count:
            owner = are(owners or 0, self._owner(name))
            message = f"has {len(counts)} numbers ({listed}), but there {owner}"
        marked = any(self.line.all(marker) for marker in MARKERS)
        self.line.problems.append(Problem(_MARKER_OF[name] if marked else name, message))
        return [count] + [0] * ((owners or 1) - 1)

    @staticmethod
    def _owner(name: str) -> str:
        if name == "--nr_ctxs":
            return "kdamond"
        if name.startswith("--damos_"):
            return "scheme"
        return "probe" if name.startswith("--nr_probe_") else "context"


_MARKER_OF = {
    "--nr_ctxs": "--damon_ctx",
    "--nr_targets": "--damon_target",
    "--nr_schemes": "--damos_scheme",
    "--nr_probes": "--probe",
    "--damos_nr_quota_goals": "--damos_quota_goal",
    "--damos_nr_filters": "--damos_filter",
    "--nr_probe_filters": "--probe_filter",
    "--nr_probe_preps": "--probe_prep",
}


def _listed(line: CommandLine) -> dict[str, list[int]]:
    """The lists that were given, as numbers."""
    told: dict[str, list[int]] = {}
    for name in LISTS:
        for given in line.all(name):
            told.setdefault(name, [])
            for word in given.words:
                try:
                    told[name].append(damo_count(word))
                except BadText as error:
                    line.problems.append(Problem(given.place, error.message, error.hint))
    return told


def _marked(line: CommandLine) -> dict[str, list[int]]:
    """The lists that the start markers stand for, counted as damo does."""
    for name in (name for name in LISTS if line.all(name)):
        message = "cannot go with start markers such as --kdamond"
        line.problems.append(Problem(name, message, "use the one or the other"))
    counted = [*MARKERS, "--damos_quota_goal", "--damos_filter", "--probe_filter", "--probe_prep"]
    order = sorted((given.at, name) for name in counted for given in line.all(name))
    opens = {
        "--kdamond": ["--nr_ctxs"],
        "--damon_ctx": ["--nr_targets", "--nr_schemes", "--nr_probes"],
        "--damos_scheme": ["--damos_nr_quota_goals", "--damos_nr_filters"],
        "--probe": ["--nr_probe_filters", "--nr_probe_preps"],
    }
    owner = {"--nr_ctxs": "--kdamond", "--damos_nr_quota_goals": "--damos_scheme"}
    owner |= {"--damos_nr_filters": "--damos_scheme", "--nr_probe_filters": "--probe"}
    owner |= {"--nr_probe_preps": "--probe"}
    counts_in = {option: name for name, option in _MARKER_OF.items()}
    told: dict[str, list[int]] = {}
    for _, name in order:
        counts = counts_in.get(name)
        if counts is not None and told.get(counts):
            told[counts][-1] += 1
        elif counts is not None:
            before = owner.get(counts, "--damon_ctx")
            message = f"stands at a wrong position: no {before} before it"
            line.problems.append(Problem(name, message, "give all start markers or none"))
        for opened in opens.get(name, []):
            told.setdefault(opened, []).append(0)
    return told


def _nr_probes(line: CommandLine, told: dict[str, list[int]]) -> int:
    """Probes are counted by their shares; without them, any probe option means one."""
    if "--nr_probes" in told:
        return sum(told["--nr_probes"])
    several = max(len(told.get(name, [])) for name in ("--nr_probe_filters", "--nr_probe_preps"))
    options = ("--probe_filter", "--probe_weight", "--probe_prep")
    return several or int(any(line.all(name) for name in options))
