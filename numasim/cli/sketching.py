"""Plain-text drawings of what DAMON saw: strips, boxes, bars. Digits are heat, 0 to 9."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from numasim.cli import console

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from numasim.views.access import Snapshot

STRIP, BOX, BAR = 72, 36, 20
UNITS = {"idle_us": "idle time", "temperature": "temperature (weights 0, 100, 100)"}
COURSE_ROWS = 20
PERCENTS = (0, 25, 50, 75, 100)


def size(nr_bytes: float) -> str:
    """Bytes for people."""
    from numasim.units import format_bytes

    return format_bytes(nr_bytes)


def count(number: float) -> str:
    """A whole number with its thousands."""
    return f"{number:,.0f}"


def rough(nr_bytes: float) -> str:
    """Bytes to three digits, for narrow columns."""
    number, _, unit = size(nr_bytes).partition(" ")
    return f"{float(f'{float(number):.3g}'):g} {unit}"


def speed(megabytes: float) -> str:
    """Bandwidth in MB/s, as GB/s."""
    return f"{megabytes / 1000:.3g}"


def duration(us: float) -> str:
    """Microseconds for people."""
    from numasim.units import format_duration

    return format_duration(us * 1000)


def digit(share: float) -> str:
    """Heat of a share in 0..1, as damo's digits."""
    return str(min(9, int(10 * share)))


def snapshot_head(snapshot: Snapshot) -> None:
    """Which one it is, and a strip of heat over its addresses."""
    import numpy as np

    from numasim.views.cells import mean_in_cells

    console.heading(f"{snapshot.kdamond}, target {snapshot.target}, at {snapshot.t_s:.3f} s")
    regions = snapshot.regions
    edges = np.linspace(regions.start.iloc[0], regions.end.iloc[-1], STRIP + 1)
    shares = regions.hz.to_numpy(float) / max(float(regions.hz.max()), 1e-9)
    bounds = (regions.start.to_numpy(float), regions.end.to_numpy(float))
    heat = mean_in_cells(edges, *bounds, shares).tolist()
    strip = "".join(" " if share != share else digit(share) for share in heat)
    console.text(f"heat {strip}")
    console.text(f"     0-9: 0 to {regions.hz.max():.3g} Hz, a column: {size(edges[1] - edges[0])}")


def snapshot_tail(snapshot: Snapshot) -> None:
    """Intervals, total size, and damo's estimate of bandwidth."""
    from numasim.units import format_duration

    sample, aggr = (format_duration(us * 1000) for us in (snapshot.sample_us, snapshot.aggr_us))
    console.text(f"intervals: sample {sample}, aggr {aggr} (at most {snapshot.max_hz:.3g} Hz)")
    console.text(f"memory bw estimate: {size(snapshot.bandwidth_bytes_per_s)}/s")
    console.text(f"total size: {size(float(snapshot.regions['size'].sum()))}\n")


def detailed(snapshot: Snapshot) -> None:
    """A row for every region."""
    rows = [
        (i, f"{r.start:#x}", size(r.size), r.where, rate(r.hz), rate(r.true_hz), duration(r.age_us))
        for i, r in enumerate(_rows(snapshot.regions))
    ]
    columns = ("", "address", "size", "where", "Hz", "true Hz", "age")
    console.table(columns, rows, numbers=3)
    console.text("Hz: as DAMON saw it, one access per sample at most")
    console.text("true Hz: visits to a page of 4 KiB per second, on average over the region")


def _rows(regions: pd.DataFrame) -> list[Any]:
    return list(regions.itertuples())


def rate(hz: float) -> str:
    """A rate with three digits, or a dash where it is not known."""
    return "-" if hz != hz else f"{hz:,.3g}" if hz < 1000 else f"{hz:,.0f}"


def boxes(snapshot: Snapshot, order: str) -> None:
    """A box per region: as long as its age, filled with its heat; hottest or coldest first."""
    regions = snapshot.regions
    if order:
        regions = regions.sort_values("temperature", ascending=order == "cold", kind="stable")
    oldest = max(float(regions.age_us.max()), 1.0)
    for r in _rows(regions):
        length = 1 + round((BOX - 3) * r.age_us / oldest)
        box = f"|{digit(r.hz / snapshot.max_hz) * length}|"
        told = f"{size(r.size):>10}  {rate(r.hz):>6} Hz  {duration(r.age_us):>9}  {r.where}"
        console.text(f"{box:>{BOX}} {told}")


