"""What kdamonds add to the load: cores, bytes on the wires, threads that wait for moves."""

from __future__ import annotations

import math

import numpy as np

from numasim.cost import Background
from numasim.ledger import Traffic

FEW_VISITS = 1e-6  # below, the expression for waiting is rounding
MIGRATE_BATCH = 512  # base pages unmapped and flushed together; Linux 7.3.4 migration of a list


class Load:
    """Work of kdamonds in progress, by name.

    Parameters
    ----------
    tlb_shootdown : int
        Time of one, ns.
    pages_per_bit : int64[C]
    process_of_class : int64[C]
    nr_processes : int
    pages_per_frame : int
        Base pages of what a page of the workload is counted in.

    Attributes
    ----------
    cores : dict of str to float
    """

    def __init__(
        self,
        tlb_shootdown: int,
        pages_per_bit: np.ndarray,
        process_of_class: np.ndarray,
        nr_processes: int,
        pages_per_frame: int = 1,
    ) -> None:
        self._folio_pages = pages_per_bit * pages_per_frame
        self._tlb_shootdown, self._pages_per_bit = tlb_shootdown, pages_per_bit
        self._process_of_class, self._nr_processes = process_of_class, nr_processes
        self.cores: dict[str, float] = {}
        self.worked_ns: dict[str, int] = {}  # CPU time of agents' own threads, by agent
        self._flows: dict[str, list[Background]] = {}
        self._windows: dict[str, tuple[np.ndarray, float, np.ndarray]] = {}
        self._share = np.ones(nr_processes)  # of each process's threads at work, as last asked for
        self._interrupted: dict[str, np.ndarray] = {}

    def begin(
        self,
        name: str,
        moved: Traffic,
        busy_ns: int,
        visit_rates: np.ndarray,
        batch: int = MIGRATE_BATCH,
        flush: float = 1.0,
    ) -> None:
        """What a kdamond moved is on the wires for the time it is busy, and stalls who touches it.

        Parameters
        ----------
        name : str
        moved : Traffic
        busy_ns : int
        visit_rates : float64[C]
            Visits per ns to one folio of each class at the present speeds.
        batch : int
            Base pages that are unmapped together; at least one folio.
        flush : float
            Flushes of a batch: 0 where translations were flushed before, as of armed pages.

        Notes
        -----
        Assumption: a batch of folios is unmapped for as long as it takes to move, and a thread
        that visits one of its pages waits for the rest of that. Each batch interrupts every running
        CPU thread of the processes whose pages it holds once.
        """
        flows: list[Background] = []
        for (source, target), nr_bytes in moved.bytes.items():
            speed = nr_bytes / busy_ns
            flows.append(Background(node=source, read_bytes_per_ns=speed))
            flows.append(Background(node=target, write_bytes_per_ns=speed))
        self._flows[name], self.cores[name] = flows, 1.0
        folios = moved.pages_of_class / self._pages_per_bit
        batches = float(np.sum(folios / np.maximum(1, batch // self._folio_pages)))
        batch_ns = moved.busy_ns / max(batches, 1.0)
        share = self._by_process(folios) / max(1, moved.folios)
        visits = self._by_process(folios * visit_rates) / self._share
        each = np.divide(visits, share * batches, out=np.zeros_like(visits), where=share > 0)
        self._windows[name] = each, batch_ns, share * batches * batch_ns / busy_ns
        self._interrupted[name] = share * batches * self._tlb_shootdown / busy_ns * flush

    def _by_process(self, per_class: np.ndarray) -> np.ndarray:
        return np.bincount(self._process_of_class, per_class, minlength=self._nr_processes)

    def end(self, name: str) -> None:
        """The kdamond sleeps again."""
        for table in (self._flows, self._windows, self._interrupted, self.cores):
            table.pop(name, None)

    @property
    def flows(self) -> list[Background]:
        """Traffic of all migrations."""
        return [flow for flows in self._flows.values() for flow in flows]

    def working_share(self, process: int, threads: int, is_cpu: bool = True) -> float:
        """Part of a process's running threads that waits neither for a page nor in an interrupt.

        Parameters
        ----------
        process : int
        threads : int
            Running ones of the process, on all accessors.
        is_cpu : bool
            Whether TLB shootdowns interrupt the threads asked for.

        Notes
        -----
        A working thread that visits pages of a batch r times in the time T for which they are
        unmapped comes to a first one after so long that it waits for T - (1 - exp(-r)) T / r on
        average: half of its visits' T while they are few, and never more than T.
        """
        working = 1.0
        for visits, batch_ns, covered in self._windows.values():
            r = float(visits[process]) * batch_ns / max(1, threads)
            lost = 1.0 + math.expm1(-r) / r if r > FEW_VISITS else r / 2
            working *= 1.0 - min(1.0, float(covered[process])) * lost
        hit = sum(float(i[process]) for i in self._interrupted.values()) if is_cpu else 0.0
        working /= 1.0 + hit
        if is_cpu:
            self._share[process] = working
        return working
