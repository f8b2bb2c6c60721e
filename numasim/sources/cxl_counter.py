"""CXL device-side hot-page tracking: an expander counts what reaches it, block by block.

Sees every line that misses the caches of whoever asks, and not who asks; blind to cache hits and to
memory on other devices. Source: CXL 3.2 hot-page monitoring units, reduced to counter, threshold
and notification.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, ClassVar

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.damon.reports import Stream
from numasim.damon.sample_filters import Semantics
from numasim.errors import Problem
from numasim.patterns import STRICT
from numasim.sources import register
from numasim.sources.reading import Counting, unknown
from numasim.threads import NOBODY
from numasim.topology import Topology
from numasim.units import Bytes, DurationNs
from numasim.wholes import checked

LEAST, MOST = 4 << 10, 16 << 30


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CxlCounterSettings:
    """Parameters of counters in memory devices.

    Parameters
    ----------
    granularity : int
        Bytes of a block: a power of two from 4 KiB to 16 GiB.
    threshold : int
        Accesses that make a notification.
    nodes : tuple of str
        Names of the nodes whose devices count; empty: every node of a kind that begins with CXL.
    drain : int
        How often the host takes notifications, ns.
    batch : int
        Notifications that a device keeps until then.
    notification : int
        CPU time of taking one, ns; the kdamond's.
    filters : str
        ``intent`` or ``rfc``.

    Notes
    -----
    Reports carry neither who accessed nor the kind of access: sample filters are refused.
    Assumption: all defaults but the range of granularities.
    """

    granularity: Bytes = 2 << 20
    threshold: Annotated[int, Field(ge=1)] = 256
    nodes: tuple[str, ...] = ()
    drain: Annotated[DurationNs, Field(gt=0)] = 5_000_000
    batch: Annotated[int, Field(ge=1)] = 1024
    notification: DurationNs = 500
    filters: Semantics = "intent"

    def _check_granularity(self) -> Iterator[Problem]:
        if self.granularity & (self.granularity - 1) or not LEAST <= self.granularity <= MOST:
            message = f"got {self.granularity} bytes, expected a power of two in 4 KiB..16 GiB"
            yield Problem("granularity", message)

    checks: ClassVar = (_check_granularity,)
    _checked = model_validator(mode="after")(checked)

    def misfits(self, topology: Topology) -> list[Problem]:
        """Nodes that a machine does not have."""
        return unknown("nodes", self.nodes, [node.name for node in topology.nodes], "node")


@register("cxl_counter")
@plain_dataclass
class CxlCounter(Counting):
    """Blocks that a memory device found hot, whoever asked for them.

    Parameters: see `numasim.sources.reading.Reading`.
    """

    kind: ClassVar[str]
    Settings: ClassVar[type] = CxlCounterSettings

    def __post_init__(self) -> None:
        super().__post_init__()
        self.size = self.scene.settings.granularity

    def streams(self) -> list[Stream]:
        """The counters of all devices."""
        return [self.scene.observing.shared(self.kind, self._start)]

    def _start(self) -> Stream:
        own, topology = self.scene.settings, self.scene.observing.topology
        wanted = own.nodes or [n.name for n in topology.nodes if n.kind.upper().startswith("CXL")]
        nodes = [topology.node_id(name) for name in wanted]
        return self.counter(nodes, None, own.granularity, NOBODY)
