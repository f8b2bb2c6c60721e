"""Why a page or a mapping is where it is: read from a result, or watched in a second run.

A mapping's story is in the tables of a run. A single page's is not; but a run is deterministic, so
it is run once more with somebody watching that page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from numasim.damon.context import ContextState
from numasim.damon.ops import PAGE_SIZE, Applied
from numasim.engine import Engine
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.formats.damo_record import contexts_of
from numasim.kdamond import Thread
from numasim.pages import MappingPages
from numasim.recorder import Recorder
from numasim.result import Result
from numasim.scenario import Scenario
from numasim.units import format_bytes

PAUSE_S = 5.0
"""Moves of one kind that are no further apart are told as one."""


@dataclass(frozen=True)
class Entry:
    """One line of a timeline."""

    t_s: float
    until_s: float
    what: str
    why: str = ""


# -- mappings --------------------------------------------------------------------------------------


def mappings(result: Result) -> list[tuple[str, str]]:
    """``(process, mapping)`` of every mapping of the run."""
    pairs = result.residency[["process", "mapping"]].drop_duplicates()
    return list(pairs.itertuples(index=False, name=None))


def find_mapping(result: Result, mapping: str, process: str | None = None) -> tuple[str, str]:
    """The mapping of that name.

    Raises
    ------
    ConfigError
        If there is none, or several processes have one and none is named.
    """
    known = mappings(result)
    found = [(p, m) for p, m in known if m == mapping and process in (None, p)]
    if not found:
        names = [m for p, m in known if process in (None, p)]
        if not names:
            hint = did_you_mean(str(process), {p for p, _ in known})
            raise ConfigError(Problem("--process", f'no process "{process}"', hint))
        raise ConfigError(
            Problem("--mapping", f'no mapping "{mapping}"', did_you_mean(mapping, names))
        )
    if len(found) > 1:
        hint = "name one with --process: " + ", ".join(p for p, _ in found)
        raise ConfigError(Problem("--mapping", f'several processes have a "{mapping}"', hint))
    return found[0]


def mapping_timeline(result: Result, process: str, mapping: str) -> list[Entry]:
    """What happened to a mapping: phases and events, first touch, moves and what drove them.

    Parameters
    ----------
    result : Result
    process, mapping : str

    Returns
    -------
    list of Entry
        In order of time.
    """
    told = zip(result.events.t_s.tolist(), result.events.itertuples(), strict=True)
    entries = [Entry(t_s, t_s, _told(event)) for t_s, event in told]
    entries += _populated(result, process, mapping)
    own, aims = _of(result.moves, process, mapping), _aims(result)
    for (cause, source, target), rows in own.groupby(["cause", "source", "target"], sort=False):
        turn = (rows.t_s.diff() > PAUSE_S).cumsum()
        for _, burst in rows.groupby(turn, sort=False):
            entries.append(_burst(result, aims, str(cause), str(source), str(target), burst))
    return sorted(entries, key=lambda entry: entry.t_s)


def _of(table: pd.DataFrame, process: str, mapping: str) -> pd.DataFrame:
    return table[(table.process == process) & (table.mapping == mapping)]


def _told(event: Any) -> str:
    detail = f": {event.detail}" if event.detail else ""
    return f"{event.who} {event.what}{detail}"


def _populated(result: Result, process: str, mapping: str) -> list[Entry]:
    """Where the mapping lay when its size stopped growing."""
    own = _of(result.residency, process, mapping)
    size = own.groupby("t_s").bytes.sum()
    if not len(size) or size.max() == 0:
        return []
    began, ended = size[size > 0].index[0], size[size == size.max()].index[0]
    first_move = _of(result.moves, process, mapping).t_s.min()
    placed = own[own.t_s == ended]
    text = ", ".join(f"{format_bytes(r.bytes)} on {r.node}" for r in placed.itertuples() if r.bytes)
    early = ", some moved since" if first_move <= ended else ""
    return [Entry(began, ended, f"populated: {text}{early}", "first touch")]


Aims = dict[tuple[str, int], set[str]]
"""Nodes that a kdamond's scheme migrates to."""


