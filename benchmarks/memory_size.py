"""What grows with memory, regions, kdamonds and accessors, and what must not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from benchmarks.estimating import Estimate, ratio
from benchmarks.harness import Answers, Ask, at_most, benchmark, peak_gib
from benchmarks.machines import KEPT, settled
from benchmarks.paced import Paced

STRETCH_S, NR = 25, 16  # with six monitoring snapshots each
LONG_S, FEW = 12.5, 6  # the same where they take long
COST = "times the cost"
EQUAL = 1.1  # as much for each as for one of few: 0.97-1.05 seen
LINEAR = 1.25  # one pass each, which differs by a tenth between runs (0.96-1.14 seen)


def aggregations(paced: Paced) -> int:
    """Sampling ticks of all kdamonds so far, in aggregations."""
    return sum(t.context.passed_sample_intervals for t in paced.engine.threads) // 20


def costs(
    sides: dict[str, Paced], from_s: dict[str, float], stretch_s: float = STRETCH_S, nr: int = NR
) -> dict[str, list[float]]:
    """CPU seconds per aggregation of each scenario in the settled state, taking turns."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for name, paced in sides.items():
        paced.until(from_s[name])
    for k in range(nr):
        for name, paced in sides.items():
            before = aggregations(paced)
            used = paced.until(from_s[name] + (k + 1) * stretch_s)
            found[name].append(used / (aggregations(paced) - before))
    return found


@benchmark(
    Ask("1 TiB against 64 GiB, 4 KiB pages, equal regions", COST, at_most(1.5)),
    Ask("4 TiB in 2 MiB pages against 64 GiB in 4 KiB", COST, at_most(1.5)),
    Ask("set-up of 1 TiB against 64 GiB, a page", COST, at_most(LINEAR)),
    Ask("set-up of 4 KiB pages", "CPU us / page"),
)
def memory_size() -> Answers:
    """An aggregation at equal regions, and first touch of all of it."""
    sizes = {"small": (64, "4 KiB"), "large": (1024, "4 KiB"), "huge": (4096, "2 MiB")}
    start_s = 20
    sides = {
        name: Paced(settled(gib, start_s, 1000, page=page)) for name, (gib, page) in sizes.items()
    }
    set_up = {name: one.set_up_s + one.until(start_s - 1) for name, one in sides.items()}
    for name, one in sides.items():
        assert all(p.mapping.populate for p in one.engine.machine.space.mappings), name
        assert not one.engine.machine.populators, f"{name} is not populated at {start_s} s"
    found = costs(sides, dict.fromkeys(sides, start_s + 25.0))
    pages = {name: one.engine.machine.space.nr_pages for name, one in sides.items()}
    each = {name: set_up[name] / pages[name] for name in sides}
    return (
        ratio(found["large"], found["small"]),
        ratio(found["huge"], found["small"]),
        Estimate(each["large"] / each["small"]),
        Estimate(each["large"] * 1e6),
    )


@benchmark(Ask("peak memory of 4 TiB in 2 MiB pages", "GiB", at_most(8)))
def huge_pages() -> Answers:
    """Frames of 2 MiB: few."""
    paced = Paced(settled(4096, 20, 1000, page="2 MiB"))
    paced.until(60)
    return (Estimate(peak_gib()),)


@benchmark(Ask("cost per region, 100,000 against 1,000", "times", at_most(1.0)))
def number_of_regions() -> Answers:
    """Whole scenarios of two kdamonds: sampling, merging, splitting, schemes, recording."""
    limits = "--monitoring_nr_regions_range {} {}"
    few = Paced(settled(256, 10, 1000, limits=limits.format(600, 1000)))
    many = Paced(settled(256, 10, 1000, limits=limits.format(60_000, 100_000)))
    found = costs({"few": few, "many": many}, {"few": 30.0, "many": 30.0}, LONG_S, FEW)
    nr = {
        name: sum(t.context.nr_regions for t in one.engine.threads)
        for name, one in (("few", few), ("many", many))
    }
    assert nr["many"] > 90 * nr["few"], nr
    return (ratio(found["many"], found["few"], nr["few"] / nr["many"]),)


# -- kdamonds and accessors ------------------------------------------------------------------------


def sockets(nr: int, watched: int) -> dict[str, Any]:
    """Sockets in a line with a program each, so many of their nodes watched by a kdamond each."""
    at = [f"s{i}" for i in range(nr)]
    common = {"capacity": "4 GiB", "latency": "100 ns", "bandwidth": "100 GB/s"}
    topology = {
        "name": "sockets",
        "nodes": [{"name": f"n{i}", "at": s, **common} for i, s in enumerate(at)],
        "accessors": [
            {"name": f"c{i}", "cpus": f"{8 * i}-{8 * i + 7}", "at": s} for i, s in enumerate(at)
        ],
        "links": [
            {"between": [a, b], "latency": "60 ns", "bandwidth": "40 GB/s"} for a, b in pairwise(at)
        ],
    }
    processes = []
    for i in range(nr):
        bind = {"mode": "bind", "nodes": [f"n{i}"]}
        access = [{"pattern": "hot_cold", "mapping": "m"}]
        actor = {"on": f"c{i}", "threads": 8, "phases": [{"compute": "300 ns", "access": access}]}
        heap = {"name": "m", "size": "3 GiB", "policy": bind}
        processes.append({"name": f"p{i}", "mappings": [heap], "actors": [actor]})
    kdamond = "--numa_node {} --monitoring_intervals 5ms 100ms 1s " + KEPT
    ones = " ".join(["1"] * watched)
    damo = "damo start " + " ".join(kdamond.format(i) for i in range(watched))
    return {
        "topology": topology,
        "workload": {"name": "sockets", "processes": processes},
        "duration": "1000 s",
        "policy": {
            "kind": "damos",
            "damo": f"{damo} --nr_targets {ones} --nr_ctxs {ones}",
            "start": "10 s",
        },
    }


def growth(few: dict[str, Any], many: dict[str, Any], times: float) -> Estimate:
    """CPU seconds of a simulated second for each piece: many, so many times as few, against few."""
    sides = {"few": Paced(few), "many": Paced(many)}
    for paced in sides.values():
        paced.until(30)
    found: dict[str, list[float]] = {"few": [], "many": []}
    for k in range(NR):
        for name, paced in sides.items():
            found[name].append(paced.until(30 + (k + 1) * STRETCH_S))
    return ratio(found["many"], found["few"], 1 / times)


@benchmark(
    Ask("cost per kdamond, 16 against 2 on 16 sockets", "times", at_most(EQUAL)),
    Ask("cost per accessor, 16 against 2 with one kdamond", "times", at_most(1.0)),
    Ask("cost per socket with its kdamond, 16 against 2", "times", better="lower"),
)
def kdamonds_and_accessors() -> Answers:
    """One grows while the other stays; then both do, and with them the classes of all pages."""
    return (
        growth(sockets(16, 2), sockets(16, 16), 8),
        growth(sockets(2, 1), sockets(16, 1), 8),
        growth(sockets(2, 2), sockets(16, 16), 8),
    )
