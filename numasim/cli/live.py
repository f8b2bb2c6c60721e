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
NARROW, NARROW_BAR, NARROW_NAME = 70, 10, 13  # below so many columns
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
    with Live(console=screen, auto_refresh=False, vertical_overflow="ellipsis") as live:
        draw = _drawing(held, live, screen, title)
        yield _seldom(draw), _keep(held)
        draw()
    screen.print()


def _keep(held: list[Onlooker]) -> Callable[[Engine], None]:
    def keep(engine: Engine) -> None:
        from numasim.views.live import Onlooker

        held.append(Onlooker(engine))

    return keep


def _drawing(held: list[Onlooker], live: Any, screen: Console, title: str) -> Callable[[], None]:
    def draw() -> None:
        width = min(screen.width, WIDEST)
        moment = held[0].look(max(1, width - name_width(width) - 2))
        live.update(frame(moment, title, width), refresh=True)

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
    for kdamond in moment.kdamonds:
        words += [f"{kdamond.name} {_interval(kdamond.sample_us)}/{_interval(kdamond.aggr_us)}"]
        words += [
            f"{scheme.action} quota {rough(scheme.quota_bytes)}"
            for scheme in kdamond.schemes
            if scheme.quota_bytes is not None
        ]
    return "  ".join(words)


def _interval(us: int) -> str:
    """``5ms``: without a space, as a line is split at spaces."""
    from numasim.units import format_duration

    return format_duration(us * 1000).replace(" ", "")


def frame(moment: Moment, title: str, width: int) -> Group:
    """A moment as a screen; what does not fit beside its name goes on below it.

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
    rows = [Text(title, style="bold"), *_bar("time", share, [told], "white", width)]
    for actor in moment.actors:
        what = [f"{actor.ops_per_s:,.0f} operations/s"]
        what += [] if math.isnan(actor.local_share) else [f"{actor.local_share:.0%} local"]
        if actor.state != "running":
            what = [actor.state]
        rows += _rows(actor.name, [*what, f"phase {actor.phase}"], width)
    for node in moment.nodes:
        busy = f"{node.bytes_per_ns:.3g} GB/s ({node.bytes_per_ns / node.peak_bytes_per_ns:.0%})"
        what = [f"{rough(node.free_bytes)} free", busy]
        rows += _bar(node.name, _used(node), what, "green", width)
    up, down = rough(moment.promoted_bytes_per_s), rough(moment.demoted_bytes_per_s)
    rows += _rows("migration", [f"promoted {up}/s", f"demoted {down}/s"], width)
    for kdamond in moment.kdamonds:
        rows += _kdamond(kdamond, width)
    for row in rows:
        row.truncate(width, overflow="ellipsis")
    return Group(*rows)


def _kdamond(kdamond: KdamondNow, width: int) -> Iterator[Text]:
    from rich.text import Text

    from numasim.units import format_bytes, format_duration

    sample, aggr = (format_duration(us * 1000) for us in (kdamond.sample_us, kdamond.aggr_us))
    span = format_bytes(kdamond.end - kdamond.start)
    what = [f"sample {sample}", f"aggr {aggr}", f"{kdamond.nr_regions:,} regions", span]
    yield from _rows(kdamond.name, what, width)
    strip = Text(" " * (name_width(width) + 1))
    for share in kdamond.heat.tolist():
        mark = " " if math.isnan(share) else digit(share)
        strip.append(mark, HEAT[int(mark)] if mark != " " else "")
    yield strip
    for scheme in kdamond.schemes:
        yield from _scheme(scheme, width)


def _scheme(scheme: SchemeNow, width: int) -> Iterator[Text]:
    what = [f"{rough(scheme.applied_bytes_per_s)}/s", f"{rough(scheme.applied_bytes)} in all"]
    if scheme.quota_bytes is not None:
        what += [f"quota {rough(scheme.quota_bytes)}", f"exceeded {scheme.exceeds:,} x"]
    yield from _rows(f" {scheme.action}", what, width)
    if scheme.goal:
        reached = f"{scheme.goal_current:,} of {scheme.goal_target:,}"
        yield from _rows("  goal", [scheme.goal, reached], width)


def _used(node: NodeNow) -> float:
    return 1 - node.free_bytes / max(1, node.managed_bytes)


def name_width(width: int) -> int:
    """Characters that names get, of so many."""
    return NAME if width >= NARROW else NARROW_NAME


def _rows(name: str, what: list[str], width: int, lead: Text | None = None) -> Iterator[Text]:
    """A name, and beside it pieces that stay whole: one that has no room begins a new line."""
    from rich.text import Text

    wide = name_width(width)
    row = Text.assemble((f"{name[:wide]:<{wide}} ", "bold"))
    row.append_text(lead or Text())
    begun = len(row)
    for i, piece in enumerate(what):
        rest = "," if i < len(what) - 1 else ""
        if len(row) > begun and len(row) + 1 + len(piece) + len(rest) > width:
            yield row
            row = Text(" " * (wide + 1))
            begun = len(row)
        row.append(f"{' ' if len(row) > begun else ''}{piece}{rest}")
    yield row


def _bar(name: str, share: float, what: list[str], colour: str, width: int) -> Iterator[Text]:
    from rich.text import Text

    room = BAR if width >= NARROW else NARROW_BAR
    full = round(room * min(1.0, max(0.0, share)))
    bar = Text.assemble(("#" * full, colour), ("." * (room - full), "grey37"), f" {share:4.0%}  ")
    return _rows(name, what, width, bar)
