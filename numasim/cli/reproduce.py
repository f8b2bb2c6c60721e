"""numasim reproduce: published results held against the same runs, simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from numasim.cli import console, options

if TYPE_CHECKING:
    from numasim.reproduce.verdict import Verdict


def reproduce(
    case: Annotated[
        list[str] | None, typer.Argument(metavar="[CASE...]", help="Names; by default all cases.")
    ] = None,
    cases: Annotated[
        Path | None, typer.Option("--cases", metavar="DIR", help="A folder of further cases.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only cases that take seconds.")
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="Name the cases and stop.")] = False,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", metavar="N", help="Seeds, instead of what each case says."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR",
            help="Keep every run as soon as it is finished; the same command again goes on.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Processes; by default all cores.")
    ] = None,
    json: options.Json = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write the table as Markdown.")
    ] = None,
    readme: Annotated[
        Path | None,
        typer.Option("--readme", metavar="FILE", help="Renew these cases in a page's table."),
    ] = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Run published experiments and say which come out.

    Verdicts: reproduced (blind), calibrated (something was fitted to the value), mechanism only
    (unknowns were chosen), consistent (what the model was given comes out), missed. Exit code 1:
    something was missed, or failed.

    Example: numasim reproduce micron_interleave --seeds 5
    """
    from numasim.reproduce import written
    from numasim.reproduce.cases import find
    from numasim.reproduce.reproducing import carry_out, plan

    if listed:
        found = [c for c, _ in find(case or [], cases)]
        takes = ["seconds" if c.quick else "long" if c.long else "minutes" for c in found]
        rows = [(c.name, c.row, c.kind, t, c.title) for c, t in zip(found, takes, strict=True)]
        console.table(("case", "row", "kind", "takes", "title"), rows)
        return
    options.check_outputs(out, json)
    planned = plan(case or [], cases, seeds, out, quick)
    with _progress(len(planned.tasks), quiet) as on_done:
        verdicts = list(carry_out(planned, workers, on_done))
    if json:
        console.write_json({"cases": [v.to_json() for v in verdicts]}, json)
    if markdown:
        entries = [written.entry(verdict) for verdict in verdicts]
        markdown.write_text(written.markdown(entries) + "\n", encoding="utf-8")
    if readme:
        page = readme.read_text(encoding="utf-8")
        known = {one.title for one, _ in find([], cases)}
        readme.write_text(written.renewed(page, verdicts, known), encoding="utf-8")
    if not quiet and json != console.STDOUT:
        show(verdicts)
        console.files([path for path in (markdown, readme) if path])
    if not all(verdict.ok for verdict in verdicts):
        raise typer.Exit(console.FAILED)


def show(verdicts: list[Verdict]) -> None:
    """Print each case: conditions, every value beside the published one, the verdict, and why."""
    from numasim.reproduce import written

    for verdict in verdicts:
        case = verdict.case
        row = f" (row {case.row})" if case.row else ""
        console.heading(f"{case.title}{row}: {verdict.word}")
        console.say(f"{case.kind}; {case.conditions}; {len(verdict.seeds)} seeds. {case.source}")
        if verdict.reason:
            console.say(f"Why: {verdict.reason}")
        if case.remark:
            console.say(case.remark)
        columns = ("value", "published", "simulated", "tolerance", "")
        rows = []
        for answer in verdict.answers:
            value, word = answer.value, "" if answer.holds else "outside"
            unit = f" ({value.unit})" if value.unit else ""
            ours, tolerance = written.ours(answer.ours), str(value.tolerance)
            rows.append((value.name + unit, value.published, ours, tolerance, word))
        if rows:
            console.table(columns, rows)


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[..., None]]:
    from numasim.pool import Outcome

    with console.progress(f"0 of {total} runs", quiet) as (bar, task):

        def on_done(outcome: Outcome, done: int, total: int) -> None:
            bar.update(task, completed=done / total, description=f"{done} of {total} runs")

        yield on_done
