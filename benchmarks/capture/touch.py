"""A workload that knows what it does: touches pages at given rates and counts what it did.

    python3 -m benchmarks.capture.touch CONFIG TRUTH

Prints a line of JSON when its memory is populated, waits for a line on its input, runs its phases,
writes TRUTH (CSV, a row per 100 ms). CONFIG, one word line each:

    seed N                      region NAME MIB
    phase MS                    acc REGION ACCESSES_PER_PAGE_AND_SECOND rand|seq
"""

from __future__ import annotations

import csv
import ctypes
import json
import mmap
import os
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PAGE, MIB = 4096, 1 << 20
QUANTUM_S, ROW_S = 0.001, 0.1
SCRATCH = 40 * PAGE  # its protection changes every quantum: the kernel flushes the TLB for it


@dataclass
class Config:
    """Regions (name → MiB) and phases (milliseconds, accesses) of a configuration."""

    seed: int = 1
    regions: dict[str, int] = field(default_factory=dict)
    phases: list[tuple[int, list[tuple[str, float, str]]]] = field(default_factory=list)


def parse(text: str) -> Config:
    """A configuration from its text.

    Raises
    ------
    ValueError
        With the number of the line that is wrong.
    """
    config = Config()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        try:
            if words:
                _take(config, words)
        except (ValueError, IndexError, KeyError) as error:
            raise ValueError(f'line {number}: "{line.strip()}": {error}') from error
    if not config.regions or not any(acc for _, acc in config.phases):
        raise ValueError("expected at least one region, and one phase with an acc line")
    return config


def _take(config: Config, words: list[str]) -> None:
    match words:
        case ["seed", seed]:
            config.seed = int(seed)
        case ["region", name, mib] if int(mib) > 0 and name not in config.regions:
            config.regions[name] = int(mib)
        case ["phase", ms] if int(ms) > 0:
            config.phases.append((int(ms), []))
        case ["acc", region, rate, ("rand" | "seq") as pattern] if float(rate) >= 0:
            if region not in config.regions:
                raise ValueError(f"no region {region}")
            if not config.phases:
                raise ValueError("comes before the first phase")
            config.phases[-1][1].append((region, float(rate), pattern))
        case _:
            raise ValueError("is not understood")


def describe(config: Config, maps: dict[str, mmap.mmap], text: str) -> dict[str, Any]:
    """What a recording tells of the program: regions with addresses, phases."""
    regions = []
    for name, mapped in maps.items():
        start = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        where = {"start": start, "end": start + len(mapped)}
        pages = {"start_page": start // PAGE, "pages": len(mapped) // PAGE}
        mib = {"name": name, "mib": len(mapped) // MIB, "populate_node": None}
        regions.append({**mib, **where, **pages})
    phases = [
        {
            "ms": ms,
            "acc": [{"region": r, "rate_per_page_per_s": rate, "pattern": p} for r, rate, p in acc],
        }
        for ms, acc in config.phases
    ]
    return {
        "regions": regions, "phases": phases, "tlbflush_every_quanta": 1, "quantum_us": 1000,
        "cpu": min(os.sched_getaffinity(0)), "thp": 0, "loop": 0, "seed": config.seed,
        "pid": os.getpid(), "config_text": text,
    }  # fmt: skip


class Toucher:
    """Runs phases quantum by quantum; lost time is dropped, never caught up."""

    def __init__(self, config: Config, maps: dict[str, mmap.mmap]) -> None:
        self._config, self._maps = config, maps
        self._random = random.Random(config.seed).random
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._scratch = mmap.mmap(-1, SCRATCH)
        self._scratch.write(b"\1" * SCRATCH)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._scratch))
        self.rows: list[list[float]] = []

    def run(self) -> None:
        """All phases, from now on."""
        begin = time.monotonic()
        row_end, late, counts = ROW_S, 0.0, [0]
        end, due = 0.0, 0.0
        for number, (ms, accesses) in enumerate(self._config.phases):
            end, owed, place = end + ms / 1000, [0.0] * len(accesses), [0] * len(accesses)
            counts = [0] * max(1, len(accesses))
            while due < end:
                wait = begin + due - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
                elif -wait > QUANTUM_S:
                    late, due = late - wait, due - wait
                self._quantum(accesses, owed, place, counts)
                due += QUANTUM_S
                if due >= row_end or due >= end:
                    self.rows.append([round(due, 3), number, round(late * 1e6), *counts])
                    row_end, late, counts = due + ROW_S, 0.0, [0] * len(counts)

    def _quantum(
        self, accesses: list[tuple[str, float, str]], owed: list[float], place: list[int],
        counts: list[int],
    ) -> None:  # fmt: skip
        for k, (name, rate, pattern) in enumerate(accesses):
            mapped = self._maps[name]
            pages = len(mapped) // PAGE
            owed[k] += rate * pages * QUANTUM_S
            nr = int(owed[k])
            owed[k] -= nr
            counts[k] += nr
            if pattern == "rand":
                draw = self._random
                for _ in range(nr):
                    mapped[int(draw() * pages) * PAGE]
            else:
                for at in range(place[k], place[k] + nr):
                    mapped[at % pages * PAGE]
                place[k] = (place[k] + nr) % pages
        self._libc.mprotect(ctypes.c_void_p(self._address), SCRATCH, mmap.PROT_READ)
        self._libc.mprotect(
            ctypes.c_void_p(self._address), SCRATCH, mmap.PROT_READ | mmap.PROT_WRITE
        )

    def write(self, path: Path) -> None:
        """The rows; phases with fewer accesses than others have zeros."""
        width = max(map(len, self.rows), default=4)
        with path.open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["t_s", "phase", "late_us", *(f"acc{k}" for k in range(width - 3))])
            out.writerows(row + [0] * (width - len(row)) for row in self.rows)


def main() -> None:
    """Populate, say so, wait, run, tell."""
    text = Path(sys.argv[1]).read_text()
    config = parse(text)
    begin = time.monotonic()
    maps = {name: mmap.mmap(-1, mib * MIB) for name, mib in config.regions.items()}
    for mapped in maps.values():
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            mapped.madvise(mmap.MADV_NOHUGEPAGE)
        for at in range(0, len(mapped), PAGE):
            mapped[at] = 1
    toucher = Toucher(config, maps)
    told = {**describe(config, maps, text), "populate_s": time.monotonic() - begin}
    print(json.dumps(told), flush=True)
    sys.stdin.readline()
    toucher.run()
    toucher.write(Path(sys.argv[2]))


if __name__ == "__main__":
    main()
