"""numasim tune: search a policy's parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from numasim.cli import console, options
from numasim.cli.sweep import Out, Scheduler, Workers

if TYPE_CHECKING:
    from numasim.tune import Search, Trial

MOST_ROWS = 16


def tune(
    search: Annotated[
        Path,
        typer.Argument(metavar="SEARCH", help="A plan with space and objectives, as YAML."),
    ],
    out: Out = Path("search"),
    trials: Annotated[
        int | None,
        typer.Option("--trials", metavar="N", help="Trials in all, earlier ones among them."),
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Search a policy's parameters; several objectives give their trade-off front.

    Writes trials.csv and, of several objectives, front.png and front.svg beside the runs.

    Needs Optuna: pip install 'numasim\\[tune]'. The same command again goes on.

    Example: numasim tune search.yaml --out search --trials 100
    """
    from numasim.tune import read_search
    from numasim.tune import tune as carry_out

    read = read_search(search)
    options.check_outputs(out, json)
    try:
        with _progress(quiet) as on_trial:
            found = carry_out(
                read, out, trials=trials, workers=workers, scheduler=scheduler, on_trial=on_trial,
                on_others=_tell_others,
            )  # fmt: skip
    except KeyboardInterrupt:
        console.warn([f"interrupted; the search is in {out}, the same command goes on"])
        raise
    written = _save(read, found, out)
    if json:
        console.write_json(as_json(read, found), json)
    if not quiet and json != console.STDOUT:
        show(read, found)
        console.files(written)
    if not any(trial.values for trial in found):
        console.warn(["no trial came to an end; see the folder's failed/"])
        raise typer.Exit(console.FAILED)


def _tell_others(nr: int) -> None:
    what = f"{nr} trials of another search (of other code, plan, space or seed) are in this folder"
    console.warn([f"{what}; they do not count, but runs that are the same are not repeated"])


def _save(search: Search, trials: Sequence[Trial], out: Path) -> list[Path]:
    """Write all trials as a table, and the picture of the front of the first two objectives."""
    import pandas as pd

    from numasim.report.front import front
    from numasim.report.style import save

    rows = [{"trial": t.number, **t.parameters, **t.values, "best": t.best} for t in trials]
    table = out / "trials.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    if len(search.objectives) < 2 or not any(trial.values for trial in trials):
        return [table]
    points = [(t.values, t.parameters, t.best) for t in trials if t.values]
    return [table, *save(front(search.name, search.objectives, points), out, "front")]


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    with console.progress("trials", quiet) as (bar, task):
        yield lambda done, total: bar.update(
            task, completed=done / total, description=f"{done} of {total} trials"
        )


def as_json(search: Search, trials: Sequence[Trial]) -> dict[str, object]:
    """A search as one JSON document."""
    return {
        "name": search.name,
        "objectives": search.objectives,
        "trials": [
            {"number": t.number, "parameters": t.parameters, "values": t.values, "best": t.best}
            for t in trials
        ],
    }


def show(search: Search, trials: Sequence[Trial]) -> None:
    """Print the best trial, or the front."""
    from numasim.cli.metrics import metrics_of, written

    metrics = {metric.key: metric for metric in metrics_of(list(search.objectives))}
    first, direction = next(iter(search.objectives.items()))
    best = sorted(
        (trial for trial in trials if trial.best),
        key=lambda trial: trial.values[first] * (-1 if direction == "maximize" else 1),
    )
    several = len(search.objectives) > 1
    what = f"front of {len(best)}, none better in everything" if several else "the best"
    failed = sum(not trial.values for trial in trials)
    lost = f", {failed} failed" if failed else ""
    title = f"{search.name}: {len(trials)} trials{lost}; {what}"
    columns = [*(metrics[name].title for name in search.objectives), *search.space]
    rows = [
        [
            *(written(metrics[name], trial.values[name]) for name in search.objectives),
            *map(str, trial.parameters.values()),
        ]
        for trial in best[:MOST_ROWS]
    ]
    console.table(columns, rows, title, numbers=len(columns))
    if len(best) > MOST_ROWS:
        console.say(f"and {len(best) - MOST_ROWS} more on the front; --json has all")
