"""The command line. A command imports what it needs when it runs, so that help comes at once."""

from __future__ import annotations

import gc
from typing import Annotated

import typer

from numasim.cli import (
    compare,
    console,
    explain,
    exporting,
    fit,
    gate,
    importing,
    listing,
    report,
    reproduce,
    run,
    schedule,
    show,
    sweep,
    tune,
    validate,
    viewing,
)

COLLECT_AFTER = 20_000, 20, 20
"""Objects made before cycles are looked for: with Python's 700 that is a twelfth of a short run."""

app = typer.Typer(
    cls=console.Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("compare")(compare.compare)
app.command("sweep")(sweep.sweep)
app.command("gate")(gate.gate)
app.command("tune")(tune.tune)
app.command("list")(listing.list_)
app.add_typer(show.app, name="show")
app.add_typer(importing.app, name="import")
app.add_typer(viewing.app, name="view")
app.add_typer(exporting.app, name="export")
app.command("fit")(fit.fit)
app.command("report")(report.report)
app.command("schedule")(schedule.schedule)
app.command("explain")(explain.explain)
app.command("validate")(validate.validate)
app.command("reproduce")(reproduce.reproduce)


def _version(wanted: bool) -> None:
    if wanted:
        from numasim import __version__

        console.text(f"numasim {__version__}")
        raise typer.Exit


@app.callback()
def numasim(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of what went wrong.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Simulate memory tiering: DAMON, DAMOS and other policies on machines with many memories.

    Example: numasim compare demo --seeds 3 --out results
    """


def main() -> None:
    """Entry point of the ``numasim`` command."""
    gc.set_threshold(*COLLECT_AFTER)
    app(prog_name="numasim")
