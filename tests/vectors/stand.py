"""The test stand: a context with its operations, source and clock replaced by ordinary objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numasim.damon.context import ContextState
from numasim.damon.ops import Applied, PointSource
from numasim.damon.spec import AccessPattern, Attrs, Context, Filter, IntervalsGoal
from numasim.damon.splitting import Draws, Shared

TICK_NS = 1_000_000  # HZ=1000, as the vectors were recorded


@dataclass
class Metrics:
    """Goal metrics that are simply told."""

    nodes: dict[int, tuple[int, int]] = field(default_factory=dict)
    memcg: int | None = None
    lru: tuple[int, int] | None = None
    system: tuple[int, int] = (1, 0)
    eligible: dict[int, int] = field(default_factory=dict)
    psi_us: int | None = None

    def node_pages(self, nid: int) -> tuple[int, int] | None:
        return self.nodes.get(nid)

    def node_memcg_pages(self, nid: int, path: str | None) -> int | None:
        return self.memcg

    def system_pages(self) -> tuple[int, int]:
        return self.system

    def eligible_bytes(self, ranges: list[tuple[int, int]]) -> dict[int, int]:
        return self.eligible

    def lru_pages(self) -> tuple[int, int] | None:
        return self.lru

    def psi_some_us(self) -> int | None:
        return self.psi_us


@dataclass
class StandOps:
    """An operations set without memory.

    Parameters
    ----------
    score : dict of str to str, or None
        How each action ranks regions; None for a set that ranks nothing.
    applied_percent : int
        Share of every region on which actions succeed.
    """

    name: str = "paddr"
    score: dict[str, str] | None = None
    applied_percent: int = 100
    busy_ns: int = 0
    updates: bool = True
    idle_stat: bool = False
    valid: Callable[[int], bool] = lambda target_index: True
    ranges: Callable[[int], list[tuple[int, int]] | None] = lambda target_index: None

    def init_ranges(self, target_index: int) -> list[tuple[int, int]] | None:
        return None

    def update_ranges(self, target_index: int) -> list[tuple[int, int]] | None:
        return self.ranges(target_index)

    def target_valid(self, target_index: int) -> bool:
        return self.valid(target_index)

    def does_nothing(self, scheme: Any) -> bool:
        return self.idle_stat and scheme.spec.action == "stat"

    def apply(self, scheme: Any, target_index: int, start: int, end: int, now_ns: int) -> Applied:
        if self.does_nothing(scheme):
            return Applied(0)
        return Applied((end - start) * self.applied_percent // 100, 0, self.busy_ns)

    def end_pass(self, scheme: Any) -> None:
        pass

    def score_kind(self, action: str) -> str | None:
        return None if self.score is None else self.score.get(action, "flat")


def constant_draws(value: int = 5) -> Draws:
    """Every draw is the same."""
    return Draws(lambda n: np.full(n, value))


def blind_source() -> PointSource:
    """A source that never sees an access."""
    return PointSource(
        lambda start, end, target: start, lambda addr, target, tick: np.zeros(len(addr), dtype=bool)
    )


def context(spec: Context, **given: Any) -> ContextState:
    """A context on the stand; any constructor argument may be given."""
    arguments: dict[str, Any] = {
        "ops": StandOps(),
        "source": blind_source(),
        "metrics": Metrics(),
        "shared": Shared(),
        "rng": constant_draws(),
        "tick_ns": TICK_NS,
    }
    return ContextState(spec, **(arguments | given))


def attrs_of(given: dict[str, Any]) -> Attrs:
    """Attributes from a vector's keys."""
    goal = given.get("intervals_goal")
    return Attrs(
        sample_us=given.get("sample_us", 5_000),
        aggr_us=given.get("aggr_us", 100_000),
        ops_update_us=given.get("ops_update_us", 60_000_000),
        min_nr_regions=given.get("min_nr_regions", 10),
        max_nr_regions=given.get("max_nr_regions", 1_000),
        intervals_goal=IntervalsGoal(**goal) if goal else IntervalsGoal(),
    )


def access_pattern(*limits: int) -> AccessPattern:
    """A pattern from its six bounds: sizes, access counts, ages."""
    return AccessPattern(*limits)


def filter_of(given: dict[str, Any]) -> Filter:
    """A filter from a vector's keys."""
    start, end = given.get("addr", (0, 0))
    low, high = given.get("hugepage_size") or given.get("sz_range") or (0, 0)
    memcg = given.get("memcg_id")
    return Filter(
        given["type"],
        given["matching"],
        given["allow"],
        memcg_path=None if memcg is None else f"/memcg{memcg}",
        start=start,
        end=end,
        target_idx=given.get("target_idx", 0),
        min_sz=low,
        max_sz=high,
    )
