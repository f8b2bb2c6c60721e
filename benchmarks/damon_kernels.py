"""What DAMON's array kernels cost for each region, next to their plain twins.

    python -m benchmarks.damon_kernels

CPU time, the least of several turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from numasim.damon.merging import merge_pass
from numasim.damon.regions import Regions, mvsum, reset_aggregated
from numasim.damon.scores import scores
from numasim.damon.spec import Attrs, Quota
from numasim.damon.splitting import Draws, Shared, split_all, split_some
from tests.mirror import damon_twin as twin

PAGE = 4096
TURNS = 9
BIG = 10**9
WEIGHTS = Quota(weight_nr_accesses=1, weight_age=1)


def table(count: int) -> list[tuple[int, int, int, int, int]]:
    """Regions as they are a window after splitting: pairs alike, most of them idle."""
    rng = np.random.default_rng(0)
    size = rng.integers(4, 400, count) * PAGE
    end = np.cumsum(size)
    base = np.repeat(rng.choice([0, 0, 0, 0, 5, 12, 20], count // 2 + 1), 2)[:count]
    nr = np.clip(base + (base > 0) * rng.integers(-1, 2, count), 0, 20)
    last = np.clip(nr + rng.integers(-1, 2, count), 0, 20)
    age = rng.integers(0, 100, count)
    columns = (end - size, end, nr, last, age)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def least_us(work: Callable[[object], object], make: Callable[[], object], turns: int) -> float:
    """Least CPU time of a call on something freshly made, microseconds."""
    times = []
    for _ in range(turns):
        made = make()
        start = time.process_time_ns()
        work(made)
        times.append(time.process_time_ns() - start)
    return min(times) / 1000


def kernels() -> dict[str, tuple[Callable, Callable]]:
    """The fast and the plain form of each kernel."""
    draws, line, shared = Draws.of(np.random.default_rng(0)), twin.cycle([3, 5, 7]), Shared()
    attrs = Attrs()

    def plain_ages(target: twin.Target) -> None:
        twin.merge_pass(target, 2, 0, True)

    def plain_scores(target: twin.Target) -> None:
        for r in target:
            twin.score("hot", r.nr, r.age, attrs, WEIGHTS)

    def plain_mvsum(target: twin.Target) -> None:
        for r in target:
            twin.mvsum(r, 8, 20)

    return {
        "ages": (lambda r: merge_pass(r, 2, 0, True), plain_ages),
        "merge": (
            lambda r: merge_pass(r, 2, BIG, False),
            lambda t: twin.merge_pass(t, 2, BIG, False),
        ),
        "split in two": (
            lambda r: split_all(r, 2, draws, PAGE),
            lambda t: twin.split_all(t, 2, lambda: next(line), PAGE),
        ),
        "split in three": (
            lambda r: split_all(r, 3, draws, PAGE),
            lambda t: twin.split_all(t, 3, lambda: next(line), PAGE),
        ),
        "split some": (
            lambda r: split_some([r], 2, shared, draws, PAGE),
            lambda t: twin.split_some([t], 2, 0, lambda: next(line), PAGE),
        ),
        "reset": (lambda r: reset_aggregated([r]), lambda t: twin.reset([t])),
        "moving sum": (lambda r: mvsum(r.nr_accesses, r.last_nr_accesses, 4000), plain_mvsum),
        "scores": (lambda r: scores("hot", r.nr_accesses, r.age, attrs, WEIGHTS), plain_scores),
    }


def row(name: str, count: int) -> str:
    """One line of the table."""
    fast, plain = kernels()[name]
    rows = table(count)
    cost = least_us(fast, lambda: Regions(rows), TURNS) / count
    twin_cost = least_us(plain, lambda: twin.from_rows(rows), TURNS) / count
    return f"{name:<16}{count:>8}{cost:>11.3f}{twin_cost:>9.2f}{twin_cost / cost:>8.0f}"


def main() -> None:
    """Print the table."""
    print(f"{'kernel':<16}{'regions':>8}{'us/region':>11}{'plain':>9}{'ratio':>8}")
    for name in kernels():
        for count in (1_000, 10_000):
            print(row(name, count))


if __name__ == "__main__":
    main()