def _aims(result: Result) -> Aims:
    scenario = result.scenario()
    names = dict(enumerate(node.name for node in scenario.topology.nodes))
    return {
        (kdamond, s): {
            names[nid]
            for nid in (scheme.target_nid, *(d.nid for d in scheme.dests))
            if nid in names
        }
        for kdamond, context in contexts_of(scenario, tuned=True).items()
        for s, scheme in enumerate(context.schemes)
    }


def _burst(
    result: Result, aims: Aims, cause: str, source: str, target: str, rows: pd.DataFrame
) -> Entry:
    t, until = float(rows.t_s.iloc[0]), float(rows.t_s.iloc[-1])
    what = f"{format_bytes(int(rows.bytes.sum()))} {source} → {target}"
    return Entry(t, until, what, _reason(result, aims, cause, target, t, until))


def _reason(result: Result, aims: Aims, cause: str, target: str, t: float, until: float) -> str:
    """Scheme, heat of the regions it tried, quota and goal over a stretch of time."""
    name = cause.split("/")[0]
    schemes = _during(result.schemes, name, t, until)
    if not len(schemes):
        return cause
    tried = _during(result.tried, name, t, until)
    tried = tried[tried.applied_bytes > 0]
    aimed = {s for (kdamond, s), nodes in aims.items() if kdamond == name and target in nodes}
    for likely in (aimed, set(tried.scheme)):  # of several schemes, who moved there
        if schemes.scheme.isin(likely).any():
            schemes = schemes[schemes.scheme.isin(likely)]
    last = schemes.iloc[-1]
    tried = tried[tried.scheme == last.scheme]
    words = [f"{cause} {last.action}"]
    if len(tried):
        words.append(
            f"regions of nr_accesses {_span(tried.nr_accesses)} and age {_span(tried.age)}"
        )
    words.append(quota_text(last))
    return "; ".join(words)


def _during(table: pd.DataFrame, kdamond: str, t: float, until: float) -> pd.DataFrame:
    return table[(table.kdamond == kdamond) & table.t_s.between(t, until)]


def _span(column: pd.Series) -> str:
    low, high = int(column.min()), int(column.max())
    return str(low) if low == high else f"{low} to {high}"


def quota_text(scheme: Any) -> str:
    """Quota and goal of a row of the table `schemes`."""
    quota = f"quota {format_bytes(scheme.esz)}"
    if not scheme.goal:
        return quota
    return f"{quota}, {scheme.goal} {scheme.goal_current} of {scheme.goal_target}"


def verdict(scheme: Any) -> str:
    """Where the last row of a scheme leaves it: its quota, its goal, and what that means."""
    text = f"at the end, {quota_text(scheme)}"
    met = scheme.goal and scheme.goal_current >= scheme.goal_target
    if scheme.goal and scheme.esz < PAGE_SIZE:
        text += "; a quota below one page moves nothing"
        text += ", and the goal is met" if met else ", and grows the slower the nearer the goal"
    elif not scheme.sz_tried:
        text += "; no region ever matched its access pattern"
    return text


def final_schemes(result: Result) -> pd.DataFrame:
    """Last row of every scheme: what it tried, what moved, and what its quota came to."""
    if not len(result.schemes):
        return result.schemes
    return result.schemes.groupby(["kdamond", "scheme"], sort=False).tail(1)


# -- one page --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PageEvent:
    """Something that happened to a watched page.

    Parameters
    ----------
    now_ns : int
    what : str
        ``first touch``, ``moved``, ``tried`` (a scheme's region held it, and it stayed), ``ended``.
    source, target : str
        Nodes; empty where there is none.
    cause : str
        Who did it, with the scheme's action.
    region : tuple of int
        start, end (bytes), nr_accesses, age of the region; empty if no region was involved.
    count : int
        How many times in a row.
    """

    now_ns: int
    what: str
    source: str = ""
    target: str = ""
    cause: str = ""
    region: tuple[int, ...] = ()
    count: int = 1


