"""Policies: where pages ought to live. One file registers one policy; its fields are its YAML keys.

A policy built on DAMON names the kdamonds it wants; they are data, printable and usable on a real
machine. Others say where first touch goes (`mempolicy`), or have agents running (`agents`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from numasim.agents import Agent, Stage
from numasim.contention import Contention
from numasim.damon.spec import Kdamond
from numasim.mapping import Mapping, Mempolicy
from numasim.registry import Registry
from numasim.topology import Topology
from numasim.units import DurationNs

STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
registry: Registry[Policy] = Registry("policy", "numasim.policies", "numasim.policies")
register = registry.register


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Policy:
    """What every policy has.

    Parameters
    ----------
    start : int
        Instant (ns) at which it begins to act; the order of events decides much of the outcome.

    Notes
    -----
    What a class says of itself in short words makes the table of all policies: the signal that it
    `observes`, what it `moves`, the `unit` that it judges by, its `hot_criterion` and
    `cold_criterion`, what bounds its rate (`rate_control`), and whether it is `bandwidth_aware`
    and `multi_accessor` (knows who accessed).
    """

    start: DurationNs = 0

    kind: ClassVar[str]
    observes: ClassVar[str] = "nothing"
    moves: ClassVar[str] = "nothing after first touch"
    unit: ClassVar[str] = "page at first touch"
    hot_criterion: ClassVar[str] = "none"
    cold_criterion: ClassVar[str] = "none"
    rate_control: ClassVar[str] = "none"
    bandwidth_aware: ClassVar[str] = "no"
    multi_accessor: ClassVar[str] = "no"
    has_agents: ClassVar[bool] = False
    sysctls: ClassVar[frozenset[str]] = frozenset()
    """Settings of the kernel that only its agents read."""

    @property
    def demotion(self) -> bool:
        """Whether reclaim demotes from `start` on, as with ``numa/demotion_enabled``."""
        return False

    def kdamonds(self, topology: Topology) -> tuple[Kdamond, ...]:
        """The DAMON threads it starts."""
        return ()

    def agents(self, stage: Stage, now_ns: int) -> Sequence[Agent]:
        """What it has running beside kdamonds from `start` on; asked if `has_agents`."""
        return ()

    def mempolicy(self, topology: Topology, mapping: Mapping) -> Mempolicy:
        """Where first touch puts the pages of a mapping, from the beginning of the run."""
        return mapping.policy

    def contention(self, topology: Topology) -> Contention | None:
        """Who gives way where several of its kdamonds want one page; None: first come."""
        return None

    def remark(self, topology: Topology) -> str:
        """What to know of it on that machine; empty if nothing."""
        return ""
