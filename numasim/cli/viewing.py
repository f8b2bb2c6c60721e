"""numasim view: a saved run as DAMON's users know it, with the truth beside."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, SupportsFloat

import typer

from numasim.cli import console, sketching

if TYPE_CHECKING:
    import pandas as pd

    from numasim.result import Result

app = typer.Typer(
    help="Show a saved run as damo report does, by the same names, with the truth beside.\n\n"
    'Example: numasim view access results --at "60 s"',
    no_args_is_help=True,
)
Folder = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of a saved run.")]
At = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help='Such as "60 s"; else the end.')
]
Number = Annotated[
    int | None, typer.Option("--kdamond", "-k", metavar="N", help="Only this kdamond.")
]
Csv = Annotated[
    str | None,
    typer.Option("--csv", metavar="FILE", help="Write every number as CSV; - is stdout."),
]


LAST_ADDRESS = 2**62


class Style(StrEnum):
    """Ways to show a snapshot."""

    DETAILED = "detailed"
    BOXES = "simple-boxes"
    HOT = "hot"
    COLD = "cold"
    RECENCY = "recency-sz-hist"
    TAIL = "cold-memory-tail"
    TEMPERATURE = "temperature-sz-hist"
    RECENCY_PERCENTILES = "recency-percentiles"
    IDLE_PERCENTILES = "idle-time-percentiles"
    TEMPERATURE_PERCENTILES = "temperature-percentiles"


@app.command()
def access(
    folder: Folder,
    at: At = None,
    kdamond: Number = None,
    style: Annotated[Style, typer.Option("--style", help="How to show it.")] = Style.DETAILED,
    csv: Csv = None,
) -> None:
    """Regions of a snapshot, with their node, DAMON's rate and the true rate.

    Example: numasim view access results --at "60 s" --style hot
    """
    import pandas as pd

    from numasim.views.access import snapshots_at

    found = snapshots_at(_load(folder), _seconds(at), kdamond)
    if csv:
        parts = [s.regions.assign(kdamond=s.kdamond, target=s.target, t_s=s.t_s) for s in found]
        _csv(pd.concat(parts), csv)
        return
    for snapshot in found:
        sketching.snapshot_head(snapshot)
        SHOWN[style](snapshot)
        sketching.snapshot_tail(snapshot)


SHOWN: dict[Style, Any] = {
    Style.DETAILED: sketching.detailed,
    Style.BOXES: lambda s: sketching.boxes(s, ""),
    Style.HOT: lambda s: sketching.boxes(s, "hot"),
    Style.COLD: lambda s: sketching.boxes(s, "cold"),
    Style.RECENCY: lambda s: sketching.histogram_of(s, "idle_us"),
    Style.TAIL: lambda s: sketching.histogram_of(s, "idle_us"),
    Style.TEMPERATURE: lambda s: sketching.histogram_of(s, "temperature"),
    Style.RECENCY_PERCENTILES: lambda s: sketching.percentiles_of(s, "idle_us"),
    Style.IDLE_PERCENTILES: lambda s: sketching.percentiles_of(s, "idle_us"),
    Style.TEMPERATURE_PERCENTILES: lambda s: sketching.percentiles_of(s, "temperature"),
}


@app.command()
def heatmap(
    folder: Folder,
    kdamond: Number = None,
    resol: Annotated[
        tuple[int, int], typer.Option("--resol", metavar="ROWS COLUMNS", help="Characters.")
    ] = (20, 64),
) -> None:
    """Heat over time (downward) and address (rightward), as digits.

    Example: numasim view heatmap results --kdamond 1 --resol 20 64
    """
    from numasim.errors import ConfigError, Problem
    from numasim.views.access import heat_grid, select

    rows, columns = resol
    if not (1 <= rows <= 1000 and 1 <= columns <= 1000):
        raise ConfigError(Problem("--resol", f"got {rows} {columns}, expected 1 to 1000 each"))
    for one in select(_load(folder), kdamond):
        heat, span_s, addresses = heat_grid(one, rows, columns)
        console.heading(f"{one.kdamond}, target {one.target}")
        sketching.heat(heat, span_s, addresses)


@app.command()
def wss(folder: Folder, csv: Csv = None) -> None:
    """Working set: bytes of regions with at least one access, by node.

    Example: numasim view wss results
    """
    from numasim.views.access import working_set_by_node

    found = working_set_by_node(_load(folder))
    if csv:
        _csv(found, csv)
    else:
        sketching.distributions(
            _who(found), ["kdamond", "where"], "bytes", "working set", sketching.rough
        )


@app.command("nr_regions")
def nr_regions(folder: Folder, csv: Csv = None) -> None:
    """Numbers of regions over time.

    Example: numasim view nr_regions results
    """
    from numasim.views.access import region_counts

    found = region_counts(_load(folder))
    if csv:
        _csv(found, csv)
    else:
        sketching.distributions(_who(found), ["kdamond"], "regions", "regions", sketching.count)


@app.command()
def footprints(folder: Folder, csv: Csv = None) -> None:
    """Resident memory of every process, by node.

    Example: numasim view footprints results --csv footprints.csv
    """
    from numasim.views.counters import footprint

    found = footprint(_load(folder))
    if csv:
        _csv(found, csv)
        return
    long = found.melt(["t_s", "process"], var_name="where", value_name="bytes")
    sketching.distributions(long, ["process", "where"], "bytes", "resident", sketching.rough)


@app.command()
def times(
    folder: Folder,
    access_rate: Annotated[
        tuple[str, str], typer.Option("--access_rate", metavar="MIN MAX", help="As 50% 100%.")
    ] = ("1%", "max"),
    address: Annotated[
        tuple[str, str] | None,
        typer.Option("--address", metavar="START END", help="As 4G 4160M."),
    ] = None,
    kdamond: Number = None,
) -> None:
    """When regions of an access rate were there.

    Example: numasim view times results --access_rate 50% max
    """
    from numasim.units import damo_bytes, damo_percent
    from numasim.views.access import select, times_of

    low, high = (min(1.0, rate / 100) for rate in _ends("--access_rate", access_rate, damo_percent))
    first, last = (0.0, math.inf) if address is None else _ends("--address", address, damo_bytes)
    ends = (int(first), int(min(last, LAST_ADDRESS)))
    rows = [
        (one.kdamond, one.target, f"{begin:.3f}", f"{end:.3f}")
        for one in select(_load(folder), kdamond)
        for begin, end in times_of(one, (low, high), ends)
    ]
    if not rows:
        console.say("At no time.")
        return
    console.table(("kdamond", "target", "from (s)", "to (s)"), rows, numbers=2)


@app.command()
def schemes(folder: Folder, csv: Csv = None) -> None:
    """The eight statistics of every scheme.

    Example: numasim view schemes results
    """
    from numasim.views.counters import schemes as table

    found = table(_load(folder))
    if csv:
        _csv(found, csv)
        return
    if not len(found):
        console.say("No scheme ran.")
    for row in found.to_dict("records"):
        title = f"{row.pop('kdamond')}, scheme {row.pop('scheme')} ({row.pop('action')})"
        told = [(key, *sketching.stat(str(key), value)) for key, value in row.items()]
        console.table(("", "", ""), told, title, numbers=2)


@app.command()
def trace(folder: Folder, csv: Csv = None) -> None:
    """What was tuned on the way: intervals, regions, effective quotas and goals over time.

    Example: numasim view trace results --csv trace.csv
    """
    from numasim.views.counters import trace as table

    found = table(_load(folder))
    if csv:
        _csv(found, csv)
        return
    if not len(found):
        console.say("No kdamond ran.")
    for (kdamond, scheme), part in found.groupby(["kdamond", "scheme"], dropna=False, sort=False):
        sketching.course(str(kdamond), float(str(scheme)), part)


@app.command()
def vmstat(folder: Folder, csv: Csv = None) -> None:
    """Counters of /proc/vmstat for every mechanism, pages of 4 KiB.

    DAMON's migrations count as pgmigrate_success only, as in Linux; promoted and demoted count
    pages whoever moved them.

    Example: numasim view vmstat results
    """
    from numasim.views.counters import vmstat as table

    found = table(_load(folder))
    if csv:
        _csv(found, csv)
        return
    if len(found.columns) == 1:
        console.say("Nothing moved pages in this run, and nothing counted.")
        return
    names = [str(name) for name in found.columns]
    rows = [(name, *(f"{value:,}" for value in values)) for name, *values in found.values.tolist()]
    console.table(names, rows, numbers=len(names) - 1)


class By(StrEnum):
    """How to put bandwidth into columns."""

    NODE = "node"
    SOCKET = "socket"


@app.command()
def bandwidth(
    folder: Folder,
    by: Annotated[
        By, typer.Option("--by", help="socket: CXL apart, the columns of HMSDK's bwprof.")
    ] = By.NODE,
    csv: Csv = None,
) -> None:
    """Bandwidth of every node or socket over time, MB/s.

    Example: numasim view bandwidth results --by socket --csv bwprof.csv
    """
    from numasim.views.counters import bandwidth as table

    found = table(_load(folder), by == By.SOCKET)
    if csv:
        _csv(found.round(3), csv)
        return
    long = found.melt("Timestamp", var_name="where", value_name="mb")
    sketching.distributions(long, ["where"], "mb", "bandwidth (GB/s)", sketching.speed)


def _who(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the target told beside its kdamond, where there are several."""
    who = table.kdamond.str.removeprefix("kdamond.")
    if table.target.any():
        who = who + " target " + table.target.astype(str)
    return table.assign(kdamond=who)


def _load(folder: Path) -> Result:
    from numasim.result import Result

    return Result.load(folder)


def _ends(
    option: str, words: tuple[str, str], read: Callable[[str], SupportsFloat]
) -> tuple[float, float]:
    """Both ends of a range as damo writes them; the first is not above the second."""
    from numasim.errors import ConfigError, Problem
    from numasim.units import BadText

    try:
        low, high = (float(read(word)) for word in words)
    except BadText as error:
        raise ConfigError(Problem(option, error.message, error.hint)) from None
    if low > high:
        raise ConfigError(Problem(option, f"{words[0]} is more than {words[1]}"))
    return low, high


def _seconds(text: str | None) -> float | None:
    from numasim.errors import ConfigError, Problem
    from numasim.units import BadText, parse_duration_ns

    if text is None:
        return None
    try:
        return parse_duration_ns(text) / 1e9
    except BadText as error:
        raise ConfigError(Problem("--at", error.message, error.hint)) from None


def _csv(table: pd.DataFrame, where: str) -> None:
    text = table.to_csv(index=False)
    if where == console.STDOUT:
        console.text(text.rstrip())
    else:
        Path(where).write_text(text, encoding="utf-8")
        console.files([Path(where)])
