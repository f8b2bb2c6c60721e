"""Which pages outside some nodes an accessor turned to, and how often: what makes it fault.

Drawn from the law like samples: never one event per access, and never by looking at every page.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.actor_truth import Strand
from numasim.agents import Stage
from numasim.reels import Reel
from numasim.sampling import nth_of_classes


@dataclass(frozen=True)
class Visits:
    """Visits to pages of given nodes in a span of time.

    Parameters
    ----------
    pages : int64[N]
        The first of them, in order; a page may come again.
    expected : float64[A]
        How many there were, by actor.
    """

    pages: np.ndarray
    expected: np.ndarray


class FarVisits:
    """An accessor's visits to managed pages on given nodes.

    Parameters
    ----------
    stage : Stage
    accessor : int
    nodes : tuple of int
    classes : bool[C]
        Of managed pages.
    name : str
        Of the random stream.
    """

    def __init__(
        self,
        stage: Stage,
        accessor: int,
        nodes: tuple[int, ...],
        classes: np.ndarray,
        name: str,
    ) -> None:
        self._stage, self._accessor, self._nodes = stage, accessor, list(nodes)
        self._classes = classes
        self._rng = stage.seeds.stream(name)

    def draw(self, from_ns: int, to_ns: int, most: int) -> Visits:
        """Visits of a span, up to `most` pages of them drawn."""
        seen = self._stage.observing
        expected = np.zeros(len(seen.actors))
        found: list[np.ndarray] = []
        counts = self._stage.migrator.node_counts[self._nodes] * self._classes
        for strand in seen.truth.strands(np.array([from_ns]), np.array([to_ns])):
            if seen.threads[strand.actor].accessor != self._accessor:
                continue
            if strand.front is not None:
                pages = self._swept(strand)
                expected[strand.actor] += len(pages)
                found.append(pages[:most])
                continue
            heat = counts * strand.visits * strand.operations[0]
            mean = float(heat.sum())
            expected[strand.actor] += mean
            nr = min(int(self._rng.poisson(min(mean, 1e9))), most)
            if nr:
                found.append(self._random(heat.reshape(-1), counts, nr))
        pages = np.concatenate(found) if found else np.zeros(0, np.int64)
        if len(found) > 1:
            pages = self._rng.permutation(pages)  # patterns go side by side
        return Visits(pages[:most], expected)

    def _random(self, heat: np.ndarray, counts: np.ndarray, nr: int) -> np.ndarray:
        """Pages of visits to (node, class) by heat, uniform within each."""
        total = np.cumsum(heat)
        cell = np.searchsorted(total, self._rng.random(nr) * total[-1], "right")
        at, classes = np.divmod(np.minimum(cell, len(heat) - 1), counts.shape[1])
        k = (self._rng.random(nr) * counts[at, classes]).astype(np.int64)
        frames = self._stage.migrator.frame_counts
        place = np.zeros(nr, np.int64)
        for i, node in enumerate(self._nodes):
            own, left = np.flatnonzero(at == i), k[at == i]
            for first, last in self._stage.memory.node_runs(node):
                before = frames.before_slots(np.array([first, last]))[:, classes[own]]
                inside = (left >= 0) & (left < before[1] - before[0])
                place[own[inside]] = before[0][inside].astype(np.int64) + left[inside]
                left = np.where(inside, -1, left - (before[1] - before[0]).astype(np.int64))
        return nth_of_classes(self._stage.observing, classes, place)

    def _swept(self, strand: Strand) -> np.ndarray:
        """Pages of those nodes that a sweep or a recording went over, in order, each once."""
        front = strand.front
        assert front is not None and strand.before is not None and strand.after is not None
        before, after = float(strand.before[0]), float(strand.after[0])
        if isinstance(front, Reel):
            place, _, _ = front.lines(before, 1)
            pages = front.first + place * front.stretch
            pages = pages if after > before else pages[:0]
        else:
            nr = min(front.nr, int(np.ceil(after)) - int(np.ceil(before)))
            pages = front.first + (int(np.ceil(before)) + np.arange(max(0, nr))) % front.nr
        pages = pages[np.isin(self._stage.nodes_of(pages), self._nodes)]
        managed: np.ndarray = pages[self._classes[self._stage.space.class_of[pages]]]
        return managed
