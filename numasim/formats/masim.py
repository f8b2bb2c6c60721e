"""masim: its configurations as workloads, what it prints, and its generator of tiering tests.

masim is a program that touches memory as a small text file tells, on one thread, a long burst of
accesses to one region after the other, as fast as the machine lets it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from numasim.errors import ConfigError, Problem
from numasim.formats.masim_config import Access, Config, Phase, Region, dumps, loads, read, write
from numasim.seeds import Seeds

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Access", "Config", "Phase", "Region", "accesses_per_ms", "dumps", "loads", "read",
    "tiering_test", "to_workload", "write",
]  # fmt: skip

PAGE_BYTES = 4096
LINE_BYTES = 64
BURST = 131_072
"""Accesses that go to one region before the next is drawn. Source: DAMON interop specification."""
COMPUTE_NS = 5
"""Time of an access that waits for no memory. Calibrated: on DRAM of 114 ns, with the parallelism
below, the sum of both is 12.1 ns, inside the 72-87 thousand accesses per ms that the DAMON interop
specification, section 5, measured on its build machine."""
PARALLELISM = 16
"""Misses in flight of one core whose prefetchers do not cross pages. Source: line-fill buffers of
the machine in topologies/dram_cxl.yaml."""
PREFETCHED_PARALLELISM = 48
"""The same with prefetchers at work; the accessor caps it. Source: as above."""
PREFETCHED_STRIDE = 2048
"""Assumption: from this stride on nothing on a page is left to prefetch."""
LLC_BYTES = 32 << 20
"""Assumption: a last-level cache of a server, as far as one thread gets it."""
PID = 1000

# Where x86-64 puts a program without randomised addresses.
TEXT_ADDRESS = 0x5555_5555_4000
MMAP_END = 0x7FFF_F7FF_F000
STACK_END = 0x7FFF_FFFF_F000
MALLOC_HEADER_BYTES = 16
TEXT_PAGES, STACK_PAGES = 244, 33
TEXT_BUSY = (1, 2, 16, 17, 69, 100, 124, 153, 178, 199, 200, 202, 204)
STACK_BUSY = (31,)
"""Pages of text, data and heap, and those of them always in use. Source: the process of the
kernel recordings E1. The stack: 132 KiB, one page in use below the environment (assumption)."""


def to_workload(
    config: Config,
    name: str,
    *,
    llc_bytes: int = LLC_BYTES,
    page_bytes: int = PAGE_BYTES,
    repeat: int = 1,
) -> dict[str, Any]:
    """Plain data of the workload, as a workload's YAML would give it.

    Parameters
    ----------
    config : Config
    name : str
    llc_bytes : int
        Last-level cache, to tell which regions live in it.
    page_bytes : int
        Pages of the regions: 4 KiB, or 2 MiB for huge pages.
    repeat : int
        How often the phases are run through before the process ends.

    Returns
    -------
    dict

    Notes
    -----
    One operation is one access. Phases first touch what they visit, whole regions at once when they
    begin; the original does so within its first bursts. Regions lie below each other in the order
    in which they are allocated. Weight 0 is never drawn; a phase of zeros only lets time pass.

    Cache lines missed per access: in order, 1 per 64 bytes of stride (at most 1) if the region is
    larger than the last-level cache, else 0; at random, the share of the region that the cache
    cannot hold. Writes fetch the line and write it back.

    Assumption: a stride above a page touches the first ``page / stride`` part of the region, as
    many pages as the original, but side by side. Random accesses reach every page (the original
    draws from a million offsets, so it misses some of regions beyond a few GiB).
    """
    regions = {r.name: r.nr_bytes for r in config.regions}
    total_ms = sum(phase.duration_ms for phase in config.phases) * repeat
    phases = [_phase(phase, regions, llc_bytes, page_bytes) for phase in config.phases]
    actor = {"name": "main", "on": "CPU", "threads": 1, "phases": phases, "repeat": repeat > 1}
    process = {
        "name": "masim",
        "pid": PID,
        "stop": f"{total_ms} ms",
        "mappings": _mappings(regions, page_bytes),
        "actors": [actor],
    }
    return {"name": name, "description": "masim configuration", "processes": [process]}


class HasPhases(Protocol):
    """A `Result`, or whatever else tells when phases were and what was done in them."""

    @property
    def phases(self) -> pd.DataFrame:
        """``actor, phase, began_s, ended_s, operations``."""


def accesses_per_ms(result: HasPhases) -> pd.DataFrame:
    """What masim prints when a phase is over.

    Parameters
    ----------
    result : Result
        Of a run of a masim workload.

    Returns
    -------
    pandas.DataFrame
        ``phase, accesses_per_ms, ms``: phases in their order (those the run reached), accesses per
        millisecond, and milliseconds run.
    """
    rows = result.phases
    ms = (rows.ended_s - rows.began_s) * 1e3
    rate = rows.operations / ms.where(ms > 0)
    return rows[["phase"]].assign(accesses_per_ms=rate, ms=ms)


def tiering_test(
    nr_regions: int, nr_phases: int, region_bytes: int, phase_ms: int, seed: int
) -> Config:
    """A test of memory tiering: equal regions whose weights change places from phase to phase.

    Parameters
    ----------
    nr_regions, nr_phases : int
    region_bytes : int
        Of each region.
    phase_ms : int
        Of each phase.
    seed : int
        The same seed gives the same configuration.

    Returns
    -------
    Config
        Every phase visits all regions at random, writing, with a permutation of the weights
        ``0 .. nr_regions - 1``.

    Raises
    ------
    ConfigError
        If there is nothing to do.

    Notes
    -----
    Source: DAMON interop specification, section 5, of masim's generator of tiering tests.
    """
    sizes = {
        "nr_regions": nr_regions,
        "nr_phases": nr_phases,
        "region_bytes": region_bytes,
        "phase_ms": phase_ms,
    }
    least = {"nr_regions": 2}
    wrong = [
        Problem(name, f"got {value}, expected at least {least.get(name, 1)}")
        for name, value in sizes.items()
        if value < least.get(name, 1)
    ]
    if wrong:
        raise ConfigError(wrong)
    rng = Seeds(seed).stream("masim/tiering_test")
    regions = tuple(Region(f"r{i}", region_bytes) for i in range(nr_regions))
    phases = []
    for p in range(nr_phases):
        weights = rng.permutation(nr_regions).tolist()
        accesses = (Access(r.name, True, 4096, w) for r, w in zip(regions, weights, strict=True))
        phases.append(Phase(f"phase {p}", phase_ms, tuple(accesses)))
    return Config(regions, tuple(phases))


def _mappings(regions: dict[str, int], page_bytes: int) -> list[dict[str, Any]]:
    """The regions, between what else three_regions() of a real process finds: text and stack."""
    found = [_own("[text]", TEXT_ADDRESS, TEXT_PAGES, TEXT_BUSY)]
    end = MMAP_END
    for name, nr_bytes in regions.items():
        size = -(-nr_bytes // page_bytes) * page_bytes
        # the allocator's header takes a page of its own in front; it is never looked at again
        address = (end - size - MALLOC_HEADER_BYTES) // page_bytes * page_bytes
        page = {"page": f"{page_bytes} B", "address": address, "populate": False}
        found.append({"name": name, "size": f"{size} B", **page})
        end = address
    stack = STACK_END - STACK_PAGES * PAGE_BYTES
    return [*found, _own("[stack]", stack, STACK_PAGES, STACK_BUSY)]


def _own(name: str, address: int, nr_pages: int, busy: tuple[int, ...]) -> dict[str, Any]:
    size = f"{nr_pages * PAGE_BYTES} B"
    return {"name": name, "size": size, "address": address, "busy": list(busy)}


def _phase(
    phase: Phase, regions: dict[str, int], llc_bytes: int, page_bytes: int
) -> dict[str, Any]:
    drawn = [access for access in phase.accesses if access.weight]
    common = {"name": phase.name, "duration": f"{phase.duration_ms} ms"}
    if not drawn:
        return {**common, "pace": "0 /s"}
    total = sum(access.weight for access in drawn)
    chances = [access.weight / total for access in drawn]
    return {
        **common,
        "compute": f"{COMPUTE_NS} ns",
        "burst": BURST,
        "chances": chances,
        "access": [
            _pattern(access, chance, regions[access.region], llc_bytes, page_bytes)
            for access, chance in zip(drawn, chances, strict=True)
        ],
    }


def _pattern(
    access: Access, chance: float, nr_bytes: int, llc_bytes: int, page_bytes: int
) -> dict[str, Any]:
    found: dict[str, Any] = {"mapping": access.region, "write": 0.0 if access.mode == "ro" else 1.0}
    if access.random:
        miss = max(0.0, 1 - llc_bytes / nr_bytes)
        found |= {"visits": chance, "miss": miss, "parallelism": PARALLELISM}
        return {"pattern": "uniform", **found}
    stride = min(access.stride, nr_bytes)
    turned = min(1.0, stride / page_bytes)
    lines = min(1.0, stride / LINE_BYTES)
    ahead = stride < PREFETCHED_STRIDE
    if stride > page_bytes:
        found["last"] = page_bytes / stride
    return {
        "pattern": "sweep",
        **found,
        "visits": chance * turned,
        "lines": lines / turned,
        "miss": 1.0 if nr_bytes > llc_bytes else 0.0,
        "parallelism": PREFETCHED_PARALLELISM if ahead else PARALLELISM,
        # bursts are serial already, and each passes over its region many times
        "overlap": "dynamic",
    }
