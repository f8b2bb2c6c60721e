"""A recording, DAMON on its replay, and DAMON on its fit, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from numasim.fitting import Comparison
from numasim.report.style import MUTED, file_stem, heat_colours, page, save, styled
from numasim.units import format_bytes, format_duration

LEAST = 1e-3
TITLES = {
    "truth": "the recording",
    "replay": "DAMON on the replay",
    "fit": "DAMON on the fit",
}


@styled
def fit(comparison: Comparison) -> Figure:
    """Three heatmaps over one pass, addresses upward, phases of the fit as lines.

    Parameters
    ----------
    comparison : Comparison
    """
    model, settings = comparison.model, comparison.settings
    header, span_s = model.tape.header, settings.passes * settings.span_s
    about = (
        f"{header.program}; {format_bytes(header.pages * header.page_size)} recorded, one pass in "
        f"{format_duration(settings.span_s * 1e9)}; {len(model.segments) - 1} segments, "
        f"{len(model.phases) - 1} phases"
    )
    fig = page(
        3.1, f"{comparison.name}: a replay, its fit, and what DAMON sees of both", about[:150]
    )
    panels = fig.subplots(1, 3, sharex=True, sharey=True)
    norm = LogNorm(LEAST, 1.0)
    image = None
    for axes, (name, title) in zip(panels, TITLES.items(), strict=True):
        heat = np.maximum(comparison.views[name].heat.T, LEAST / 2)
        image = axes.imshow(
            heat, cmap=heat_colours(), norm=norm, origin="lower", aspect="auto",
            extent=(0, span_s, 0, 100), zorder=0,
        )  # fmt: skip
        axes.grid(False)
        axes.set_title(title)
        axes.set_xlabel("time, s")
        if name == "fit":
            for at in model.phases[1:-1]:
                axes.axvline(at / header.intervals * settings.span_s, color="white", lw=0.6, ls=":")
    panels[0].set_ylabel("addresses, % of the footprint")
    assert image is not None
    bar = fig.colorbar(image, ax=list(panels), pad=0.01, aspect=30)
    bar.set_label("share of samples that find a page accessed", color=MUTED)
    bar.ax.yaxis.set_major_locator(LogLocator(10))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))
    bar.ax.tick_params(length=0, which="both")
    bar.outline.set_visible(False)
    return fig


def write_fit(comparison: Comparison, folder: Path) -> list[Path]:
    """Write the picture, as PNG and SVG."""
    return save(fit(comparison), folder, file_stem(f"{comparison.name}_fit"))
