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
    whole = form == Form.RECORD
    written = (damo_export.write if whole else damo_export.write_perf_script)(result, out)
    console.files(written)
    console.warn(_left_out(min(len(one.snapshots) for one in damo_record.watched(result)), whole))
    missing = whole and len(result.schemes) > 0 and Path(f"{out}.schemes") not in written
    if not result.scenario().all_snapshots:
        lost = f", and no record of what schemes acted upon ({out}.schemes)" if missing else ""
        hint = "--set scenario.snapshots=all keeps every one"
        console.warn([f"the run kept a sample of its snapshots{lost}; {hint}"])
    elif missing:
        console.warn([f"no scheme acted on anything, so there is no {out}.schemes"])


def _left_out(fewest: int, whole: bool) -> list[str]:
    """What damo makes of a target with so few snapshots."""
    from numasim.formats.damo_record import DROPPED

    if fewest > DROPPED:
        return []
    return [
        f"a target has {fewest} snapshots: damo report wss and nr_regions leave out the first "
        f"{DROPPED}, nr_regions fails without any; run longer, or for working sets as numasim "
        "view wss has them: damo report wss --per_target --all_wss --exclude_samples 0"
    ]
