"""Validate recorded runs: simulate each over many seeds, and judge."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from numasim.errors import ConfigError, Problem
from numasim.pool import OnDone, run_all
from numasim.validate.exact import Check, exact
from numasim.validate.exact_quota import exact_quotas
from numasim.validate.guest import guest, not_gated, remark
from numasim.validate.judge import FAMILY_ERROR, pool, score
from numasim.validate.metrics import case, measure
from numasim.validate.model import Model
from numasim.validate.observed import Observed, of_recording
from numasim.validate.recording import Recording, find_runs, read
from numasim.validate.trial import Trial
from numasim.validate.verdict import ExperimentVerdict, RunVerdict, Verdict

SEEDS = 20
LEAST_SEEDS = 3
NONSENSE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """Recorded runs to simulate, and those that cannot be.

    Parameters
    ----------
    recordings : tuple of Recording
    not_simulated : dict of str to str
        Name of a run → why.
    seeds : int
    model : Model
    not_gated : dict of Path to str
        Folder of a run whose metrics are told but not gated → why.
    """

    recordings: tuple[Recording, ...]
    not_simulated: dict[str, str]
    seeds: int
    model: Model
    not_gated: dict[Path, str] = field(default_factory=dict)

    @property
    def names(self) -> dict[Path, str]:
        """Folder of each run → its name; folders tell apart runs that are called the same."""
        taken: dict[str, int] = {}
        found = {}
        for recording in self.recordings:
            again = taken.get(recording.name, 0)
            taken[recording.name] = again + 1
            found[recording.folder] = recording.name + (f" ({again + 1})" if again else "")
        return found

    def trials(self, out: Path) -> list[Trial]:
        """Every run and seed."""
        found = []
        for folder, name in self.names.items():
            slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
            for seed in range(1, self.seeds + 1):
                kept = out / "runs" / slug / f"seed-{seed}.npz"
                found.append(Trial(folder, name, seed, self.model, kept))
        return found


def plan(
    folders: Sequence[str | Path], seeds: int = SEEDS, only: Sequence[str] = (),
    model: Model | None = None,
) -> Plan:  # fmt: skip
    """Read recorded runs, and see which of them can be simulated.

    Parameters
    ----------
    folders : sequence of path
        Runs, experiments, or folders of experiments.
    seeds : int
        How many; at least 3.
    only : sequence of str
        Experiments (or runs, such as ``E1a/r2``) to take; all if empty.
    model : Model, optional

    Raises
    ------
    ConfigError
        With every folder that is no recording, and every recording that cannot be read.
    """
    problems = []
    if seeds < LEAST_SEEDS:
        problems.append(Problem("seeds", f"got {seeds}, expected at least {LEAST_SEEDS}"))
    recordings: list[Recording] = []
    cannot: dict[str, str] = {}
    for folder in find_runs([Path(f) for f in folders]):
        try:
            _read(folder, recordings, cannot, model or Model())
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    recordings = [r for r in recordings if r.name not in cannot]
    wanted = [r for r in recordings if _asked_for(r.name, only)]
    skipped = {name: why for name, why in cannot.items() if _asked_for(name, only)}
    if only:
        names = [r.name for r in recordings] + list(cannot)
        known = sorted({name.split("/")[0] for name in names})
        problems = [
            Problem("--only", f'no recorded run "{one}" here', f"there are {', '.join(known)}")
            for one in only
            if not any(_asked_for(name, [one]) for name in names)
        ]
        if problems:
            raise ConfigError(problems)
    reported = {r.folder: why for r in wanted if not only and (why := not_gated(r))}
    return Plan(tuple(wanted), skipped, seeds, model or Model(), reported)


def _asked_for(name: str, only: Sequence[str]) -> bool:
    return not only or name in only or name.split("/")[0] in only


def _read(folder: Path, recordings: list[Recording], cannot: dict[str, str], model: Model) -> None:
    """Read one run; what cannot be simulated is told, not raised."""
    name = f"{folder.parent.name}/{folder.name}"
    if not list(folder.glob("truth*.csv")):
        cannot[name] = "it does not tell what the workload did (no truth.csv)"
        return
    recording = _sensible(folder, lambda: read(folder))
    try:
        _sensible(folder, lambda: guest(recording, 1, model))
    except ConfigError as error:
        cannot[recording.name] = "; ".join(str(p) for p in error.problems)
        return
    recordings.append(recording)


def _sensible(folder: Path, make: Callable[[], T]) -> T:
    """What a function makes of a folder; what it stumbles over is the folder's fault."""
    try:
        return make()
    except ConfigError:
        raise
    except NONSENSE as error:
        message = f"makes no sense as a recorded run: {type(error).__name__}: {error}"
        raise ConfigError(Problem(str(folder), message, "see benchmarks/capture")) from error


