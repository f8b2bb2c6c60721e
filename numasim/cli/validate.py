"""numasim validate: recorded runs of a real kernel held against the same runs, simulated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from numasim.cli import console, options

if TYPE_CHECKING:
    from numasim.validate.judge import MetricVerdict, Pooled
    from numasim.validate.validating import Plan
    from numasim.validate.verdict import ExperimentVerdict, RunVerdict, Verdict


ENOUGH_SEEDS = 20


def validate(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...", help="Recorded runs, experiments, or folders of experiments."
        ),
    ],
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", help="Simulated runs of each.")
    ] = 20,
    only: Annotated[
        str | None,
        typer.Option(
            "--only", metavar="E1a,...", help="Only these experiments, or runs such as E1a/r2."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FOLDER",
            help="Save verdicts, pictures, and every simulated run as soon as it is finished. The "
            "same command again goes on where it was stopped.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Processes; by default all cores.")
    ] = None,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Hold recorded runs of a real kernel against the same runs, simulated over many seeds.

    A metric passes when the kernel's value lies in the 1-99 % range of the simulated ones; an
    experiment, and all together, when the kernel could be one more seed. Exit code 1: it could not.

    Example: numasim validate ground_truth --only E1a,E1b --out validation
    """
    from numasim.errors import ConfigError, Problem
    from numasim.validate.validating import carry_out, plan

    options.check_outputs(out, json)
    if only is not None and not only.strip(" ,"):
        raise ConfigError(Problem("--only", f'got "{only}", expected names of experiments'))
    words = [word.strip() for word in only.split(",") if word.strip()] if only else []
    planned = plan(folders, seeds, words)
    try:
        with _progress(len(planned.recordings) * seeds, quiet) as on_done:
            verdict = carry_out(planned, workers, out, on_done)
    except KeyboardInterrupt:
        if out is not None:
            console.warn([f"interrupted; finished runs are in {out}, the same command goes on"])
        raise
    written = _save(verdict, planned, out) if out else []
    if json:
        console.write_json(verdict.to_json(), json)
    if not quiet and json != console.STDOUT:
        show(verdict)
        console.files(written)
    if seeds < ENOUGH_SEEDS and not quiet:
        console.warn([f"{seeds} seeds tell gross differences only; judge by {ENOUGH_SEEDS}"])
    if not verdict.experiments:
        console.warn(["nothing was judged: no run here can be simulated"])
        raise typer.Exit(console.BAD_INPUT)
    if not verdict.ok:
        raise typer.Exit(console.FAILED)


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[..., None]]:
    from numasim.pool import Outcome

    with console.progress(f"0 of {total} runs", quiet) as (bar, task):

        def on_done(outcome: Outcome, done: int, total: int) -> None:
            bar.update(task, completed=done / total, description=f"{done} of {total} runs")
            if outcome.error:
                last = outcome.error.splitlines()[-1]
                bar.console.print(f"{outcome.key[0]}, seed {outcome.key[1]}: {last}")

        yield on_done


def _save(verdict: Verdict, planned: Plan, out: Path) -> list[Path]:
    from numasim.plain import to_json
    from numasim.report.validation import write_validation

    path = out / "verdict.json"
    path.write_text(to_json(verdict.to_json()), encoding="utf-8")
    return [path, *write_validation(verdict, planned, out)]


# -- tables ----------------------------------------------------------------------------------------


def show(verdict: Verdict) -> None:
    """Print every metric of every run, what broke a rule, and the pooled statistics."""
    for experiment in verdict.experiments:
        for run in experiment.runs:
            _run(run)
    for name, why in verdict.not_simulated.items():
        console.say(f"{name}: not simulated: {why}")
    for name, text in verdict.remarks.items():
        console.say(f"{name}: {text}")
    for (name, seed), error in verdict.failed.items():
        console.say(f"{name}, seed {seed}: failed: {error.splitlines()[-1]}")
    _pooled(verdict)


def _run(run: RunVerdict) -> None:
    columns = ("metric", "unit", "kernel", "1 %", "50 %", "99 %", "z", "")
    rows = [
        (
            metric.name, metric.unit, *map(number, (metric.kernel, metric.low, metric.median,
            metric.high)), f"{metric.z:+.1f}", word(metric),
        )
        for metric in run.metrics
    ]  # fmt: skip
    console.table(
        columns, rows, f"{run.name}: the kernel and {run.seeds} simulated runs", numbers=6
    )
    for of, checks in (("kernel", run.exact), ("simulated", run.exact_simulated)):
        total, wrong = sum(c.checked for c in checks), sum(c.wrong for c in checks)
        if total:
            console.say(f"exact rules, {of}: {total - wrong:,} of {total:,} hold")
        for check in checks:
            for example in check.examples:
                console.say(f"  {check.name}: {example}")
    console.text()


def word(metric: MetricVerdict) -> str:
    """The verdict on a metric in a word; those that no single run can decide are not judged."""
    if not metric.gated:
        return "-"
    return "ok" if metric.ok else "FAIL"


def number(value: float) -> str:
    """Four significant digits."""
    from numasim.cli.metrics import significant

    if not math.isfinite(value):
        return "-"
    return f"{value:.3g}" if value and abs(value) < 1e-3 else significant(value)


def _pooled(verdict: Verdict) -> None:
    columns = (
        "all metrics",
        "runs",
        "metrics",
        "outside",
        "rms z",
        "|z| > 2",
        "largest",
        "verdict",
    )
    rows = [
        (e.name, len(e.runs), *_statistics(e.pooled, e.runs), _verdict(e))
        for e in verdict.experiments
    ]
    runs = tuple(run for e in verdict.experiments for run in e.runs)
    if len(verdict.experiments) > 1:
        whole = verdict.pooled is None or verdict.pooled.ok
        statistics = _statistics(verdict.pooled, runs)
        rows.append(("together", len(runs), *statistics, "ok" if whole else "FAIL"))
    title = "Pooled, in brackets what a perfect model stays below"
    console.table(columns, rows, title, numbers=7)


def _verdict(experiment: ExperimentVerdict) -> str:
    if not experiment.ok:
        return "FAIL"
    return "ok" if experiment.pooled else "not gated"


def _statistics(pooled: Pooled | None, runs: tuple[RunVerdict, ...]) -> tuple[str, ...]:
    if pooled is None:
        return "0", "-", "-", "-", "-"
    outside = sum(1 for run in runs for m in run.metrics if m.gated and not m.ok)
    limits = pooled.limits
    return (
        str(pooled.nr), str(outside), f"{pooled.rms:.2f} ({limits['rms']:.2f})",
        f"{pooled.share:.0%} ({limits['share']:.0%})",
        f"{pooled.largest:.1f} ({limits['largest']:.1f})",
    )  # fmt: skip
