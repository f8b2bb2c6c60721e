"""One run, described: topology, workload, policy, timed events, duration, seed. Frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from numasim.balancing import tunables
from numasim.damon.spec import Kdamond
from numasim.errors import ConfigError, Problem
from numasim.policies import Policy
from numasim.recorded_clock import ClockRecord
from numasim.topology import Topology
from numasim.workload import Workload

SYSCTLS = {
    "vm.min_free_kbytes": (0, 2**31 - 1),
    "vm.watermark_scale_factor": (1, 3000),
    "vm.swappiness": (0, 200),
    "numa/demotion_enabled": (0, 1),
    **{name: (least, most) for name, (_, least, most) in tunables.SYSCTLS.items()},
}
"""Kernel settings that an event may write, with their bounds."""
MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Event:
    """Something the experimenter does at an instant.

    Parameters
    ----------
    at_ns : int
    action : str
        ``start``, ``commit`` or ``stop`` (kdamonds), ``sysctl``, ``interleave`` (weights of a
        mapping's weighted interleave), ``available`` (memory that others leave on a node, as
        measured), ``stop_process``.
    kdamonds : tuple of Kdamond
    settings : dict
        Arguments of the others.
    text : str
        As the user wrote it.
    """

    at_ns: int
    action: str
    kdamonds: tuple[Kdamond, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True)
class Scenario:
    """Everything one run depends on.

    Parameters
    ----------
    topology : Topology
    workload : Workload
    policy : Policy
    policy_name : str
        Under which comparisons show it.
    duration_ns : int
        The run covers ``[0, duration_ns)``.
    seed : int
    events : tuple of Event
    record_ns : int
        Interval of the time series.
    hot_ratio : float
        Access rate, as a share of samples, from which the monitoring error calls a page hot.
    exact_ticks : bool
        Force the tick-by-tick twin of sampling.
    all_snapshots : bool
        Keep every monitoring snapshot, one per aggregation interval, instead of a sample.
    warnings : tuple of str
        What is surprising in the workload's file, or in what it asks of the machine.
    access_source : str
        Registered name of what DAMON sees with, where a context's sample control does not say so.
    clocks : dict of str to ClockRecord
        Kdamonds whose ticks were late as recorded on a real machine, by name.
    accessor_truth : bool
        Record the truth of each accessor; it is also recorded when a context's source knows them.
    source_settings : dict
        Parameters of access sources, by name, for all contexts.
    document : dict
        The plain data it was built from; running that again gives the same tables.
    """

    topology: Topology
    workload: Workload
    policy: Policy
    policy_name: str
    duration_ns: int
    seed: int = 1
    events: tuple[Event, ...] = ()
    record_ns: int = 1_000_000_000
    hot_ratio: float = 0.05
    exact_ticks: bool = False
    all_snapshots: bool = False
    warnings: tuple[str, ...] = ()
    access_source: str = "accessed_bits"
    clocks: dict[str, ClockRecord] = field(default_factory=dict)
    accessor_truth: bool = False
    source_settings: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict, compare=False)


def seeds_of(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """Seeds 1, 2, … n of a number, or those listed.

    Raises
    ------
    ConfigError
        If there is none, one is negative or listed twice.
    """
    numbers = range(1, min(seeds, MOST_SEEDS) + 1) if isinstance(seeds, int) else seeds
    good = not isinstance(seeds, str | bool) and isinstance(numbers, Sequence)
    good = good and not (isinstance(seeds, int) and seeds > MOST_SEEDS)
    good = good and all(isinstance(s, int) and not isinstance(s, bool) and s >= 0 for s in numbers)
    if not good or not len(numbers) or len(frozenset(numbers)) < len(numbers):
        message = f"got {seeds!r}, expected how many, or a list of different seeds"
        raise ConfigError(Problem("seeds", message))
    return tuple(numbers)
