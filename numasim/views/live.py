"""A run while it runs: what a screen shows of it, read and never written.

Taken at an instant of the time series, when everything has just been brought up to now; looking
draws nothing and changes nothing, so a watched run is the same to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from numasim.damon.regions import Regions
from numasim.engine import Engine
from numasim.views.cells import mean_in_cells


@dataclass(frozen=True)
class ActorNow:
    """One actor: what it does, operations per second since the last look, local share (0..1)."""

    name: str
    state: str
    phase: str
    ops_per_s: float
    local_share: float


@dataclass(frozen=True)
class NodeNow:
    """One node: bytes, and bandwidth (bytes/ns) since the last look against its read peak."""

    name: str
    kind: str
    managed_bytes: int
    workload_bytes: int
    free_bytes: int
    bytes_per_ns: float
    peak_bytes_per_ns: float


@dataclass(frozen=True)
class SchemeNow:
    """One scheme: what it moved since the last look and in all, its quota and first goal."""

    action: str
    applied_bytes_per_s: float
    applied_bytes: int
    quota_bytes: int | None
    exceeds: int
    goal: str
    goal_current: int
    goal_target: int


@dataclass(frozen=True)
class KdamondNow:
    """One kdamond: intervals, regions, and the heat of its last snapshot (shares, NaN unseen)."""

    name: str
    sample_us: int
    aggr_us: int
    nr_regions: int
    start: int
    end: int
    heat: np.ndarray
    schemes: tuple[SchemeNow, ...]


@dataclass(frozen=True)
class Moment:
    """Everything at an instant."""

    t_s: float
    duration_s: float
    actors: tuple[ActorNow, ...]
    nodes: tuple[NodeNow, ...]
    kdamonds: tuple[KdamondNow, ...]
    promoted_bytes_per_s: float
    demoted_bytes_per_s: float


@dataclass
class Onlooker:
    """Looks at an engine; rates are since its last look.

    Parameters
    ----------
    engine : Engine
    """

    engine: Engine
    _before_ns: int = 0
    _seen_moves: int = 0
    _totals: dict[object, float] = field(default_factory=dict)

    def look(self, columns: int) -> Moment:
        """The present moment, heat strips of so many columns."""
        now_ns = self.engine.now_ns
        span_ns = max(1, now_ns - self._before_ns)
        moment = Moment(
            now_ns / 1e9,
            self.engine.scenario.duration_ns / 1e9,
            tuple(self._actors(span_ns)),
            tuple(self._nodes(span_ns)),
            tuple(self._kdamonds(span_ns, columns)),
            *self._moves(span_ns),
        )
        self._before_ns = now_ns
        return moment

    def _rate(self, what: object, total: float, span_ns: int) -> float:
        """Increase per ns since the last look."""
        before = self._totals.get(what, 0.0)
        self._totals[what] = total
        return (total - before) / span_ns

    def _actors(self, span_ns: int) -> list[ActorNow]:
        machine = self.engine.machine
        found = []
        for actor in machine.actors:
            near = machine.topology.tiers(actor.accessor)[0]
            lines = actor.lines_per_ns
            total = float(lines.sum()) if len(lines) else 0.0
            share = float(lines[near]) / total if total > 0 else np.nan
            per_s = 1e9 * self._rate(("actor", actor.index), actor.operations, span_ns)
            phase = actor.current.name or str(actor.phase)
            found.append(ActorNow(actor.name, actor.state, phase, per_s, share))
        return found

    def _nodes(self, span_ns: int) -> list[NodeNow]:
        machine = self.engine.machine
        frame = machine.memory.frame_bytes
        pages = machine.migrator.node_counts.sum(axis=1).tolist()
        carried = machine.node_bytes.sum(axis=1).tolist()
        return [
            NodeNow(
                node.name,
                node.kind,
                machine.memory.managed_frames(n) * frame,
                pages[n] * frame,
                machine.memory.free_frames(n) * frame,
                self._rate(("node", n), carried[n], span_ns),
                node.bandwidth.read,
            )
            for n, node in enumerate(machine.topology.nodes)
        ]

    def _kdamonds(self, span_ns: int, columns: int) -> list[KdamondNow]:
        found = []
        for thread in self.engine.threads:
            if thread.ended:
                continue
            context = thread.context
            _, most, targets = self.engine.recorder.latest.get(thread.name, (0, 1, []))
            start, end, heat = _strip(targets, most, columns)
            schemes = []
            for s, scheme in enumerate(context.schemes):
                applied, goals = scheme.stat.sz_applied, scheme.quota.goals
                rate = 1e9 * self._rate((thread.name, s), applied, span_ns)
                goal = goals[0] if goals else None
                schemes.append(
                    SchemeNow(
                        scheme.action,
                        rate,
                        applied,
                        scheme.quota.esz if scheme.quota.is_set else None,
                        scheme.stat.qt_exceeds,
                        goal.spec.metric if goal else "",
                        goal.current_value if goal else 0,
                        goal.spec.target_value if goal else 0,
                    )
                )
            attrs = context.attrs
            found.append(
                KdamondNow(
                    thread.name,
                    attrs.sample_us,
                    attrs.aggr_us,
                    context.nr_regions,
                    start,
                    end,
                    heat,
                    tuple(schemes),
                )
            )
        return found

    def _moves(self, span_ns: int) -> tuple[float, float]:
        """Bytes per second up and down the tiers, from rows of the time series since then."""
        rows = self.engine.recorder.columns.appended("moves", self._seen_moves)
        self._seen_moves += len(rows)
        moved = {"promotion": 0, "demotion": 0}
        for row in rows:
            moved[row["direction"]] += row["bytes"]
        return 1e9 * moved["promotion"] / span_ns, 1e9 * moved["demotion"] / span_ns


def _strip(targets: list[Regions], most: int, columns: int) -> tuple[int, int, np.ndarray]:
    """Address range of a snapshot and its heat in equal parts: share of samples, NaN unseen."""
    parts = [r for r in targets if len(r)]
    if not parts:
        return 0, 0, np.full(columns, np.nan)
    low = np.concatenate([r.start for r in parts]).astype(float)
    high = np.concatenate([r.end for r in parts]).astype(float)
    rate = np.concatenate([r.nr_accesses for r in parts]) / most
    order = np.argsort(low, kind="stable")
    low, high, rate = low[order], high[order], rate[order]
    edges = np.linspace(low[0], high[-1], columns + 1)
    return int(low[0]), int(high[-1]), mean_in_cells(edges, low, high, rate)
