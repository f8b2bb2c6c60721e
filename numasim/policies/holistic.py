"""Holistic NUMA migration: every accessor runs its own TPP along its own ranking of all nodes.

For each accessor and node one kdamond that sees only what that accessor does, with a scheme towards
the next nearer node and one towards the next farther. What a kernel could run today, were access
reports merged, is all in the kdamonds; an order between accessors that want one page is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.contention import Contention, Control, Order
from numasim.damon.attrs import least_samples
from numasim.damon.spec import (
    AccessPattern,
    Attrs,
    Context,
    Filter,
    IntervalsGoal,
    Kdamond,
    Quota,
    QuotaGoal,
    SampleControl,
    SampleFilter,
    Scheme,
    Target,
)
from numasim.errors import ConfigError, Problem
from numasim.policies import STRICT, Policy, register
from numasim.policies.limits import (
    PAGE_BYTES,
    Hot,
    check_interval,
    check_quota,
    check_weights,
)
from numasim.threads import device_cpus
from numasim.topology import Topology
from numasim.units import Bytes, DurationNs, Ratio, format_bytes, format_cpulist, format_duration
from numasim.wholes import checked

Source = Literal["page_fault", "pebs", "ibs", "page_table"]
DeviceSource = Literal["gpu_counter", "page_fault", "report"]
DEVICE_SOURCES: dict[str, DeviceSource] = {"GPU": "gpu_counter", "OTHER": "page_fault"}
TUNING = IntervalsGoal(access_bp=400, aggrs=3, min_sample_us=5_000, max_sample_us=10_000_000)


@register("holistic")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Holistic(Policy):
    """One accessor-aware TPP per accessor, generated from the topology.

    Parameters
    ----------
    accessors : tuple of str or int
        Whose TPPs to run; all of them if empty.
    source : str
        What CPUs are seen with: ``page_fault``, ``pebs``, ``ibs``, or ``page_table``, which does
        not know who accessed: every TPP then takes all accesses for its own accessor's.
    device_source : str or None
        What accessors without CPUs are seen with: ``gpu_counter``, ``page_fault`` or ``report``.
        None: counters for GPUs, page faults for others.
    free : float
        Goal of demotion: share of a node that is free.
    used : float
        Goal of promotion: share of the nearer node that is used. The two overlap on purpose.
    hot : float
        Access rate from which a region is promoted, as a share of samples, rounded up.
    quota : int
        Most bytes that a scheme may try per `interval`.
    tuner : str
        How goals steer quotas: ``consist`` grows and shrinks them by degrees (from one byte: tens
        of windows), ``temporal`` gives the whole quota until the goal is met, then nothing.
    interval : int
        Quota window, ns.
    apply : int
        How often schemes are applied, ns; 0 means at every aggregation, DAMON's default. Each
        change of intervals by auto-tuning puts the next time off; with the published 1 s, a node so
        hot that three aggregations are shorter never gets there.
    weights : tuple of int
        Priority weights of size, access rate and age, in permil.
    min_regions, max_regions : int
        Of each kdamond: fewest, which bounds how large a region gets, and most, which with `source`
        decides what monitoring costs. DAMON's own defaults.
    contended : str or None
        A page hot for one accessor that is also hot for another whose ranking says otherwise:
        ``first`` come, first served (all that DAMOS can say: shared pages go round); the ``hotter``
        accessor wins; ``least``: it moves if all accessors together, each by its own rate, then
        wait less; ``leave`` it where it is; or ``interleave``: by page number each contender may
        move every n-th. All but ``first`` are an extension of ours. None: ``least`` where all
        accessors are seen with one source, so that rates add up, else ``hotter``.
    lead : float
        With ``hotter``: how many times the other's access rate the mover's has to be.
    goals : str
        Several TPPs on one node's free space: ``each`` has the whole goal and quota, ``split``
        shares the quota out evenly, ``owner`` leaves demotion to the accessor nearest to the node.
    others : str
        Pages cold for one accessor that somebody used lately: ``keep`` them (the young filter,
        which does not know who), or ``demote`` them.
    untouched : str
        Pages that nobody used lately: demoted by ``anyone``, by the node's ``owner`` (the accessor
        that ranks it first), or by ``nobody``.

    Notes
    -----
    Source: SeongJae Park, LPC'25 and LSFMM'26 (no results published); thresholds, goals and quota
    of TPP-DAMON (RFC, 2025). Region limits and apply interval are DAMON's defaults. Assumption: one
    kdamond carries both directions of a node, as its monitoring is the same.

    Assumption: `tuner` and `contended` depart from what is published, and were chosen after looking
    at the scenarios `holistic_numa` and `holistic_pool`. In the first (40 s, seeds 1 and 2, million
    operations per second over the whole run; 6.7 without tiering) the defaults come to 12.4. With
    ``consist`` 6.5, as its quotas begin at one byte and nothing moves for half a minute; with
    ``first`` 10.1, twice the bytes moved, and no end to it; with ``leave`` 11.0. By PEBS the
    defaults come to 13.1, ``hotter`` to 11.7. Not decisive: ``hotter`` by page faults (12.3), 500
    regions (12.8), an apply interval of 1 s (11.2). In the second (20 s, seeds 1 to 3, the last
    five seconds; 27.6 without tiering) ``least`` comes to 45.9, ``leave`` to 32.0, ``hotter`` to
    23.5, ``first`` to 13.1. Where counters see a GPU ``least`` moves nothing: one that notifies in
    every sample only says "at least so much". What the other options do where nodes are full:
    `holistic_options`.
    """

    accessors: tuple[str | int, ...] = ()
    source: Source = "page_fault"
    device_source: DeviceSource | None = None
    free: Ratio = 0.005
    used: Ratio = 0.997
    hot: Hot = 0.05
    quota: Bytes = 200 << 20
    tuner: Literal["consist", "temporal"] = "temporal"
    interval: DurationNs = 1_000_000_000
    apply: DurationNs = 0
    weights: tuple[int, int, int] = (1, 1, 1)
    min_regions: Annotated[int, Field(ge=3)] = 10
    max_regions: Annotated[int, Field(ge=3)] = 1_000
    contended: Order | None = None
    lead: Annotated[float, Field(ge=1)] = 1.5
    goals: Literal["each", "split", "owner"] = "each"
    others: Literal["keep", "demote"] = "keep"
    untouched: Literal["anyone", "owner", "nobody"] = "anyone"

    observes: ClassVar[str] = "each accessor's own accesses: faults, samples or counters"
    moves: ClassVar[str] = "for each accessor, hot folios one node nearer, cold ones one farther"
    unit: ClassVar[str] = "region, then folio"
    hot_criterion: ClassVar[str] = "the accessor's rate of 5 % or more, and young"
    cold_criterion: ClassVar[str] = "the accessor's rate 0, and not young"
    rate_control: ClassVar[str] = "goals and quota for each accessor and node"
    multi_accessor: ClassVar[str] = "yes"

    def _check_apply(self) -> Iterator[Problem]:
        if self.apply % 1_000:
            message = f"got {format_duration(self.apply)}, expected whole microseconds"
            yield Problem("apply", message, "0 means at every aggregation")

    checks: ClassVar = (check_quota, check_interval, check_weights, _check_apply)
    _checked = model_validator(mode="after")(checked)

    def kdamonds(self, topology: Topology) -> tuple[Kdamond, ...]:
        """One for each accessor and node, in order of accessors and of their rankings."""
        return tuple(
            self._thread(topology, a, rank)
            for a in self.whose(topology)
            for rank in range(len(topology.nodes))
        )

    def whose(self, topology: Topology) -> tuple[int, ...]:
        """Numbers of the accessors that have a TPP."""
        chosen = self.accessors or range(len(topology.accessors))
        found = tuple(map(topology.accessor_id, chosen))
        twice = sorted({topology.accessors[a].name for a in found if found.count(a) > 1})
        if twice:
            message = f"got {', '.join(twice)} more than once, expected each accessor once"
            raise ConfigError(Problem("accessors", message, "an accessor has one TPP"))
        share = self._share(found)
        if share < PAGE_BYTES:
            message = f"split among {len(found)} accessors is {format_bytes(share)} for each"
            raise ConfigError(Problem("quota", message, "expected a page, 4 KiB, or more"))
        return found

    def contention(self, topology: Topology) -> Contention | None:
        """Who gives way to whom; None where DAMOS decides alone."""
        order = self.order(topology)
        if order == "first":
            return None
        controls = [
            Control(kdamond, a, node)
            for kdamond, (a, node) in zip(
                self.kdamonds(topology),
                ((a, n) for a in self.whose(topology) for n in topology.tiers(a)),
                strict=True,
            )
        ]
        return Contention(order, tuple(controls), self.hot, self.lead)

    def order(self, topology: Topology) -> Order:
        """Who gets a page that several accessors find hot; see `contended`."""
        if self.contended is not None:
            return self.contended
        sources = {self._eye(topology, a).source("accessed_bits") for a in self.whose(topology)}
        return "least" if len(sources) == 1 else "hotter"

    def remark(self, topology: Topology) -> str:
        nr, nodes = len(self.whose(topology)), len(topology.nodes)
        found = [f"{nr} TPPs over {nodes} nodes each; needs access reports, an RFC"]
        if nr == 1:
            found[0] = "one accessor: TPP-DAMON with a source that knows it"
        if self.source == "page_table":
            found.append("accessed bits do not say who accessed")
        order = self.order(topology)
        if order != "first":
            found.append(f"what is printed here leaves out `contended: {order}`, ours")
        return "; ".join(found)

    def owner(self, topology: Topology, node: int) -> int:
        """The accessor that ranks a node best; of several the nearer, then the first."""
        return min(
            self.whose(topology),
            key=lambda a: (topology.tiers(a).index(node), topology.idle_latency_ns[a, node], a),
        )

    def _share(self, whose: tuple[int, ...]) -> int:
        """Bytes that each of these accessors' schemes may try."""
        return self.quota // (len(whose) if self.goals == "split" else 1)

    # -- one kdamond -------------------------------------------------------------------------------

    def _thread(self, topology: Topology, accessor: int, rank: int) -> Kdamond:
        tiers = topology.tiers(accessor)
        node = tiers[rank]
        schemes = []
        if rank > 0:
            schemes.append(self._promote(topology, tiers[rank - 1]))
        if rank + 1 < len(tiers):
            schemes += self._demote(topology, accessor, node, tiers[rank + 1])
        context = Context(
            "paddr",
            (Target(regions=tuple(topology.node_ranges(node))),),
            Attrs(
                min_nr_regions=self.min_regions,
                max_nr_regions=self.max_regions,
                intervals_goal=TUNING,
            ),
            tuple(schemes),
            sample_control=self._eye(topology, accessor),
        )
        return Kdamond((context,))

    def _eye(self, topology: Topology, accessor: int) -> SampleControl:
        """What a TPP sees with, and whose accesses count."""
        own = topology.accessors[accessor]
        cpus: tuple[int, ...] = own.cpus
        source: str = self.source
        if not cpus:
            source = self.device_source or DEVICE_SOURCES[own.kind]
            cpus = (device_cpus(topology)[accessor],)
        if source == "page_table":
            return SampleControl()
        filters = (SampleFilter("cpumask", True, True, cpumask=format_cpulist(cpus)),)
        if source == "page_fault":
            return SampleControl(page_table=False, page_fault=True, filters=filters)
        return SampleControl(page_table=False, filters=filters, extension=source)

    def _promote(self, topology: Topology, nearer: int) -> Scheme:
        pattern = AccessPattern(min_nr_accesses=least_samples(self.hot, Attrs()))
        goal = QuotaGoal("node_mem_used_bp", round(self.used * 10_000), nid=nearer)
        young = Filter("young", matching=True, allow=True)
        return self._scheme(topology, "migrate_hot", nearer, pattern, goal, (young,))

    def _demote(self, topology: Topology, accessor: int, node: int, farther: int) -> list[Scheme]:
        """The scheme for what is cold for that accessor; none where nothing is left for it."""
        mine = self.owner(topology, node) == accessor
        if self.goals == "owner" and not mine:
            return []
        used = self.others == "demote"
        unused = self.untouched == "anyone" or (self.untouched == "owner" and mine)
        if not used and not unused:
            return []
        filters = () if used and unused else (Filter("young", matching=True, allow=used),)
        goal = QuotaGoal("node_mem_free_bp", round(self.free * 10_000), nid=node)
        pattern = AccessPattern(max_nr_accesses=0)
        return [self._scheme(topology, "migrate_cold", farther, pattern, goal, filters)]

    def _scheme(
        self,
        topology: Topology,
        action: str,
        target: int,
        pattern: AccessPattern,
        goal: QuotaGoal,
        filters: tuple[Filter, ...],
    ) -> Scheme:
        quota = Quota(
            sz=self._share(self.whose(topology)),
            reset_interval_ms=self.interval // 1_000_000,
            goals=(goal,),
            goal_tuner=self.tuner,
            weight_sz=self.weights[0],
            weight_nr_accesses=self.weights[1],
            weight_age=self.weights[2],
        )
        return Scheme(
            action=action,
            pattern=pattern,
            apply_interval_us=self.apply // 1_000,
            quota=quota,
            filters=filters,
            target_nid=target,
        )
