"""DAMON's kernels on arrays of regions beside their plain twins, one loop per rule."""

from __future__ import annotations

from benchmarks.damon_kernels import kernels, table
from benchmarks.estimating import cost, ratio
from benchmarks.harness import (
    TURNS,
    Answers,
    Ask,
    at_least,
    at_most,
    benchmark,
    turns_on,
)
from numasim.damon.regions import Regions
from tests.mirror import damon_twin as twin

NR = 10_000
FASTER = ("split in two", "split in three", "split some", "ages", "reset", "scores")


def against_twin(kernel: str, nr: int = NR) -> tuple[list[float], list[float]]:
    """CPU seconds of a call on fresh regions, ours and the twin's, turn by turn."""
    fast, plain = kernels()[kernel]
    rows = table(nr)
    found = turns_on(
        {
            "fast": (lambda: Regions(rows), fast),
            "plain": (lambda: twin.from_rows(rows), plain),
        },
        TURNS,
    )
    return found["fast"], found["plain"]


@benchmark(
    *(Ask(f"{kernel} of 10,000 regions", "times the twin's speed", at_least(10))
      for kernel in FASTER),
    processes=5,
)  # fmt: skip
def kernels_against_twins() -> Answers:
    """What every aggregation does to all regions, except merging."""
    found = []
    for kernel in FASTER:
        fast, plain = against_twin(kernel)
        found.append(ratio(plain, fast))
    return found


@benchmark(
    Ask("merging 10,000 regions", "CPU us / region", at_most(0.4)),
    Ask("merging against its twin", "times the twin's speed", better="higher"),
    processes=5,
)
def merge() -> Answers:
    """Sequential by definition: truncating weighted means."""
    fast, plain = against_twin("merge")
    return cost(fast, NR / 1e6), ratio(plain, fast)


@benchmark(
    Ask("merging with the compiled extra", "times the twin's speed", at_least(30)),
    compiled=True,
    processes=5,
)
def merge_compiled() -> Answers:
    """The same loop, compiled."""
    fast, plain = against_twin("merge")
    return (ratio(plain, fast),)
