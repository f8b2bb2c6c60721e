"""numasim run: one scenario, one policy, one seed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from numasim.cli import console, options

if TYPE_CHECKING:
    from numasim.documents import Document
    from numasim.result import Result
    from numasim.scenario import Scenario

NOTHING_BEGAN = "no phase began before the end, so there is nothing to tell of the workload"


def run(
    scenario: options.ScenarioName = None,
    topology: options.TopologyName = None,
    workload: options.WorkloadName = None,
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy", "-p", metavar="POLICY",
            help="A registered name, a kdamonds or policy file, or a damo command.",
        ),
    ] = None,
    duration: options.Duration = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Seed of chance.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Save tables and pictures.")
    ] = None,
    settings: options.Settings = None,
    damo: Annotated[
        str | None,
        typer.Option("--damo", metavar="COMMAND", help='Policy as "damo start ...".'),
    ] = None,
    events: options.Events = None,
    json: options.Json = None,
    exact_ticks: options.ExactTicks = False,
    strict: options.Strict = False,
    live: Annotated[
        bool,
        typer.Option("--live", help="Show heat, nodes, speed, intervals and quotas as it runs."),
    ] = False,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Simulate one scenario. Options win over what the scenario says.

    Example: numasim run -t dram_cxl -w cold_first -p tpp_damon -d "120 s"
    """
    found = options.document(scenario, topology, workload, duration, events, exact_ticks)
    if seed is not None:
        found.data["seed"] = seed
    chosen = _policy(found, policy, damo)
    described = found.scenario(chosen, settings or [])
    options.tell_warnings([described], strict)
    options.check_outputs(out, json)
    result = _watched(described) if live and not quiet else _with_progress(described, quiet)
    if not result.has_rows("phases") and any(p.actors for p in described.workload.processes):
        console.warn([NOTHING_BEGAN])
    written = _save(result, out) if out else []
    if json:
        console.write_json(as_json(result, out), json)
    if not quiet and json != console.STDOUT:
        show(result)
        console.files(written)


def _policy(document: Document, policy: str | None, damo: str | None) -> Any:
    """The policy that was asked for; a scenario that compares several does not say which."""
    from numasim.errors import ConfigError, Problem

    if policy is not None and damo is not None:
        raise ConfigError(Problem("--damo", "is given beside --policy", "expected one of them"))
    if damo is not None:
        return options.damo_command(damo)
    several = document.data.get("policies")
    if policy is not None or "policy" in document.data or not several:
        return policy
    if len(several) > 1:
        hint = "choose one with --policy, or use numasim compare"
        raise ConfigError(Problem("policies", f"names {len(several)}, a run takes one", hint))
    return several[0]


def _watched(scenario: Scenario) -> Result:
    from numasim.cli.live import watching
    from numasim.running import run_scenario

    with watching(scenario) as (on_progress, on_start):
        return run_scenario(scenario, on_progress, on_start)


def _with_progress(scenario: Scenario, quiet: bool) -> Result:
    from numasim.running import run_scenario

    with console.progress(f"{scenario.policy_name}, seed {scenario.seed}", quiet) as (bar, task):
        return run_scenario(scenario, lambda share: bar.update(task, completed=share))


def _save(result: Result, out: Path) -> list[Path]:
    from numasim import report

    folder = result.save(out)
    tables = sorted([*folder.glob("*.parquet"), folder / "manifest.json"])
    return [*tables, *report.write_run(result, out)]


def as_json(result: Result, out: Path | None) -> dict[str, Any]:
    """A run as one JSON document."""
    scenario = result.provenance["scenario"]
    return {
        "topology": scenario["topology"]["name"],
        "workload": scenario["workload"]["name"],
        "policy": result.policy,
        "seed": result.seed,
        "duration": scenario["duration"],
        "summary": result.summary(),
        "convergence": result.convergence().to_dict("records"),
        "events": result.events.to_dict("records"),
        "hash": result.provenance["hash"],
        "versions": result.provenance["versions"],
        "out": None if out is None else str(out),
    }


def show(result: Result) -> None:
    """Print what a run came to."""
    from numasim.cli.metrics import metrics_of, seconds, written

    scenario = result.provenance["scenario"]
    names = (scenario["topology"]["name"], scenario["workload"]["name"], result.policy)
    summary = result.summary()
    rows = [
        (m.title, written(m, summary[m.key]))
        for m in metrics_of(list(summary))
        if not (m.optional and math.isnan(summary[m.key]))
    ]
    title = f"{', '.join(names)}; {scenario['duration']}, seed {result.seed}"
    console.table(("metric", "value"), rows, title, numbers=1)
    phases = [
        (s["actor"], s["phase"], f"{s['began_s']:.1f}", seconds(s["converged_s"]))
        for s in result.convergence().to_dict("records")
    ]
    if phases:
        console.table(("actor", "phase", "began (s)", "followed after (s)"), phases, numbers=2)
