"""Replaying recordings of page accesses: what observers and the cost model ask, all of it.

The recording is made up, but of the sizes of real ones (some thousand pages, a thousand rows an
interval, tens of fills a row): half of it sweeps, half scatter.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.estimating import rate, ratio
from benchmarks.harness import (
    Answers,
    Ask,
    Skipped,
    at_least,
    at_most,
    benchmark,
    turns,
)
from numasim import tape as tapes
from numasim.formats import page_trace
from numasim.reels import Reel
from numasim.tape import Tape, open_tape

PAGES, INTERVALS, SWEPT = 16_384, 1024, 8192
ROWS = 1024  # of an interval, less what falls on one page twice
REGIONS, TICKS, TICK_INTERVALS = 900, 20, 4.3  # ticks end in the midst of intervals
STRETCH = 8  # intervals, as a trace pattern's default
SAME_FILLS = 48  # intervals whose fills go through the cache simulator
LINES = 64
LRU_TURNS = 11


def columns() -> dict[str, np.ndarray]:
    """A front that passes over half of the pages, key-value traffic on the others."""
    rng = np.random.Generator(np.random.PCG64DXSM(7))
    half, pages = ROWS // 2, []
    for i in range(INTERVALS):
        scatter = SWEPT + ((PAGES - SWEPT) * rng.random(half) ** 3).astype(np.int64)
        pages += [np.sort((i * half + np.arange(half)) % SWEPT), np.unique(scatter)]
    interval = np.repeat(np.arange(2 * INTERVALS) // 2, [len(own) for own in pages])
    page = np.concatenate(pages)
    swept = page < SWEPT
    loads = np.where(swept, LINES, rng.integers(1, 6, len(page)))
    stores = rng.integers(0, 2, len(page))
    return {
        "interval": interval,
        "thread": np.ones(len(page), np.int64),
        "page": page,
        "loads": loads,
        "stores": stores,
        "writebacks": stores,
        "touches": loads * 8 + stores,
    }


def recording(folder: str, packed: bool) -> Path:
    """That recording as a file; the name of its data."""
    path = Path(folder) / f"made_{'packed' if packed else 'plain'}"
    page_trace.write(path, columns(), intervals=INTERVALS, pages=PAGES, packed=packed)
    return path.with_name(path.name + ".npz")


def straight_pass(path: Path) -> Callable[[], object]:
    """Every column read once and the fills of every page added up, as one does with numpy."""

    def work() -> np.ndarray:
        arrays = np.load(path)
        touched = arrays["touches"] > 0
        sums = [int(arrays[name].sum()) for name in ("interval", "thread", "writebacks")]
        fills = arrays["loads"].astype(np.int64) + arrays["stores"]
        assert touched.all() and all(sums)
        return np.bincount(arrays["page"], fills, PAGES)

    return work


def replay(tape: Tape, intervals: int = INTERVALS) -> float:
    """A kdamond of 900 regions and a cost model of two nodes look at all of it; the lines seen."""
    reel, rng = Reel(tape, 0, 0), np.random.Generator(np.random.PCG64DXSM(8))
    node_of_page = (np.arange(PAGES) % 3 == 0).astype(np.int64)
    edges = np.linspace(0, PAGES, REGIONS + 1)
    low, size = edges[:-1], np.diff(edges)
    tick = np.repeat(np.arange(TICKS), REGIONS)
    for first in np.arange(0, intervals, TICKS * TICK_INTERVALS).tolist():
        pages = (low + rng.random((TICKS, REGIONS)) * size).astype(np.int64).reshape(-1)
        begin = first + np.arange(TICKS) * TICK_INTERVALS
        seen = reel.seen(pages, begin[tick], begin[tick] + TICK_INTERVALS, rng)
        np.bincount(tick[seen], minlength=TICKS)
    lines = 0.0
    for first in range(0, intervals, STRETCH):
        found, _ = reel.lines_by_node(float(first), STRETCH, node_of_page.__getitem__, 2)
        lines += float(found.sum()) * min(STRETCH, intervals - first)
    return lines


def opened(path: Path) -> Tape:
    """The recording, checked and read anew."""
    tapes._load.cache_clear()
    return open_tape(path)


@benchmark(
    Ask("replaying a packed recording", "passes over its file", at_most(4)),
    Ask("replaying one that is mapped where it lies", "passes over its file", at_most(4)),
    Ask("fills replayed", "lines / CPU s", better="higher"),
)
def against_a_pass() -> Answers:
    """Opening, checking, every tick of a kdamond and every stretch of the cost model."""
    with tempfile.TemporaryDirectory() as folder:
        packed, plain = recording(folder, True), recording(folder, False)
        total = replay(opened(packed))
        assert round(total) == sum(int(columns()[name].sum()) for name in ("loads", "stores"))
        both = turns({"ours": lambda: replay(opened(packed)), "pass": straight_pass(packed)})
        tapes.SMALL_BYTES = 0  # as a recording larger than memory would be
        mapped = turns({"ours": lambda: replay(opened(plain)), "pass": straight_pass(plain)})
        tapes._load.cache_clear()
    return (
        ratio(both["ours"], both["pass"]),
        ratio(mapped["ours"], mapped["pass"]),
        rate(both["ours"], total),
    )


@benchmark(Ask("fills replayed against libCacheSim's LRU", "times its rate", at_least(5)))
def against_a_cache_simulator() -> Answers:
    """The same fills of some intervals, as requests of its Python package to an LRU cache."""
    try:
        import libcachesim
    except ImportError as error:
        raise Skipped("libcachesim is not installed") from error
    made = columns()
    own = made["interval"] < SAME_FILLS
    fills = (made["loads"] + made["stores"])[own]
    line = np.arange(fills.sum()) - np.repeat(np.cumsum(fills) - fills, fills)
    requests = np.zeros(
        len(line), [("time", "<u4"), ("object", "<u8"), ("size", "<u4"), ("next", "<i8")]
    )
    requests["time"] = np.repeat(made["interval"][own], fills)
    requests["object"] = np.repeat(made["page"][own], fills) * 2 * LINES + line
    requests["size"], requests["next"] = LINES, -1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fills.oracleGeneral.bin"
        requests.tofile(path)
        tape = opened(recording(folder, True))

        def lru() -> None:
            reader = libcachesim.TraceReader(
                trace=str(path), trace_type=libcachesim.TraceType.ORACLE_GENERAL_TRACE
            )
            libcachesim.LRU(cache_size=PAGES * LINES * LINES // 4).process_trace(reader)

        assert round(replay(tape, SAME_FILLS)) == len(requests)
        found = turns({"ours": lambda: replay(tape, SAME_FILLS), "lru": lru}, LRU_TURNS)
    return (ratio(found["lru"], found["ours"]),)
