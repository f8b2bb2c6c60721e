"""numasim fit: recordings as models of rates, and what DAMON sees differently."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from numasim.cli import console, options

if TYPE_CHECKING:
    from rich.progress import Progress

    from numasim.fitting import Comparison


def fit(
    trace: Annotated[
        list[Path], typer.Argument(metavar="TRACE...", help="Recordings: NAME.json with NAME.npz.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="For workloads and pictures.")
    ] = Path(),
    span: Annotated[
        str,
        typer.Option(
            "--span", metavar="TIME",
            help="One pass of a recording is stretched to that: many last a second, and DAMON "
            "needs some to find its regions.",
        ),
    ] = "10 s",
    passes: Annotated[
        float, typer.Option("--passes", metavar="X", help="How much of it is watched.")
    ] = 1.0,
    stretch: Annotated[
        int | None,
        typer.Option(
            "--stretch", metavar="N", min=1,
            help="Pages for each recorded page; by default as many as make about 1 GiB.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="How many.")] = 3,
    policy: Annotated[
        str, typer.Option("--policy", "-p", metavar="POLICY", help="For the local share.")
    ] = "tpp_damon",
    fast: Annotated[
        float,
        typer.Option("--fast", metavar="SHARE", help="Of the footprint fits the fast node."),
    ] = 0.4,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Fit recordings to models of rates; run both and say what DAMON sees differently.

    Writes NAME_fit.yaml, a workload to run, and NAME_fit.png. Between seeds: how far two seeds of
    the replay are apart, which no model can beat.

    Example: numasim fit recording.json --span "10 s" --seeds 3
    """
    from numasim.fitting import Settings, compare
    from numasim.formats.traces.writing import write_workload
    from numasim.report.fitting import write_fit

    settings = Settings(
        span_s=_seconds(span),
        passes=passes,
        stretch=stretch or 0,
        seeds=seeds,
        policy=policy,
        fast=fast,
    )
    options.check_outputs(out, json)
    found, written = [], []
    for n, path in enumerate(trace):
        with console.progress(str(path), quiet) as (bar, task):
            done = compare(path, settings, partial(_advance, bar, task))
        said = [f"Rates fitted to {path.name}: numasim fit", *_phases(done)]
        written.append(write_workload(done.workload, out / f"{done.name}_fit.yaml", said))
        written += write_fit(done, out)
        found.append(done)
        if not quiet and json != console.STDOUT:
            if n:
                console.text()
            show(done)
    if json:
        console.write_json({"fits": [one.to_json() for one in found]}, json)
    if not quiet and json != console.STDOUT:
        console.files(written)


def _advance(bar: Progress, task: Any, share: float) -> None:
    bar.update(task, completed=share)


def _seconds(text: str) -> float:
    from numasim.errors import ConfigError, Problem
    from numasim.units import BadText, parse_duration_ns

    try:
        return parse_duration_ns(text) / 1e9
    except BadText as error:
        raise ConfigError(Problem("--span", error.message, error.hint)) from None


def _phases(done: Comparison) -> list[str]:
    model = done.model
    return [
        f"{len(model.segments) - 1} segments of addresses, {len(model.phases) - 1} phases; rates "
        "are those at which random",
        f"visits are seen as often as recorded ones, by samples of {done.settings.sample_ms:g} ms "
        f"while a pass takes {done.settings.span_s:g} s.",
    ]


def show(done: Comparison) -> None:
    """Print what DAMON saw of both."""
    model, settings = done.model, done.settings
    title = (
        f"{done.name}: {len(model.segments) - 1} segments, {len(model.phases) - 1} phases; one "
        f"pass in {settings.span_s:g} s, means over {settings.seeds} seeds"
    )
    rows = [
        (
            f"{line.name} ({line.unit})" if line.unit else line.name, _number(line.truth),
            _number(line.replay), _number(line.fit), _number(line.noise),
        )
        for line in done.lines
    ]  # fmt: skip
    console.table(("", "recording", "replay", "fit", "between seeds"), rows, title, numbers=4)


def _number(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
