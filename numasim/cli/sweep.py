"""numasim sweep: a plan of many runs, on all cores or a cluster."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from numasim.cli import console, options

if TYPE_CHECKING:
    from numasim.sweep.plan import Group, Plan
    from numasim.sweep.ranking import Standing
    from numasim.sweep.sweeping import OnProgress, Progress, Sweep
    from numasim.sweep.task import Done, Task
    from numasim.sweep.until import Until

MOST_ROWS = 24
MOST_VALUES = 8
MOST_FAILURES = 5
VAST = 99
LINE_EVERY_S = 60.0
SOON_S = 1.0
PLURAL = {"topology": "topologies", "workload": "workloads", "policy": "policies"}

Out = Annotated[
    Path,
    typer.Option(
        "--out", "-o", metavar="DIR",
        help="Folder of the dataset; every run is there as soon as it is finished. The same "
        "command again goes on where it was stopped.",
    ),
]  # fmt: skip
Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Processes; by default all cores.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler", metavar="ADDRESS",
        help="Run on the Dask cluster there, such as tcp://head:8786, instead of this machine.",
    ),
]  # fmt: skip


def sweep(
    plan: Annotated[
        Path,
        typer.Argument(metavar="PLAN", help="A YAML or Python file, or the folder of a sweep."),
    ],
    out: Out = Path("results"),
    workers: Workers = None,
    scheduler: Scheduler = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", metavar="N", help="Seeds 1 to N instead of the plan's.")
    ] = None,
    until_ci: Annotated[
        str | None,
        typer.Option(
            "--until-ci", metavar="SHARE",
            help="Add seeds until every ratio's interval is this narrow, such as 1%: plus or minus "
            "so much. A pilot of 10 seeds decides how many; see --max-seeds.",
        ),
    ] = None,
    metric: Annotated[
        str, typer.Option("--metric", metavar="NAME", help="What policies are ranked by.")
    ] = "throughput_ops_per_s",
    max_seeds: Annotated[
        int, typer.Option("--max-seeds", metavar="N", help="Most seeds of --until-ci.")
    ] = 200,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do again what failed by itself before.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only read the plan and say what it comes to.")
    ] = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Run topologies x workloads x policies x parameters x seeds; rank the policies.

    Exit code 1 if runs failed; the others are there.

    Example: numasim sweep plan.yaml --out results --until-ci 1%
    """
    from numasim.scenario import seeds_of
    from numasim.sweep.ranking import check_metric
    from numasim.sweep.reading import read_plan
    from numasim.sweep.until import Until, pilot_of

    check_metric(metric, "--metric")
    planned = read_plan(plan)
    if seeds is not None:
        planned = planned.with_seeds(seeds_of(seeds))
    until = None if until_ci is None else Until(_share(until_ci), metric, max_seeds)
    if until is not None:
        planned = pilot_of(planned)
    if check:
        show_plan(planned)
        return
    options.check_outputs(out, json)
    found, wanted, ranked = _work(
        planned, out, workers, scheduler, until, retry_failed, quiet, metric
    )
    written = _save(ranked, out)
    if json:
        console.write_json(as_json(found, ranked, metric), json)
    if not quiet and json != console.STDOUT:
        show(found, ranked, metric)
        _tell_seeds(wanted, until)
        console.files(written)
        console.text(f'all runs: pandas.read_parquet("{out}/runs")')
    if found.failed:
        raise typer.Exit(console.FAILED)


def _share(text: str) -> float:
    from numasim.errors import ConfigError, Problem
    from numasim.units import parse_ratio

    try:
        return parse_ratio(text)
    except ValueError as error:
        raise ConfigError(Problem("--until-ci", str(error))) from None


def _work(
    plan: Plan,
    out: Path,
    workers: int | None,
    scheduler: str | None,
    until: Until | None,
    retry_failed: bool,
    quiet: bool,
    metric: str,
) -> tuple[Sweep, dict[Group, int], list[Standing]]:
    from numasim.sweep.ranking import standings
    from numasim.sweep.sweeping import at_work
    from numasim.sweep.until import sweep_until

    wanted: dict[Group, int] = {}
    try:
        with (
            progress(plan.name, quiet) as on_progress,
            at_work(
                plan, out, workers=workers, scheduler=scheduler,
                on_progress=on_progress, retry_failed=retry_failed,
            ) as working,
        ):  # fmt: skip
            if until is None:
                found = working.run(plan)
            else:
                found, wanted = sweep_until(working, until)
    except KeyboardInterrupt:
        console.warn([f"interrupted; finished runs are in {out}, the same command goes on"])
        raise
    pilot = 0 if until is None else len(plan.seeds)
    return found, wanted, standings(found, metric, pilot) if found.metrics else []


