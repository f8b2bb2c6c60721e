"""A gate's report for people and programs: Markdown, JUnit XML, JSON."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

from numasim.gate.again import document_of, made_with
from numasim.gate.baseline import as_text
from numasim.gate.decision import Verdict
from numasim.gate.gating import Judged, Report, Update
from numasim.gate.suite import Suite
from numasim.units import format_bytes

SHUT = {"worse": "WORSE", "undefined": "UNDEFINED"}
ARROWS = {"higher": "↑", "lower": "↓", "neither": "="}


def headline(report: Report) -> str:
    """The result in a sentence."""
    nr, worse = report.suite.nr_judged, len(report.worse)
    if worse:
        return f"numasim gate: {worse} of {nr} numbers got worse ({report.suite.name})"
    same = sum(v.word == "unchanged" for e in report.experiments for v in e.verdicts)
    more = ", all unchanged to the last bit" if same == nr else ""
    return f"numasim gate: passed, {nr} numbers{more} ({report.suite.name})"


def footnote(report: Report) -> str:
    """What the decision promises."""
    return (
        f"Seeds need not be the same as the baseline's. Chance of a false alarm: at most "
        f"{report.suite.false_alarm:.2g} for the whole suite if every mean moved just as far as it "
        f'may, far less if none moved. "Notices" is the change for the worse that is found in nine '
        f"of ten cases."
    )


def amount(name: str, value: float) -> str:
    """A number of that name to four digits or more, bytes with their unit."""
    if not math.isfinite(value):
        return "-"
    if name.endswith("_bytes"):
        return format_bytes(value)
    if value and not 1e-3 <= abs(value) < 1e15:
        return f"{value:.3e}"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def difference(verdict: Verdict, value: float, signed: bool = True) -> str:
    """A change in the metric's terms."""
    if not math.isfinite(value):
        return "-"
    sign = "+" if signed else ""
    if verdict.metric.relative:
        return f"{100 * value:{sign}.2f} %"
    return f"{value:{sign}.3g}"


def cells(verdict: Verdict) -> tuple[str, ...]:
    """Baseline, now, change with its interval, allowed, notices, verdict."""
    change = difference(verdict, verdict.change)
    if verdict.word == "unchanged":
        change = "none"
    elif math.isfinite(verdict.low) and verdict.low != verdict.high:
        half = (verdict.high - verdict.low) / 2
        change += f" ±{difference(verdict, half, signed=False).removesuffix(' %')}"
    return (
        amount(verdict.metric.name, verdict.baseline),
        amount(verdict.metric.name, verdict.now),
        change,
        allowed(verdict),
        difference(verdict, verdict.notices, signed=False),
        SHUT.get(verdict.word, verdict.word),
    )


def allowed(verdict: Verdict) -> str:
    """The tolerance, with its direction."""
    sign = {"higher": "-", "lower": "+", "neither": "±"}[verdict.metric.better]
    return sign + difference(verdict, verdict.metric.within, signed=False)


def explained(verdict: Verdict) -> str:
    """Why a number keeps the gate shut, in a sentence."""
    if verdict.word == "undefined":
        return verdict.why
    return (
        f"changed by {difference(verdict, verdict.change)} "
        f"[{difference(verdict, verdict.low)}, {difference(verdict, verdict.high)}], allowed is "
        f"{allowed(verdict)}; if it were just within, chance would do this with probability "
        f"{verdict.p:.1g} (limit {verdict.alpha:.1g})"
    )


def markdown(report: Report) -> str:
    """For a pull request's comment."""
    mark = "✅" if report.ok else "❌"
    lines = [f"### {mark} {headline(report)}", ""]
    lines += [f"* **{name}, {v.metric.name}** {explained(v)}" for name, v in report.worse]
    if report.worse:
        lines.append("")
    lines.append("| experiment | metric | baseline | now | change | allowed | notices | |")
    lines.append("|---|---|---:|---:|---:|---:|---:|---|")
    for experiment in report.experiments:
        for verdict in experiment.verdicts:
            *numbers, word = cells(verdict)
            word = f"**{word}**" if not verdict.ok else word
            name = f"{verdict.metric.name} {ARROWS[verdict.metric.better]}"
            row = " | ".join([experiment.name, name, *numbers, word])
            lines.append(f"| {row} |")
    lines += ["", _seeds(report), "", footnote(report)]
    lines += [f"\n`{name}` is in the baseline and no longer in the suite." for name in report.gone]
    return "\n".join(lines) + "\n"