def histogram_of(snapshot: Snapshot, column: str) -> None:
    """Bytes by idle time or temperature, of every node and of all."""
    from numasim.views.access import histogram

    show = duration if column == "idle_us" else count
    for where, part in _by_place(snapshot):
        rows = histogram(part[column].to_numpy(float), part["size"].to_numpy(float))
        most = max((nr for _, _, nr in rows), default=0) or 1
        told = [
            (f"[{show(low)}, {show(high)})", size(nr), _bar(nr / most)) for low, high, nr in rows
        ]
        console.table((UNITS[column], "total size", ""), told, where)


def percentiles_of(snapshot: Snapshot, column: str) -> None:
    """Idle time or temperature at percentiles of the bytes, of every node and of all."""
    from numasim.views.access import percentiles

    show = duration if column == "idle_us" else count
    for where, part in _by_place(snapshot):
        rows = percentiles(part[column].to_numpy(float), part["size"].to_numpy(float))
        low, high = rows[0][1], rows[-1][1]
        told = [(p, show(value), _bar((value - low) / ((high - low) or 1))) for p, value in rows]
        console.table(("percentile", UNITS[column], ""), told, where)


def _by_place(snapshot: Snapshot) -> list[tuple[str, pd.DataFrame]]:
    parts = [(str(w), part) for w, part in snapshot.regions.groupby("where", sort=True)]
    return parts if len(parts) == 1 else [*parts, ("all", snapshot.regions)]


def _bar(share: float) -> str:
    return f"|{'*' * round(BAR * share):<{BAR}}|"


def heat(grid: np.ndarray, span_s: tuple[float, float], addresses: tuple[int, int]) -> None:
    """A heatmap of digits, with its axes."""
    import numpy as np

    hottest = float(np.nanmax(grid, initial=0.0)) or 1.0
    for row in grid:
        console.text("".join(" " if h != h else digit(h / hottest) for h in row))
    rows, columns = grid.shape
    low, high = addresses
    each = f"{size((high - low) / columns)} and {duration((span_s[1] - span_s[0]) * 1e6 / rows)}"
    console.text(f"# access frequency: 0123456789 (0 to {hottest:.4g} Hz)")
    console.text(f"# rightward: addresses [{low:#x}, {high:#x}), {size(high - low)}")
    console.text(f"# downward: time [{span_s[0]:.3f} s, {span_s[1]:.3f} s)")
    console.text(f"# each character: {each}\n")


def distributions(
    table: pd.DataFrame, keys: Sequence[str], value: str, what: str, show: Callable[[float], str]
) -> None:
    """Mean and percentiles over time of a column, for each group."""
    import numpy as np

    rows: list[tuple[Any, ...]] = []
    for key, part in table.groupby(list(keys), sort=False):
        values = part[value].to_numpy(float)
        points = [float(np.percentile(values, p, method="lower")) for p in PERCENTS]
        rows.append((*key, show(float(values.mean())), *(show(p) for p in points)))
    columns = (*keys, "mean", *(f"{p} %" for p in PERCENTS))
    console.table(columns, rows, f"{what} over time", numbers=1 + len(PERCENTS))


def course(kdamond: str, scheme: float, part: pd.DataFrame) -> None:
    """What was tuned of a kdamond and one of its schemes, at some instants; the last one too."""
    import numpy as np

    at = np.unique(np.linspace(0, len(part) - 1, COURSE_ROWS).round().astype(int))
    rows = []
    for r in _rows(part.iloc[at]):
        told = (f"{r.t_s:g}", duration(r.sample_us), duration(r.aggr_us), count(r.nr_regions))
        if scheme == scheme:
            quota = "-" if r.esz != r.esz else rough(r.esz)
            goal = f"{r.goal_current:,.0f} of {r.goal_target:,.0f}" if r.goal else "-"
            told += (quota, goal, rough(r.sz_applied))  # type: ignore[assignment]
        rows.append(told)
    columns: tuple[str, ...] = ("time (s)", "sample", "aggr", "regions")
    title = kdamond
    if scheme == scheme:
        first = part.iloc[0]
        columns += ("quota", first.goal or "goal", "applied")
        title += f", scheme {int(scheme)} ({first.action})"
    console.table(columns, rows, title, numbers=len(columns))


def stat(name: str, value: float) -> tuple[str, str]:
    """A statistic as a number, and for people where it is bytes."""
    return f"{value:,}", size(value) if name.startswith("sz_") else ""
