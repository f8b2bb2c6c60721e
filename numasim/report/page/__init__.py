"""A report worth sending: one HTML file of a run, a comparison, a sweep or a gate."""

from __future__ import annotations

from pathlib import Path

from numasim.comparison import Comparison
from numasim.report.page.comparison import comparison_page
from numasim.report.page.content import Page
from numasim.report.page.gate import gate_page
from numasim.report.page.reading import Saved, SavedSweep, read_saved
from numasim.report.page.render import html
from numasim.report.page.run import run_page
from numasim.report.page.sweep import sweep_page
from numasim.result import Result

__all__ = ["page_of", "read_saved", "write_report"]


def page_of(saved: Saved, folder: Path | None = None) -> Page:
    """What a report of it says.

    Parameters
    ----------
    saved : Result, Comparison, SavedSweep or SavedGate
    folder : Path, optional
        Where it was read from.
    """
    if isinstance(saved, Result):
        return run_page(saved, folder)
    if isinstance(saved, Comparison):
        return comparison_page(saved, folder)
    if isinstance(saved, SavedSweep):
        return sweep_page(saved)
    return gate_page(saved)


def write_report(path: str | Path, out: str | Path, static: bool = False) -> Path:
    """Write the report of what lies in a folder.

    Parameters
    ----------
    path : str or Path
        See `read_saved`.
    out : str or Path
        The HTML file.
    static : bool
        Pictures instead of charts, and no script: for mail.

    Returns
    -------
    Path

    Raises
    ------
    ConfigError
        If there is nothing to report, or the plotting library is not installed.
    """
    text = html(page_of(read_saved(path), Path(path)), static)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    return out
