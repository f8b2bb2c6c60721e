"""Who decides on hint faults instead of the kernel's NUMA balancing: other systems' rules."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from numasim.balancing.batch import Batch


class Judge(Protocol):
    """A rule for hint faults; scans, faults and their costs stay those of NUMA balancing.

    Attributes
    ----------
    name : str
        Of the agent, for loads, moves and counters.
    spared : bool[nodes]
        Nodes on which no page is armed.
    mark : str
        The watermark that a node has to keep for a page to come: ``high``, or ``min``.
    next_ns : float
        It wants to be called again by then.
    """

    name: str
    spared: np.ndarray
    mark: str
    next_ns: float

    def decide(self, batch: Batch, now_ns: int) -> tuple[Batch, np.ndarray]:
        """The faults, with targets as the judge wants them, and which (bool[N]) move at once."""
        ...

    def tick(self, now_ns: int) -> None:
        """Time has passed; called at every act, after the faults were decided."""
        ...

    def counters(self) -> dict[str, int]:
        """What it counts beside, or instead of, what NUMA balancing counts."""
        ...
