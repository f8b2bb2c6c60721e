"""What a sweep runs: topologies x workloads x policies x parameters x seeds, from one plan.

A plan is a scenario whose parts are lists. `points` are its runs without their seeds: each has a
scenario that was checked, and the labels by which tables tell it from the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numasim.result import COLUMNS
from numasim.scenario import Scenario
from numasim.sweep.recordings import with_digests

DEFAULT_TIME_NS = 3_600_000_000_000
MANY = 100_000
PARTS = ("topology", "workload", "policy")

Group = tuple[tuple[str, str], ...]
"""Labels that points have in common, and their values as text."""


@dataclass(frozen=True)
class Limits:
    """What one run may take before it is ended.

    Parameters
    ----------
    time_ns : int
        Of the clock on the wall; an hour unless the plan says.
    memory_bytes : int
        Beyond what an idle worker holds; 0 for a fair share of this machine's.
    """

    time_ns: int = DEFAULT_TIME_NS
    memory_bytes: int = 0


@dataclass(frozen=True)
class Point:
    """A scenario without its seed.

    Parameters
    ----------
    labels : dict of str to Any
        ``topology``, ``workload``, ``policy``, and the value of every parameter it has.
    scenario : Scenario
    """

    labels: dict[str, Any]
    scenario: Scenario

    def content(self, code: str) -> str:
        """Hash of everything but the seed that its results depend on.

        Parameters
        ----------
        code : str
            See `numasim.sweep.code.fingerprint`.
        """
        document = {key: v for key, v in self.scenario.document.items() if key != "seed"}
        # by its name too: recordings take part in what pages are like by their names
        told = [document, code, with_digests(document["workload"])]
        text = json.dumps(told, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def group(self) -> Group:
        """Its labels but those of the policy: what runs that are compared have in common."""
        kept = (key for key in self.labels if key != "policy" and not is_own(key))
        return tuple((key, str(self.labels[key])) for key in kept)

    def policy(self) -> str:
        """The policy with its parameters, as tables call it."""
        own = [f"{k.removeprefix('policy.')}={v}" for k, v in self.labels.items() if is_own(k)]
        name = str(self.labels["policy"])
        return f"{name} ({', '.join(own)})" if own else name


def is_own(label: str) -> bool:
    """Whether a label is a parameter of the policy."""
    return label.startswith("policy.")


@dataclass(frozen=True)
class Plan:
    """Everything that a sweep runs.

    Parameters
    ----------
    name : str
    points : tuple of Point
        The policy changes fastest.
    seeds : tuple of int
    parameters : dict of str to list
        Values of each parameter, in the order of the plan.
    keep : tuple of str
        Tables kept of every run, beside its summary.
    limits : Limits
    source : Path or None
        A plan in Python, which workers run too: it may define policies.
    text : str
        Of the file it was read from; empty of plain data.
    more_seeds : dict
        Further seeds of points that are compared with each other, by `Point.group`.
    """

    name: str
    points: tuple[Point, ...]
    seeds: tuple[int, ...]
    parameters: dict[str, list[Any]] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    source: Path | None = None
    text: str = ""
    more_seeds: dict[Group, tuple[int, ...]] = field(default_factory=dict)

    @property
    def baseline(self) -> str:
        """The policy that others are compared to: the first."""
        return str(self.points[0].labels["policy"])

    @property
    def python(self) -> str:
        """Text of a plan in Python, which may register policies; empty of others."""
        return self.text if self.source is not None else ""

    @property
    def nr_runs(self) -> int:
        """Runs that it asks for."""
        return sum(len(self.seeds_for(point)) for point in self.points)

    def seeds_for(self, point: Point) -> tuple[int, ...]:
        """Seeds of one of its points."""
        return (*self.seeds, *self.more_seeds.get(point.group(), ()))

    def groups(self) -> dict[Group, list[Point]]:
        """Points that are compared with each other, the first being what the others are held to."""
        found: dict[Group, list[Point]] = {}
        for point in self.points:
            found.setdefault(point.group(), []).append(point)
        return found

    def with_seeds(self, seeds: Sequence[int]) -> Plan:
        """The same for other seeds."""
        return replace(self, seeds=tuple(seeds), more_seeds={})


def known_tables() -> tuple[str, ...]:
    """Tables that can be kept."""
    return tuple(COLUMNS)
