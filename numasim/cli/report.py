"""numasim report: one HTML file to send."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from numasim.cli import console


def report(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="What run, compare or sweep wrote with --out, or the file of gate --json.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="By default report.html in DIR."),
    ] = None,
    static: Annotated[
        bool,
        typer.Option("--static", help="Pictures instead of charts, and no script: for mail."),
    ] = False,
) -> None:
    """Write a report of a run, comparison, sweep or gate: one file that needs no network.

    Example: numasim report results --out results.html
    """
    from numasim.report.page import write_report

    folder = path if path.is_dir() else path.parent
    console.files([write_report(path, out or folder / "report.html", static)])
