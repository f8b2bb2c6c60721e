"""numasim compare: several policies on common seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from numasim.cli import console, options
from numasim.cli.run import NOTHING_BEGAN

if TYPE_CHECKING:
    from numasim.cli.metrics import Metric
    from numasim.comparison import Comparison
    from numasim.statistics import Interval

METRIC_WIDTH, POLICY_WIDTH = 27, 24


def compare(
    scenario: options.ScenarioName = None,
    topology: options.TopologyName = None,
    workload: options.WorkloadName = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy", "-p", metavar="POLICY",
            help="A registered name, a kdamonds or policy file, or a damo command. Repeatable; "
            "the others are compared to the first.",
        ),
    ] = None,
    damo: Annotated[
        list[str] | None,
        typer.Option("--damo", metavar="COMMAND", help='One more policy, as "damo start ...".'),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", metavar="N", help="How many seeds: 1, 2, ... N.")
    ] = None,
    seed_list: Annotated[
        str | None, typer.Option("--seed-list", metavar="N,N,...", help="Or which seeds.")
    ] = None,
    duration: options.Duration = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR",
            help="Save every run when it is finished, tables and pictures. The same command "
            "again goes on where it was stopped.",
        ),
    ] = None,
    settings: options.Settings = None,
    events: options.Events = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Processes; by default all cores.")
    ] = None,
    json: options.Json = None,
    exact_ticks: options.ExactTicks = False,
    strict: options.Strict = False,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Simulate one scenario under several policies, with the same seeds for all.

    Example: numasim compare -t dram_cxl -w cold_first -p no_tiering -p tpp_damon -d "350 s"
    """
    from numasim.comparing import carry_out, plan

    document = options.document(scenario, topology, workload, duration, events, exact_ticks)
    policies = [*(policy or []), *map(options.damo_command, damo or [])]
    planned = plan(document, policies or None, _seeds(seeds, seed_list), settings or [])
    options.tell_warnings(list(planned.scenarios.values()), strict)
    options.check_outputs(out, json)
    nr = len(planned.scenarios) * len(planned.seeds)
    try:
        with _progress(nr, workers, quiet) as on_done:
            comparison = carry_out(planned, workers, out, on_done)
    except KeyboardInterrupt:
        if out is not None:
            console.warn([f"interrupted; finished runs are in {out}, the same command goes on"])
        raise
    speeds = [comparison.per_seed(p, "throughput_ops_per_s") for p in comparison.policies]
    if all(math.isnan(speed) for each in speeds for speed in each):
        console.warn([NOTHING_BEGAN])
    written = _save(comparison, out) if out else []
    if json:
        console.write_json(comparison.to_json(), json)
    if not quiet and json != console.STDOUT:
        show(comparison)
        console.files(written)


def _seeds(number: int | None, listed: str | None) -> int | list[int] | None:
    """What --seeds or --seed-list ask for."""
    from numasim.errors import ConfigError, Problem

    if listed is None:
        return number
    if number is not None:
        raise ConfigError(Problem("--seed-list", "is given beside --seeds"))
    try:
        return [int(word) for word in listed.split(",")]
    except ValueError:
        message = f'got "{listed}", expected numbers such as 1,2,7'
        raise ConfigError(Problem("--seed-list", message)) from None


@contextmanager
def _progress(total: int, workers: int | None, quiet: bool) -> Iterator[Callable[..., None]]:
    """A bar of finished runs, with how many are running; failures are told at once."""
    from numasim.pool import Outcome, available_cores

    at_once = available_cores() if workers is None else workers

    def words(done: int) -> str:
        return f"{done} of {total} runs, {min(at_once, total - done)} running"

    with console.progress(words(0), quiet) as (bar, task):

        def on_done(outcome: Outcome, done: int, total: int) -> None:
            bar.update(task, completed=done / total, description=words(done))
            if outcome.error:
                last = outcome.error.splitlines()[-1]
                bar.console.print(f"{outcome.key[0]}, seed {outcome.key[1]}: {last}")

        yield on_done


def _save(comparison: Comparison, out: Path) -> list[Path]:
    from numasim import report

    return [*comparison.save(out), *report.write_comparison(comparison, out)]


