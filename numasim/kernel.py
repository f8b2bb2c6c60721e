"""How the machine's kernel is set up, and what its own work costs there."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.errors import ConfigError, Problem
from numasim.hardware import CONFIG, PAGE_BYTES
from numasim.units import Bandwidth, Bytes, DurationNs


@dataclass(frozen=True, config=CONFIG)
class SwapSettings:
    """Where anonymous pages go that reclaim finds cold and cannot demote.

    Attributes
    ----------
    size : int
        Bytes of pages that it holds, as they were before compression.
    kind : str
        ``device`` (a block device) or ``compressed`` (in memory, as zram and zswap): then pages
        take 1/`ratio` of their size on the node that they were on.
    read_latency, write_latency : int
        Time of one page alone, ns; of compressed pages the time to (de)compress one, which the CPU
        spends.
    bandwidth : float
        Bytes per ns of a device; compressed pages are not limited by it.
    ratio : float
        Of compression.

    Notes
    -----
    Source: priors from memory. Device: an NVMe drive of a data centre, 80-100 us a read, 15-30 us a
    write into its cache, 2-7 GB/s. Compressed: "Software-Defined Far Memory in Warehouse-Scale
    Computers" (ASPLOS'19), a ratio of 3 and 6.4 us to decompress a page at the median.
    """

    size: Annotated[Bytes, Field(gt=0)]
    kind: Literal["device", "compressed"] = "device"
    read_latency: DurationNs | None = None
    write_latency: DurationNs | None = None
    bandwidth: Annotated[Bandwidth, Field(gt=0)] = 3.0
    ratio: Annotated[float, Field(gt=1, le=100)] = 3.0

    @property
    def gain(self) -> int:
        """Bytes that it holds beyond what it takes of memory."""
        return self.size - (round(self.size / self.ratio) if self.kind == "compressed" else 0)

    @property
    def read_ns(self) -> float:
        """Time until a page is there again."""
        if self.kind == "compressed":
            return 6_400.0 if self.read_latency is None else self.read_latency
        latency = 90_000 if self.read_latency is None else self.read_latency
        return latency + PAGE_BYTES / self.bandwidth

    @property
    def write_ns(self) -> float:
        """CPU time to put one page away, or the time that it takes a device at full speed."""
        if self.kind == "compressed":
            return 9_000.0 if self.write_latency is None else self.write_latency
        return PAGE_BYTES / self.bandwidth


@dataclass(frozen=True, config=CONFIG)
class KhugepagedSettings:
    """How khugepaged goes about memory that madvise() asked huge pages for.

    Attributes
    ----------
    pages_to_scan : int
        Base pages that it looks at each time.
    scan_sleep : int
        How long it then sleeps, ns.
    alloc_sleep : int
        How long it sleeps after it found no free 2 MiB, ns.
    max_ptes_none : int
        Most base pages that may be missing in a block of 512.

    Notes
    -----
    Source: Linux documentation of transparent huge pages, the defaults.
    """

    pages_to_scan: Annotated[int, Field(ge=1)] = 4096
    scan_sleep: Annotated[DurationNs, Field(gt=0)] = 10_000_000_000
    alloc_sleep: Annotated[DurationNs, Field(gt=0)] = 60_000_000_000
    max_ptes_none: Annotated[int, Field(ge=0, le=511)] = 511


@dataclass(frozen=True, config=CONFIG)
class KernelSettings:
    """Settings of the kernel that runs on the machine.

    Attributes
    ----------
    hz : int
        Timer ticks per second.
    min_free_kbytes : int or None
        None: the kernel's formula, raised by khugepaged unless transparent huge pages are "never".
    watermark_scale_factor : int
        Distance between watermarks in 1/10000 of a zone.
    timer_slack : int
        How much later than asked a short sleep ends, ns.
    transparent_hugepage : str
        Whether DAMOS's ``hugepage`` has an effect: not with ``never``. Memory without advice has
        the page size that the workload gives it.
    khugepaged : KhugepagedSettings
        What makes huge pages of advised memory.
    demotion : bool
        Whether reclaim demotes to lower tiers (``numa/demotion_enabled``), from the beginning.
    lru : str
        How reclaim knows cold pages: ``mglru`` or ``active_inactive``.
    swappiness : int
        How readily anonymous pages are reclaimed, beside those of files.
    swap : SwapSettings or None
        Where anonymous pages go that cannot be demoted; None: nowhere, they stay.
    """

    hz: Literal[100, 250, 300, 1000] = 250
    min_free_kbytes: Annotated[int, Field(ge=0)] | None = None
    watermark_scale_factor: Annotated[int, Field(ge=1, le=3000)] = 10
    timer_slack: DurationNs = 50_000
    transparent_hugepage: Literal["always", "madvise", "never"] = "madvise"
    khugepaged: KhugepagedSettings = KhugepagedSettings()
    demotion: bool = False
    lru: Literal["mglru", "active_inactive"] = "mglru"
    swappiness: Annotated[int, Field(ge=0, le=200)] = 60
    swap: SwapSettings | None = None


@dataclass(frozen=True, config=CONFIG)
class CostSettings:
    """What the kernel's own work costs, in ns of CPU time unless said otherwise.

    Attributes
    ----------
    check_paddr, check_vaddr : int
        Preparing and checking the accessed bit of one sampled page.
    young_check : int
        Testing one page in a young filter.
    migrate_folio : dict of int to int
        Folio order → time per folio in a batch, single thread; orders between are interpolated.
    copy_share : dict of int to float
        Folio order → part of that time spent copying (the rest does not scale with `copy_threads`).
    copy_threads : int
        Threads that copy at once.
    tlb_shootdown : int
        One round of inter-processor interrupts.
    minor_fault, minor_fault_huge : int
        First touch of a 4 KiB and of a 2 MiB page, zeroing included.
    hint_fault : int
        A NUMA hint fault without migration.
    pte_scan : int
        Arming one page for hint faults.
    pte_walk : int
        Passing over a page that is there but not armed.
    pebs_record, ibs_record : int
        One hardware sample, drained.
    gpu_fault : int
        A GPU far fault.

    Notes
    -----
    Source: migrate_folio: move_pages batches, Zen 3, "Accelerate page migration with batching and
    hardware offload" RFC v3 (3.73 GB/s for 4 KiB, 10.67 GB/s for 2 MiB); copy_share: the same, the
    points 512 x 4 KiB and 512 x 2 MiB. The others are priors from memory, ranges: check_paddr
    0.5-2 us, tlb_shootdown 2-6 us, minor_fault 0.5-1 us, hint_fault 0.5-2 us, pte_scan 10-50 ns,
    pte_walk 5-15 ns, pebs_record 0.2-1 us, ibs_record 1-2 us, gpu_fault 20-45 us.
    """

    check_paddr: DurationNs = 1_000
    check_vaddr: DurationNs = 200
    young_check: DurationNs = 1_000
    migrate_folio: dict[int, DurationNs] = Field(
        default_factory=lambda: {
            0: 1_100, 2: 2_960, 4: 11_100, 5: 20_700, 6: 40_300, 7: 76_400, 8: 151_000, 9: 197_000
        }
    )  # fmt: skip
    copy_share: dict[int, float] = Field(default_factory=lambda: {0: 0.35, 9: 0.97})
    copy_threads: Annotated[int, Field(ge=1)] = 1
    tlb_shootdown: DurationNs = 4_000
    minor_fault: DurationNs = 700
    minor_fault_huge: DurationNs = 100_000
    hint_fault: DurationNs = 1_000
    pte_scan: DurationNs = 20
    pte_walk: DurationNs = 8
    pebs_record: DurationNs = 500
    ibs_record: DurationNs = 1_500
    gpu_fault: DurationNs = 30_000

    @model_validator(mode="after")
    def _check(self) -> Self:
        wrong = [
            Problem(name, "expected an entry for folio order 0")
            for name in ("migrate_folio", "copy_share")
            if 0 not in getattr(self, name)
        ]
        wrong += [
            Problem(f"copy_share.{order}", f"got {share}, expected a share in 0..1")
            for order, share in self.copy_share.items()
            if not 0 <= share <= 1
        ]
        if wrong:
            raise ConfigError(wrong)
        return self

    def migrate_ns(self, order: int, stretch: float = 1.0) -> int:
        """Time to migrate one folio of that order within a batch, ns.

        Parameters
        ----------
        order : int
        stretch : float
            How much longer copying takes than between near memories, where it was measured.

        Notes
        -----
        Assumption: between measured orders the time is linear in pages; with several threads only
        the copying part shrinks.
        """
        one_thread = _linear_in_pages(self.migrate_folio, order)
        copying = one_thread * _linear_in_order(self.copy_share, order)
        return round(one_thread - copying + copying * stretch / self.copy_threads)


def _linear_in_pages(table: dict[int, int], order: int) -> float:
    orders = sorted(table)
    if order in table:
        return float(table[order])
    if order > orders[-1]:
        return float(table[orders[-1]]) * float(2 ** (order - orders[-1]))
    high = next(o for o in orders if o > order)
    low = max(o for o in orders if o < order)
    part = float((2**order - 2**low) / (2**high - 2**low))
    return table[low] + part * (table[high] - table[low])


def _linear_in_order(table: dict[int, float], order: int) -> float:
    orders = sorted(table)
    if order >= orders[-1]:
        return table[orders[-1]]
    high = next(o for o in orders if o > order)
    low = max(o for o in orders if o <= order)
    return table[low] + (order - low) / (high - low) * (table[high] - table[low])
