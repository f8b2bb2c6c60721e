"""All pictures of a run or of a comparison, into a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from numasim.comparison import Comparison
from numasim.report.flows import migration_rate
from numasim.report.heatmap import heatmap
from numasim.report.kdamonds import intervals, monitoring_error
from numasim.report.occupancy import occupancy
from numasim.report.overview import comparison_overview
from numasim.report.quota import effective_quota
from numasim.report.speed import throughput
from numasim.report.style import file_stem, save
from numasim.result import Result

PICTURES: dict[str, tuple[Callable[[Result], Figure], tuple[str, ...]]] = {
    "throughput": (throughput, ("actors",)),
    "heatmap": (heatmap, ("truth", "snapshots")),
    "occupancy": (occupancy, ("nodes",)),
    "migration_rate": (migration_rate, ("moves", "failed_moves")),
    "effective_quota": (effective_quota, ("schemes",)),
    "intervals": (intervals, ("kdamonds",)),
    "monitoring_error": (monitoring_error, ("monitoring",)),
}
"""File name → what draws it, and the tables of which at least one must have rows."""


def write_run(result: Result, folder: str | Path) -> list[Path]:
    """Write every picture of a run for which there is something to show, as PNG and SVG.

    Parameters
    ----------
    result : Result
    folder : str or Path

    Returns
    -------
    list of pathlib.Path
    """
    files = []
    for stem, (draw, tables) in PICTURES.items():
        if any(len(result.tables[name]) for name in tables):
            files += save(draw(result), Path(folder), stem)
    return files


def write_comparison(comparison: Comparison, folder: str | Path) -> list[Path]:
    """Write the pictures of a comparison, and those of each policy's first seed in a folder each.

    Parameters
    ----------
    comparison : Comparison
    folder : str or Path

    Returns
    -------
    list of pathlib.Path
    """
    folder = Path(folder)
    files = save(comparison_overview(comparison), folder, "comparison_overview")
    files += save(throughput(comparison), folder, "throughput")
    for policy in comparison.policies:
        first = comparison.results[policy, comparison.seeds[0]]
        files += write_run(first, folder / file_stem(policy))
    return files
