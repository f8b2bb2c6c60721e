"""Simulate a recorded run with one seed, and keep what was seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from numasim.pool import Outcome
from numasim.running import run_scenario
from numasim.validate.archive import code, fingerprint, load, save
from numasim.validate.asked import asked
from numasim.validate.guest import guest
from numasim.validate.model import Model, deliberately_wrong
from numasim.validate.observed import Observed, of_result
from numasim.validate.recording import Recording, read


@dataclass(frozen=True)
class Trial:
    """One simulated run of a recording: a job for the pool.

    Parameters
    ----------
    folder : Path
        Of the recorded run.
    name : str
        Of the recorded run.
    seed : int
    model : Model
    kept : Path
        Where what was seen is kept.
    """

    folder: Path
    name: str
    seed: int
    model: Model
    kept: Path

    @property
    def key(self) -> tuple[str, int]:
        """Recorded run and seed."""
        return self.name, self.seed

    def outcome(self) -> Outcome:
        """Run it, unless it was kept."""
        recording = recorded(self.folder)
        if self.seen(recording) is not None:
            return Outcome(self.key, {}, loaded=True)
        save(simulate(recording, self.seed, self.model), self.kept, self._made_by())
        return Outcome(self.key, {})

    def seen(self, recording: Recording) -> Observed | None:
        """What was kept; None if there is nothing, or nothing of this model and program."""
        return load(self.kept, self._made_by(), asked(recording))

    def _made_by(self) -> dict[str, Any]:
        return {
            "recording": fingerprint(self.folder), "seed": self.seed, "model": asdict(self.model),
            "code": code(),
        }  # fmt: skip


@lru_cache(maxsize=1)
def recorded(folder: Path) -> Recording:
    """A recording, read once by a process that simulates it many times."""
    return read(folder)


def simulate(recording: Recording, seed: int, model: Model | None = None) -> Observed:
    """What the recorder would have seen of a simulated run.

    Raises
    ------
    ConfigError
        If the run needs something that is not modelled.
    SimulationError
    """
    model = model or Model()
    described = guest(recording, seed, model)
    with deliberately_wrong(model):
        result = run_scenario(described.scenario)
    return of_result(result, recording, described.zero_s)
