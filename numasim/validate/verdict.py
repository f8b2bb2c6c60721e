"""What the judge found: per metric, run and experiment, and of everything together."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from numasim.validate.exact import Check
from numasim.validate.judge import FAMILY_ERROR, MetricVerdict, Pooled, RunScores


@dataclass(frozen=True)
class RunVerdict:
    """One recorded run.

    Parameters
    ----------
    name, experiment : str
    scores : RunScores or None
        None where too few seeds finished.
    exact, exact_simulated : tuple of Check
        Of the recorded run, and of all simulated ones together.
    seeds : int
        Simulated runs.
    """

    name: str
    experiment: str
    scores: RunScores | None
    exact: tuple[Check, ...]
    exact_simulated: tuple[Check, ...]
    seeds: int

    @property
    def metrics(self) -> tuple[MetricVerdict, ...]:
        """Verdicts of all metrics."""
        return self.scores.metrics if self.scores else ()

    @property
    def ok(self) -> bool:
        """Whether it was simulated, and every exact check holds."""
        return self.scores is not None and all(c.ok for c in self.exact + self.exact_simulated)


@dataclass(frozen=True)
class ExperimentVerdict:
    """All repeats of an experiment; `pooled` is None where no metric can be judged."""

    name: str
    runs: tuple[RunVerdict, ...]
    pooled: Pooled | None

    @property
    def ok(self) -> bool:
        """Whether the pooled statistics are those of a perfect model, and exact checks hold."""
        return (self.pooled is None or self.pooled.ok) and all(run.ok for run in self.runs)


@dataclass(frozen=True)
class Verdict:
    """The whole table.

    Parameters
    ----------
    experiments : tuple of ExperimentVerdict
    pooled : Pooled or None
        Of all metrics of all runs.
    not_simulated : dict of str to str
        Run → why.
    failed : dict of (str, int) to str
        Run and seed → what went wrong.
    seeds : int
        Asked for.
    remarks : dict of str to str
        Run → what of it is not replayed.
    """

    experiments: tuple[ExperimentVerdict, ...]
    pooled: Pooled | None
    not_simulated: dict[str, str]
    failed: dict[tuple[str, int], str]
    seeds: int
    remarks: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether no gate failed."""
        good = all(experiment.ok for experiment in self.experiments) and not self.failed
        return good and (self.pooled is None or self.pooled.ok)

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain data."""
        return {
            "ok": self.ok,
            "seeds": self.seeds,
            "family_error": FAMILY_ERROR,
            "overall": _pooled(self.pooled),
            "experiments": [_experiment(experiment) for experiment in self.experiments],
            "not_simulated": [{"run": r, "why": why} for r, why in self.not_simulated.items()],
            "remarks": [{"run": r, "text": text} for r, text in self.remarks.items()],
            "failed": [
                {"run": run, "seed": seed, "error": error}
                for (run, seed), error in self.failed.items()
            ],
        }


def _experiment(experiment: ExperimentVerdict) -> dict[str, Any]:
    return {
        "name": experiment.name,
        "ok": experiment.ok,
        "pooled": _pooled(experiment.pooled),
        "repeats": [
            {
                "name": run.name,
                "ok": run.ok,
                "seeds": run.seeds,
                "metrics": [_metric(metric) for metric in run.metrics],
                "exact": [
                    {**asdict(check), "of": of, "ok": check.ok}
                    for of, checks in (("kernel", run.exact), ("sim", run.exact_simulated))
                    for check in checks
                ],
            }
            for run in experiment.runs
        ],
    }


def _metric(metric: MetricVerdict) -> dict[str, Any]:
    return {
        "name": metric.name,
        "unit": metric.unit,
        "kernel": metric.kernel,
        "sim": {"1": metric.low, "50": metric.median, "99": metric.high},
        "z": metric.z,
        "gated": metric.gated,
        "ok": metric.ok,
        "seeds": metric.n,
    }


def _pooled(pooled: Pooled | None) -> dict[str, Any] | None:
    return None if pooled is None else {**asdict(pooled), "ok": pooled.ok}
