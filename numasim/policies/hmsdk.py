"""HMSDK capacity expansion: SK hynix's two-tier policy, one kdamond for each piece of a node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.damon.attrs import least_samples
from numasim.damon.spec import (
    AccessPattern,
    Attrs,
    Context,
    Filter,
    Kdamond,
    Quota,
    Scheme,
    Target,
)
from numasim.errors import Problem
from numasim.policies import STRICT, Policy, register
from numasim.policies.limits import Hot, check_interval, check_quota, whole_ms
from numasim.topology import Topology
from numasim.units import Bytes, DurationNs
from numasim.wholes import checked

ATTRS = Attrs(100_000, 2_000_000, 20_000_000, 100, 10_000)
SAMPLES = ATTRS.aggr_us // ATTRS.sample_us
SMALLEST_REGION = 4096
AGE_WEIGHT = 10  # permil, beside none for size and access rate: age alone ranks

Pair = tuple[str | int, str | int]


@register("hmsdk")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Hmsdk(Policy):
    """Demote what was idle for long, promote what is accessed, each under a quota of CPU time.

    Parameters
    ----------
    pairs : tuple of (str or int, str or int)
        Fast and slow node of each pair of tiers. If empty: for each accessor with CPUs its nearest
        node, and the nearest that is no such accessor's nearest.
    cgroup : str or None
        Move only pages of this memory cgroup; authors use ``/hmsdk``. None: all pages, as their
        tool does with ``--global``.
    region_max_size : int or None
        Most bytes of addresses that one kdamond looks after: since v4 a node can be cut in pieces,
        each with regions, quotas and a thread of its own. None: a kdamond per node.
    hot : float
        Access rate from which a region is promoted, as a share of samples, rounded up.
    cold_age : int
        How long a region has to have been idle to be demoted, ns.
    quota : int
        Most bytes either scheme may try per `interval`.
    demote_time, promote_time : int
        Most time that a kdamond may spend on moving per `interval`, ns.
    interval : int
        Quota window, ns.

    Notes
    -----
    Source: HMSDK's gen_migpol (policies specification, section 5; damo specification, section 6):
    with the defaults these are its kdamonds, field for field. Assumption: pieces are cut off from
    a node's lowest address on; a piece spans holes, whose bytes count.
    """

    pairs: tuple[Pair, ...] = ()
    cgroup: str | None = None
    region_max_size: Annotated[Bytes, Field(ge=SMALLEST_REGION)] | None = None
    hot: Hot = 0.05
    cold_age: DurationNs = 30_000_000_000
    quota: Bytes = 50 << 30
    demote_time: DurationNs = 1_000_000_000
    promote_time: DurationNs = 2_000_000_000
    interval: DurationNs = 20_000_000_000

    observes: ClassVar[str] = "page-table accessed bits of sampled regions"
    moves: ClassVar[str] = "folios idle for long to the slow node, accessed ones to the fast node"
    unit: ClassVar[str] = "region, then folio"
    hot_criterion: ClassVar[str] = "access rate of 5 % or more, and young"
    cold_criterion: ClassVar[str] = "access rate 0 for 30 s, and not young"
    rate_control: ClassVar[str] = "1 s (demotion), 2 s (promotion) of CPU time and 50 GiB per 20 s"

    def _check_times(self) -> Iterator[Problem]:
        for name in ("demote_time", "promote_time"):
            yield from whole_ms(name, getattr(self, name), "to the kernel 0 means no limit")

    checks: ClassVar = (check_quota, check_interval, _check_times)
    _checked = model_validator(mode="after")(checked)

    def kdamonds(self, topology: Topology) -> tuple[Kdamond, ...]:
        """Those that demote, then those that promote; of each node by address."""
        pairs = self._pairs(topology)
        cold = AccessPattern(
            SMALLEST_REGION, max_nr_accesses=0, min_age=self.cold_age // (ATTRS.aggr_us * 1000)
        )
        hot = AccessPattern(
            SMALLEST_REGION, min_nr_accesses=least_samples(self.hot, ATTRS), max_nr_accesses=SAMPLES
        )
        threads = []
        for fast, slow in pairs:
            old = Filter("young", matching=True, allow=False)
            scheme = self._scheme("migrate_cold", slow, cold, self.demote_time, old)
            threads += self._threads(topology, fast, scheme)
        for fast, slow in pairs:
            young = Filter("young", matching=False, allow=False)
            scheme = self._scheme("migrate_hot", fast, hot, self.promote_time, young)
            threads += self._threads(topology, slow, scheme)
        return tuple(threads)

    def remark(self, topology: Topology) -> str:
        names = [node.name for node in topology.nodes]
        pairs = ", ".join(f"{names[f]} and {names[s]}" for f, s in self._pairs(topology))
        return f"pairs of tiers: {pairs}" if pairs else "this machine has no pair of tiers"

    def _pairs(self, topology: Topology) -> list[tuple[int, int]]:
        if self.pairs:
            return [(topology.node_id(fast), topology.node_id(slow)) for fast, slow in self.pairs]
        owners = [a for a, accessor in enumerate(topology.accessors) if accessor.cpus]
        nearest = {topology.tiers(a)[0]: a for a in reversed(owners)}
        found = []
        for fast in sorted(nearest):
            slow = [n for n in topology.tiers(nearest[fast]) if n not in nearest]
            found += [(fast, n) for n in slow[:1]]
        return found

    def _scheme(
        self, action: str, target: int, pattern: AccessPattern, time_ns: int, page: Filter
    ) -> Scheme:
        quota = Quota(
            ms=time_ns // 1_000_000,
            sz=self.quota,
            reset_interval_ms=self.interval // 1_000_000,
            weight_age=AGE_WEIGHT,
        )
        whose = Filter("memcg", matching=False, allow=False, memcg_path=self.cgroup)
        filters = (whose, page) if self.cgroup else (page,)
        return Scheme(action, pattern, quota=quota, filters=filters, target_nid=target)

    def _threads(self, topology: Topology, node: int, scheme: Scheme) -> list[Kdamond]:
        ranges = topology.node_ranges(node)
        pieces = cut(ranges, self.region_max_size) if self.region_max_size else [ranges]
        return [
            Kdamond((Context("paddr", (Target(regions=tuple(piece)),), ATTRS, (scheme,)),))
            for piece in pieces
        ]


def cut(ranges: list[tuple[int, int]], most: int) -> list[list[tuple[int, int]]]:
    """Address ranges in pieces that span at most so many bytes from their first to their last.

    Parameters
    ----------
    ranges : list of (int, int)
        Bytes, ascending.
    most : int
    """
    pieces: list[list[tuple[int, int]]] = []
    for start, end in ranges:
        while start < end:
            if not pieces or start - pieces[-1][0][0] >= most:
                pieces.append([])
            first = pieces[-1][0][0] if pieces[-1] else start
            stop = min(end, first + most)
            pieces[-1].append((start, stop))
            start = stop
    return pieces
