"""The report of a gate: whether something got worse, and by how much."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from numasim.gate.reports import SHUT
from numasim.report.page.content import Page, Picture, Reason, Section, Table, number, words
from numasim.report.page.forest import Estimate, forest_chart, forest_picture
from numasim.report.page.gate_made import again, made_of
from numasim.report.page.numbers import title, write
from numasim.report.page.overhead import PARTS
from numasim.report.page.reading import SavedGate
from numasim.report.style import DEMOTION, GOOD, PROMOTION

COLOURS = {"better": PROMOTION, "worse": DEMOTION, "undefined": DEMOTION}
MOST_WORSE, UNCHANGED = 6, "unchanged"
REASONS = ("local_share", "loaded_latency_ns", "both_ways_bytes", "emd", *PARTS)
"""Numbers that say why, of an experiment that got worse or else of the first."""
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
    about = f"{_nr(len(data['experiments']), 'experiment')} · {_nr(len(verdicts), 'number')}"
    if first is not None:
        about += f" · {len(first['seeds'])} seeds against {first['baseline_seeds']} before"
    sections = [
        _changes(verdicts), _numbers(data, verdicts), _beside(data), made_of(data), again(data),
    ]  # fmt: skip
    mark = "good" if data["ok"] else "bad"
    reasons = [*_reasons(verdicts, worse), *_why_so(data, worse)]
    return Page("gate", data["suite"], about, text, mark, reasons, sections, saved.path)


Verdicts = list[tuple[str, str, dict[str, Any]]]


def _nr(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _verdict(data: dict[str, Any], verdicts: Verdicts, worse: Verdicts) -> str:
    if worse:
        of = _nr(len(verdicts), "number")
        return f"{len(worse)} of {of} got worse than “{data['suite']}” allows."
    same = sum(found["verdict"] == UNCHANGED for _, _, found in verdicts)
    if same == len(verdicts):
        return (
            f"Nothing changed: all {len(verdicts)} numbers are the same in every seed, to the bit."
        )
    return f"Nothing got worse: all {len(verdicts)} numbers of “{data['suite']}” are as allowed."


def _reasons(verdicts: Verdicts, worse: Verdicts) -> list[Reason]:
    """What is worst, or where there is nothing, what changed most of what is allowed."""
    if worse:
        return [
            Reason(f"{name}: {title(metric)}", _change(found, "change"), _why(found))
            for name, metric, found in worse[:MOST_WORSE]
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


def _why_so(data: dict[str, Any], worse: Verdicts) -> list[Reason]:
    """Local share, latency, waste, monitoring error and overhead of the experiment that matters."""
    names = [one["name"] for one in data["experiments"]]
    watched = [name for name, *_ in worse] or [n for n, known in _known(data).items() if known]
    if not (watched or names):
        return []
    name = (watched or names)[0]
    known = _known(data)[name]
    found = []
    for metric in REASONS:
        now, before = known.get(metric, (math.nan, math.nan))
        if math.isnan(now) or (metric in PARTS and not now and not before > 0):
            continue
        text = f"In the baseline {write(metric, before)}." if not math.isnan(before) else ""
        found.append(Reason(f"{name}: {title(metric)}", write(metric, now), text))
    return found


def _known(data: dict[str, Any]) -> dict[str, dict[str, tuple[float, float]]]:
    """Means of now and of the baseline by experiment and number, judged ones too."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for one in data["experiments"]:
        numbers = {**one["metrics"], **one.get("others", {})}
        found[one["name"]] = {
            metric: (_number(n["now"]), _number(n["baseline"])) for metric, n in numbers.items()
        }
    return found


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
    if key == "change" and found["verdict"] == UNCHANGED:
        return "none"
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
        if found["verdict"] == UNCHANGED:  # with fewer seeds than the baseline has
            low, mean, high = math.nan, 0.0, math.nan
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
        same = found["verdict"] == UNCHANGED
        changes = ((_change(found, k, signed=k == "change"),
                    0.0 if same and k == "change" else _sortable(found[k]))
                   for k in ("change", "within", "notices"))  # fmt: skip
        word = SHUT.get(found["verdict"], found["verdict"])
        rows.append((*words(name, title(metric), word), was, now, *changes))
    columns = ("experiment", "metric", "verdict", "baseline", "now", "change", "allowed", "notices")
    note = f"Chance of a false alarm of the whole suite: at most {data['false_alarm']:.2g}. "
    note += (
        '"Notices": the change for the worse that is found in nine of ten cases. Means are over '
    )
    note += "the seeds of each, so that they differ even where every seed gave the same as before."
    tables = [Table("Every number", columns, rows, 5, note)]
    if data.get("gone"):
        gone = [words(name) for name in data["gone"]]
        tables.append(Table("In the baseline, no longer in the suite", ("experiment",), gone))
    return Section("Numbers", tables=tables)


def _sortable(value: Any) -> float | None:
    found = _number(value)
    return found if math.isfinite(found) else None


def _beside(data: dict[str, Any]) -> Section:
    """Numbers that are not judged: what went along with what changed."""
    rows = []
    for one in data["experiments"]:
        for metric, found in one.get("others", {}).items():
            now, before = (_number(found[key]) for key in ("now", "baseline"))
            share = now / before - 1 if before else math.nan
            cells = (number(v, partial(write, metric)) for v in (before, now))
            change = number(share, lambda v: f"{100 * v:+.2f} %")
            rows.append((*words(one["name"], title(metric)), *cells, change))
    note = "Means over seeds. They decide nothing and say why; – where the baseline is of a "
    note += "version that did not keep them."
    columns = ("experiment", "number", "baseline", "now", "change")
    tables = [Table("Numbers that are not judged", columns, rows, 3, note)] if rows else []
    return Section("What went along", tables=tables, folded=True)