def _seeds(report: Report) -> str:
    first = report.experiments[0]
    seeds = f"{first.seeds[0]} to {first.seeds[-1]}"
    return f"Seeds {seeds} against {first.baseline_seeds} of the baseline; {report.seconds:.0f} s."


def junit(report: Report) -> str:
    """For CI servers: a test case for each number."""
    suite = ElementTree.Element(
        "testsuite", name=f"numasim gate {report.suite.name}", tests=str(report.suite.nr_judged),
        failures=str(len(report.worse)), errors="0", time=f"{report.seconds:.3f}",
    )  # fmt: skip
    for experiment in report.experiments:
        for verdict in experiment.verdicts:
            case = ElementTree.SubElement(
                suite, "testcase", classname=experiment.name, name=verdict.metric.name
            )
            if not verdict.ok:
                message = explained(verdict)
                ElementTree.SubElement(case, "failure", message=message, type=verdict.word)
    return _xml(suite)


def junit_of_error(name: str, error: str) -> str:
    """The same for a gate that could not run."""
    suite = ElementTree.Element(
        "testsuite", name=f"numasim gate {name}", tests="1", failures="0", errors="1", time="0"
    )
    case = ElementTree.SubElement(suite, "testcase", classname=name, name="could not run")
    ElementTree.SubElement(case, "error", message=error.splitlines()[0], type="error").text = error
    return _xml(suite)


def _xml(suite: ElementTree.Element) -> str:
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def as_json(report: Report) -> dict[str, Any]:
    """Everything as plain data."""
    return {
        "suite": report.suite.name,
        "ok": report.ok,
        "exit_code": report.exit_code,
        "false_alarm": report.suite.false_alarm,
        "seconds": report.seconds,
        "experiments": [_experiment(each) for each in report.experiments],
        "gone": list(report.gone),
        "made": made_with(report.suite),
        "suite_document": document_of(report.suite),
        "baseline_numasim": report.baseline.numasim,
        "baseline_file": as_text(report.baseline),
    }


def _experiment(judged: Judged) -> dict[str, Any]:
    return {
        "name": judged.name,
        "seeds": list(judged.seeds),
        "baseline_seeds": judged.baseline_seeds,
        "metrics": {
            v.metric.name: {
                "verdict": v.word, "ok": v.ok, "baseline": v.baseline, "now": v.now,
                "change": v.change, "low": v.low, "high": v.high, "within": v.metric.within,
                "relative": v.metric.relative, "better": v.metric.better, "notices": v.notices,
                "p": v.p, "alpha": v.alpha, "why": v.why,
            }
            for v in judged.verdicts
        },
        "others": {
            name: {"now": now, "baseline": before} for name, (now, before) in judged.others.items()
        },
    }  # fmt: skip


def markdown_of_update(suite: Suite, made: Update) -> str:
    """What a new baseline changes, for the pull request that brings it."""
    lines = [f"### numasim gate: what the new baseline of {suite.name} changes", ""]
    lines += [f"* {line}" for line in changes(made)]
    lines += [f"* note: {line}" for line in made.advice]
    return "\n".join(lines) + "\n"


def update_as_json(suite: Suite, made: Update) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "suite": suite.name,
        "new": list(made.new),
        "gone": list(made.gone),
        "changed": [_experiment(each) for each in made.changed],
        "advice": list(made.advice),
    }


def changes(made: Update) -> list[str]:
    """What a new baseline changes, a line each."""
    lines = [f"{name}: new" for name in made.new] + [f"{name}: gone" for name in made.gone]
    for judged in made.changed:
        for verdict in judged.verdicts:
            if verdict.word == "unchanged":
                continue
            was, now, change, *_ = cells(verdict)
            words = {"ok": "within what chance and tolerance allow"}
            word = words.get(verdict.word, verdict.word)
            lines.append(f"{judged.name}, {verdict.metric.name}: {was} -> {now} ({change}), {word}")
    return lines or ["nothing: every number is the same to the last bit"]