# -- while it runs ---------------------------------------------------------------------------------


@contextmanager
def progress(name: str, quiet: bool) -> Iterator[OnProgress]:
    """One line: done, failed, running, estimated rest. Failures are told at once.

    Where there is no terminal, as in the log of a batch system, a line once a minute.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
    bar = Bar(*columns, console=screen, disable=quiet or not screen.is_terminal, transient=True)
    with bar:
        shown = bar.add_task(name, total=1.0, state="starting workers")
        told = time.monotonic()

        def on_progress(now: Progress, task: Task | None, done: Done | None) -> None:
            nonlocal told
            if bar.disable and not quiet and time.monotonic() - told >= LINE_EVERY_S:
                told = time.monotonic()
                print(f"{name}: {state(now)}", file=sys.stderr, flush=True)
            bar.update(shown, total=now.total, completed=now.total - now.left, state=state(now))
            if done is not None and done.error and task is not None:
                last = done.error.splitlines()[-1]
                bar.console.print(f"failed: {task.name}: {last}", markup=False, highlight=False)

        yield on_progress


def state(now: Progress) -> str:
    """How it goes, in words."""
    parts = [f"{now.done + now.loaded} of {now.total} done"]
    if now.failed:
        parts.append(f"{now.failed} failed")
    parts.append(f"{min(now.running, now.workers)} running")
    if now.left and not math.isnan(now.rest_s):
        parts.append(rest(now.rest_s))
    return ", ".join(parts)


def rest(seconds: float) -> str:
    """An estimated time: as exact as an estimate is."""
    if seconds < SOON_S:
        return "soon ready"
    if seconds < 100:
        return f"about {seconds:.0f} s left"
    if seconds < 6000:
        return f"about {seconds / 60:.0f} min left"
    return f"about {seconds / 3600:.1f} h left"


# -- afterwards ------------------------------------------------------------------------------------


def _save(ranked: list[Standing], out: Path) -> list[Path]:
    from numasim.sweep.ranking import table

    if len(ranked) < 2:
        return []
    path = out / "ranking.csv"
    table(ranked).to_csv(path, index=False)
    return [path]


def as_json(found: Sweep, ranked: Sequence[Standing], metric: str) -> dict[str, object]:
    """A sweep as one JSON document."""
    from numasim.sweep.ranking import table

    return {
        "name": found.plan.name,
        "runs": len(found.tasks),
        "finished": len(found.metrics),
        "loaded": found.loaded,
        "failed": [
            {**task.labels, "seed": task.seed, "how": found.failed[task.key].how,
             "error": found.failed[task.key].error}
            for task in found.tasks if task.key in found.failed
        ],
        "metric": metric,
        "ranking": table(list(ranked)).to_dict("records"),
    }  # fmt: skip


def show_plan(plan: Plan) -> None:
    """Print what a plan comes to."""
    console.heading(
        f"{plan.name}: {len(plan.points)} points x {len(plan.seeds)} seeds, {plan.nr_runs} runs"
    )
    parts = {part: [str(p.labels[part]) for p in plan.points] for part in PLURAL}
    rows = [(PLURAL[part], _some(dict.fromkeys(names))) for part, names in parts.items()]
    rows += [(name, _some(map(str, values))) for name, values in plan.parameters.items()]
    rows.append(("seeds", _some(map(str, plan.seeds))))
    console.table(("", ""), rows)


def _some(values: Iterable[str]) -> str:
    listed = list(values)
    if len(listed) <= MOST_VALUES:
        return ", ".join(listed)
    return f"{', '.join(listed[: MOST_VALUES - 1])}, ... {listed[-1]} ({len(listed)})"


def show(found: Sweep, ranked: list[Standing], metric: str) -> None:
    """Print what failed, and how policies stand."""
    _show_failures(found)
    if found.damaged:
        console.warn([f"{found.damaged} earlier runs were damaged and have been done again"])
    parts = [f"{len(found.metrics)} of {len(found.tasks)} runs finished"]
    if found.loaded:
        parts.append(f"{found.loaded} of them earlier")
    if found.failed:
        parts.append(f"{len(found.failed)} failed")
    console.heading(f"{found.plan.name}: {', '.join(parts)}")
    groups: dict[Group, list[Standing]] = {}
    for one in ranked:
        groups.setdefault(one.group, []).append(one)
    groups = {group: each for group, each in groups.items() if len(each) > 1}
    nr = sum(len(each) - 1 for each in groups.values())
    if not nr:
        return
    together = f"; all {nr} intervals hold together at 95%" if nr > 1 else ", 95% intervals"
    console.say(f"{metric} as a ratio to {found.plan.baseline}, paired by seed{together}")
    console.text()
    room = MOST_ROWS
    for group, each in groups.items():
        if room <= 0:
            console.say("ranking.csv has the rest")
            break
        ordered = sorted(each, key=lambda one: one.rank)[:room]
        room -= len(ordered)
        seeds = max(one.ratio.n for one in each)
        rows = [(one.policy, *_cells(one)) for one in ordered]
        columns = ("policy, best first", "ratio", "effect", "better", "p")
        console.table(columns, rows, f"{_name(group, groups)}, {seeds} seeds", numbers=4)
    p = "p: chance of it without a difference"
    p += f", corrected for all {nr} (Holm)" if nr > 1 else ""
    console.say(
        "effect: mean log ratio over its spread between seeds (Hedges' g); better: share of seeds "
        f"in which it was better; {p}"
    )
    console.text()


def _name(group: Group, others: Iterable[Group]) -> str:
    """Machine and workload, and what tells the group from others."""
    labels = dict(group)
    varying = [k for k, v in group if "." in k and any((k, v) not in other for other in others)]
    said = [f"{labels['workload']} on {labels['topology']}", *(f"{k}={labels[k]}" for k in varying)]
    return ", ".join(said)


def _cells(one: Standing) -> tuple[str, ...]:
    if math.isnan(one.ratio.mean):
        return "-", "-", "-", "-"
    ratio = f"{one.ratio.mean:.4f}"
    if math.isnan(one.p):
        return "1", "", "", ""
    if not math.isnan(one.ratio.low):
        ratio += f" [{one.ratio.low:.4f}, {one.ratio.high:.4f}]"
    p = "< 0.001" if one.p < 0.001 else f"{one.p:.3f}"
    return ratio, _effect(one.effect), f"{one.better:.0%}", p


def _effect(value: float) -> str:
    """An effect; beyond `VAST` nobody cares how far."""
    if math.isnan(value):
        return "-"
    if abs(value) >= VAST:
        return f"> +{VAST}" if value > 0 else f"< -{VAST}"
    return f"{value:+.1f}"


def _show_failures(found: Sweep) -> None:
    """Failures that differ by their seed alone are told once."""
    lost: dict[tuple[str, str], int] = {}
    for task in found.tasks:
        if task.key in found.failed:
            what = task.name.rpartition(", seed")[0], _why(found.failed[task.key])
            lost[what] = lost.get(what, 0) + 1
    for (name, why), nr in list(lost.items())[:MOST_FAILURES]:
        console.warn([f"{name}: {nr} seed{'s' if nr > 1 else ''} failed: {why}"])
    if len(lost) > MOST_FAILURES:
        console.warn([f"and {len(lost) - MOST_FAILURES} more; {found.folder}/failed has all"])


def _why(done: Done) -> str:
    last = done.error.splitlines()[-1] if done.error else ""
    words: dict[str, str] = {"time": "took too long: ", "memory": "took too much memory: "}
    return words.get(done.how, "") + last


def _tell_seeds(wanted: dict[Group, int], until: Until | None) -> None:
    if until is None or not wanted:
        return
    most = max(wanted.values())
    if most <= until.most:
        console.say(f"intervals are within {until.half_width:.2%} with {most} seeds")
        return
    console.warn(
        [f"{until.half_width:.2%} would take {most} seeds; stopped at --max-seeds {until.most}"]
    )
