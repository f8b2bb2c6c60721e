"""What a machine is made of: memory nodes, accessors, and links.

Frozen descriptions; their fields are the keys of a topology's YAML. Times are in nanoseconds, sizes
in bytes, bandwidths in bytes per nanosecond (1 byte/ns is exactly 1 GB/s). `topology.py` puts the
parts together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.units import LAST_CPU, Bandwidth, Bytes, DurationNs, parse_bytes, parse_cpulist
from numasim.wholes import checked

PAGE_BYTES = 4096
CONFIG = ConfigDict(extra="forbid")


def _address(value: Any) -> Any:
    return parse_bytes(value) if isinstance(value, str) else value


Address = Annotated[int, BeforeValidator(_address), Field(ge=0, strict=True)]
"""A physical address: a whole number (hexadecimal in YAML) or a size such as ``4 GiB``."""

Name = Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9_.+-]+$")]


Cpu = Annotated[int, Field(ge=0, le=LAST_CPU)]
"""Number of a CPU, as the kernel counts them."""


def _cpus(value: Any) -> Any:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return tuple(parse_cpulist(str(value)))
    return value


def _read_write(value: Any) -> Any:
    return value if isinstance(value, dict | Rates) else {"read": value, "write": value}


def _both_ways(value: Any) -> Any:
    return value if isinstance(value, dict | Directions) else {"forward": value, "backward": value}


@dataclass(frozen=True, config=CONFIG)
class Rates:
    """Bandwidth of a node for reads and for writes, bytes/ns. One number means both."""

    read: Annotated[Bandwidth, Field(gt=0)]
    write: Annotated[Bandwidth, Field(gt=0)]


@dataclass(frozen=True, config=CONFIG)
class Directions:
    """Bandwidth of a link from its first end to its second and back, bytes/ns."""

    forward: Annotated[Bandwidth, Field(gt=0)]
    backward: Annotated[Bandwidth, Field(gt=0)]


@dataclass(frozen=True, config=CONFIG)
class Curve:
    """How the latency of a node or link grows with its utilisation (see `queueing.py`).

    Attributes
    ----------
    service : int or None
        Service time S in ns; None takes `service_ratio` times the idle latency.
    service_ratio : float
        S over idle latency.
    scale : float
        m: achievable peak over service capacity, below 1.
    saturation : float
        Weight of the term that holds a closed loop below the achievable peak.

    Notes
    -----
    Source: M/D/1 with a service capacity above the achievable peak, fitted to the two loaded points
    of a Skylake-SP (SOAR, OSDI'25): 90 ns idle, 140 ns at 40 of 49 GB/s, 180 ns at 48 GB/s give
    m = 0.764 and S = 60 ns. Assumption: the same relative shape on other memories; `saturation`.
    """

    service: DurationNs | None = None
    service_ratio: Annotated[float, Field(ge=0, le=100)] = 60 / 90
    scale: Annotated[float, Field(gt=0, lt=1)] = 0.764
    saturation: Annotated[float, Field(gt=0, le=1)] = 1 / 3000


CURVES = {"skx": Curve()}
"""Named loaded-latency curves. All known evidence is one curve; others may be given inline."""


def _curve(value: Any) -> Any:
    if isinstance(value, str):
        if value not in CURVES:
            raise ConfigError(Problem("", f'unknown curve "{value}"', did_you_mean(value, CURVES)))
        return CURVES[value]
    return value


LoadedLatency = Annotated[Curve, BeforeValidator(_curve)]


@dataclass(frozen=True, config=CONFIG)
class Zone:
    """A zone of a node. Addresses in bytes; `managed` in pages (None: all of them)."""

    name: Literal["DMA", "DMA32", "Normal", "Movable"]
    start: Address
    size: Bytes | None = None
    end: Address | None = None
    managed: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.size is None) == (self.end is None):
            raise ConfigError("expected a size or an end, one of the two")
        if self.start % PAGE_BYTES or self.end_addr % PAGE_BYTES:
            raise ConfigError("expected a start and an end on page boundaries (4 KiB)")
        if self.end_addr <= self.start:
            raise ConfigError("expected an end above the start")
        if self.managed is not None and self.managed > self.spanned_pages:
            raise ConfigError(
                Problem("managed", f"{self.managed} pages do not fit in {self.spanned_pages}")
            )
        return self

    @property
    def end_addr(self) -> int:
        """First byte after the zone."""
        return self.start + self.size if self.end is None else self.end  # type: ignore[operator]

    @property
    def spanned_pages(self) -> int:
        """Pages from start to end, holes included."""
        return (self.end_addr - self.start) // PAGE_BYTES

    @property
    def managed_pages(self) -> int:
        """Pages the page allocator hands out."""
        return self.spanned_pages if self.managed is None else self.managed


@dataclass(frozen=True, config=CONFIG)
class OtherMemory:
    """Memory on a node that is not the workload's: kernel, page cache, other programs.

    Attributes
    ----------
    bytes : int
        In use by others.
    reclaimable_bytes : int
        Of these, what reclaim can drop (page cache).
    atomic_reserve : int
        Free bytes that the kernel keeps for high-order atomic allocations: nobody else gets them.
    """

    bytes: Bytes = 0
    reclaimable_bytes: Bytes = 0
    atomic_reserve: Bytes = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.reclaimable_bytes > self.bytes:
            raise ConfigError(Problem("reclaimable_bytes", "is more than bytes"))
        return self


@dataclass(frozen=True, config=CONFIG)
class Node:
    """A memory node: a range of physical frames with a speed.

    Attributes
    ----------
    capacity : int
        Bytes.
    zones, ranges : tuple
        Physical layout where it matters; else the node is one zone Normal after the node before.
    latency : int or None
        Idle read latency in ns seen from `at`; None only if the measured matrix gives every pair.
    bandwidth : Rates
        Achievable peak.
    kind : str
        What the memory is. Only ``CXL`` changes what happens: it is duplex, and may have hotness
        counters; the others are told in tables and have colours in pictures.
    duplex : bool or None
        True: reads and writes are separate full-speed resources (CXL). False: they share one, and a
        write costs read/write of it (DDR). None: True for CXL, else False.
    at : str
        Vertex the node hangs on.
    """

    name: Name
    capacity: Annotated[Bytes, Field(gt=0)]
    bandwidth: Annotated[Rates, BeforeValidator(_read_write)]
    latency: Annotated[DurationNs, Field(gt=0)] | None = None
    kind: Literal["DRAM", "LPDDR", "HBM", "CXL", "PMEM", "SPM", "OTHER"] = "DRAM"
    at: str = ""
    duplex: bool | None = None
    curve: LoadedLatency = CURVES["skx"]
    zones: tuple[Zone, ...] = ()
    ranges: tuple[tuple[Address, Address], ...] = ()
    other_memory: OtherMemory = OtherMemory()

    def _check_capacity(self) -> Iterator[Problem]:
        if self.capacity % PAGE_BYTES:
            yield Problem("capacity", "expected whole pages of 4 KiB")

    def _check_other_memory(self) -> Iterator[Problem]:
        if self.other_memory.bytes > self.capacity:
            yield Problem("other_memory.bytes", "is more than the capacity")

    def _check_ranges(self) -> Iterator[Problem]:
        for i, (start, end) in enumerate(self.ranges):
            if start >= end or start % PAGE_BYTES or end % PAGE_BYTES:
                expected = "expected [start, end) on page boundaries, end above start"
                yield Problem(f"ranges[{i}]", expected)

    checks: ClassVar = (_check_capacity, _check_other_memory, _check_ranges)
    _checked = model_validator(mode="after")(checked)

    @property
    def is_duplex(self) -> bool:
        """Whether reads and writes have a way each."""
        return self.kind == "CXL" if self.duplex is None else self.duplex


@dataclass(frozen=True, config=CONFIG)
class Tlb:
    """Reach of the translation cache: it hides accesses from accessed bits, and walks take time.

    Attributes
    ----------
    entries : int
        Translations one core keeps, the least used of them going first; 0 sets no limit.
    flush_interval : int
        Time in ns after which everything is flushed anyway (context switches, other shootdowns);
        0 means never. With neither, nothing is hidden.
    walk : int
        What a visit waits in ns whose translation is not there; 0 leaves walks out of the speed.

    Notes
    -----
    Assumption: no interval unless a machine says so. How soon a core loses translations to switches
    between processes and to its kernel is known of no machine here; on pages of 4 KiB it does not
    matter, as entries run out sooner. Where they never do, loading a scenario warns. What a walk
    takes depends on where page tables lie in the caches: no machine here says it (0), and who gives
    it sees what huge pages gain.
    """

    entries: Annotated[int, Field(ge=0)] = 0
    flush_interval: DurationNs = 0
    walk: DurationNs = 0

    def _check_walk(self) -> Iterator[Problem]:
        if self.walk and not self.entries:
            yield Problem("walk", "needs to know how many translations are kept", "give entries")

    checks: ClassVar = (_check_walk,)
    _checked = model_validator(mode="after")(checked)


@dataclass(frozen=True, config=CONFIG)
class Accessor:
    """Who issues accesses: a socket, a GPU, any device.

    Attributes
    ----------
    cpus : tuple of int
        Kernel CPU numbers (``0-31``); empty for what is no CPU.
    cores : int
        Threads that make progress at once; 0 takes the number of `cpus` (1 without any).
    max_outstanding : int
        Cache lines one core keeps in flight (line-fill buffers).
    in_flight_bytes : int or None
        Instead of that, bytes the whole accessor keeps in flight (GPU).
    clock_ghz : float
    """

    name: Name
    kind: Literal["CPU", "GPU", "OTHER"] = "CPU"
    cpus: Annotated[tuple[Cpu, ...], BeforeValidator(_cpus)] = ()
    cores: Annotated[int, Field(ge=0)] = 0
    at: str = ""
    max_outstanding: Annotated[int, Field(gt=0)] = 64
    in_flight_bytes: Annotated[Bytes, Field(gt=0)] | None = None
    clock_ghz: Annotated[float, Field(gt=0)] = 2.5
    tlb: Tlb = Tlb()

    @property
    def nr_cores(self) -> int:
        """Threads that make progress at once."""
        return self.cores or len(self.cpus) or 1


@dataclass(frozen=True, config=CONFIG)
class Link:
    """A way between two vertices, with the latency it adds. Both directions run at once."""

    between: tuple[str, str]
    bandwidth: Annotated[Directions, BeforeValidator(_both_ways)]
    latency: DurationNs = 0
    curve: LoadedLatency = CURVES["skx"]
    name: str = ""

    @property
    def label(self) -> str:
        """Its name, or one made of its ends."""
        return self.name or "-".join(self.between)
