"""From finished runs to a verdict: nothing here knows what is hoped for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numasim.reproduce.cases import Case, Value
from numasim.reproduce.reading import Expression
from numasim.result import Result
from numasim.statistics import Interval, mean_interval, ratio_interval

MISSED, FAILED = "missed", "failed"
KEPT = {
    "blind": "reproduced",
    "calibration": "calibrated",
    "mechanism": "mechanism only",
    "input": "consistent",
}
"""What a case is called whose values are all within tolerance, by its kind."""


@dataclass(frozen=True)
class Answer:
    """What the runs say to one published value.

    Parameters
    ----------
    value : Value
    ours : Interval
        Over seeds: arithmetic means, of ratios geometric ones of pairs.
    holds : bool
    """

    value: Value
    ours: Interval
    holds: bool


@dataclass(frozen=True)
class Verdict:
    """What became of a case.

    Parameters
    ----------
    case : Case
    seeds : tuple of int
    answers : tuple of Answer
        One per value; none if a run failed.
    error : str
        Why runs failed.
    """

    case: Case
    seeds: tuple[int, ...]
    answers: tuple[Answer, ...] = ()
    error: str = ""

    @property
    def word(self) -> str:
        """One of `KEPT`, or `MISSED`, or `FAILED`."""
        if self.error:
            return FAILED
        return KEPT[self.case.kind] if all(a.holds for a in self.answers) else MISSED

    @property
    def ok(self) -> bool:
        """Whether it was neither missed nor failed."""
        return self.word not in (MISSED, FAILED)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        case = self.case
        return {
            "case": case.name,
            "row": case.row,
            "title": case.title,
            "kind": case.kind,
            "source": case.source,
            "conditions": case.conditions,
            "seeds": list(self.seeds),
            "verdict": self.word,
            "reason": self.reason,
            "remark": case.remark,
            "values": [
                {
                    "name": a.value.name,
                    "unit": a.value.unit,
                    "published": a.value.published,
                    "ours": a.ours.mean,
                    "low": a.ours.low,
                    "high": a.ours.high,
                    "expression": a.value.ours,
                    "tolerance": str(a.value.tolerance),
                    "holds": a.holds,
                }
                for a in self.answers
            ],
        }

    @property
    def reason(self) -> str:
        """Why it was missed, as the case's file explains it; nothing if it was not."""
        if self.word == FAILED:
            return self.error
        return self.case.why_missed if self.word == MISSED else ""


def judge(case: Case, seeds: Sequence[int], results: Mapping[tuple[str, int], Result]) -> Verdict:
    """The verdict on a case whose runs are finished.

    Parameters
    ----------
    case : Case
    seeds : sequence of int
    results : mapping of (str, int) to Result
        By name of the run and seed.
    """
    by_seed = [{run: results[run, seed] for run in case.runs} for seed in seeds]
    answers = []
    for value, expression in zip(case.values, case.expressions(), strict=True):
        ours = interval(expression, by_seed)
        holds = value.tolerance.holds(ours.mean, ours.low, ours.high)
        answers.append(Answer(value, ours, holds))
    return Verdict(case, tuple(seeds), tuple(answers))


def interval(expression: Expression, by_seed: Sequence[Mapping[str, Result]]) -> Interval:
    """Mean and interval of an expression over seeds.

    Parameters
    ----------
    expression : Expression
    by_seed : sequence of mapping
        Runs of each seed by name.
    """
    above, below = zip(*(expression.parts(runs) for runs in by_seed), strict=True)
    if expression.below:
        return ratio_interval(above, below)
    return mean_interval(above)
