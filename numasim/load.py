"""What kdamonds add to the load: cores, bytes on the wires, threads that wait for moves."""

from __future__ import annotations

import numpy as np

from numasim.cost import Background
from numasim.migration import Traffic

MIGRATE_BATCH = 512  # folios unmapped and flushed together; Linux 7.3.4 migration of a list
MOST_LOST = 0.9  # share of the threads that migration can keep waiting at most


class Load:
    """Work of kdamonds in progress, by name.

    Parameters
    ----------
    tlb_shootdown : int
        Time of one, ns.
    pages_per_bit : int64[C]

    Attributes
    ----------
    cores : dict of str to float
    """

    def __init__(self, tlb_shootdown: int, pages_per_bit: np.ndarray) -> None:
        self._tlb_shootdown, self._pages_per_bit = tlb_shootdown, pages_per_bit
        self.cores: dict[str, float] = {}
        self._flows: dict[str, list[Background]] = {}
        self._waiting: dict[str, float] = {}
        self._interrupted: dict[str, float] = {}

    def begin(self, name: str, moved: Traffic, busy_ns: int, visit_rates: np.ndarray) -> None:
        """What a kdamond moved is on the wires for the time it is busy, and stalls who touches it.

        Parameters
        ----------
        name : str
        moved : Traffic
        busy_ns : int
        visit_rates : float64[C]
            Visits per ns to one folio of each class.

        Notes
        -----
        Assumption: a batch of 512 folios is unmapped for as long as it takes to move; a visit to
        one of its pages waits half of that. Each batch interrupts every running thread once.
        """
        flows: list[Background] = []
        for (source, target), nr_bytes in moved.bytes.items():
            speed = nr_bytes / busy_ns
            flows.append(Background(node=source, read_bytes_per_ns=speed))
            flows.append(Background(node=target, write_bytes_per_ns=speed))
        self._flows[name], self.cores[name] = flows, 1.0
        batches = moved.folios / MIGRATE_BATCH
        batch_ns = busy_ns / max(batches, 1.0)
        visits = float(moved.pages_of_class / self._pages_per_bit @ visit_rates)
        self._waiting[name] = visits * batch_ns / 2 * batch_ns / busy_ns
        self._interrupted[name] = batches * self._tlb_shootdown / busy_ns

    def end(self, name: str) -> None:
        """The kdamond sleeps again."""
        for table in (self._flows, self._waiting, self._interrupted, self.cores):
            table.pop(name, None)

    @property
    def flows(self) -> list[Background]:
        """Traffic of all migrations."""
        return [flow for flows in self._flows.values() for flow in flows]

    def working_share(self, threads: int) -> float:
        """Part of `threads` running threads that waits neither for a page nor in an interrupt."""
        if not threads:
            return 1.0
        lost = sum(self._waiting.values()) / threads + sum(self._interrupted.values())
        return 1.0 - min(lost, MOST_LOST)
