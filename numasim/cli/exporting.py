"""numasim export: a run in the form that other people's tools open."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from numasim.cli import console

app = typer.Typer(
    help="Write a run in the form that other people's tools open.\n\n"
    "Example: numasim export damo results -o damon.data",
    no_args_is_help=True,
)


@app.callback()
def export() -> None:
    """Write a run in the form that other people's tools open."""


class Form(StrEnum):
    """What to write."""

    RECORD = "record"
    PERF_SCRIPT = "perf-script"


@app.command()
def damo(
    folder: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of a saved run.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to.")],
    form: Annotated[
        Form,
        typer.Option(
            "--format",
            help="record: compressed JSON with side files, for every damo report. perf-script: "
            "text as perf prints it, for heatmap, wss and record_info.",
        ),
    ] = Form.RECORD,
) -> None:
    """Monitoring results as the record that the real damo report opens.

    Run with --set scenario.snapshots=all to have every snapshot in it, and beside it a record of
    what each scheme acted upon (FILE.schemes).

    Example: numasim export damo results -o damon.data
    """
    from numasim.formats import damo_export, damo_record
    from numasim.result import Result

    result = Result.load(folder)
    write = damo_export.write if form == Form.RECORD else damo_export.write_perf_script
    console.files(write(result, out))
    fewest = min(len(one.snapshots) for one in damo_record.watched(result))
    if fewest <= damo_record.DROPPED:
        hint = "give it --exclude_samples 0"
        most = damo_record.DROPPED
        console.warn([f"{fewest} snapshots: damo report wss leaves out the first {most}; {hint}"])
    if not result.scenario().all_snapshots:
        hint = "--set scenario.snapshots=all keeps every one"
        console.warn([f"the run kept a sample of its snapshots; {hint}"])
