"""numasim sweep: a plan of many runs, on all cores or a cluster."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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
MOST_FAILURES = 5
SOON_S = 1.0
CERTAIN = 0.05

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
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A YAML or Python file.")],
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
    from numasim.sweep.reading import read_plan
    from numasim.sweep.until import Until, pilot_of

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
    """One line: done, failed, running, estimated rest. Failures are told at once."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
    bar = Bar(*columns, console=screen, disable=quiet or not screen.is_terminal, transient=True)
    with bar:
        shown = bar.add_task(name, total=1.0, state="starting workers")

        def on_progress(now: Progress, task: Task | None, done: Done | None) -> None:
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
    groups = plan.groups()
    console.say(
        f"{plan.name}: {len(plan.points)} points x {len(plan.seeds)} seeds = {plan.nr_runs} runs"
    )
    rows = [
        (", ".join(value for _, value in group), ", ".join(p.policy() for p in points))
        for group, points in list(groups.items())[:MOST_ROWS]
    ]
    console.table(("machine and workload", "policies"), rows)
    if len(groups) > MOST_ROWS:
        console.say(f"and {len(groups) - MOST_ROWS} more")


def show(found: Sweep, ranked: list[Standing], metric: str) -> None:
    """Print what failed, and how policies stand."""
    _show_failures(found)
    groups = {one.group for one in ranked}
    several = [one for one in ranked if sum(o.group == one.group for o in ranked) > 1]
    parts = [f"{len(found.metrics)} of {len(found.tasks)} runs finished"]
    if found.loaded:
        parts.append(f"{found.loaded} of them earlier")
    if found.failed:
        parts.append(f"{len(found.failed)} failed")
    console.heading(f"{found.plan.name}: {', '.join(parts)}")
    if not several:
        return
    names = _names(sorted(groups))
    nr = sum(1 for one in several) - len({one.group for one in several})
    title = f"{metric} beside {found.plan.baseline}, by seed"
    if nr > 1:
        title += f"; {nr} comparisons, intervals hold together at 95%"
    columns = ("", "policy", "rank", "ratio", "effect", "better", "p", "seeds")
    shown = sorted(several, key=lambda one: -_distance(one))[:MOST_ROWS] if len(
        several
    ) > MOST_ROWS else several  # fmt: skip
    rows, last = [], None
    for one in shown:
        where = names[one.group]
        rows.append((where if where != last else "", one.policy, one.rank, *_cells(one)))
        last = where
    console.table(columns, rows, title, numbers=6)
    if len(several) > MOST_ROWS:
        console.say(f"the {MOST_ROWS} farthest from 1 of {len(several)}; all are in ranking.csv")


def _names(groups: Sequence[Group]) -> dict[Group, str]:
    """What tells groups apart, in words."""
    varying = {
        key
        for group in groups
        for key, value in group
        if any((key, value) not in g for g in groups)
    }
    found = {}
    for group in groups:
        said = [v if "." not in k else f"{k}={v}" for k, v in group if k in varying]
        found[group] = ", ".join(said) or f"{group[1][1]} on {group[0][1]}"
    return found


def _distance(one: Standing) -> float:
    mean = one.ratio.mean
    return abs(math.log(mean)) if mean > 0 and math.isfinite(mean) else 0.0


def _cells(one: Standing) -> tuple[str, ...]:
    if math.isnan(one.ratio.mean):
        return "-", "-", "-", "-", str(one.ratio.n)
    ratio = f"{one.ratio.mean:.4f}"
    if not math.isnan(one.ratio.low) and one.ratio.low != one.ratio.high:
        ratio += f" [{one.ratio.low:.4f}, {one.ratio.high:.4f}]"
    if math.isnan(one.p):
        return ratio, "", "", "", str(one.ratio.n)
    p = "< 0.001" if one.p < 0.001 else f"{one.p:.3f}"
    effect = f"{one.effect:+.1f}" if math.isfinite(one.effect) else "-"
    return ratio, effect, f"{one.better:.0%}", p, str(one.ratio.n)


def _show_failures(found: Sweep) -> None:
    lost = [task for task in found.tasks if task.key in found.failed]
    for task in lost[:MOST_FAILURES]:
        done = found.failed[task.key]
        console.warn([f"{task.name}: {_why(done)}"])
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
