"""Verdicts as a table in Markdown, and the table of the front page renewed with it."""

from __future__ import annotations

import math
from collections.abc import Sequence

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


def markdown(verdicts: Sequence[Verdict]) -> str:
    """The table, and below it why cases were missed and what else is to be said of them."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for row in rows(verdicts):
        cells = [cell.replace("|", "\\|") for cell in row]
        cells[-1] = f"**{cells[-1]}**" if cells[-1].startswith("missed") else cells[-1]
        lines.append("| " + " | ".join(cells) + " |")
    notes = [f"* **{v.case.title}**, missed: {v.reason}" for v in verdicts if v.reason]
    notes += [f"* {v.case.title}: {v.case.remark}" for v in verdicts if v.case.remark]
    return "\n".join([*lines, "", *notes])


def renewed(page: str, verdicts: Sequence[Verdict]) -> str:
    """A page with the table between its two comments as it is now.

    Raises
    ------
    ValueError
        If the page has no such comments.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"expected {BEGIN.strip()} and {END}")
    return f"{before}{begin}{markdown(verdicts)}\n{end}{after}"


def verdicts_on(page: str) -> dict[str, str]:
    """Title of each case on a page → its verdict there, as an earlier run wrote it."""
    table = page.partition(BEGIN)[2].partition(END)[0]
    found = {}
    for line in table.splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split(" | ")]
        if len(cells) == len(HEAD) and ": " in cells[1]:
            found[cells[1].rpartition(": ")[0]] = cells[-1].partition(" (")[0]
    return found
