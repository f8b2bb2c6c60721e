"""Hardware samples for a policy's own thread: who pays what, and how often it looks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numasim.agents import Stage
from numasim.hotness.spotting import ClassPages, Spots, Spotter
from numasim.sampling import Kind, Level, Rule

ASSIST_SHARE = 0.4
"""Part of a record's cost that the interrupted program pays; the draining thread pays the rest.

Assumption: of the 0.2-1 us that hardware specification section 4.3 gives for a record (500 ns by
default) the least, 0.2 us, is the processor's own work of writing it.
"""
BUFFER, DRAIN_NS, CACHE_NS = 1024, 10_000_000, 15.0  # as `numasim.sources.pebs`


class Samples:
    """PEBS samplers of one policy, read by its thread.

    Parameters
    ----------
    stage : Stage
    name : str
        The policy's; names the samplers' random streams and tallies.
    events : sequence of (str, str, float)
        Of each sampler: kind (``load``, ``store``), level (``llc_miss``, ``retired``), period.
    now_ns : int
        They are switched on.
    """

    def __init__(
        self, stage: Stage, name: str, events: Sequence[tuple[Kind, Level, float]], now_ns: int
    ) -> None:
        assist = round(ASSIST_SHARE * stage.costs.pebs_record)
        self.drain_ns = stage.costs.pebs_record - assist
        self._observing, pages = stage.observing, ClassPages(stage.observing)
        self.samplers = [
            Spotter(
                Rule(
                    f"{name}/{kind}s", period, level, kind, assist, 1.0, BUFFER, DRAIN_NS, None,
                    CACHE_NS,
                ),
                stage.observing,
                pages,
            )
            for kind, level, period in events
        ]  # fmt: skip
        self._since_ns = now_ns

    def read(self, now_ns: int) -> Spots:
        """All samples since the last reading, in order of time; the programs are charged."""
        if now_ns <= self._since_ns:
            return Spots.joined([])
        seen, since_ns = self._observing, self._since_ns
        self._since_ns = now_ns
        found = seen.truth.strands(np.array([since_ns]), np.array([now_ns]))
        strands = [s for s in found if seen.threads[s.actor].is_cpu]
        counts = seen.migrator.node_counts.sum(axis=0)
        lots = [sampler.spot(strands, counts, since_ns, now_ns) for sampler in self.samplers]
        return Spots.joined([lot for own in lots for lot in own])
