"""numasim gate: did a change make a policy worse?"""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from numasim.cli import console, options
from numasim.cli.sweep import Scheduler, Workers

if TYPE_CHECKING:
    from numasim.gate.gating import Report, Update
    from numasim.gate.suite import Suite

DEFAULT = "default"
INTERRUPTED = 130
"""As shells say it: 128 and the number of the signal."""


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
    asked = Asked(suite, baseline, workers, scheduler, markdown, junit, json, quiet)
    try:
        _check(asked, update, first_seed)
        code = _renew(asked) if update else _judge(asked, first_seed)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None  # 1 would say that something got worse
    except Exception as error:
        _could_not_run(asked, error)
    raise typer.Exit(code)


@dataclass(frozen=True)
class Asked:
    """What the command was called with."""

    suite: str
    baseline: Path | None
    workers: int | None
    scheduler: str | None
    markdown: Path | None
    junit: Path | None
    json: str | None
    quiet: bool


def _check(asked: Asked, update: bool, first_seed: int) -> None:
    """See that reports can be written, before a minute of runs."""
    from numasim.errors import ConfigError, Problem

    problems = []
    options.check_outputs(None, asked.json)
    for option, path in (("--markdown", asked.markdown), ("--junit", asked.junit)):
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.open("a").close()
            except OSError as error:
                problems.append(Problem(option, f"{path} cannot be written: {error.strerror}"))
    if update and asked.junit is not None:
        problems.append(Problem("--junit", "has nothing to say with --update"))
    if update and first_seed != 1:
        problems.append(Problem("--first-seed", "a baseline has the first seeds"))
    if first_seed < 0:
        problems.append(Problem("--first-seed", f"got {first_seed}, expected at least 0"))
    if problems:
        raise ConfigError(problems)


def _judge(asked: Asked, first_seed: int) -> int:
    from numasim.cli.sweep import progress
    from numasim.gate import gating, reports
    from numasim.gate.baseline import path_of, read_baseline
    from numasim.gate.suite import read_suite

    suite = read_suite(asked.suite)
    assert suite.path is not None
    before = read_baseline(asked.baseline or path_of(suite.path))
    with progress(suite.name, asked.quiet) as on_progress:
        report = gating.gate(
            suite, before, first_seed=first_seed, workers=asked.workers,
            scheduler=asked.scheduler, on_progress=on_progress,
        )  # fmt: skip
    _write(asked, reports.markdown(report), reports.junit(report), reports.as_json(report))
    if asked.json != console.STDOUT:
        show(report, asked.quiet)
    return report.exit_code


def _renew(asked: Asked) -> int:
    from numasim.cli.sweep import progress
    from numasim.gate import gating, reports
    from numasim.gate.baseline import path_of, write_baseline
    from numasim.gate.suite import read_suite

    suite = read_suite(asked.suite)
    assert suite.path is not None
    where = asked.baseline or path_of(suite.path)
    old, why = gating.read_old(where)
    if why:
        console.warn([f"{why}: nothing to compare with"])
    with progress(suite.name, asked.quiet) as on_progress:
        made = gating.update(
            suite, old, workers=asked.workers, scheduler=asked.scheduler, on_progress=on_progress
        )
    write_baseline(where, made.baseline)
    _write(asked, reports.markdown_of_update(suite, made), "", reports.update_as_json(suite, made))
    if asked.json != console.STDOUT:
        show_update(suite, made, asked.quiet)
        if not asked.quiet:
            console.files([where])
    return gating.PASSED


def _write(asked: Asked, markdown: str, junit: str, document: dict[str, Any]) -> None:
    """Write the reports that were asked for."""
    if asked.markdown is not None:
        asked.markdown.write_text(markdown, encoding="utf-8")
    if asked.junit is not None:
        asked.junit.write_text(junit, encoding="utf-8")
    if asked.json is not None:
        baseline = None if asked.baseline is None else str(asked.baseline)
        console.write_json({**document, "given": asked.suite, "baseline": baseline}, asked.json)


def _could_not_run(asked: Asked, error: Exception) -> NoReturn:
    """Say so everywhere that was asked for."""
    from numasim.errors import NumasimError
    from numasim.gate.gating import COULD_NOT_RUN
    from numasim.gate.reports import junit_of_error

    text = console.message(error)
    if not isinstance(error, NumasimError | OSError):  # a bug, of numasim's or of a policy's
        traceback.print_exception(error)
        text = f"{type(error).__name__}: {text}"
    print(f"numasim: {text}", file=sys.stderr)
    body = f"### ⚠️ numasim gate could not run ({asked.suite})\n\n```\n{text}\n```\n"
    document = {"suite": asked.suite, "ok": None, "exit_code": COULD_NOT_RUN, "error": text}
    try:
        _write(asked, body, junit_of_error(asked.suite, text), document)
    except OSError as other:
        print(f"numasim: {console.message(other)}", file=sys.stderr)
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
