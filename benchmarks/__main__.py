"""Run benchmarks: ``python -m benchmarks [names]``.

A name is that of a benchmark's function or of a topic's file; without any, all run. Results are
printed and left in ``benchmarks/results.json``; the exit status is 1 if a bound is missed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import (
    cost_model,
    harness,
    memory_size,
    migration,
    regions,
    sampling,
    scenarios,
    start_up,
    sweeps,
    traces,
)

TOPICS = (
    regions,
    sampling,
    cost_model,
    migration,
    scenarios,
    memory_size,
    traces,
    start_up,
    sweeps,
)
HERE = Path(__file__).parent
RESULTS, COMMITTED = HERE / "results.json", HERE / "committed.json"
NAME_WIDTH = 62


def topic(name: str) -> str:
    """The file that a benchmark is in."""
    return harness.REGISTRY[name].run.__module__.rpartition(".")[2]


def chosen(words: list[str]) -> list[str]:
    """Benchmarks by function or by file, in the order of the files."""
    known = list(harness.REGISTRY)
    if unknown := [w for w in words if w not in known and w not in map(topic, known)]:
        names = ", ".join(dict.fromkeys(topic(name) for name in known))
        sys.exit(f"no benchmark {', '.join(unknown)}; topics: {names}; all: {', '.join(known)}")
    return [name for name in known if not words or name in words or topic(name) in words]


def line(one: harness.Result) -> str:
    """One row of the table."""
    if one.value is None:
        return f"{one.name:<{NAME_WIDTH}} {'-':>10} {one.unit}"
    verdict = "" if one.bound is None else "ok" if one.ok else "MISSED"
    return (
        f"{one.name:<{NAME_WIDTH}} {one.value:>10.3f} {one.unit:<24} {one.bound or '':<9}"
        f"{verdict:<7} ±{50 * (one.spread or 0):.1f} %"
    )


def run(names: list[str]) -> list[harness.Result]:
    """Measure, printing as results come."""
    results, speeds = [], []
    for name in names:
        found = harness.measure(name)
        speeds += [one for one in found if one.name == harness.MACHINE]
        found = [one for one in found if one.name != harness.MACHINE]
        for one in found:
            print(line(one), flush=True)
        results += found
    if speeds:
        results.append(harness.machine_speed(speeds))
        print(line(results[-1]))
    return results


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="name", help="a benchmark or a topic")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the results go")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        harness.child(options.child)
        return
    names = chosen(options.names)
    if options.list:
        for name in names:
            print(f"{topic(name):<12} {name}")
        return
    results = run(names)
    harness.write(results, options.out)
    missed = [one.name for one in results if one.ok is False]
    worse = harness.regressions(results, harness.read(COMMITTED)) if COMMITTED.exists() else []
    for complaint in worse:
        print(f"regressed: {complaint}")
    print(f"{len(results)} results in {options.out}, {len(missed)} bounds missed")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
