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

from numasim.damon.reports import Reports, Stream
from numasim.damon.sample_filters import Semantics
from numasim.patterns import STRICT
from numasim.sources import register
from numasim.sources.reading import Counting
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
    Reports carry the GPU's number in place of a CPU (`threads.device_cpus`), no thread, and no kind
    of access: filters of threads or writes are refused. Source: threshold 256, batches of 256.
    Assumption: `drain`, `notification`; the 32 sub-regions of a 2 MiB block are told apart by
    ``64 KiB``.
    """

    granularity: Literal["64 KiB", "2 MiB", "16 MiB", "16 GiB"] = "2 MiB"
    threshold: Annotated[int, Field(ge=1, le=65_535)] = 256
    drain: Annotated[DurationNs, Field(gt=0)] = 1_000_000
    batch: Annotated[int, Field(ge=1)] = 256
    notification: DurationNs = 500
    filters: Semantics = "intent"


@register("gpu_counter")
@plain_dataclass
class GpuCounter(Counting):
    """Blocks of others' memory that a GPU accessed often.

    A context takes, and pays for, notifications of those GPUs that its filters let pass.

    Parameters: see `numasim.sources.reading.Reading`.
    """

    kind: ClassVar[str]
    Settings: ClassVar[type] = GpuCounterSettings
    tells: ClassVar[tuple[str, ...]] = ("cpumask",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.size = SIZES[self.scene.settings.granularity]

    def streams(self) -> list[Stream]:
        """The counters of each GPU whose reports the context's filters let pass."""
        observing = self.scene.observing
        numbers = np.array(device_cpus(observing.topology))
        each = Reports.of(np.zeros(len(numbers)), np.zeros(len(numbers)), cpu=numbers)
        wanted = self.scene.passes(each, self.scene.settings.filters)
        return [
            observing.shared((self.kind, a), partial(self._start, a))
            for a, accessor in enumerate(observing.topology.accessors)
            if accessor.kind == "GPU" and wanted[a]
        ]

    def _start(self, accessor: int) -> Stream:
        topology = self.scene.observing.topology
        near = topology.tiers(accessor)[0]
        remote = [n for n in range(len(topology.nodes)) if n != near]
        size = SIZES[self.scene.settings.granularity]
        return self.counter(remote, accessor, size, device_cpus(topology)[accessor])