def carry_out(
    plan: Plan, workers: int | None = None, out: str | Path | None = None,
    on_done: OnDone | None = None,
) -> Verdict:  # fmt: skip
    """Simulate what was not simulated yet, and judge.

    Parameters
    ----------
    plan : Plan
    workers : int, optional
        Processes; all available cores if None. Results do not depend on it.
    out : path, optional
        Where simulated runs are kept; the same call again goes on from there.
    on_done : callable, optional
        See `numasim.pool.OnDone`.
    """
    if out is None:
        with TemporaryDirectory(prefix="numasim-") as folder:
            return carry_out(plan, workers, folder, on_done)
    trials = plan.trials(Path(out))
    outcomes = run_all(trials, workers, on_done)
    failed = {t.key: outcomes[t.key].error for t in trials if outcomes[t.key].error}
    names = plan.names
    runs = [
        _run(
            one,
            names[one.folder],
            [t for t in trials if t.folder == one.folder],
            one.folder not in plan.not_gated,
        )
        for one in plan.recordings
    ]
    told = {
        names[r.folder]: [t for t in (remark(r), plan.not_gated.get(r.folder)) if t]
        for r in plan.recordings
    }
    remarks = {name: "; ".join(texts) for name, texts in told.items() if texts}
    return judge(runs, plan.seeds, plan.not_simulated, failed, remarks)


def _run(recording: Recording, name: str, trials: list[Trial], gated: bool) -> RunVerdict:
    """Measure and judge one recorded run by its simulated ones."""
    prepared = case(recording)
    kernel = measure(prepared, prepared.seen)
    if not gated:
        kernel = {metric: replace(one, gated=False) for metric, one in kernel.items()}
    sims, checks = [], []
    for trial in trials:
        seen = trial.seen(recording)
        if seen is not None:
            sims.append(measure(prepared, seen))
            checks += check(seen, recording)
    scores = score(kernel, sims) if len(sims) >= LEAST_SEEDS else None
    return RunVerdict(
        name, recording.experiment, scores, tuple(check(of_recording(recording), recording)),
        tuple(_added_up(checks)), len(sims),
    )  # fmt: skip


def check(seen: Observed, recording: Recording) -> list[Check]:
    """Every exact check of a run."""
    return exact(seen) + exact_quotas(seen, recording)


def _added_up(checks: list[Check]) -> list[Check]:
    total: dict[str, Check] = {}
    for one in checks:
        whole = total.setdefault(one.name, Check(one.name))
        whole.checked, whole.wrong = whole.checked + one.checked, whole.wrong + one.wrong
        whole.examples += one.examples[: 5 - len(whole.examples)]
    return list(total.values())


def judge(
    runs: Sequence[RunVerdict], seeds: int, not_simulated: dict[str, str],
    failed: dict[tuple[str, int], str], remarks: dict[str, str] | None = None,
) -> Verdict:  # fmt: skip
    """Pool the metrics of each experiment, and of all.

    A false alarm anywhere has the probability `FAMILY_ERROR`: half of it is the whole table's, the
    experiments share the other half.
    """
    names = list(dict.fromkeys(run.experiment for run in runs))
    several = len(names) > 1
    each = FAMILY_ERROR / 2 / len(names) if several else FAMILY_ERROR
    experiments = []
    for name in names:
        own = tuple(run for run in runs if run.experiment == name)
        scores = [run.scores for run in own if run.scores is not None]
        experiments.append(ExperimentVerdict(name, own, pool(scores, each)))
    scores = [run.scores for run in runs if run.scores is not None]
    whole = pool(scores, FAMILY_ERROR / 2) if several else None
    alone = experiments[0].pooled if len(experiments) == 1 else None
    return Verdict(
        tuple(experiments), whole or alone, dict(not_simulated), failed, seeds, remarks or {}
    )


def validate(
    folders: Sequence[str | Path],
    seeds: int = SEEDS,
    only: Sequence[str] = (),
    workers: int | None = None,
    out: str | Path | None = None,
    model: Model | None = None,
) -> Verdict:
    """Hold recorded runs of a real kernel against the same runs, simulated.

    Parameters
    ----------
    folders : sequence of path
        Runs, experiments, or folders of experiments.
    seeds : int
    only : sequence of str
        Experiments or runs to take; all if empty.
    workers : int, optional
    out : path, optional
        Where simulated runs are kept.
    model : Model, optional
        A wrong one, to try the judge.

    Returns
    -------
    Verdict

    Raises
    ------
    ConfigError
    """
    return carry_out(plan(folders, seeds, only, model), workers, out)
