"""The words of a damo command: its options, and a command line split into their occurrences.

Source: damo 3.4.3 (`damo start`, `tune`, `record`, `args damon`); ``--sample_filter`` and the word
``page_fault`` of ``--sample_primitives`` are proposed and not in any release.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from numasim.errors import Problem, did_you_mean
from numasim.formats.damo_tree import Word

MANY = 10**6
VERBS = ("start", "tune", "record", "stop", "args")
MARKERS = ("--kdamond", "--damon_ctx", "--damon_target", "--probe", "--damos_scheme")
LISTS = (
    "--nr_ctxs", "--nr_targets", "--nr_schemes", "--nr_probes", "--nr_probe_filters",
    "--nr_probe_preps", "--damos_nr_quota_goals", "--damos_nr_filters",
)  # fmt: skip

OUTPUT = ("--format", "--out", "--raw", "--omit_defaults")


@dataclass(frozen=True)
class Option:
    """An option, its other name, how many words it takes, and what they are."""

    name: str
    least: int
    most: int
    words: str = ""
    also: str = ""


@dataclass(frozen=True)
class Given:
    """One occurrence of an option; `at` is its rank among all of the line."""

    place: str
    words: tuple[Word, ...]
    at: int


@dataclass
class CommandLine:
    """A damo command, split: occurrences by option name, words that belong to none, mistakes."""

    verb: str = "start"
    given: dict[str, list[Given]] = field(default_factory=dict)
    positional: list[Word] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def all(self, name: str) -> list[Given]:
        """Occurrences of an option, in order."""
        return self.given.get(name, [])


def _one(*names: str, words: str) -> list[Option]:
    return [Option(name, 1, 1, words) for name in names]


OPTIONS = [
    *_one("--ops", words="vaddr|paddr|fvaddr"),
    *_one("--target_pid", words="PID"),
    Option("--regions", 1, 1, '"START-END START-END"', also="-r"),
    Option("--numa_node", 1, MANY, "NODE..."),
    Option("--obsolete_targets", 1, MANY, "INDEX..."),
    Option("--monitoring_intervals", 3, 3, "SAMPLE AGGR UPDATE"),
    Option("--sample", 1, 1, "TIME", also="-s"),
    Option("--aggr", 1, 1, "TIME", also="-a"),
    Option("--updr", 1, 1, "TIME", also="-u"),
    Option("--monitoring_intervals_goal", 4, 4, "SHARE AGGRS MIN_SAMPLE MAX_SAMPLE"),
    Option("--monitoring_intervals_autotune", 0, 0),
    Option("--monitoring_nr_regions_range", 2, 2, "MIN MAX"),
    Option("--minr", 1, 1, "COUNT", also="-n"),
    Option("--maxr", 1, 1, "COUNT", also="-m"),
    *_one("--damon_addr_unit", words="BYTES"),
    Option("--pause_ctx", 1, MANY, "INDEX..."),
    *_one("--refresh_stat", words="TIME"),
    Option("--sample_primitives", 1, MANY, "page_table|page_fault|pebs|ibs|..."),
    Option("--sample_filter", 1, MANY, "allow|reject [non] cpu LIST|threads LIST|write"),
    *_one("--exp_ops_use_reports", "--exp_ops_write_only", words="Y|N"),
    *_one("--exp_ops_cpus", words="CPULIST"),
    *_one("--exp_ops_tids", words="TIDS"),
    Option("--probe_filter", 2, MANY, "allow|reject [non] TYPE [ARGS]"),
    Option("--probe_weight", 1, MANY, "WEIGHT..."),
    *_one("--probe_prep", words="set_pgidle"),
    Option("--damos_action", 1, MANY, "ACTION [NODE | NODE WEIGHT NODE WEIGHT...]"),
    Option("--damos_sz_region", 2, 2, "MIN MAX"),
    Option("--damos_access_rate", 2, 2, "MIN MAX"),
    Option("--damos_age", 2, 2, "MIN MAX"),
    *_one("--damos_apply_interval", "--damos_quota_interval", "--damos_quota_time", words="TIME"),
    Option("--damos_quotas", 1, 6, "TIME [SIZE [RESET [WEIGHT WEIGHT WEIGHT]]]"),
    *_one("--damos_quota_space", words="BYTES"),
    Option("--damos_quota_weights", 3, 3, "SIZE NR_ACCESSES AGE"),
    Option("--damos_quota_goal", 2, 5, "METRIC TARGET [complement] [ARGS]"),
    *_one("--damos_quota_goal_tuner", words="consist|temporal"),
    Option("--damos_quota_fail_charge_ratio", 2, 2, "NUMERATOR DENOMINATOR"),
    Option("--damos_filter", 2, MANY, "allow|reject [none] TYPE [ARGS]"),
    Option("--damos_wmarks", 5, 5, "METRIC INTERVAL HIGH MID LOW"),
    *_one("--damos_max_nr_snapshots", words="COUNT"),
    Option("--schemes", 1, 1, "JSON", also="-c"),
    *_one("--kdamonds", words="JSON"),
    *_one("--format", words="json|yaml|report"),
    *_one("--out", words="FILE"),
    *(Option(name, 0, 0) for name in ("--raw", "--omit_defaults")),
    *(Option(name, 1, MANY, "COUNT...") for name in LISTS),
    *(Option(name, 0, 0) for name in MARKERS),
]
_BY_WORD = {o.name: o for o in OPTIONS} | {o.also: o for o in OPTIONS if o.also}


def split(command: str | Sequence[str]) -> CommandLine:
    """A command line as its verb, options and other words; mistakes are kept, not raised.

    Parameters
    ----------
    command : str or sequence of str
        As typed in a shell (``sudo damo start ...``), or the words, or the options alone.
    """
    line = CommandLine()
    if isinstance(command, str):
        try:
            words = shlex.split(command.replace("\\\r\n", " ").replace("\\\n", " "), comments=True)
        except ValueError as error:
            line.problems.append(Problem("", f"a quote is not closed ({error})"))
            return line
    else:
        words = list(command)
    words = _without_verb(words, line)
    _collect(words, line)
    for occurrences in line.given.values():
        if len(occurrences) > 1:
            _number(occurrences)
    return line


def _without_verb(words: list[str], line: CommandLine) -> list[str]:
    """Drop ``$ sudo damo start`` and keep the verb."""
    while words and words[0] in ("$", "sudo"):
        words = words[1:]
    named = bool(words) and os.path.basename(words[0]) in ("damo", "damo.py")
    words = words[1:] if named else words
    if words and words[0] in VERBS:
        line.verb, words = words[0], words[1:]
        if line.verb == "args":
            words = words[1:] if words and words[0] == "damon" else words
    elif named and words and not words[0].startswith("-"):
        hint = did_you_mean(words[0], VERBS)
        line.problems.append(Problem("", f'unknown damo command "{words[0]}"', hint))
        words = []  # whatever they mean to it
    return words


def _collect(words: Sequence[str], line: CommandLine) -> None:
    i = 0
    while i < len(words):
        word, value = words[i], None
        i += 1
        if not _is_option(word):
            line.positional.append(Word(word, word))
            continue
        if word.startswith("--") and "=" in word:
            word, value = word.split("=", 1)
        option = _BY_WORD.get(word)
        taken: list[str] = [] if value is None else [value]
        most = len(taken) if value is not None else MANY
        if option is not None and option.least == option.most:
            most = min(most, option.most)
        while i < len(words) and len(taken) < most and not _is_option(words[i]):
            taken.append(words[i])
            i += 1
        if option is None:
            line.problems.append(Problem(word, "unknown option", did_you_mean(word, _BY_WORD)))
        elif not option.least <= len(taken) <= option.most:
            line.problems.append(_miscounted(option, word, len(taken)))
        else:
            at = sum(len(found) for found in line.given.values())
            given = Given(word, tuple(Word(text, word) for text in taken), at)
            line.given.setdefault(option.name, []).append(given)


def _miscounted(option: Option, word: str, count: int) -> Problem:
    if option.most == 0:
        return Problem(word, "takes no value")
    words = "1 word" if count == 1 else f"{count} words"
    hint = "quote a value that holds a space" if count > option.most else ""
    return Problem(word, f"got {words}, expected {option.words}", hint)


def _number(occurrences: list[Given]) -> None:
    """Let the words of a repeated option say which occurrence they are from."""
    for i, given in enumerate(occurrences, start=1):
        place = f"{given.place} #{i}"
        words = tuple(Word(word, place) for word in given.words)
        occurrences[i - 1] = Given(place, words, given.at)


def _is_option(word: str) -> bool:
    return len(word) > 1 and word[0] == "-" and not word[1].isdigit() and word[1] not in ". "


def per_object(
    line: CommandLine, name: str, count: int, what: str, warnings: list[str]
) -> list[Given | None]:
    """The i-th occurrence of an option for the i-th of `count` objects; None where it ran out.

    More occurrences than objects are a mistake; fewer, but some, are worth a warning.
    """
    found = line.all(name)
    if len(found) > count:
        message = f"is given {_times(len(found))}, but there {are(count, what)}"
        line.problems.append(Problem(name, message))
    elif 0 < len(found) < count:
        last = f"{what} {len(found)}" if len(found) == count - 1 else f"{what}s {len(found)}.."
        warnings.append(
            f"{name}: is given {_times(len(found))} for {count} {what}s and binds by order of "
            f"occurrence, so from {last} on the default holds"
        )
    padded: Iterable[Given | None] = [*found[:count], *[None] * (count - len(found))]
    return list(padded)


def are(count: int, what: str) -> str:
    """``"is 1 scheme"`` or ``"are 2 schemes"``."""
    return f"is 1 {what}" if count == 1 else f"are {count} {what}s"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