def show(comparison: Comparison) -> None:
    """Print means and intervals, metrics down and policies across, as many as the page takes."""
    from numasim.cli.metrics import metrics_of

    width = console.stdout().width
    at_once = max(1, (width - METRIC_WIDTH) // POLICY_WIDTH)
    policies = comparison.policies
    metrics = metrics_of(list(comparison.metrics))
    title = _title(comparison)
    for first in range(0, len(policies), at_once):
        page = policies[first : first + at_once]
        rows = [["throughput ratio", *(_ratio(comparison, policy) for policy in page)]]
        rows += _sureness(comparison, page)
        if comparison.oracle is not None:
            far = [_distance(comparison, policy) for policy in page]
            rows.append(["distance to oracle (%)", *far])
        rows += [
            [m.title, *(_mean(comparison, policy, m) for policy in page)]
            for m in metrics
            if not m.optional or _is_known(comparison, page, m.key)
        ]
        console.table(("mean over seeds", *page), rows, title, numbers=len(page))
        title = ""


def _sureness(comparison: Comparison, page: Sequence[str]) -> list[list[str]]:
    """Rows that say how sure it is that throughput differs, where there are seeds enough."""
    found = comparison.differences()
    rows = []
    shown: tuple[tuple[str, str, Callable[[float], str]], ...] = (
        ("effect size (Hedges' g)", "effect", _effect),
        ("p (Holm)", "p_holm", lambda x: "< 0.001" if x < 0.001 else f"{x:.3f}"),
    )
    for title, key, write in shown:
        values = {policy: getattr(one, key) for policy, one in found.items()}
        if any(not math.isnan(value) for value in values.values()):
            cells = [values.get(policy, math.nan) for policy in page]
            rows.append([title, *("-" if math.isnan(v) else write(v) for v in cells)])
    return rows


def _effect(value: float) -> str:
    """Beyond a hundred it only says that seeds hardly differ."""
    bounded = max(-99.0, min(99.0, value))
    return f"{value:+.2f}" if bounded == value else f"{'>' if value > 0 else '<'} {bounded:+.0f}"


def _is_known(comparison: Comparison, policies: Sequence[str], metric: str) -> bool:
    """Whether any run of these policies has such a number."""
    values = (value for p in policies for value in comparison.per_seed(p, metric))
    return any(not math.isnan(value) for value in values)


def _title(comparison: Comparison) -> str:
    from numasim.statistics import LEVEL, method
    from numasim.units import format_duration

    scenario = comparison.scenarios[comparison.baseline]
    seeds = ", ".join(map(str, comparison.seeds))
    if len(comparison.seeds) > 2 and comparison.seeds == tuple(range(1, len(comparison.seeds) + 1)):
        seeds = f"1 to {len(comparison.seeds)}"
    interval = f"{LEVEL:.0%} intervals ({method(len(comparison.seeds))})"
    return (
        f"{scenario.workload.name} on {scenario.topology.name}, "
        f"{format_duration(scenario.duration_ns)}; seeds {seeds}; {interval}"
    )


def _ratio(comparison: Comparison, policy: str) -> str:
    if policy == comparison.baseline:
        return "1"
    return _with_interval(comparison.ratio(policy, "throughput_ops_per_s"), lambda x: f"{x:.4f}")


def _distance(comparison: Comparison, policy: str) -> str:
    if policy == comparison.oracle:
        return "0"
    return _with_interval(comparison.distance(policy), lambda x: f"{100 * x:.1f}")


def _mean(comparison: Comparison, policy: str, metric: Metric) -> str:
    from numasim.cli.metrics import written

    values = comparison.per_seed(policy, metric.key)
    infinite = sum(map(math.isinf, values))
    if 0 < infinite < len(values):
        return f"never in {infinite} of {len(values)}"
    found = comparison.mean(policy, metric.key)
    if not math.isnan(found.low):  # few seeds know little: cut to what the number can be
        found = replace(found, low=max(found.low, 0.0), high=min(found.high, metric.most))
    return _with_interval(found, lambda x: written(metric, x))


def _with_interval(found: Interval, write: Callable[[float], str]) -> str:
    """The mean, and its interval where there is one with two ends."""
    text = write(found.mean)
    if math.isnan(found.low) or write(found.low) == write(found.high) == text:
        return text
    return f"{text} [{write(found.low)}, {write(found.high)}]"
