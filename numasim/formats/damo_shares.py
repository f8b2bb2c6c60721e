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

MOST = 10_000  # of anything; more is a slip of the pen

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
    """Shares out one kind of thing after the other, by what the command told."""

    line: CommandLine
    told: dict[str, list[int]]

    def __call__(self, name: str, count: int, what: str, owners: int | None) -> list[int]:
        """Shares of `count` things among `owners` (None: as many as told, one if not)."""
        counts, owner = self.told.get(name), _NOUN_OF[_OWNER_OF[name]]
        marked = any(self.line.all(marker) for marker in MARKERS)
        place = _MARKER_OF[name] if marked or owners == 0 else name
        message, hint = "", ""
        if owners == 0:
            message = f"there is no {owner} for it" if count else ""
        elif counts is None:
            if owners is not None and owners > 1 and count:
                message = f"is needed to share {what}s among {owners} {owner}s"
                hint = "" if marked else f'such as "{name} {" ".join(["1"] * owners)}"'
        elif sum(counts) != count:
            listed = " ".join(map(str, counts))
            message = f"shares out {sum(counts)} ({listed}), but there {are(count, what)}"
        elif owners is not None and len(counts) != owners:
            listed = " ".join(map(str, counts))
            message = (
                f"shares {what}s out to {len(counts)} ({listed}), but there {are(owners, owner)}"
            )
        else:
            return counts
        if message:
            self.line.problems.append(Problem(place, message, hint))
        return [count] + [0] * ((owners or 1) - 1) if owners != 0 else []


_NOUN_OF = {
    "--kdamond": "kdamond",
    "--damon_ctx": "context",
    "--damos_scheme": "scheme",
    "--probe": "probe",
}
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
_LIST_OF = {option: name for name, option in _MARKER_OF.items()}
_OWNER_OF = {
    "--nr_ctxs": "--kdamond",
    "--nr_targets": "--damon_ctx",
    "--nr_schemes": "--damon_ctx",
    "--nr_probes": "--damon_ctx",
    "--damos_nr_quota_goals": "--damos_scheme",
    "--damos_nr_filters": "--damos_scheme",
    "--nr_probe_filters": "--probe",
    "--nr_probe_preps": "--probe",
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
                    if told[name][-1] > MOST:
                        told[name][-1] = 0
                        message = f'got "{word}", expected at most {MOST}'
                        line.problems.append(Problem(given.place, message))
                except BadText as error:
                    line.problems.append(Problem(given.place, error.message, error.hint))
    return told


def _marked(line: CommandLine) -> dict[str, list[int]]:
    """The lists that the start markers stand for, counted as damo does.

    A level that is not marked has a single owner, but a marked kdamond needs marked contexts and
    those need marked targets.
    """
    for name in (name for name in LISTS if line.all(name)):
        message = "cannot go with start markers such as --kdamond"
        line.problems.append(Problem(name, message, "use the one or the other"))
    told: dict[str, list[int]] = {}
    counted = ["--kdamond", *_LIST_OF]
    for _, name in sorted((given.at, option) for option in counted for given in line.all(option)):
        counts = _LIST_OF.get(name, "")
        owner = _OWNER_OF.get(counts, "")
        if owner and line.all(owner) and not told.get(counts):
            message = f"stands at a wrong position: no {owner} before it"
            line.problems.append(Problem(name, message))
        elif owner and (line.all(owner) or name in MARKERS):
            told.setdefault(counts, [0])[-1] += 1
        for opened in (counts for counts, owner in _OWNER_OF.items() if owner == name):
            if line.all(_MARKER_OF[opened]):
                told.setdefault(opened, []).append(0)
    for owner, marker in (("--kdamond", "--damon_ctx"), ("--damon_ctx", "--damon_target")):
        if line.all(owner) and not line.all(marker):
            line.problems.append(Problem(owner, f"needs {marker} after it"))
    return told


def _nr_probes(line: CommandLine, told: dict[str, list[int]]) -> int:
    """Probes are counted by their shares; without them, any probe option means one."""
    if "--nr_probes" in told:
        return sum(told["--nr_probes"])
    several = max(len(told.get(name, [])) for name in ("--nr_probe_filters", "--nr_probe_preps"))
    options = ("--probe_filter", "--probe_weight", "--probe_prep")
    return several or int(any(line.all(name) for name in options))
