"""What is recorded of accessors once somebody asks: their truths, who sees them, at what cost."""

from __future__ import annotations

from typing import cast

import numpy as np

from numasim.columns import Columns
from numasim.damon.context import ContextState
from numasim.damon.regions import Regions
from numasim.machine import Machine
from numasim.monitors import observing_of
from numasim.observing import Observing
from numasim.profiles import monitoring_error, truth_profile
from numasim.scenario import Scenario
from numasim.sources.scene import Scene

BINS = np.arange(64)


class AccessorRecord:
    """Tables ``sources``, ``tolls``, ``accessor_truth`` and ``accessor_errors`` of a run.

    Parameters
    ----------
    scenario : Scenario
    machine : Machine
    columns : Columns
        Where they grow.
    """

    def __init__(self, scenario: Scenario, machine: Machine, columns: Columns) -> None:
        self._machine, self._columns = machine, columns
        self._always = scenario.accessor_truth
        self._span_ns = scenario.record_ns

    def sample(self, now_ns: int) -> None:
        """A row of what every source did and took so far."""
        if self._always:
            observing_of(self._machine)
        seen = self._machine.observing
        if seen is None:
            return
        t = now_ns / 1e9
        for (source, kdamond), tally in sorted(seen.tallies.items()):
            self._columns.append(
                "sources", t_s=t, source=source, kdamond=kdamond, events=tally.events,
                reports=tally.reports, lost=tally.lost, stall_ns=tally.stall_ns,
            )  # fmt: skip
        owed, paid = seen.tolls.owed_ns.tolist(), seen.tolls.paid_by(now_ns).tolist()
        for actor in self._machine.actors:
            self._columns.append(
                "tolls", t_s=t, actor=actor.name, owed_ns=owed[actor.index],
                paid_ns=paid[actor.index],
            )  # fmt: skip

    def truth(self, now_ns: int) -> None:
        """Visits of each accessor over the frames of each node, since the last row."""
        seen, machine = self._machine.observing, self._machine
        if seen is None:
            return
        from_ns = max(seen.started_ns, now_ns - self._span_ns)
        per_bit = machine.space.pages_per_bit
        visits = seen.truth.visits(from_ns, now_ns).sum(axis=1)
        for a, accessor in enumerate(machine.topology.accessors):
            own = [actor.index for actor in machine.actors if actor.accessor == a]
            rates = visits[own].sum(axis=0) * per_bit / max(1, now_ns - from_ns)
            for n, node in enumerate(machine.topology.nodes):
                self._columns.extend(
                    "accessor_truth", len(BINS), t_s=now_ns / 1e9, accessor=accessor.name,
                    node=node.name, bin=BINS,
                    visits_per_s=truth_profile(machine, n, len(BINS), from_ns, rates),
                )  # fmt: skip

    def errors(
        self,
        context: ContextState,
        regions: list[Regions],
        max_nr: int,
        hot_ratio: float,
        from_ns: int,
        now_ns: int,
    ) -> np.ndarray | None:
        """Rows of a context's error against the truth of each accessor.

        Parameters
        ----------
        context : ContextState
        regions : list of Regions
        max_nr : int
        hot_ratio : float
        from_ns, now_ns : int

        Returns
        -------
        float64[C] or None
            The context's own truth, what its filters are meant to let pass: chance of a page of
            each class to be accessed in a sample. None where its source knows no accessors.
        """
        seen, machine = self._machine.observing, self._machine
        if seen is None:
            return None
        scene = cast(Scene | None, getattr(context.source, "scene", None))
        mine = np.ones((len(machine.actors), 2)) if scene is None else scene.accepted()
        from_ns = max(from_ns, seen.started_ns)
        for a, accessor in enumerate(machine.topology.accessors):
            own = [actor.index for actor in machine.actors if actor.accessor == a]
            only = np.zeros_like(mine)
            only[own] = 1.0
            chance = self._chance(seen, context, only, from_ns, now_ns)
            found = monitoring_error(context, regions, max_nr, hot_ratio, from_ns, now_ns, chance)
            kind = getattr(context.source, "kind", "")
            self._columns.append(
                "accessor_errors", t_s=now_ns / 1e9, kdamond=context.name, source=kind,
                accessor=accessor.name, own=bool((mine[own] > 0).any()), **found,
            )  # fmt: skip
        return None if scene is None else self._chance(seen, context, mine, from_ns, now_ns)

    def _chance(
        self,
        seen: Observing,
        context: ContextState,
        accepted: np.ndarray,
        from_ns: int,
        now_ns: int,
    ) -> np.ndarray:
        span_ns = context.attrs.sample_us * 1000
        return seen.truth.tick_chance(accepted, span_ns, from_ns, now_ns)
