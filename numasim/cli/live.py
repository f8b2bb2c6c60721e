"""The screen of ``numasim run --live``: a frame some times a second, or plain lines in a pipe.

It goes to stderr, as progress does, so that tables and JSON on stdout stay what they are. A frame
has no more than the terminal's width, and nothing but text, digits and colours.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from numasim.cli.sketching import digit, rough

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.text import Text

    from numasim.engine import Engine
    from numasim.scenario import Scenario
    from numasim.views.live import KdamondNow, Moment, NodeNow, Onlooker, SchemeNow

FRAMES_PER_S = 5.0
LINES = 20  # of a run, where there is no screen
BAR, NAME = 24, 14
WIDEST = 100
HEAT = ("grey37", "blue", "cyan", "green", "yellow", "dark_orange", "red", "red", "red", "bold red")
"""Colours of the digits 0 to 9; the digit says the same without."""

Show = Callable[[float], None]


@contextmanager
def watching(scenario: Scenario) -> Iterator[tuple[Show, Callable[[Engine], None]]]:
    """What `run_scenario` calls while it runs, and with its engine.

    Parameters
    ----------
    scenario : Scenario

    Yields
    ------
    tuple of callable
        ``on_progress`` and ``on_start``.
    """
    from rich.console import Console
    from rich.live import Live

    screen = Console(stderr=True, highlight=False)
    title = f"{scenario.topology.name}, {scenario.workload.name}, {scenario.policy_name}"
    title += f", seed {scenario.seed}"
    held: list[Onlooker] = []
    if not screen.is_terminal or screen.is_dumb_terminal:
        print(f"running {title}", file=sys.stderr)
        yield _lines(held), _keep(held)
        return
    with Live(console=screen, auto_refresh=False, vertical_overflow="crop") as live:
        draw = _drawing(held, live, screen, title)
        yield _seldom(draw), _keep(held)
        draw()


def _keep(held: list[Onlooker]) -> Callable[[Engine], None]:
    def keep(engine: Engine) -> None:
        from numasim.views.live import Onlooker

        held.append(Onlooker(engine))

    return keep


def _drawing(held: list[Onlooker], live: Any, screen: Console, title: str) -> Callable[[], None]:
    def draw() -> None:
        width = min(screen.width, WIDEST)
        live.update(frame(held[0].look(max(1, width - NAME - 2)), title, width), refresh=True)

    return draw


def _seldom(draw: Callable[[], None]) -> Show:
    """A new frame, unless the last one is too recent."""
    due = 0.0

    def show(_share: float) -> None:
        nonlocal due
        if time.monotonic() >= due:
            draw()
            due = time.monotonic() + 1 / FRAMES_PER_S

    return show


def _lines(held: list[Onlooker]) -> Show:
    """A line for each twentieth of the run."""
    next_share = 0.0

    def show(share: float) -> None:
        nonlocal next_share
        if share >= next_share:
            next_share = math.floor(share * LINES + 1) / LINES
            print(line(held[0].look(1)), file=sys.stderr, flush=True)

    return show


def line(moment: Moment) -> str:
    """A moment in one line."""
    words = [f"{moment.t_s:8.1f} s", f"{moment.t_s / moment.duration_s:4.0%}"]
    words += [f"{actor.name} {actor.ops_per_s:,.0f}/s" for actor in moment.actors]
    words += [f"{node.name} {_used(node):.0%}" for node in moment.nodes]
    words += [f"up {rough(moment.promoted_bytes_per_s)}/s"]
    words += [f"down {rough(moment.demoted_bytes_per_s)}/s"]
    return "  ".join(words)


def frame(moment: Moment, title: str, width: int) -> Group:
    """A moment as a screen.

    Parameters
    ----------
    moment : Moment
    title : str
    width : int
        Characters.

    Returns
    -------
    rich.console.Group
    """
    from rich.console import Group
    from rich.text import Text

    share = moment.t_s / moment.duration_s
    told = f"{moment.t_s:,.1f} of {moment.duration_s:,.0f} s"
    rows = [Text(title, style="bold"), _bar("time", share, told, "white")]
    for actor in moment.actors:
        local = "" if math.isnan(actor.local_share) else f", {actor.local_share:.0%} local"
        what = f"{actor.ops_per_s:,.0f} operations/s{local}"
        if actor.state != "running":
            what = actor.state
        rows.append(_row(actor.name, f"{what}  ({actor.phase})"))
    for node in moment.nodes:
        free, speed = rough(node.free_bytes), f"{node.bytes_per_ns:.3g} GB/s"
        busy = f"{speed} ({node.bytes_per_ns / node.peak_bytes_per_ns:.0%})"
        rows.append(_bar(node.name, _used(node), f"{free} free, {busy}", "green"))
    up, down = rough(moment.promoted_bytes_per_s), rough(moment.demoted_bytes_per_s)
    rows.append(_row("migration", f"promoted {up}/s, demoted {down}/s"))
    for kdamond in moment.kdamonds:
        rows += _kdamond(kdamond)
    for row in rows:
        row.truncate(width, overflow="ellipsis")
    return Group(*rows)


def _kdamond(kdamond: KdamondNow) -> Iterator[Text]:
    from rich.text import Text

    from numasim.units import format_bytes, format_duration

    sample, aggr = (format_duration(us * 1000) for us in (kdamond.sample_us, kdamond.aggr_us))
    span = format_bytes(kdamond.end - kdamond.start)
    what = f"sample {sample}, aggr {aggr}, {kdamond.nr_regions} regions, {span}"
    yield _row(kdamond.name, what)
    strip = Text(" " * (NAME + 1))
    for share in kdamond.heat.tolist():
        mark = " " if math.isnan(share) else digit(share)
        strip.append(mark, HEAT[int(mark)] if mark != " " else "")
    yield strip
    for scheme in kdamond.schemes:
        yield from _scheme(scheme)


def _scheme(scheme: SchemeNow) -> Iterator[Text]:
    what = f"{rough(scheme.applied_bytes_per_s)}/s, {rough(scheme.applied_bytes)} in all"
    if scheme.quota_bytes is not None:
        what += f"; quota {rough(scheme.quota_bytes)}, exceeded {scheme.exceeds:,} x"
    yield _row(f"  {scheme.action}", what)
    if scheme.goal:
        yield _row("    goal", f"{scheme.goal} {scheme.goal_current:,} of {scheme.goal_target:,}")


def _used(node: NodeNow) -> float:
    return 1 - node.free_bytes / max(1, node.managed_bytes)


def _row(name: str, what: str) -> Text:
    from rich.text import Text

    return Text.assemble((f"{name[:NAME]:<{NAME}} ", "bold"), what)


def _bar(name: str, share: float, what: str, colour: str) -> Text:
    from rich.text import Text

    full = round(BAR * min(1.0, max(0.0, share)))
    return Text.assemble(
        (f"{name[:NAME]:<{NAME}} ", "bold"),
        ("#" * full, colour), ("." * (BAR - full), "grey37"), f" {share:4.0%}  {what}",
    )  # fmt: skip
