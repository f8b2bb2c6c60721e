"""Verdicts as a table in Markdown, and the table of the front page renewed with it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from numasim.reproduce.cases import order
from numasim.reproduce.verdict import Answer, Verdict
from numasim.statistics import Interval

BEGIN, END = "<!-- numasim reproduce -->\n", "<!-- end of numasim reproduce -->"
HEAD = ("row", "case", "published", "simulated", "tolerance", "verdict")


def number(value: float) -> str:
    """Four significant digits, small and large ones as they are read."""
    if not math.isfinite(value):
        return "never" if value == math.inf else "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def ours(found: Interval) -> str:
    """A mean with its interval, where it has one with two ends."""
    text = number(found.mean)
    ends = [number(found.low), number(found.high)]
    if math.isnan(found.low) or ends == [text, text]:
        return text
    return f"{text} [{ends[0]}, {ends[1]}]"


def rows(verdicts: Sequence[Verdict]) -> list[tuple[str, ...]]:
    """One row per value, columns as in `HEAD`; the verdict stands beside a case's first."""
    found: list[tuple[str, ...]] = []
    for verdict in verdicts:
        case = verdict.case
        if not verdict.answers:
            found.append((case.row, case.title, "", "", "", verdict.word))
        for i, answer in enumerate(verdict.answers):
            first = (
                (case.row, f"{case.title}: {answer.value.name}") if i == 0 else ("", _name(answer))
            )
            word = verdict.word if i == 0 else ""
            found.append((*first, *_cells(answer), _marked(word, answer, verdict)))
    return found


def _name(answer: Answer) -> str:
    return f"… {answer.value.name}"


def _cells(answer: Answer) -> tuple[str, str, str]:
    unit = f" {answer.value.unit}" if answer.value.unit else ""
    return answer.value.published + unit, ours(answer.ours) + unit, str(answer.value.tolerance)


def _marked(word: str, answer: Answer, verdict: Verdict) -> str:
    """The case's verdict; where it was missed also which values hold."""
    if verdict.ok or len(verdict.answers) == 1:
        return word
    own = "within" if answer.holds else "outside"
    return f"{word} ({own})" if word else f"({own})"


@dataclass(frozen=True)
class Entry:
    """What a page says of one case: lines of the table, and of the notes below it."""

    title: str
    lines: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[float, str]:
        """Rows of the specification's table first, as they stand there."""
        row = self.lines[0].strip("|").split(" | ")[0].strip()
        return order(row), row


def entry(verdict: Verdict) -> Entry:
    """The entry of a case whose runs are finished."""
    lines = []
    for row in rows([verdict]):
        cells = [cell.replace("|", "\\|") for cell in row]
        cells[-1] = f"**{cells[-1]}**" if cells[-1].startswith("missed") else cells[-1]
        lines.append("| " + " | ".join(cells) + " |")
    title = verdict.case.title
    notes = [f"* **{title}**, missed: {verdict.reason}"] if verdict.reason else []
    notes += [f"* {title}: {verdict.case.remark}"] if verdict.case.remark else []
    return Entry(title, tuple(lines), tuple(notes))


def entries_on(page: str) -> list[Entry]:
    """What a page with the table says of each case."""
    table = page.partition(BEGIN)[2].partition(END)[0].splitlines()
    blocks: list[list[str]] = []
    for line in table[2:]:
        cells = line.strip("|").split(" | ")
        if len(cells) == len(HEAD) and cells[1].strip().startswith("…"):
            blocks[-1].append(line)
        elif len(cells) == len(HEAD):
            blocks.append([line])
    found = []
    for block in blocks:
        cell = block[0].strip("|").split(" | ")[1].strip()
        title = cell.rpartition(": ")[0] or cell
        begins = f"* **{title}**, ", f"* {title}: "
        found.append(Entry(title, tuple(block), tuple(x for x in table if x.startswith(begins))))
    return found


def markdown(entries: Sequence[Entry]) -> str:
    """The table, and below it why cases were missed and what else is to be said of them."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += [line for one in entries for line in one.lines]
    notes = [note for one in entries for note in one.notes]
    notes.sort(key=lambda note: not note.startswith("* **"))
    return "\n".join([*lines, "", *notes])


def renewed(page: str, verdicts: Sequence[Verdict], known: Collection[str] = ()) -> str:
    """A page with the table between its two comments as it is now.

    Parameters
    ----------
    page : str
    verdicts : sequence of Verdict
    known : collection of str
        Titles of cases that stay as the page has them if they are not among the verdicts.

    Raises
    ------
    ValueError
        If the page has no such comments.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"expected {BEGIN.strip()} and {END}")
    new = [entry(verdict) for verdict in verdicts]
    titles = {one.title for one in new}
    kept = [one for one in entries_on(page) if one.title in known and one.title not in titles]
    table = markdown(sorted([*new, *kept], key=lambda one: one.order))
    return f"{before}{begin}{table}\n{end}{after}"


def verdicts_on(page: str) -> dict[str, str]:
    """Title of each case on a page → its verdict there, as an earlier run wrote it."""
    last = {one.title: one.lines[0].strip("|").split(" | ")[-1] for one in entries_on(page)}
    return {title: cell.strip(" *").partition(" (")[0] for title, cell in last.items()}
