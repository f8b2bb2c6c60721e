"""What actors ask of the machine in their present phases: missing lines by node, as flows."""

from __future__ import annotations

import math

import numpy as np

from numasim.actors import ActorState
from numasim.cost import LINE_BYTES, Background, Demand, Flow
from numasim.migration import Migrator
from numasim.rates import Rates
from numasim.walks import Walks


class Demands:
    """Demands that follow from where pages are now.

    Parameters
    ----------
    rates : Rates
    migrator : Migrator
        Its counts of pages by node and class.
    weights : dict of (int, int) to list of float64[C]
        Of each actor's patterns, as the machine keeps them.
    """

    def __init__(
        self,
        rates: Rates,
        migrator: Migrator,
        weights: dict[tuple[int, int], list[np.ndarray]],
    ) -> None:
        self._walks = Walks(rates, migrator.memory.topology)
        self._rates, self._migrator, self._weights = rates, migrator, weights
        self._nothing = np.zeros(len(migrator.memory.topology.nodes))

    def demand(self, actor: ActorState, working: float, now_ns: int) -> Demand:
        """What an actor asks for while a share `working` of its threads works."""
        phase, patterns = actor.current, self._rates.patterns_of(actor)
        flows = tuple(
            Flow(
                lines=lines,
                parallelism=compiled.pattern.parallelism,
                write_ratio=write_ratio,
                overlap=compiled.pattern.overlap,
            )
            for compiled, (lines, write_ratio) in zip(
                patterns, self._lines_of(actor, now_ns), strict=True
            )
        )
        weights = self._weights[actor.process, actor.number]
        return Demand(
            accessor=actor.accessor,
            threads=actor.actor.threads * working,
            compute_ns=float(phase.compute),
            flows=flows,
            pace_per_ns=math.inf if phase.pace is None else phase.pace / 1e9,
            stall_ns=self._migrator.swapped.stall_ns(patterns, weights)
            + self._walks.stall_ns(actor, weights, self._migrator.node_counts.sum(axis=0)),
        )

    def traffic(self, actor: ActorState, now_ns: int) -> list[Background]:
        """Traffic of an actor whose progress was measured, at its mean speed; tells the actor."""
        lines = self._lines_of(actor, now_ns)
        actor.lines_per_ns = actor.rate_per_ns * sum((n for n, _ in lines), self._nothing)
        written = actor.rate_per_ns * sum((n * share for n, share in lines), self._nothing)
        return [
            Background(node, float(read) * LINE_BYTES, float(write) * LINE_BYTES, actor.accessor)
            for node, (read, write) in enumerate(zip(actor.lines_per_ns, written, strict=True))
            if read > 0
        ]

    def _lines_of(self, actor: ActorState, now_ns: int) -> list[tuple[np.ndarray, float]]:
        """Of each pattern: missing lines per operation by node, share of them written back."""
        found: list[tuple[np.ndarray, float]] = []
        weights = self._weights[actor.process, actor.number]
        for k, (compiled, w) in enumerate(
            zip(self._rates.patterns_of(actor), weights, strict=True)
        ):
            pattern = compiled.pattern
            if pattern.recorded:
                found.append(self._rates.lines_by_node(actor, k, self._nodes_of, now_ns))
            else:
                share = self._migrator.node_counts @ w
                found.append((pattern.visits * pattern.lines * pattern.miss * share, pattern.write))
        return found

    def _nodes_of(self, pages: np.ndarray) -> np.ndarray:
        """int64[N]: node of each page, -1 where it is absent."""
        memory = self._migrator.memory
        frames = memory.frame_of[pages].astype(np.int64)
        return np.where(frames >= 0, memory.node_of(frames), -1)
