"""Recorded programs that something can stop: at the pace asked of them, as far as they get on.

A program that follows its counted accesses goes as fast as it went when the kernel's hint faults
stopped it, whatever ours do. So where NUMA balancing is on, its counts are an outcome: the program
is asked for its nominal accesses and gets as far as faults, moves and scans let it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numasim.validate.recording import Recording
from numasim.validate.setup import AccessRecord
from numasim.validate.terrain import phases

ACCESS_NS = 500
"""The recorded emulator's CPU makes about two million random accesses a second (README of the
recordings)."""


def actor(
    recording: Recording,
    program: int,
    on: str,
    until_s: float,
    pattern: Callable[[int, int, AccessRecord], dict[str, Any]],
) -> dict[str, Any]:
    """One thread that makes the accesses of each quantum and spins until the next, as plain data.

    Parameters
    ----------
    recording : Recording
    program : int
    on : str
        Accessor.
    until_s : float
        Before, nothing stopped the program: what it lost then to its host, it loses later too.
    pattern : callable
        Phase, line and its record → plain data of a pattern.

    Notes
    -----
    Source: README of the recordings: in every quantum each line makes its accesses; a quantum that
    comes late is not caught up. Phases change when they did.
    """
    own = recording.setup.programs[program]
    size = {region.name: region.pages for region in own.regions}
    pace = 1e6 / own.quantum_us * (1.0 - lost_share(recording, program, until_s))
    runs = [phase for phase in phases(recording) if phase.program == program]
    found: list[dict[str, Any]] = []
    for run in runs:
        number = run.number % len(own.phases)
        access = []
        for j, line in enumerate(own.phases[number]):
            visits = line.rate_per_page_per_s * size[line.region] * own.quantum_us / 1e6
            if visits > 0:
                access.append(pattern(number, j, line) | {"visits": visits})
        told: dict[str, Any] = {"pace": f"{pace} /s", "spins": True, "access": access}
        if not access:
            told["compute"] = f"{own.quantum_us} us"
        if run is not runs[-1]:
            told["duration"] = f"{round((run.end_s - run.begin_s) * 1e9)} ns"
        found.append(told)
    return {"name": "main", "on": on, "phases": found}


def lost_share(recording: Recording, program: int, until_s: float) -> float:
    """Share of a program's time that it lost until then; it lost it to nobody that we model."""
    truth = recording.truth[program]
    rows = truth[truth.index <= until_s]
    if not len(rows):
        return 0.0
    return min(float(rows.late_us.sum()) / 1e6 / float(rows.index[-1]), 0.9)
