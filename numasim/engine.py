"""The clock: one SimPy process per periodic actor, same-instant work in named slots.

Order within an instant: TRAFFIC (the workload changes), KDAMOND, POLICY (timed events), MIGRATE,
RECORD, then by name; slot and name rank make the SimPy event priority, so who was created first
decides nothing. A run covers ``[0, duration_ns)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import simpy

from numasim.agents import Agent
from numasim.alarm import Alarm
from numasim.contention import Arbiter
from numasim.damon.context import PausedFor
from numasim.damon.schemes import due_of
from numasim.damon.spec import Context, Kdamond
from numasim.damon.splitting import Shared
from numasim.errors import ConfigError, SimulationError
from numasim.experimenter import agents_of_kernel, begin, change_machine, machine_of
from numasim.kdamond import Thread, next_step
from numasim.monitors import build_context, commit_context, forget_context
from numasim.recorded_clock import clock_of
from numasim.recorder import Recorder
from numasim.scenario import Event, Scenario
from numasim.seeds import Seeds

SLOTS = ("TRAFFIC", "KDAMOND", "POLICY", "MIGRATE", "RECORD")
SLOT_WIDTH = 1000
PRIORITY = {slot: 2 + number * SLOT_WIDTH for number, slot in enumerate(SLOTS)}
MIGRATE_STEP_NS = 10_000_000  # a kdamond long at work on pages lets the world go on this often

Steps = Generator[simpy.Event, Any, None]
"""A SimPy process: it yields the events that it waits for."""


class Engine:
    """Runs one scenario.

    Parameters
    ----------
    scenario : Scenario
    on_progress : callable, optional
        Called with the share of the run that is done.
    """

    def __init__(
        self, scenario: Scenario, on_progress: Callable[[float], None] | None = None
    ) -> None:
        self.scenario = scenario
        self.env = simpy.Environment(initial_time=0)
        self.seeds = Seeds(scenario.seed)
        self.machine = machine_of(scenario, self.seeds, self._absorb_all)
        self.shared = Shared()
        contention = scenario.policy.contention(scenario.topology)
        self._arbiter = Arbiter.over(contention, self.machine.migrator)
        self.threads: list[Thread] = []
        self._nr_threads = 0
        self._processes: dict[str, simpy.Process] = {}
        self.agents: list[Agent] = agents_of_kernel(scenario, self.machine)
        self._traffic_alarm = self._alarm("TRAFFIC", self.machine.next_change_ns, self._change)
        self._agents_alarm = self._alarm("POLICY", self._next_act_ns, self._act)
        self._on_progress = on_progress
        self.recorder = Recorder(scenario, self.machine, self.threads)
        self.recorder.agents = self.agents

    # -- time --------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """The clock: whole, as only whole delays are scheduled."""
        return int(self.env.now)

    def _sleep(self, delay_ns: int, slot: str, rank: int = 0) -> simpy.Event:
        """An event after `delay_ns`, in its slot of that instant."""
        event = self.env.event()
        event._ok, event._value = True, None
        self.env.schedule(event, PRIORITY[slot] + rank, int(delay_ns))  # type: ignore[arg-type]
        return event

    def run(self) -> Recorder:
        """Run to the end; the recorder then holds the tables' columns.

        Raises
        ------
        SimulationError
            If the run cannot go on, such as when memory is full.
        """
        self.env.process(self._traffic())
        self.env.process(self._events())
        self.env.process(self._record())
        self.machine.settle(0)
        self.env.run(until=self.scenario.duration_ns)
        self.machine.advance(self.scenario.duration_ns)
        self._absorb_all(self.scenario.duration_ns)
        self.recorder.finish(self.scenario.duration_ns)
        return self.recorder

    def _alarm(self, slot: str, next_ns: Callable[[], float], ring: Callable[[], None]) -> Alarm:
        return Alarm(lambda: self.now_ns, lambda delay: self._sleep(delay, slot), next_ns, ring)

    def _changed(self) -> None:
        """Find the speeds anew before time goes on, and who wants to act when."""
        self.machine.settle(self.now_ns)
        self._traffic_alarm.set()
        self._agents_alarm.set()

    def _change(self) -> None:
        """The workload changes by itself."""
        self._absorb_all()
        self.machine.change(self.now_ns)
        self._changed()

    def _next_act_ns(self) -> float:
        return min((agent.due_ns for agent in self.agents), default=math.inf)

    def _act(self) -> None:
        """Let agents act whose time has come, in their order."""
        self.machine.advance(self.now_ns)
        if any([agent.act(self.now_ns) for agent in self.agents if agent.due_ns <= self.now_ns]):
            self._changed()

    def _traffic(self) -> Steps:
        """Start and stop processes at their times."""
        moments = []
        for p, process in enumerate(self.scenario.workload.processes):
            moments.append((process.start, 0, p))
            if process.stop is not None:
                moments.append((process.stop, 1, p))
        for at, stops, p in sorted(moments):
            if at > self.now_ns:
                yield self._sleep(at - self.now_ns, "TRAFFIC", p)
            elif not stops:
                yield self._sleep(0, "TRAFFIC", p)
            self.machine.advance(self.now_ns)
            (self.machine.stop_process if stops else self.machine.start_process)(p, self.now_ns)
            self._changed()

    def _record(self) -> Steps:
        while True:
            self.recorder.sample(self.now_ns)
            if self._on_progress is not None:
                self._on_progress(self.now_ns / self.scenario.duration_ns)
            yield self._sleep(self.scenario.record_ns, "RECORD")

    # -- what the experimenter does ----------------------------------------------------------------

    def _events(self) -> Steps:
        policy, topology = self.scenario.policy, self.scenario.topology
        own = Event(policy.start, "start", policy.kdamonds(topology), text=policy.kind)
        events = [own] if own.kdamonds or policy.has_agents or policy.demotion else []
        for event in sorted([*events, *self.scenario.events], key=lambda e: e.at_ns):
            yield self._sleep(max(0, event.at_ns - self.now_ns), "POLICY")
            self.machine.advance(self.now_ns)
            self._absorb_all()
            if event is own:
                begin(policy, self.machine, self.agents, self.now_ns)
            self._do(event)
            self.recorder.event(self.now_ns, event)
            self._changed()

    def _do(self, event: Event) -> None:
        running = [t for t in self.threads if not t.ended and not t.stopping]
        if event.action == "start":
            for kdamond in event.kdamonds:
                self._start(kdamond)
        elif event.action == "stop":
            for thread in running:
                thread.stopping = True
                self._rouse(thread)
        elif event.action == "commit":
            self._commit(running, event.kdamonds)
        else:
            change_machine(self.machine, event, self.now_ns)
            for agent in self.agents:
                agent.settings(event.settings)

    # -- kdamonds ----------------------------------------------------------------------------------

    def _start(self, kdamond: Kdamond) -> None:
        kernel = self.scenario.topology.kernel
        for spec in kdamond.contexts:
            name = f"kdamond.{self._nr_threads}"
            context = build_context(
                self.machine,
                spec,
                name,
                self.seeds,
                self.shared,
                self.machine.is_alive,
                self.scenario.exact_ticks,
                self.scenario.access_source,
                self.scenario.source_settings,
            )
            clock = clock_of(kernel, self.scenario.clocks.get(name))
            thread = Thread(name, kdamond, context, self._nr_threads, clock)
            if self._arbiter is not None:
                self._arbiter.meet(kdamond, context)
            self._nr_threads += 1
            self.threads.append(thread)
            self.recorder.watch(thread)
            self._processes[name] = self.env.process(self._kdamond(thread))

    def _commit(self, running: list[Thread], kdamonds: tuple[Kdamond, ...]) -> None:
        """Online commit: taken up at the end of the tick in progress, as kdamond calls are."""
        if len(running) != len(kdamonds):
            message = f"{len(kdamonds)} kdamonds given to tune, {len(running)} are running"
            raise SimulationError(message, self.now_ns, "damo tune")
        for thread, kdamond in zip(running, kdamonds, strict=True):
            thread.context.call(partial(self._take_up, thread, kdamond.contexts[0]))
            thread.spec = kdamond
            self._rouse(thread)

    def _take_up(self, thread: Thread, spec: Context) -> None:
        try:
            commit_context(self.machine, thread.context, spec, self.machine.is_alive)
        except ConfigError as error:
            raise SimulationError(f"commit refused: {error}", self.now_ns, thread.name) from error

    def _rouse(self, thread: Thread) -> None:
        if thread.asleep:
            self._processes[thread.name].interrupt()

    def _kdamond(self, thread: Thread) -> Steps:
        """The kernel's loop, many sampling intervals at a time."""
        context = thread.context
        context.start(self.now_ns)
        while not (thread.stopping or context.finished()):
            now_ns = self.now_ns
            if wait_us := context.wait_activation(now_ns):
                yield from self._nap(thread, now_ns + wait_us * 1000)
                continue
            self.machine.load.cores[thread.name] = thread.plan(now_ns)
            if (yield from self._nap(thread, thread.until_ns)):
                thread.shorten(self.now_ns)
                yield self._sleep(thread.until_ns - self.now_ns, "KDAMOND", thread.rank)
            thread.absorb(self.now_ns)
            yield from self._due(thread)
            if (seen := self.machine.observing) is not None and seen.tolls.changed(self.now_ns):
                self._changed()
        context.stop()
        thread.ended = True
        self.machine.load.cores.pop(thread.name, None)
        forget_context(self.machine, context)

    def _nap(self, thread: Thread, until_ns: int) -> Generator[simpy.Event, Any, bool]:
        """Sleep until then or until roused; whether it was the latter."""
        thread.asleep = True
        try:
            yield self._sleep(until_ns - self.now_ns, "KDAMOND", thread.rank)
        except simpy.Interrupt:
            return True
        finally:
            thread.asleep = False
        return False

    def _absorb_all(self, now_ns: int | None = None) -> None:
        for thread in self.threads:
            if not thread.ended:
                thread.absorb(self.now_ns if now_ns is None else now_ns)

    def _due(self, thread: Thread) -> Steps:
        """Aggregation, schemes, tuning; time passes while pages are checked and moved."""
        context, pending, worked = thread.context, 0, False
        due = due_of(context.schemes, context.passed_sample_intervals)
        steps, resumed_ns = context.due(self.now_ns), None
        while (busy_ns := next_step(steps, resumed_ns)) is not None:
            if isinstance(busy_ns, PausedFor):
                yield from self._nap(thread, self.now_ns + busy_ns)
                if thread.stopping:
                    return
                resumed_ns = self.now_ns
                continue
            pending, worked = pending + busy_ns, True
            if pending >= MIGRATE_STEP_NS:
                yield from self._busy(thread, pending)  # may take longer than the work itself
                pending = 0
            resumed_ns = self.now_ns + pending
        if pending:
            yield from self._busy(thread, pending)
        elif worked:
            self._changed()
        if self.agents:
            self._agents_alarm.set()  # a refused move wakes kswapd
        self.recorder.applied(thread, due, self.now_ns)

    def _busy(self, thread: Thread, busy_ns: int) -> Steps:
        """The kdamond works on pages for a while; its traffic and its core are part of the load."""
        thread.cpu_ns += busy_ns
        span_ns = thread.clock.finish(self.now_ns, busy_ns) - self.now_ns
        self.machine.begin_migration(thread.name, span_ns)
        self._changed()
        yield self._sleep(span_ns, "MIGRATE", thread.rank)
        self.machine.end_migration(thread.name)
        self._changed()
