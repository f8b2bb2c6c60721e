"""A machine at work, for tests of what watches it."""

from __future__ import annotations

from typing import Any

from numasim.agents import Stage
from numasim.experimenter import stage_of
from numasim.machine import Machine
from tests.worlds import machine, mapping, topology, workload


def at_work(
    access: list[dict[str, Any]],
    *nodes: Any,
    size: str = "48 MiB",
    page: str = "4 KiB",
    **more: Any,
) -> tuple[Machine, Stage, int]:
    """A machine whose program has touched all its memory and works; its stage, and the instant."""
    program = workload([mapping("m", size, page=page)], access, **more)
    made = machine(topology(*nodes), program)
    made.start_process(0, 0)
    now = 0
    while any(actor.state != "running" for actor in made.actors):
        now = int(made.next_change_ns())
        made.change(now)
    made.settle(now)
    return made, stage_of(made), now


def go_on(made: Machine, until_ns: int) -> None:
    """Let time pass."""
    made.advance(until_ns)
    made.settle(until_ns)
