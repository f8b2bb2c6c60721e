"""What an experimenter does to the machine itself, and what its agents are given of it."""

from __future__ import annotations

from numasim.agents import Stage
from numasim.machine import Machine
from numasim.monitors import observing_of
from numasim.policies import Policy
from numasim.scenario import Event


def change_machine(machine: Machine, event: Event, now_ns: int) -> None:
    """Write sysctls or interleave weights, change the memory of others, stop a process.

    Parameters
    ----------
    machine : Machine
    event : Event
        Of one of these actions; those of kdamonds are the engine's.
    now_ns : int
    """
    if event.action == "sysctl":
        machine.memory.set_watermarks(
            event.settings.get("vm.min_free_kbytes"),
            event.settings.get("vm.watermark_scale_factor"),
        )
    elif event.action == "interleave":
        machine.set_interleave(event.settings)
    elif event.action == "available":
        machine.set_available(event.settings)
    else:
        machine.stop_process(event.settings["process"], now_ns)


def place_by(policy: Policy, machine: Machine) -> None:
    """Let a policy say where first touch puts the pages of each mapping."""
    for pages in machine.space.mappings:
        machine.policies[pages.first] = policy.mempolicy(machine.topology, pages.mapping)


def stage_of(machine: Machine) -> Stage:
    """What agents see and use of a machine."""
    return Stage(
        topology=machine.topology,
        memory=machine.memory,
        space=machine.space,
        law=machine.law,
        actors=machine.actors,
        migrator=machine.migrator,
        observing=observing_of(machine),
        load=machine.load,
        seeds=machine.seeds,
        policies=machine.policies,
    )
