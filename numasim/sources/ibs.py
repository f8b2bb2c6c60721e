"""IBS-like sampling: after every n micro-ops one is tagged, whatever it does.

Sees loads and stores whether they hit a cache or not; most tagged operations access no memory, tell
nothing and cost an interrupt all the same. Source: hardware specification section 9.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, ClassVar

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.damon.reports import Reports, Stream
from numasim.damon.sample_filters import Semantics
from numasim.errors import Problem
from numasim.patterns import STRICT
from numasim.sampling import Kind, Rule, Sampler
from numasim.sources import Ticking, register
from numasim.sources.reading import Sampling
from numasim.units import DurationNs, Ratio
from numasim.wholes import checked

LEAST, STEP, MOST = 0x90, 16, 0x7FF_FFF0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class IbsSettings:
    """Parameters of IBS-like sampling; one setting holds for all CPUs and contexts.

    Parameters
    ----------
    period : int
        Micro-ops per tagged one: a multiple of 16 from 144 to 134,217,712.
    memory_share : float
        Share of micro-ops that load or store.
    miss_only : bool
        The L3-miss-only filter of newer parts: other tagged operations make no sample.
    kind : str
        Which samples are used: ``load``, ``store`` or ``both``.
    buffer : int
        Records of one CPU's buffer.
    drain : int
        How often the reader empties the buffers, ns.
    target_rate : float or None
        Tagged operations per second of the machine, useful or not, that the period is controlled
        for; `period` is then where it begins.
    cpu_limit : float
        Most of the CPUs' time that samples may take: the period grows until they keep to it. See
        `numasim.sources.pebs.PebsSettings`.
    cache_latency : float
        Recorded for a line that a cache held, ns.
    filters : str
        ``intent`` or ``rfc``.

    Notes
    -----
    Assumption: one micro-op per line used, and `memory_share` 0.4. Every tagged operation that is
    not filtered costs an interrupt, ``ibs_record`` of the machine, useful or not. The low bits that
    hardware randomises are left out: pages are drawn anyway.
    """

    period: int = 65_536
    memory_share: Annotated[Ratio, Field(gt=0)] = 0.4
    miss_only: bool = False
    kind: Kind = "both"
    buffer: Annotated[int, Field(ge=1)] = 1024
    drain: Annotated[DurationNs, Field(gt=0)] = 10_000_000
    target_rate: Annotated[float, Field(gt=0)] | None = None
    cpu_limit: Annotated[Ratio, Field(gt=0)] = 0.25
    cache_latency: Annotated[float, Field(ge=0)] = 15.0
    filters: Semantics = "intent"

    def _check_period(self) -> Iterator[Problem]:
        if self.period % STEP or not LEAST <= self.period <= MOST:
            message = f"got {self.period}, expected a multiple of {STEP} in {LEAST}..{MOST}"
            yield Problem("period", message)

    checks: ClassVar = (_check_period,)
    _checked = model_validator(mode="after")(checked)


@register("ibs")
@plain_dataclass
class Ibs(Sampling):
    """Loads and stores among micro-ops tagged one in n.

    Parameters: see `numasim.sources.reading.Reading`.
    """

    kind: ClassVar[str]
    Settings: ClassVar[type] = IbsSettings

    def read(self, window: Ticking) -> list[Reports]:
        """Records of the window, of the kind that is used."""
        lots = super().read(window)
        wanted = self.scene.settings.kind
        if wanted == "both":
            return lots
        return [lot.at(lot.is_write == (wanted == "store")) for lot in lots]

    def _start(self) -> Stream:
        own, costs = self.scene.settings, self.scene.costs
        rule = Rule(
            self.kind, own.period, "llc_miss" if own.miss_only else "retired", "both",
            costs.ibs_record, 1.0 if own.miss_only else 1.0 / own.memory_share, own.buffer,
            own.drain, own.target_rate, own.cache_latency, own.cpu_limit, (LEAST, MOST, STEP),
        )  # fmt: skip
        return Stream(Sampler(rule, self.scene.observing).draw)
