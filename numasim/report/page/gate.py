"""The report of a gate: whether something got worse, and by how much."""

from __future__ import annotations

import math
import shlex
from functools import partial
from typing import Any

from numasim.gate.reports import SHUT
from numasim.report.page.content import Page, Picture, Reason, Section, Table, number, words
from numasim.report.page.forest import Estimate, forest_chart, forest_picture
from numasim.report.page.numbers import title, write
from numasim.report.page.reading import SavedGate
from numasim.report.style import DEMOTION, GOOD, PROMOTION

COLOURS = {"better": PROMOTION, "worse": DEMOTION, "undefined": DEMOTION}
ORDER = ("worse", "undefined", "better", "ok", "unchanged")


def gate_page(saved: SavedGate) -> Page:
    """A report of what ``numasim gate --json`` wrote."""
    data = saved.data
    verdicts = [
        (one["name"], metric, found)
        for one in data["experiments"]
        for metric, found in one["metrics"].items()
    ]
    worse = [v for v in verdicts if not v[2]["ok"]]
    text = _verdict(data, verdicts, worse)
    first = data["experiments"][0] if data["experiments"] else None
    about = f"{len(data['experiments'])} experiments · {len(verdicts)} numbers"
    if first is not None:
        about += f" · {len(first['seeds'])} seeds against {first['baseline_seeds']} before"
    sections = [_changes(verdicts), _numbers(data, verdicts), _again(data, first)]
    mark = "good" if data["ok"] else "bad"
    reasons = _reasons(verdicts, worse)
    return Page("gate", data["suite"], about, text, mark, reasons, sections, saved.path)


Verdicts = list[tuple[str, str, dict[str, Any]]]


def _verdict(data: dict[str, Any], verdicts: Verdicts, worse: Verdicts) -> str:
    if worse:
        return f"{len(worse)} of {len(verdicts)} numbers got worse than “{data['suite']}” allows."
    same = sum(found["verdict"] == "unchanged" for _, _, found in verdicts)
    if same == len(verdicts):
        return f"Nothing changed: all {len(verdicts)} numbers are the same to the last bit."
    return f"Nothing got worse: all {len(verdicts)} numbers of “{data['suite']}” are as allowed."


def _reasons(verdicts: Verdicts, worse: Verdicts) -> list[Reason]:
    """What is worst, or where there is nothing, what changed most of what is allowed."""
    if worse:
        return [
            Reason(f"{name}: {title(metric)}", _change(found, "change"), _why(found))
            for name, metric, found in worse[:8]
        ]
    found_words = [found["verdict"] for _, _, found in verdicts]
    return [
        Reason(word.capitalize(), str(found_words.count(word)), text)
        for word, text in (
            ("unchanged", "The same to the last bit."),
            ("ok", "Within what chance and tolerance allow."),
            ("better", "Beyond the tolerance, for the better."),
        )
    ]


def _why(found: dict[str, Any]) -> str:
    if found["verdict"] == "undefined":
        return str(found["why"])
    return (
        f"Allowed is {_change(found, 'within', signed=False)}. If it were just within, chance "
        f"would do this with probability {_number(found['p']):.1g} "
        f"(limit {_number(found['alpha']):.1g})."
    )


def _number(value: Any) -> float:
    """JSON knows no NaN and no infinity."""
    return math.nan if value is None else float(value)


def _change(found: dict[str, Any], key: str, signed: bool = True) -> str:
    value, sign = _number(found[key]), "+" if signed else ""
    if not math.isfinite(value):
        return "–"
    return f"{100 * value:{sign}.2f} %" if found["relative"] else f"{value:{sign}.3g}"


def _changes(verdicts: Verdicts) -> Section:
    """Changes as shares of what is allowed: beyond one the gate may shut."""
    rows = []
    for name, metric, found in sorted(verdicts, key=lambda v: ORDER.index(v[2]["verdict"])):
        within = _number(found["within"])
        low, mean, high = (_number(found[k]) / within if within else math.nan
                           for k in ("low", "change", "high"))  # fmt: skip
        if found["better"] == "higher":
            low, mean, high = -high, -mean, -low
        text = f"{_change(found, 'change')}, {SHUT.get(found['verdict'], found['verdict'])}"
        colour = COLOURS.get(found["verdict"], GOOD)
        rows.append(Estimate(f"{name}: {title(metric)}", mean, low, high, text, colour))
    heading, axis = "Every number", "change for the worse, as a multiple of what is allowed"
    note = "95 % intervals; the dashed line is the tolerance, zero is no change."
    return Section(
        "What changed",
        charts=[forest_chart(heading, axis, rows, 1.0, log=False, note=note)],
        pictures=[Picture(heading, lambda: forest_picture(heading, axis, rows, 1.0, log=False))],
    )


def _numbers(data: dict[str, Any], verdicts: Verdicts) -> Section:
    rows = []
    for name, metric, found in verdicts:
        was, now = (
            number(_number(found[key]), partial(write, metric)) for key in ("baseline", "now")
        )
        changes = ((_change(found, k, signed=k == "change"), _sortable(found[k]))
                   for k in ("change", "within", "notices"))  # fmt: skip
        word = SHUT.get(found["verdict"], found["verdict"])
        rows.append((*words(name, title(metric), word), was, now, *changes))
    columns = ("experiment", "metric", "verdict", "baseline", "now", "change", "allowed", "notices")
    note = f"Chance of a false alarm of the whole suite: at most {data['false_alarm']:.2g}. "
    note += '"Notices": the change for the worse that is found in nine of ten cases.'
    tables = [Table("Every number", columns, rows, 5, note)]
    if data.get("gone"):
        gone = [words(name) for name in data["gone"]]
        tables.append(Table("In the baseline, no longer in the suite", ("experiment",), gone))
    return Section("Numbers", tables=tables)


def _sortable(value: Any) -> float | None:
    found = _number(value)
    return found if math.isfinite(found) else None


def _again(data: dict[str, Any], first: dict[str, Any] | None) -> Section:
    seed = first["seeds"][0] if first and first["seeds"] else 1
    name = shlex.quote(str(data.get("given") or data["suite"]))
    if data.get("baseline"):
        name += f" --baseline {shlex.quote(str(data['baseline']))}"
    code = f"numasim gate {name} --first-seed {seed} --json gate.json\nnumasim report gate.json\n"
    note = "In the folder where it was run: files are named as they were there."
    return Section("Make it again", note, code=code)
