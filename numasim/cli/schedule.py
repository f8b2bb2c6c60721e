"""numasim schedule: who acts when, and in which order within one instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from numasim.cli import console, options

if TYPE_CHECKING:
    from numasim.damon.spec import Kdamond
    from numasim.scenario import Scenario

DOES = {
    "TRAFFIC": "processes start and stop, phases change, pages are touched first",
    "KDAMOND": "sampling ticks end; aggregation, schemes, tuning",
    "POLICY": "the policy begins; timed events",
    "MIGRATE": "a kdamond is done with the pages it worked on",
    "RECORD": "a row of every time series",
}
NEEDS_A_DURATION = "1 h"


def schedule(
    topology: Annotated[str, typer.Argument(help="A shipped topology or a YAML file.")],
    workload: Annotated[str, typer.Argument(help="A shipped workload or a YAML file.")],
    policy: Annotated[
        str, typer.Option("--policy", "-p", help="As for numasim run.")
    ] = "no_tiering",
    duration: options.Duration = None,
    events: options.Events = None,
    settings: options.Settings = None,
) -> None:
    """Print the slots of an instant, the actors in each by rank, and when they act.

    Example: numasim schedule dram_cxl cold_first -p tpp_damon
    """
    from numasim.engine import SLOTS

    length = duration or NEEDS_A_DURATION
    document = options.document(None, topology, workload, length, events, False)
    scenario = document.scenario(policy, settings or [])
    console.heading("Within one instant: slot by slot, in each by rank.")
    rows = [(f"{i}", slot, DOES[slot]) for i, slot in enumerate(SLOTS)]
    console.table(("", "slot", "what happens"), rows)
    found = [*_processes(scenario), *_kdamonds(scenario), *_events(scenario), *_records(scenario)]
    found.sort(key=lambda row: (SLOTS.index(row[0]), row[1]))
    shown = [(slot, rank, who, when) for slot, rank, who, when in found]
    console.table(("slot", "rank", "who", "when"), shown)


Row = tuple[str, int, str, str]


def _processes(scenario: Scenario) -> list[Row]:
    from numasim.units import format_duration

    rows = []
    for p, process in enumerate(scenario.workload.processes):
        start = format_duration(process.start)
        stop = "" if process.stop is None else f", stops at {format_duration(process.stop)}"
        rows.append(("TRAFFIC", p, f"process {process.name}", f"starts at {start}{stop}"))
        if any(mapping.populate for mapping in process.mappings):
            rows.append(("TRAFFIC", p, f"{process.name} populates", "from its start, in steps"))
        for actor in process.actors:
            phases = ", ".join(
                f"{phase.name or i} {format_duration(phase.duration)}"
                if phase.duration is not None
                else f"{phase.name or i}"
                for i, phase in enumerate(actor.phases)
            )
            rows.append(("TRAFFIC", p, f"actor {actor.name}", f"phases: {phases}"))
    return rows


def _kdamonds(scenario: Scenario) -> list[Row]:
    from numasim.units import format_duration

    rows: list[Row] = []
    policy = scenario.policy
    started = [(policy.start, one) for one in policy.kdamonds(scenario.topology)]
    for event in scenario.events:
        if event.action == "start":
            started += [(event.at_ns, one) for one in event.kdamonds]
    rank = 0
    for at_ns, kdamond in sorted(started, key=lambda pair: pair[0]):
        for line in _contexts(kdamond, scenario):
            name = f"kdamond.{rank}"
            rows.append(("KDAMOND", rank, name, f"from {format_duration(at_ns)}: {line}"))
            rows.append(("MIGRATE", rank, name, "after each pass that took time"))
            rank += 1
    return rows


def _contexts(kdamond: Kdamond, scenario: Scenario) -> list[str]:
    """Intervals of each context: as asked for, and what the kernel's timers make of them."""
    from numasim.timer import wake_ns
    from numasim.units import format_duration

    kernel = scenario.topology.kernel
    found = []
    for context in kdamond.contexts:
        attrs = context.attrs
        period = wake_ns(0, attrs.sample_us, kernel.hz, kernel.timer_slack)
        actions = ", ".join(_scheme(s.action, s.apply_interval_us) for s in context.schemes)
        tuned = ", tuned" if attrs.intervals_goal.aggrs else ""
        found.append(
            f"samples every {format_duration(attrs.sample_us * 1000)} "
            f"({format_duration(period)} with timers, plus its work), aggregates every "
            f"{format_duration(attrs.aggr_us * 1000)}{tuned}; {actions or 'no scheme'}"
        )
    return found


def _scheme(action: str, apply_us: int) -> str:
    from numasim.units import format_duration

    return f"{action} every {format_duration(apply_us * 1000)}" if apply_us else action


def _events(scenario: Scenario) -> list[Row]:
    from numasim.units import format_duration

    rows: list[Row] = []
    name = scenario.policy_name
    if scenario.policy.kdamonds(scenario.topology):
        rows.append(("POLICY", 0, name, f"starts at {format_duration(scenario.policy.start)}"))
    else:
        rows.append(("POLICY", 0, name, scenario.policy.moves))
    for event in scenario.events:
        text = f"at {format_duration(event.at_ns)}: {event.text}"
        rows.append(("POLICY", 0, f"event {event.action}", text))
    return rows


def _records(scenario: Scenario) -> list[Row]:
    from numasim.units import format_duration

    return [("RECORD", 0, "recorder", f"every {format_duration(scenario.record_ns)} from 0")]
