"""What an experimenter does to the machine itself, and what its agents are given of it."""

from __future__ import annotations

from collections.abc import Callable

from numasim.agents import Agent, Stage
from numasim.damon.folios import HUGE_ACTIONS, LRU_ACTIONS
from numasim.damon.spec import Scheme
from numasim.huge.khugepaged import Khugepaged
from numasim.machine import Machine
from numasim.monitors import observing_of
from numasim.policies import Policy
from numasim.reclaim.kswapd import kernel_agents
from numasim.scenario import Event, Scenario
from numasim.seeds import Seeds


def machine_of(scenario: Scenario, seeds: Seeds, before_change: Callable[[], None]) -> Machine:
    """The machine of a scenario, its pages placed as the policy says.

    Parameters
    ----------
    scenario : Scenario
    seeds : Seeds
    before_change : callable
        Called just before placement changes.
    """
    huge = any(scheme.action in HUGE_ACTIONS for scheme in _schemes(scenario))
    machine = Machine(scenario.topology, scenario.workload, seeds, before_change, huge)
    place_by(scenario.policy, machine)
    return machine


def _schemes(scenario: Scenario) -> list[Scheme]:
    """All schemes that ever run, of the policy and of events."""
    kdamonds = [
        *scenario.policy.kdamonds(scenario.topology),
        *(k for e in scenario.events for k in e.kdamonds),
    ]
    return [s for k in kdamonds for c in k.contexts for s in c.schemes]


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


NEED_RECLAIM = {*LRU_ACTIONS, "active_mem_bp", "inactive_mem_bp", "some_mem_psi_us", "active"}
"""Actions, goals and filters of DAMOS that ask what reclaim knows."""


def agents_of_kernel(scenario: Scenario, machine: Machine) -> list[Agent]:
    """The kernel's own agents, where they could do anything: reclaim and khugepaged."""
    kernel, policy, schemes = scenario.topology.kernel, scenario.policy, _schemes(scenario)
    asked = {s.action for s in schemes} | {g.metric for s in schemes for g in s.quota.goals}
    switched = any("numa/demotion_enabled" in event.settings for event in scenario.events)
    wanted = kernel.demotion or kernel.swap is not None or policy.demotion or switched
    asked |= {f.type for s in schemes for f in s.filters}
    found: list[Agent] = []
    if wanted or asked & NEED_RECLAIM:
        found += kernel_agents(stage_of(machine), kernel)
    if machine.populator.huge is not None:
        found.append(Khugepaged(stage_of(machine), machine.populator.huge, kernel.khugepaged))
    return found


def begin(policy: Policy, machine: Machine, agents: list[Agent], now_ns: int) -> None:
    """A policy begins to act: its agents join those that run, and reclaim demotes if it wants."""
    if policy.demotion:
        for agent in agents:
            agent.settings({"numa/demotion_enabled": 1})
    if policy.has_agents:
        agents += policy.agents(stage_of(machine), now_ns)


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
