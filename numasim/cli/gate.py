"""numasim gate: did a change make a policy worse?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from numasim.cli import console, options
from numasim.cli.sweep import Scheduler, Workers

if TYPE_CHECKING:
    from numasim.gate.gating import Report, Update
    from numasim.gate.suite import Suite

DEFAULT = "default"


def gate(
    suite: Annotated[
        str, typer.Argument(metavar="[SUITE]", help="A YAML file, or the name of a shipped suite.")
    ] = DEFAULT,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline", "-b", metavar="FILE",
            help="What it came to before; by default SUITE.baseline.json beside the suite.",
        ),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Make the baseline anew and say what that changes.")
    ] = False,
    first_seed: Annotated[
        int, typer.Option("--first-seed", metavar="N", help="Use seeds from N on; any will do.")
    ] = 1,
    workers: Workers = None,
    scheduler: Scheduler = None,
    markdown: Annotated[
        Path | None,
        typer.Option("--markdown", metavar="FILE", help="Write a table for a pull request."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.")
    ] = None,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Run a suite of experiments and hold it against a committed baseline.

    Exit code 0: nothing got worse. 1: something did. 2: it could not be found out.

    Example: numasim gate gates/mine.yaml --markdown comment.md --junit gate.xml
    """
    from numasim.errors import NumasimError

    try:
        code = _gate(
            suite, baseline, update, first_seed, workers, scheduler, markdown, junit, json, quiet
        )
    except (NumasimError, OSError) as error:
        _could_not_run(suite, error, markdown, junit)
    raise typer.Exit(code)


def _gate(
    name: str,
    baseline: Path | None,
    update: bool,
    first_seed: int,
    workers: int | None,
    scheduler: str | None,
    markdown: Path | None,
    junit: Path | None,
    json: str | None,
    quiet: bool,
) -> int:
    from numasim.cli.sweep import progress
    from numasim.gate import gating, reports
    from numasim.gate.baseline import path_of, read_baseline, write_baseline
    from numasim.gate.suite import read_suite

    options.check_outputs(None, json)
    read = read_suite(name)
    assert read.path is not None
    where = baseline or path_of(read.path)
    if update:
        with progress(read.name, quiet) as on_progress:
            made = gating.update(
                read, gating.read_old(where), workers=workers, scheduler=scheduler,
                on_progress=on_progress,
            )  # fmt: skip
        write_baseline(where, made.baseline)
        show_update(read, made, quiet)
        console.files([where])
        return gating.PASSED
    before = read_baseline(where)
    with progress(read.name, quiet) as on_progress:
        report = gating.gate(
            read, before, first_seed=first_seed, workers=workers, scheduler=scheduler,
            on_progress=on_progress,
        )  # fmt: skip
    if markdown is not None:
        markdown.write_text(reports.markdown(report), encoding="utf-8")
    if junit is not None:
        junit.write_text(reports.junit(report), encoding="utf-8")
    if json is not None:
        given = {"given": name, "baseline": None if baseline is None else str(baseline)}
        console.write_json({**reports.as_json(report), **given}, json)
    if json != console.STDOUT:
        show(report, quiet)
    return report.exit_code


def _could_not_run(
    suite: str, error: Exception, markdown: Path | None, junit: Path | None
) -> NoReturn:
    """Say so everywhere that was asked for."""
    from numasim.gate.gating import COULD_NOT_RUN
    from numasim.gate.reports import junit_of_error

    text = console.message(error)
    print(f"numasim: {text}", file=sys.stderr)
    if markdown is not None:
        body = f"### ⚠️ numasim gate could not run ({suite})\n\n```\n{text}\n```\n"
        markdown.write_text(body, encoding="utf-8")
    if junit is not None:
        junit.write_text(junit_of_error(suite, text), encoding="utf-8")
    raise typer.Exit(COULD_NOT_RUN)


def show(report: Report, quiet: bool) -> None:
    """Print every number, and why some keep the gate shut."""
    from numasim.gate import reports

    if not quiet:
        for experiment in report.experiments:
            rows = [
                (f"{v.metric.name} {reports.ARROWS[v.metric.better]}", *reports.cells(v)[2:])
                for v in experiment.verdicts
            ]
            seeds = f"seeds {experiment.seeds[0]} to {experiment.seeds[-1]}"
            title = f"{experiment.name}; {seeds} against {experiment.baseline_seeds} before"
            columns = ("", "change", "allowed", "notices", "verdict")
            console.table(columns, rows, title, numbers=4)
        for name in report.gone:
            console.warn([f'"{name}" is in the baseline and no longer in the suite'])
    for name, verdict in report.worse:
        console.say(f"{name}, {verdict.metric.name} {reports.explained(verdict)}")
    console.heading(f"{reports.headline(report)}, {report.seconds:.0f} s")


def show_update(suite: Suite, made: Update, quiet: bool) -> None:
    """Print what a new baseline changes, and what it will not notice."""
    from numasim.gate import reports

    if quiet:
        return
    console.heading(f"{suite.name}: what the new baseline changes")
    for line in reports.changes(made):
        console.text(f"  {line}")
    console.warn(made.advice)
