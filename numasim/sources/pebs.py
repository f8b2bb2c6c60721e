"""PEBS-like sampling: the next event after every n is recorded into a buffer.

Counts what it is set to: loads that missed the last cache, all retired loads, all retired stores.
Misses are not visits: what stays in a cache is invisible to the default. Devices without such
hardware (GPUs) are invisible always. Source: hardware specification section 9.2.
"""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.damon.reports import Stream
from numasim.damon.sample_filters import Semantics
from numasim.patterns import STRICT
from numasim.sampling import Kind, Level, Rule, Sampler
from numasim.sources import register
from numasim.sources.reading import Sampling
from numasim.units import DurationNs, Ratio


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PebsSettings:
    """Parameters of PEBS-like sampling; one setting holds for all CPUs and contexts.

    Parameters
    ----------
    period : float
        Events per sample. Primes keep out of step with loops.
    level : str
        ``llc_miss`` or ``retired``.
    kind : str
        ``load``, ``store`` or ``both``.
    buffer : int
        Records of one CPU's buffer.
    drain : int
        How often the reader empties the buffers, ns.
    target_rate : float or None
        Samples per second of the machine that the period is controlled for, as perf's frequency
        mode does for each CPU; `period` is then where it begins.
    cpu_limit : float
        Most of the CPUs' time that samples may take: the period grows until they keep to it.
    cache_latency : float
        Recorded for a line that a cache held, ns.
    filters : str
        ``intent`` or ``rfc``.

    Notes
    -----
    Assumption: one qualifying instruction per line used; a buffer of 64 KiB in records of 64 bytes
    that is drained every 10 ms. A record costs the machine's ``pebs_record``, lost or not. Real
    parts tell of a store only that it retired, not that it missed: ``llc_miss`` with stores is an
    idealisation. Source of `cpu_limit`: the kernel's ``perf_cpu_time_max_percent``, 25 by default;
    assumption: where the kernel drops samples or lowers its greatest rate, the period grows.
    """

    period: Annotated[float, Field(ge=1)] = 10_007
    level: Level = "llc_miss"
    kind: Kind = "load"
    buffer: Annotated[int, Field(ge=1)] = 1024
    drain: Annotated[DurationNs, Field(gt=0)] = 10_000_000
    target_rate: Annotated[float, Field(gt=0)] | None = None
    cpu_limit: Annotated[Ratio, Field(gt=0)] = 0.25
    cache_latency: Annotated[float, Field(ge=0)] = 15.0
    filters: Semantics = "intent"


@register("pebs")
@plain_dataclass
class Pebs(Sampling):
    """Loads that missed the last cache, or all loads or stores, one in n.

    Parameters: see `numasim.sources.reading.Reading`.
    """

    kind: ClassVar[str]
    Settings: ClassVar[type] = PebsSettings

    def _start(self) -> Stream:
        own, costs = self.scene.settings, self.scene.costs
        rule = Rule(
            self.kind, own.period, own.level, own.kind, costs.pebs_record, 1.0, own.buffer,
            own.drain, own.target_rate, own.cache_latency, own.cpu_limit,
        )  # fmt: skip
        return Stream(Sampler(rule, self.scene.observing).draw)
