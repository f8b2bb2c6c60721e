"""numasim explain: why and when a mapping or one page moved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from numasim.cli import console, options

if TYPE_CHECKING:
    from numasim.explain import PageEvent
    from numasim.result import Result


def explain(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of a saved run.")],
    mapping: Annotated[
        str | None, typer.Option("--mapping", "-m", metavar="NAME", help="By default all.")
    ] = None,
    page: Annotated[
        int | None,
        typer.Option(
            "--page", metavar="N",
            help="One page of the mapping, counted from 0; runs the scenario again to watch it.",
        ),
    ] = None,
    process: Annotated[
        str | None, typer.Option("--process", metavar="NAME", help="Whose mapping.")
    ] = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Tell when a mapping or a page moved, where to, and which scheme saw what.

    Example: numasim explain results/runs/tpp_damon/seed-1 --mapping hotA --page 1000
    """
    from numasim.errors import ConfigError, Problem
    from numasim.explain import find_mapping, mappings
    from numasim.result import Result

    if page is not None and mapping is None:
        raise ConfigError(Problem("--page", "counts the pages of a mapping", "give --mapping"))
    result = Result.load(run_dir)
    if mapping is None:
        found = [(p, m) for p, m in mappings(result) if process in (None, p)]
    else:
        found = [find_mapping(result, mapping, process)]
    if page is not None:
        _page(result, *found[0], page, quiet)
        return
    for owner, name in found:
        _mapping(result, owner, name)
    _schemes(result)


def _mapping(result: Result, process: str, mapping: str) -> None:
    from numasim.explain import mapping_timeline

    rows = [
        (_when(e.t_s, e.until_s), e.what, e.why) for e in mapping_timeline(result, process, mapping)
    ]
    console.table(("time (s)", "what", "why"), rows, f"{mapping} of {process}")


def _when(start: float, end: float) -> str:
    return f"{start:.0f}" if end - start < 1 else f"{start:.0f}-{end:.0f}"


def _schemes(result: Result) -> None:
    """What every scheme came to, which also tells why what stayed stayed."""
    from numasim.explain import final_schemes, verdict
    from numasim.units import format_bytes

    last = final_schemes(result)
    if not len(last):
        return
    no_room = result.failed_moves.groupby("cause").bytes.sum()
    rows = [
        (
            f"{s['kdamond']} {s['action']}",
            format_bytes(s["sz_tried"]),
            format_bytes(s["sz_ops_filter_passed"]),
            format_bytes(s["sz_applied"]),
            format_bytes(int(no_room.get(s["kdamond"], 0))),
        )
        for s in last.to_dict("records")
    ]
    console.table(("scheme", "tried", "passed filters", "moved", "found no room"), rows, numbers=4)
    for s in last.itertuples():
        console.say(f"{s.kdamond} {s.action}: {verdict(s)}")


def _page(result: Result, process: str, mapping: str, page: int, quiet: bool) -> None:
    from numasim.explain import page_timeline

    scenario = result.scenario()
    with console.progress("again, watching", quiet) as (bar, task):
        events = page_timeline(
            scenario, process, mapping, page, lambda share: bar.update(task, completed=share)
        )
    title = f"page {page} of {mapping} of {process}"
    rows = [(f"{e.now_ns / 1e9:.3f}", _what(e), e.cause, *_region(e)) for e in events]
    columns = ("time (s)", "what", "who", "region", "nr_acc.", "age")
    console.table(columns, rows or [("-", "never touched", "", "", "", "")], title, numbers=2)


def _what(event: PageEvent) -> str:
    if event.what == "moved":
        return f"{event.source} → {event.target}"
    if event.what == "tried":
        times = f" {event.count} times, last now" if event.count > 1 else ""
        return f"tried, stayed on {event.target}{times}"
    return f"{event.what} on {event.target}"


def _region(event: PageEvent) -> tuple[str, str, str]:
    from numasim.units import format_bytes

    if not event.region:
        return "", "", ""
    start, end, nr_accesses, age = event.region
    return f"{start:#x} +{format_bytes(end - start)}", str(nr_accesses), str(age)
