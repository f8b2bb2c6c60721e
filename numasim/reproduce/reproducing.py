"""Run what cases ask for, each run once however many cases need it, and judge them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from numasim.errors import ConfigError, Problem
from numasim.pool import OnDone, Outcome, Task, run_all
from numasim.provenance import provenance
from numasim.reproduce.cases import Case, find, seeds
from numasim.reproduce.verdict import Verdict, judge
from numasim.result import Result


@dataclass(frozen=True)
class Plan:
    """Cases, and for each the runs that answer to it.

    Parameters
    ----------
    cases : tuple of Case
    seeds : tuple of tuple of int
        Of each case.
    keys : tuple of dict of str to str
        Of each case: run → key of its task.
    tasks : dict of (str, int) to Task
        Every different run once.
    """

    cases: tuple[Case, ...]
    seeds: tuple[tuple[int, ...], ...]
    keys: tuple[dict[str, str], ...]
    tasks: dict[tuple[str, int], Task]


def plan(
    names: Sequence[str] = (),
    more: Path | None = None,
    number: int | None = None,
    out: Path | None = None,
    quick: bool = False,
) -> Plan:
    """What to run for some cases, or for all.

    Parameters
    ----------
    names : sequence of str
        Of cases; all if empty.
    more : Path or None
        A folder of further cases.
    number : int or None
        Seeds, instead of what each case says.
    out : Path or None
        Where runs are kept, and found again.
    quick : bool
        Only those that take seconds.

    Raises
    ------
    ConfigError
        With every mistake of every case.
    """
    chosen = [pair for pair in find(list(names), more) if not quick or pair[0].quick]
    tasks: dict[tuple[str, int], Task] = {}
    all_keys, all_seeds = [], []
    problems: list[Problem] = []
    for case, base in chosen:
        all_seeds.append(seeds(case, number))
        keys = {}
        try:
            scenarios = case.scenarios(base)
        except ConfigError as error:
            problems += [
                Problem(f"{case.name}: {p.place}", p.message, p.hint) for p in error.problems
            ]
            continue
        for run, scenario in scenarios.items():
            plain = replace(scenario, seed=0, document={**scenario.document, "seed": 0})
            keys[run] = str(provenance(plain)["hash"])
            for seed in all_seeds[-1]:
                one = replace(scenario, seed=seed, document={**scenario.document, "seed": seed})
                where = None if out is None else out / "runs" / keys[run] / f"seed-{seed}"
                tasks.setdefault((keys[run], seed), Task(keys[run], one, where))
        all_keys.append(keys)
    if problems:
        raise ConfigError(problems)
    return Plan(tuple(case for case, _ in chosen), tuple(all_seeds), tuple(all_keys), tasks)


def carry_out(
    plan: Plan, workers: int | None = None, on_done: OnDone | None = None
) -> Iterator[Verdict]:
    """Do all runs, then give the verdict on one case after the other.

    Parameters
    ----------
    plan : Plan
    workers : int or None
        Processes; all available cores if None.
    on_done : callable or None
        See `numasim.pool.OnDone`.

    Yields
    ------
    Verdict
    """
    outcomes = run_all(list(plan.tasks.values()), workers, on_done)
    for case, numbers, keys in zip(plan.cases, plan.seeds, plan.keys, strict=True):
        wanted = [(run, key, seed) for run, key in keys.items() for seed in numbers]
        errors = [
            f"{run}, seed {seed}: {outcomes[key, seed].error.splitlines()[-1]}"
            for run, key, seed in wanted
            if outcomes[key, seed].error
        ]
        if errors:
            yield Verdict(case, numbers, error="; ".join(errors))
            continue
        found = {
            (run, seed): _result(plan.tasks[key, seed], outcomes[key, seed])
            for run, key, seed in wanted
        }
        yield judge(case, numbers, found)


def _result(task: Task, outcome: Outcome) -> Result:
    if outcome.result is not None:
        return outcome.result
    assert task.folder is not None, "a run without a folder keeps its result"
    return Result.load(task.folder)
