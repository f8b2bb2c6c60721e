"""How every picture looks: one palette, one set of fonts, one way to disk.

Colours belong to roles and never change their meaning between pictures. They come from palettes
made for colour-blind readers (Okabe and Ito 2008; Tol 2021, *light*), and no picture relies on
colour alone: there is a direct label, a position or a line style beside it.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

INK = "#1d2733"
MUTED = "#67727e"
FAINT = "#dfe3e8"
PAPER = "#ffffff"

NODE_KINDS = {
    "DRAM": "#0072B2",
    "LPDDR": "#56B4E9",
    "HBM": "#7B3294",
    "CXL": "#E69F00",
    "PMEM": "#8C6D31",
}
OTHER_NODE = "#7f8c8d"
PROMOTION, DEMOTION, FAILED = "#009E73", "#D55E00", "#8a939c"
GOOD, OVER, STALL, LIMIT = "#0072B2", "#E69F00", "#C4161C", "#4a5561"
POLICIES = ("#5b6570", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7B3294")
DASHES = (
    "-",
    "-",
    (0, (6, 2)),
    (0, (2, 1.2)),
    (0, (6, 1.5, 1.5, 1.5)),
    "-",
    (0, (6, 2)),
    (0, (2, 1.2)),
)
KDAMONDS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7B3294", "#8C6D31")
MAPPINGS = ("#77AADD", "#EE8866", "#EEDD88", "#99DDFF", "#FFAABB", "#44BB99", "#BBCC33", "#AAAA00")
OTHER_MAPPING = "#c9ced4"
UNSEEN = "#d9dce0"

WIDTH_IN = 10.0
DPI = 150
MARGIN_IN = 0.12
HEAD_IN = 0.62

RC: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 5.0,
    "axes.titlecolor": INK,
    "axes.labelsize": 8.5,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": "#aab2bb",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": "#aab2bb",
    "ytick.color": "#aab2bb",
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
    "hatch.linewidth": 0.6,
    "hatch.color": "#b6bdc5",
    "text.color": INK,
    "text.parse_math": False,  # names are shown as they are, with a $ too
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "image.interpolation": "nearest",
    "path.simplify": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "numasim",
}
"""Settings of every picture; nothing of the user's own matplotlib settings shows through."""


class Picture(Figure):
    """A figure that shows itself in a notebook without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with matplotlib.rc_context(RC):
            self.savefig(buffer, format="png", dpi=96)
        return buffer.getvalue()


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw with the settings of this style, and leave the user's as they were."""

    @functools.wraps(draw)
    def with_style(*args: Any, **options: Any) -> Figure:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(RC)
            return draw(*args, **options)

    return with_style


def page(height_in: float, title: str, subtitle: str = "", width_in: float = WIDTH_IN) -> Picture:
    """An empty figure with a headline; axes added to it keep clear of the headline.

    Parameters
    ----------
    height_in : float
        Height below the headline, inches.
    title, subtitle : str
        What is shown, in plain words; what it was measured on.
    width_in : float
    """
    height = height_in + HEAD_IN
    fig = Picture(figsize=(width_in, height), layout="constrained")
    FigureCanvasAgg(fig)
    inset = MARGIN_IN / width_in
    layout: Any = fig.get_layout_engine()
    layout.set(
        rect=(inset, 0.06 / height, 1 - 2 * inset, 1 - (HEAD_IN + 0.06) / height),
        w_pad=0.04,
        h_pad=0.03,
        hspace=0.0,
        wspace=0.0,
    )
    for text, down, size, weight, colour in (
        (title, 0.27, 13.0, "bold", INK),
        (subtitle, 0.49, 9.0, "normal", MUTED),
    ):
        where = fig.text(inset, 1 - down / height, text, size=size, weight=weight, color=colour)
        where.set_in_layout(False)
    return fig


def note(message: str, title: str, subtitle: str = "") -> Picture:
    """A small figure that says why there is nothing to draw."""
    fig = page(0.5, title, subtitle, width_in=7.0)
    fig.text(MARGIN_IN / 7.0, 0.25, message, size=10.0, color=MUTED)
    return fig


def node_colour(kind: str) -> str:
    """Colour of a kind of memory."""
    return NODE_KINDS.get(kind.upper(), OTHER_NODE)


def line_of(position: int) -> dict[str, Any]:
    """Colour and dashes of the policy at that position of a comparison, the baseline first."""
    turn = position % len(POLICIES)
    return {"color": POLICIES[turn], "linestyle": DASHES[turn]}


def heat_colours() -> Colormap:
    """Dark is idle, bright is hot; even steps of lightness, so that grey prints keep the order."""
    colours = matplotlib.colormaps["inferno"]
    return colours.with_extremes(bad=UNSEEN, under=colours(0.0))


def shade(colour: str, towards_white: float) -> tuple[float, float, float]:
    """A lighter tone of a colour; 0 keeps it, 1 is white."""
    rgb = matplotlib.colors.to_rgb(colour)
    return tuple(c + (1 - c) * towards_white for c in rgb)  # type: ignore[return-value]


def quiet(axes: Axes) -> None:
    """Take frame, ticks and grid off."""
    axes.set_axis_off()
    axes.patch.set_visible(False)


def file_stem(text: str) -> str:
    """A file name made of a title."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text).strip("_.") or "picture"


def save(fig: Figure, folder: Path, stem: str) -> list[Path]:
    """Write a figure as PNG and as SVG; the same figure gives the same bytes.

    Returns
    -------
    list of pathlib.Path
    """
    folder.mkdir(parents=True, exist_ok=True)
    png, svg = folder / f"{stem}.png", folder / f"{stem}.svg"
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        # straight to the canvases: `savefig` would draw everything once more before each file
        fig.set_dpi(DPI)
        FigureCanvasAgg(fig).print_png(png, metadata={"Software": None})  # type: ignore[no-untyped-call]
        fig.set_layout_engine("none")  # it is laid out now
        FigureCanvasSVG(fig).print_svg(  # type: ignore[no-untyped-call]
            svg, metadata={"Date": None, "Creator": None}
        )
        fig.set_dpi(DPI)
        FigureCanvasAgg(fig)
    return [png, svg]