def page_timeline(
    scenario: Scenario,
    process: str,
    mapping: str,
    page: int,
    on_progress: Callable[[float], None] | None = None,
) -> list[PageEvent]:
    """Run the scenario again, watching one page.

    Parameters
    ----------
    scenario : Scenario
    process, mapping : str
    page : int
        Page of the mapping, counted from 0, in the smallest page size of the workload.
    on_progress : callable, optional

    Raises
    ------
    ConfigError
        If the mapping has no such page.
    SimulationError
        If the run fails again, as it did.
    """
    engine = Engine(scenario, on_progress)
    pages = _pages_of(engine, process, mapping)
    if not 0 <= page < pages.nr:
        raise ConfigError(Problem("--page", f"got {page}, {mapping} has pages 0 to {pages.nr - 1}"))
    watcher = Watcher(engine, pages, pages.first + page)
    engine.run()
    return watcher.events


def _pages_of(engine: Engine, process: str, mapping: str) -> MappingPages:
    names = [p.name for p in engine.machine.workload.processes]
    return next(
        m
        for m in engine.machine.space.mappings
        if names[m.process] == process and m.mapping.name == mapping
    )


class Watcher:
    """Follows one page through a run.

    Parameters
    ----------
    engine : Engine
        Not yet run.
    pages : MappingPages
    page : int
        Number of the page in the page space.
    """

    def __init__(self, engine: Engine, pages: MappingPages, page: int) -> None:
        self.events: list[PageEvent] = []
        self._engine, self._page = engine, page
        self._memory = engine.machine.memory
        self._address = pages.address + (page - pages.first) * self._memory.frame_bytes
        self._nodes = [node.name for node in engine.machine.topology.nodes]
        self._node = ""
        self._just_moved = False
        engine.machine.migrator.watch = self._placed
        engine.recorder = _Recorder(engine, self._applied)

    def _placed(self, pages: np.ndarray, frames: np.ndarray, cause: str) -> None:
        at = np.flatnonzero(pages == self._page)
        if not len(at):
            return
        node = self._nodes[int(self._memory.node_of(frames[at])[0])]
        touched = cause == "first touch"
        source, what = ("", "first touch") if touched else (self._node, "moved")
        self.events.append(PageEvent(int(self._engine.env.now), what, source, node, cause))
        self._node, self._just_moved = node, not touched

    def _applied(
        self, context: ContextState, scheme: int, start: int, end: int, nr: int, age: int
    ) -> None:
        """A scheme worked on a region: the page's, if it just moved or still lies in it."""
        moved, self._just_moved = self._just_moved, False
        if not moved and not start <= self._place(context) < end:
            return
        cause = f"{context.name} {context.schemes[scheme].action}"
        region = (start, end, nr, age)
        if moved:
            self.events[-1] = replace(self.events[-1], cause=cause, region=region)
            return
        event = PageEvent(int(self._engine.env.now), "tried", self._node, self._node, cause, region)
        last = self.events[-1] if self.events else None
        if last is not None and (last.what, last.cause) == ("tried", cause):
            self.events[-1] = replace(event, count=last.count + 1)
        else:
            self.events.append(event)

    def _place(self, context: ContextState) -> int:
        """Address of the page as the context knows it, in bytes; -1 while it has no frame."""
        frame = int(self._memory.frame_of[self._page])
        if frame < 0:
            return -1
        if context.spec.ops != "paddr":
            return self._address
        return int(self._memory.addresses_of(np.array([frame]))[0])


class _Recorder(Recorder):
    """A recorder that also tells of every region that schemes work on."""

    def __init__(self, engine: Engine, applied: Callable[..., None]) -> None:
        super().__init__(engine.scenario, engine.machine, engine.threads)
        self._tell = applied

    def watch(self, thread: Thread) -> None:
        super().watch(thread)
        recorded = thread.context.on_apply
        unit = thread.context.addr_unit

        def on_apply(
            context: ContextState, scheme: int, target: int, start: int, end: int, nr: int,
            age: int, applied: Applied,
        ) -> None:  # fmt: skip
            if recorded is not None:
                recorded(context, scheme, target, start, end, nr, age, applied)
            self._tell(context, scheme, start * unit, end * unit, nr, age)

        thread.context.on_apply = on_apply
