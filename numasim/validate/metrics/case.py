"""What is the same for a recorded run and every simulated one of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.validate.observed import KdamondSeen, Observed, Watch, of_recording
from numasim.validate.recording import Recording
from numasim.validate.terrain import Key, Phase, Terrain, Truth, phases, terrain

HOT = 0.5
"""Mappings with at least this part of a phase's highest rate are its hot set."""


@dataclass(frozen=True)
class Measured:
    """A number (or a profile) of a run.

    Parameters
    ----------
    name : str
    value : float or float64[B]
        In `unit`; profiles are compared by the distance that `distance` names.
    unit : str
    gated : bool
        Whether a single run decides it fairly.
    log : bool
        Whether ratios count rather than differences.
    resolution : float
        Difference (or logarithm of a ratio) below which nothing can be said.
    distance : str
        "" for numbers; ``"l1"`` or ``"emd"`` for profiles.
    events : bool
        Whether it adds up chance events that may not happen at all. If no seed of n saw any,
        another one may still with a chance of 1 in n + 1: too few seeds then decide nothing.
    """

    name: str
    value: float | np.ndarray
    unit: str = ""
    gated: bool = True
    log: bool = False
    resolution: float = 0.0
    distance: str = ""
    events: bool = False


@dataclass(frozen=True)
class Look:
    """One target of one kdamond of a recording.

    Parameters
    ----------
    label : str
        In front of names of metrics; "" where there is only one.
    kdamond, target : int
    terrain : Terrain or None
    from_s, until_s : float
        First and last recorded snapshot that counts.
    """

    label: str
    kdamond: int
    target: int
    terrain: Terrain | None
    from_s: float
    until_s: float

    def watch(self, seen: Observed) -> Watch | None:
        """What a run saw there; None if it saw nothing."""
        kdamonds = seen.kdamonds
        if self.kdamond >= len(kdamonds) or self.target >= len(kdamonds[self.kdamond].watches):
            return None
        found = kdamonds[self.kdamond].watches[self.target]
        return found if len(found) else None


@dataclass(frozen=True)
class Case:
    """A recording, prepared for measuring.

    Parameters
    ----------
    recording : Recording
    seen : Observed
        The recorded run itself.
    truth : Truth
    phases : tuple of Phase
    looks : tuple of Look
    near : tuple of int
        Nodes with CPUs.
    """

    recording: Recording
    seen: Observed
    truth: Truth
    phases: tuple[Phase, ...]
    looks: tuple[Look, ...]
    near: tuple[int, ...]

    def hot(self, phase: Phase) -> tuple[Key, ...]:
        """Hot mappings of a phase, by what was really accessed."""
        rates = {
            (phase.program, region.name): self.rate((phase.program, region.name), phase)
            for region in self.recording.setup.programs[phase.program].regions
        }
        most = max(rates.values(), default=0.0)
        return tuple(key for key, rate in rates.items() if most > 0 and rate >= HOT * most)

    def rate(self, key: Key, phase: Phase) -> float:
        """Accesses per page and second of a mapping in a phase."""
        begin, end = np.array([phase.begin_s]), np.array([phase.end_s])
        return float(self.truth.rate(key, begin, end)[0])

    def label_of(self, phase: Phase) -> str:
        """How a phase is called: which of its program's phases, and whose if there are more."""
        own = [p for p in self.phases if p.program == phase.program]
        whose = f" of program {phase.program}" if len(self.recording.truth) > 1 else ""
        return f"phase {own.index(phase)}{whose}"


def case(recording: Recording) -> Case:
    """Prepare a recording for measuring."""
    seen = of_recording(recording)
    looks = [
        Look(
            f"kd{k}" + (f".t{t}" if len(kdamond.watches) > 1 else ""), k, t,
            terrain(recording, kdamond.context, t, watch),
            max(0.0, float(watch.t_s[0])), float(watch.t_s[-1]),
        )
        for k, kdamond in enumerate(seen.kdamonds)
        for t, watch in enumerate(kdamond.watches)
    ]  # fmt: skip
    near = [n for n, cpus in enumerate(recording.setup.cpus_of_node) if cpus]
    return Case(
        recording, seen, Truth(recording), tuple(phases(recording)), tuple(looks),
        tuple(near or [0]),
    )  # fmt: skip


def kdamond_of(look: Look, seen: Observed) -> KdamondSeen:
    """The kdamond of a look in a run."""
    return seen.kdamonds[look.kdamond]


def time_mean(t_s: np.ndarray, values: np.ndarray, from_s: float, until_s: float) -> float:
    """Mean over time of a series that keeps each value until the next; nan without any."""
    if not len(t_s) or until_s <= from_s:
        return float("nan")
    edges = np.clip(np.append(t_s, np.inf), from_s, until_s)
    weights = np.diff(edges)
    total = weights.sum()
    return float((weights * values).sum() / total) if total > 0 else float("nan")
