"""A page as one HTML file: everything is in it, and nothing that users named can end it early."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from warnings import catch_warnings, filterwarnings

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from numasim import __version__
from numasim.errors import ConfigError, Problem
from numasim.report.page.content import Chart, Page, Picture, Section

HERE = Path(__file__).parent
PICTURE_DPI = 96


def html(page: Page, static: bool = False) -> str:
    """The whole file as text.

    Parameters
    ----------
    page : Page
    static : bool
        Pictures instead of charts, and no script at all.

    Raises
    ------
    ConfigError
        If the plotting library is not installed and is needed.
    """
    charts = [] if static else _charts(page)
    drawn = {id(one): _png(one) for one in _pictures(page)} if static else {}
    names = {id(one): f"chart{i}" for i, one in enumerate(charts)}
    loaded = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return loaded.get_template("page.html").render(
        page=page,
        version=__version__,
        name_of=lambda chart: names[id(chart)],  # content is equal by what it holds
        drawn=lambda picture: drawn[id(picture)],
        css=_own("page.css"),
        plotly="" if static else Markup(plotly_js()),
        linked=any(chart.time for chart in charts) if charts else None,
        charts="" if static else Markup(_data(charts)),
        js="" if static else _own("page.js"),
    )


def _sections(page: Page) -> Iterator[Section]:
    todo = list(page.sections)
    while todo:
        part = todo.pop(0)
        yield part
        todo = [*part.parts, *todo]


def _charts(page: Page) -> list[Chart]:
    return [chart for part in _sections(page) for chart in part.charts]


def _pictures(page: Page) -> list[Picture]:
    return [picture for part in _sections(page) for picture in part.pictures]


def _own(name: str) -> Markup:
    return Markup((HERE / name).read_text(encoding="utf-8"))


def plotly_js() -> str:
    """Source of Plotly, as its Python package brings it.

    Raises
    ------
    ConfigError
        If that is not installed.
    """
    found = find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        hint = 'install it with pip install "numasim[report]", or use --static'
        raise ConfigError(Problem("plotly", "is not installed, interactive charts need it", hint))
    path = Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    return path.read_text(encoding="utf-8").replace("</script", "<\\/script")


def _data(charts: list[Chart]) -> str:
    """Charts as JSON that can stand in a script: no text in it can end the script or begin HTML."""
    plain = [
        {"id": f"chart{i}", "figure": one.figure, "time": one.time, "place": one.place}
        for i, one in enumerate(charts)
    ]
    text = json.dumps(plain, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _png(picture: Picture) -> str:
    buffer = io.BytesIO()
    with catch_warnings():
        # a name may have characters that the font lacks; the page's text has them all
        filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure = picture.draw()
        figure.set_dpi(PICTURE_DPI)
        figure.canvas.print_png(buffer, metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode("ascii")
