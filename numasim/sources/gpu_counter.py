"""GPU access counters: a GPU counts its own accesses to memory that is not its own, by block.

Blind to what its caches hold, to its own memory, and to everybody else's accesses. Source: open GPU
kernel modules, UVM access counters (Volta and later, Grace Hopper), policies specification
section 9.
"""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.counting import BlockCounter, CounterRule
from numasim.damon.reports import Reports, Stream
from numasim.damon.sample_filters import Semantics
from numasim.patterns import STRICT
from numasim.sources import Ticking, register
from numasim.sources.reading import Reading
from numasim.threads import device_cpus
from numasim.units import DurationNs

SIZES = {"64 KiB": 64 << 10, "2 MiB": 2 << 20, "16 MiB": 16 << 20, "16 GiB": 16 << 30}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class GpuCounterSettings:
    """Parameters of GPU access counters, the same for all GPUs.

    Parameters
    ----------
    granularity : str
        ``64 KiB``, ``2 MiB``, ``16 MiB`` or ``16 GiB``.
    threshold : int
        Remote accesses that make a notification, 1..65535.
    drain : int
        How often the driver takes notifications, ns.
    batch : int
        Notifications that it takes at once.
    notification : int
        CPU time of taking one, ns; the kdamond's.
    filters : str
        ``intent`` or ``rfc``.

    Notes
    -----
    Reports carry the GPU's number in place of a CPU (`threads.device_cpus`), no thread, no kind of
    access. Source: threshold 256, batches of 256. Assumption: `drain`, `notification`; the 32
    sub-regions of a 2 MiB block are told apart by ``64 KiB``.
    """

    granularity: Literal["64 KiB", "2 MiB", "16 MiB", "16 GiB"] = "2 MiB"
    threshold: Annotated[int, Field(ge=1, le=65_535)] = 256
    drain: Annotated[DurationNs, Field(gt=0)] = 1_000_000
    batch: Annotated[int, Field(ge=1)] = 256
    notification: DurationNs = 500
    filters: Semantics = "intent"


@register("gpu_counter")
@plain_dataclass
class GpuCounter(Reading):
    """Blocks of others' memory that a GPU accessed often.

    Parameters: see `Reading`.
    """

    kind: ClassVar[str]
    Settings: ClassVar[type] = GpuCounterSettings
    physical_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.size = SIZES[self.scene.settings.granularity]

    def streams(self) -> list[Stream]:
        """The counters of each GPU."""
        observing = self.scene.observing
        return [
            observing.shared((self.kind, a), partial(self._start, a))
            for a, accessor in enumerate(observing.topology.accessors)
            if accessor.kind == "GPU"
        ]

    def read(self, window: Ticking) -> list[Reports]:
        """Notifications of the window, drawn once for all contexts; who comes first takes them."""
        tally = self.scene.observing.tally(self.kind)
        before = tally.events
        lots = super().read(window)
        busy_ns = (tally.events - before) * self.scene.settings.notification
        self.spend(busy_ns, len(window.starts_ns))
        return lots

    def places(self, reports: Reports) -> np.ndarray:
        """int64[N]: where blocks begin on the line of frames."""
        return reports.offset

    def _start(self, accessor: int) -> Stream:
        own, observing = self.scene.settings, self.scene.observing
        topology = observing.topology
        near = topology.tiers(accessor)[0]
        remote = tuple(n for n in range(len(topology.nodes)) if n != near)
        cpu = device_cpus(topology)[accessor]
        rule = CounterRule(
            self.kind, remote, accessor, SIZES[own.granularity], own.threshold, own.drain,
            own.batch, cpu,
        )  # fmt: skip
        return Stream(BlockCounter(rule, observing).draw)
