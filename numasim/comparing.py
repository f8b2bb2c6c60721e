"""Compare policies on common seeds: what to run, what is there already, what came of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numasim.comparison import Comparison, Results
from numasim.documents import Document, read_document
from numasim.errors import ConfigError, NumasimError, Problem
from numasim.policies import registry
from numasim.pool import OnDone, Outcome, Task, run_all
from numasim.result import Result
from numasim.scenario import Scenario, seeds_of
from numasim.settings import in_full, policy_keys

SEEDS = 5


class RunsFailed(NumasimError, RuntimeError):
    """Some runs of a comparison failed; the others finished.

    Parameters
    ----------
    failures : list of Outcome
    comparison : Comparison or None
        Of the seeds for which every policy finished; None if there is no such seed.
    total : int
        Runs asked for.
    """

    def __init__(
        self, failures: Sequence[Outcome], comparison: Comparison | None, total: int
    ) -> None:
        self.failures, self.comparison, self.total = tuple(failures), comparison, total
        lines = [f"{f.key[0]}, seed {f.key[1]}: {f.error}" for f in failures]
        nr = f"{len(failures)} of {total} runs failed"
        super().__init__("\n  ".join([nr, *lines]))


def compare(
    topology: Any = None,
    workload: Any = None,
    policies: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    scenario: Any = None,
    duration: str | None = None,
    seeds: int | Sequence[int] | None = None,
    events: Sequence[Mapping[str, Any]] | None = None,
    set: Sequence[str] = (),
    workers: int | None = None,
    out: str | Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    **more: Any,
) -> Comparison:
    """Simulate a workload on a machine under several policies, with the same seeds for all.

    Parameters
    ----------
    topology, workload : str or mapping
        As for `numasim.run`.
    policies : sequence, or mapping of names
        Each as for `numasim.run`; the first is what the others are compared to.
    scenario : str, Path or mapping, optional
        A scenario by name, path or plain data; everything else given here wins over it.
    duration : str
        Simulated time, such as ``"300 s"``.
    seeds : int or sequence of int
        How many (1, 2, …), or which; 5 unless the scenario says.
    events : sequence of mapping, optional
    set : sequence of str
        ``"policy.KEY=VALUE"`` goes to the policies that have the key; ``"KEY=VALUE"`` to whatever
        alone has it: policies, the workload's parameters, or the scenario.
    workers : int, optional
        Processes; all available cores if not given. Results do not depend on it.
    out : str or Path, optional
        Folder in which every run is saved as soon as it is finished, in
        ``runs/<policy>/seed-<n>``. The same call again loads what is there.
    on_progress : callable, optional
        Called with the number of runs done, and of all.

    Returns
    -------
    Comparison

    Raises
    ------
    ConfigError
        With every mistake found, before anything runs.
    RunsFailed
        After all runs, if some failed.

    Examples
    --------
    >>> import numasim as ns
    >>> c = ns.compare(scenario="demo", seeds=2, duration="60 s")  # doctest: +SKIP
    >>> c.ratios()  # doctest: +SKIP
    """
    document = read_document(scenario) if scenario is not None else Document()
    given = {
        "topology": topology, "workload": workload, "duration": duration, "events": events, **more
    }  # fmt: skip
    document.data.update({key: value for key, value in given.items() if value is not None})
    done = None if on_progress is None else (lambda _, nr, total: on_progress(nr, total))
    return carry_out(plan(document, policies, seeds, set), workers, out, done)


@dataclass(frozen=True)
class Plan:
    """What a comparison runs: a scenario for every policy, by its name, and seeds for all."""

    scenarios: dict[str, Scenario]
    seeds: tuple[int, ...]

    def tasks(self, out: Path | None) -> list[Task]:
        """Runs in the order of seeds, so that an interrupted comparison has whole pairs."""
        found = []
        folders = folders_of(list(self.scenarios))
        for seed in self.seeds:
            for name, scenario in self.scenarios.items():
                folder = None if out is None else out / "runs" / folders[name] / f"seed-{seed}"
                one = replace(scenario, seed=seed, document={**scenario.document, "seed": seed})
                found.append(Task(name, one, folder))
        return found


def plan(
    document: Document, policies: Any = None, seeds: Any = None, overrides: Sequence[str] = ()
) -> Plan:
    """The runs that a document and what is given beside it ask for; see `compare`.

    Raises
    ------
    ConfigError
        With every mistake of every policy.
    """
    if policies is None:
        alone = [document.data["policy"]] if "policy" in document.data else []
        policies = document.data.get("policies", alone)
    seeds = document.data.get("seeds", SEEDS) if seeds is None else seeds
    problems: dict[Problem, None] = {}
    numbers: tuple[int, ...] = ()
    scenarios: dict[str, Scenario] = {}
    try:
        numbers = seeds_of(seeds)
    except ConfigError as error:
        problems.update(dict.fromkeys(error.problems))
    try:
        each = _each_policy(policies)
        overrides, unclear = in_full(overrides, document.data, [p for _, p in each])
        problems.update(dict.fromkeys(unclear))
        for name, policy in each:
            try:
                found = document.scenario(policy, _overrides_for(policy, overrides, policies))
                scenarios[_unique(name or found.policy_name, scenarios)] = found
            except ConfigError as error:
                problems.update(dict.fromkeys(error.problems))
    except ConfigError as error:
        problems.update(dict.fromkeys(error.problems))
    if problems and any(p.place.startswith("seeds (") for p in problems):
        problems = {p: None for p in problems if p.place != "seeds"}  # told without its line, too
    if problems:
        raise ConfigError(list(problems), str(document.path or ""))
    return Plan(scenarios, numbers)


def carry_out(
    plan: Plan,
    workers: int | None = None,
    out: str | Path | None = None,
    on_done: OnDone | None = None,
) -> Comparison:
    """Do the runs of a plan that are not done yet; see `compare`.

    Raises
    ------
    RunsFailed
    """
    tasks = plan.tasks(None if out is None else Path(out))
    outcomes = run_all(tasks, workers, on_done)
    failures = [outcome for outcome in outcomes.values() if outcome.summary is None]
    bad = {outcome.key[1] for outcome in failures}
    good = tuple(seed for seed in plan.seeds if seed not in bad)
    summaries: dict[tuple[str, int], dict[str, float]] = {}
    where: dict[tuple[str, int], Result | Path] = {}
    for task in tasks:
        outcome = outcomes[task.key]
        kept = task.folder if outcome.result is None else outcome.result
        if outcome.summary is not None and kept is not None:
            summaries[task.key], where[task.key] = outcome.summary, kept
    comparison = Comparison(plan.scenarios, good, summaries, Results(where)) if good else None
    if failures or comparison is None:
        raise RunsFailed(failures, comparison, len(tasks))
    return comparison


def _each_policy(policies: Any) -> list[tuple[str, Any]]:
    if isinstance(policies, str):
        policies = [policies]
    if not policies:
        known = ", ".join(registry.names())
        raise ConfigError(Problem("policies", "expected at least one", f"known: {known}"))
    if isinstance(policies, Mapping):
        return [(str(name), policy) for name, policy in policies.items()]
    return [("", policy) for policy in policies]


def _overrides_for(policy: Any, overrides: Sequence[str], policies: Any) -> list[str]:
    """Settings for this policy: a key that another policy has and this one lacks is not for it."""
    everyone = [policy_keys(p) for _, p in _each_policy(policies)]
    own = []
    for text in overrides:
        key = re.split(r"[.\[=]", text.removeprefix("policy."), maxsplit=1)[0]
        foreign = key not in policy_keys(policy) and any(key in fields for fields in everyone)
        if not (text.startswith("policy.") and foreign):
            own.append(text)
    return own


def _unique(name: str, taken: Mapping[str, Any]) -> str:
    again = 2
    unique = name
    while unique in taken:
        unique, again = f"{name} ({again})", again + 1
    return unique


def folders_of(names: Sequence[str]) -> dict[str, str]:
    """A folder name of its own for each policy."""
    found: dict[str, str] = {}
    taken: dict[str, None] = {}
    for name in names:
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "policy"
        found[name] = _unique(slug, taken).replace(" ", "-")
        taken[slug] = taken[found[name]] = None
    return found
