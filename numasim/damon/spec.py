"""What a user asks of DAMON: frozen descriptions in the kernel's own units.

These carry parameters only; run state lives in `context.py`. Defaults are those that the damo tool
passes for an option that was not given. Source: Linux 7.3.4 DAMON core and damo 3.4.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ULONG_MAX = 2**64 - 1
UINT_MAX = 2**32 - 1

ACTIONS = (
    "willneed", "cold", "pageout", "hugepage", "nohugepage", "collapse",
    "lru_prio", "lru_deprio", "migrate_hot", "migrate_cold", "stat",
)  # fmt: skip
OPS = ("vaddr", "fvaddr", "paddr")
GOAL_METRICS = (
    "user_input", "some_mem_psi_us", "node_mem_used_bp", "node_mem_free_bp",
    "node_memcg_used_bp", "node_memcg_free_bp", "active_mem_bp", "inactive_mem_bp",
    "node_eligible_mem_bp", "node_ineligible_mem_bp",
)  # fmt: skip
ELIGIBLE_METRICS = ("node_eligible_mem_bp", "node_ineligible_mem_bp")
CORE_FILTERS = ("addr", "target")
OPS_FILTERS = ("anon", "active", "memcg", "young", "hugepage_size", "unmapped")
PROBE_HITS_FILTERS = ("probe_hits_wsum",)
PROBE_FILTERS = ("anon", "memcg", "pgidle_unset", "pgidle_set", "hugepage_size")
TUNERS = ("consist", "temporal")
EXTENSIONS = ("pebs", "ibs", "cxl_counter", "gpu_counter", "report")
"""Sampling primitives beyond the proposed ``page_table`` and ``page_fault``: an extension of ours,
each the name of an access source."""


@dataclass(frozen=True, slots=True)
class IntervalsGoal:
    """Goal of intervals auto-tuning; ``aggrs == 0`` disables it."""

    access_bp: int = 0
    aggrs: int = 0
    min_sample_us: int = 0
    max_sample_us: int = 0


@dataclass(frozen=True, slots=True)
class Attrs:
    """Monitoring attributes of a context. Intervals in microseconds."""

    sample_us: int = 5_000
    aggr_us: int = 100_000
    ops_update_us: int = 1_000_000
    min_nr_regions: int = 10
    max_nr_regions: int = 1_000
    intervals_goal: IntervalsGoal = IntervalsGoal()


@dataclass(frozen=True, slots=True)
class AccessPattern:
    """Bounds, all inclusive: size in bytes, nr_accesses in samples, age in aggregations."""

    min_sz: int = 0
    max_sz: int = ULONG_MAX
    min_nr_accesses: int = 0
    max_nr_accesses: int = UINT_MAX
    min_age: int = 0
    max_age: int = UINT_MAX


@dataclass(frozen=True, slots=True)
class QuotaGoal:
    """One goal of a quota; `nid` and `memcg_path` where the metric needs them.

    `complement` is the word of damo 3.4.3 that may follow any target value; Linux 7.3.4 has no
    such goal, so it is kept for the files that carry it.
    """

    metric: str
    target_value: int
    current_value: int = 0
    nid: int | None = None
    memcg_path: str | None = None
    complement: bool = False


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits of a scheme: time (ms) and size (bytes) per reset interval (ms); weights in permil."""

    ms: int = 0
    sz: int = 0
    reset_interval_ms: int = ULONG_MAX
    goals: tuple[QuotaGoal, ...] = ()
    goal_tuner: str = "consist"
    weight_sz: int = 0
    weight_nr_accesses: int = 0
    weight_age: int = 0
    fail_charge_num: int = 0
    fail_charge_denom: int = 0


@dataclass(frozen=True, slots=True)
class Watermarks:
    """Activation of a scheme by free memory, in permil; interval in microseconds."""

    metric: str = "none"
    interval_us: int = 0
    high: int = 0
    mid: int = 0
    low: int = 0


@dataclass(frozen=True, slots=True)
class Filter:
    """One DAMOS filter. ``addr`` uses `start`/`end`, ``hugepage_size`` `min_sz`/`max_sz` (bytes).

    ``probe_hits_wsum`` uses `min_hits`/`max_hits`, weighted sums of probe hits.
    """

    type: str
    matching: bool
    allow: bool
    memcg_path: str | None = None
    start: int = 0
    end: int = 0
    target_idx: int = 0
    min_sz: int = 0
    max_sz: int = 0
    min_hits: int = 0
    max_hits: int = 0


@dataclass(frozen=True, slots=True)
class Dest:
    """A weighted migration destination."""

    nid: int
    weight: int


@dataclass(frozen=True, slots=True)
class Scheme:
    """A DAMON-based operation scheme. `target_nid` is -1 where none is given."""

    action: str = "stat"
    pattern: AccessPattern = AccessPattern()
    apply_interval_us: int = 0
    quota: Quota = Quota()
    wmarks: Watermarks = Watermarks()
    filters: tuple[Filter, ...] = ()
    target_nid: int = -1
    dests: tuple[Dest, ...] = ()
    max_nr_snapshots: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """A monitoring target: a process (vaddr, fvaddr) or physical ranges (paddr), in bytes."""

    pid: int | None = None
    regions: tuple[tuple[int, int], ...] = ()
    obsolete: bool = False


@dataclass(frozen=True, slots=True)
class SampleFilter:
    """Which access reports count: type is ``cpumask``, ``threads`` or ``write``."""

    type: str
    matching: bool
    allow: bool
    cpumask: str | None = None
    threads: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SampleControl:
    """Sampling primitives and report filters (an RFC; not in Linux 7.3.4).

    `extension` is one of `EXTENSIONS`, a primitive of ours that takes the place of the others.
    """

    page_table: bool = True
    page_fault: bool = False
    filters: tuple[SampleFilter, ...] = ()
    extension: str = ""

    def source(self, default: str) -> str:
        """Name of the access source to use: `default` stands for the page table's.

        With page faults enabled the check step reads reports, whatever else is (as in the RFC).
        """
        return "page_fault" if self.page_fault else self.extension or default


@dataclass(frozen=True, slots=True)
class ProbeFilter:
    """Which pages a probe counts: type ``anon``, ``memcg`` (`path`), ``hugepage_size`` or so."""

    type: str
    matching: bool
    allow: bool
    path: str | None = None
    range_min: int | None = None
    range_max: int | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """A data-attribute probe of a context (Linux 7.x); `preps` are done before each sample."""

    filters: tuple[ProbeFilter, ...] = ()
    weight: int = 0
    preps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """One monitoring context with its schemes."""

    ops: str = "paddr"
    targets: tuple[Target, ...] = ()
    attrs: Attrs = Attrs()
    schemes: tuple[Scheme, ...] = ()
    addr_unit: int = 1
    pause: bool = False
    sample_control: SampleControl = SampleControl()
    probes: tuple[Probe, ...] = ()


@dataclass(frozen=True, slots=True)
class Kdamond:
    """A DAMON worker thread; the kernel runs one context in each."""

    contexts: tuple[Context, ...] = field(default=())
    refresh_ms: int = 0
