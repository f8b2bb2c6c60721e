"""The report of one run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from numasim.cli.parameters import parameters_of
from numasim.explain import final_schemes, mapping_timeline, mappings
from numasim.explain import verdict as scheme_verdict
from numasim.report.furniture import short_number
from numasim.report.page.content import (
    Page,
    Picture,
    Reason,
    Section,
    Table,
    number,
    percent,
    records,
    words,
)
from numasim.report.page.course import course_section, usage_section
from numasim.report.page.heat import heat_section
from numasim.report.page.numbers import METRICS, write
from numasim.report.page.overhead import in_all, paid, share, told
from numasim.report.page.reproduce import run_again
from numasim.report.series import Clock, subtitle, topology
from numasim.report.write import PICTURES
from numasim.result import CONVERGED, Result
from numasim.scenario import Scenario
from numasim.units import format_bytes

MOST_ROWS = 400


def run_page(result: Result, folder: Path | None = None) -> Page:
    """A report of one run.

    Parameters
    ----------
    result : Result
    folder : Path, optional
        Where it was read from.
    """
    text, mark = verdict(result)
    duration = result.provenance["scenario"]["duration"]
    again = run_again(result.provenance["scenario"])
    sections = [*details(result), *made_of(result, again)]
    about = f"{subtitle(result)} · {duration}"
    return Page("run", result.policy, about, text, mark, reasons(result), sections, folder)


def verdict(result: Result) -> tuple[str, str]:
    """One sentence, and whether that is good: placement near the best there is, or not."""
    found = result.summary()
    share, speed = found["local_share"], found["throughput_ops_per_s"]
    if not len(result.phases):
        return "No phase of the workload began before the end, so there is nothing to tell.", "bad"
    ran = f"the workload ran at {short_number(speed)} operations/s"
    if math.isnan(share):
        return f"Under {result.policy} {ran} and missed no cache line.", "plain"
    best = _best_share(result)
    local = f"{percent(share)} of missed cache lines came from the nearest memory"
    if math.isnan(best):
        return f"Under {result.policy} {ran}; {local}.", "plain"
    good = share >= CONVERGED * best
    whole = "close to" if good else "short of"
    return (
        f"{result.policy} came {whole} the best placement: {local}, {percent(best)} could have; "
        f"{ran}.",
        "good" if good else "plain",
    )


def _best_share(result: Result) -> float:
    """Best local share that any placement gives, mean over missing lines; NaN if not known."""
    total = lines = 0.0
    for _, rows in result.actors.groupby("actor", sort=False):
        step = rows.lines.astype(float).diff()
        known = (step > 0) & rows.best_local_share.notna()
        total += float((step * rows.best_local_share.astype(float))[known].sum())
        lines += float(step[known].sum())
    return total / lines if lines else math.nan


def reasons(result: Result) -> list[Reason]:
    """Local share, loaded latency, bytes moved and wasted, monitoring error, overhead."""
    found = result.summary()
    best = _best_share(result)
    idle = float(topology(result).idle_latency_ns.min())
    moved = f"▲ {format_bytes(found['promoted_bytes'])} up, "
    moved += f"▼ {format_bytes(found['demoted_bytes'])} down the tiers"
    in_total = found["promoted_bytes"] + found["demoted_bytes"]
    undone = f"≤ {format_bytes(found['both_ways_bytes'])}" if found["both_ways_bytes"] else "none"
    known = "" if math.isnan(best) else f"The best placement gives {percent(best)}."
    return [
        Reason("Local share", write("local_share", found["local_share"]), known),
        Reason("Loaded latency", write("loaded_latency_ns", found["loaded_latency_ns"]),
               f"Mean of missed lines; the nearest memory answers in {idle:.4g} ns when idle."),
        Reason("Migrated", format_bytes(in_total), moved + "."),
        Reason("Wasted migration", undone, _both_ways(found)),
        _monitoring(found),
        _overhead(result, found),
    ]  # fmt: skip


def _both_ways(found: Mapping[str, float]) -> str:
    text = "Nothing of a mapping moved both ways within a phase."
    if found["both_ways_bytes"]:
        text = "Of one mapping, both ways within one phase; pages that changed places are in it."
    if found["refused_bytes"]:
        text += f" {format_bytes(found['refused_bytes'])} more found no room where they were to go."
    return text


def _monitoring(found: Mapping[str, float]) -> Reason:
    if math.isnan(found["emd"]):
        return Reason("Monitoring error", "–", "Nobody monitored, or there is nothing to compare.")
    text = f"Earth mover's distance, 0 is perfect. Hot set found: F1 {found['f1']:.2f}."
    return Reason("Monitoring error", percent(found["emd"]), text)


def _overhead(result: Result, found: Mapping[str, float]) -> Reason:
    shares = paid(lambda part: found[part])
    text = f"Of one CPU: {told(shares)}."
    if shares["thread_cpu"] > 0:
        lost = result.tolls.groupby("actor").paid_ns.max().sum() / 1e9
        text += f" The workload's threads lost {lost:.3g} s."
    return Reason("Overhead", share(in_all(shares)), text)


# -- the rest of the page --------------------------------------------------------------------------


def details(result: Result) -> list[Section]:
    """Charts and tables of a run."""
    clock = Clock.of(result)
    parts = [heat_section(result, clock), course_section(result, clock),
             usage_section(result, clock)]  # fmt: skip
    found = [part for part in parts if part is not None and part.charts]
    pictures = [
        Picture(stem.replace("_", " "), lambda draw=draw: draw(result))  # type: ignore[misc]
        for stem, (draw, tables) in PICTURES.items()
        if any(result.has_rows(name) for name in tables)
    ]
    return [
        *found,
        Section("Pictures", pictures=pictures),
        Section("Tables", tables=_tables(result)),
    ]


def _tables(result: Result) -> list[Table]:
    found = result.summary()
    rows = [
        (*words(title), number(found[key], partial(write, key)))
        for key, title in METRICS.items()
        if key in found
    ]
    tables = [Table("Summary", ("", "value"), rows, 1)]
    tables += [t for t in (_phases(result), _schemes(result), _mappings(result)) if t.rows]
    events = result.events.head(MOST_ROWS)
    rows = [
        (number(e.t_s, lambda v: f"{v:,.2f}"), *words(e.who, e.what, e.detail))
        for e in records(events)
    ]
    return [*tables, Table("Events", ("time (s)", "who", "what", "detail"), rows)]


def _phases(result: Result) -> Table:
    rows = [
        (*words(s["actor"], s["phase"]), number(s["began_s"], lambda v: f"{v:.1f}"),
         number(s["converged_s"], lambda v: f"{v:.1f}"))
        for s in result.convergence().to_dict("records")
    ]  # fmt: skip
    note = f"Until the local share was {CONVERGED:.0%} of the best possible."
    columns = ("actor", "phase", "began (s)", "local after (s)")
    return Table("Phases", columns, rows[:MOST_ROWS], 2, note)


def _schemes(result: Result) -> Table:
    last = final_schemes(result)
    rows = [
        (*words(s.kdamond, f"{s.scheme} {s.action}"),
         *(number(float(v), format_bytes) for v in (s.sz_tried, s.sz_applied)),
         number(float(s.qt_exceeds), lambda v: f"{v:,.0f}"), *words(scheme_verdict(s)))
        for s in records(last)
    ]  # fmt: skip
    columns = ("kdamond", "scheme", "tried", "applied", "quota met", "how it ended")
    return Table("Schemes", columns, rows)


def _mappings(result: Result) -> Table:
    """Where every mapping lay at the end, and how often it moved."""
    rows = []
    for process, name in mappings(result)[:MOST_ROWS]:
        own = result.residency
        own = own[(own.process == process) & (own.mapping == name)]
        last = own[own.t_s == own.t_s.max()]
        lies = ", ".join(f"{format_bytes(r.bytes)} {r.node}" for r in records(last) if r.bytes)
        moved = _moved(result.moves, process, name)
        turns = [e for e in mapping_timeline(result, process, name) if "→" in e.what]
        why = turns[-1] if turns else None
        text = f"{why.what} at {why.t_s:.0f} s: {why.why}" if why else ""
        size = number(float(last.bytes.sum()), format_bytes)
        rows.append((*words(process, name), size, number(moved, format_bytes), *words(lies, text)))
    columns = ("process", "mapping", "size", "moved", "lies on", "last move, and why")
    return Table("Mappings at the end", columns, rows)


def _moved(moves: pd.DataFrame, process: str, mapping: str) -> float:
    return float(moves.bytes[(moves.process == process) & (moves.mapping == mapping)].sum())


# -- what it was made of ---------------------------------------------------------------------------


def made_of(result: Result, again: str) -> list[Section]:
    """Parameters, provenance, and the command that makes it again."""
    made = result.provenance
    rows = [words("hash of the scenario", made["hash"]), words("seed", result.seed)]
    rows += [words(name, version) for name, version in made["versions"].items()]
    rows += [words(name, value) for name, value in made["platform"].items()]
    return [
        Section("Parameters", tables=[parameters(result)]),
        Section("Make it again", "Paste into a shell; identical tables with the versions below.",
                code=again, tables=[Table("Provenance", ("what", "value"), rows)]),
    ]  # fmt: skip


def parameters(result: Result) -> Table:
    """Parameters of the policy: what was given, and defaults."""
    found = parameters_of_scenario(result.scenario())
    return Table(f"Parameters of {result.policy}", found.columns, found.rows)


def parameters_of_scenario(scenario: Scenario) -> Table:
    """The same of a scenario, without a title."""
    policy = scenario.document.get("policy")
    given = dict(policy) if isinstance(policy, Mapping) else {}
    rows = [words("kind", given.get("kind", scenario.policy.kind), "given", "")]
    for one in parameters_of(scenario.policy):
        where = "given" if one.name in given else "default"
        rows.append(words(one.name, _short(one.value), where, one.text.replace("`", "")))
    return Table("", ("parameter", "value", "from", "meaning"), rows)


def _short(text: str) -> str:
    text = "none" if text in ("()", "None", "{}") else text
    return text if len(text) <= 300 else f"{text[:299]}…"
