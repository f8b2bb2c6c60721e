"""The clock: one SimPy process per periodic actor, same-instant work in named slots.

Order within an instant: TRAFFIC (the workload changes), KDAMOND, POLICY (timed events), MIGRATE,
RECORD, then by name; slot and name rank make the SimPy event priority, so who was created first
decides nothing. A run covers ``[0, duration_ns)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import numpy as np
import simpy

from numasim.damon.context import ContextState, Shared
from numasim.damon.ops import Window
from numasim.damon.spec import Kdamond
from numasim.errors import SimulationError
from numasim.machine import Machine
from numasim.monitors import build_context, forget_context
from numasim.recorder import Recorder
from numasim.scenario import Event, Scenario
from numasim.seeds import Seeds
from numasim.timer import wake_ns

SLOTS = ("TRAFFIC", "KDAMOND", "POLICY", "MIGRATE", "RECORD")
SLOT_WIDTH = 1000
MIGRATE_STEP_NS = 10_000_000  # a kdamond that migrates for long lets the world go on this often
MAX_TICKS_AHEAD = 256


@dataclass
class Thread:
    """A running kdamond: its context, its planned ticks, its CPU time."""

    name: str
    spec: Kdamond
    context: ContextState
    rank: int
    starts: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    ends: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    absorbed: int = 0
    cpu_ns: int = 0
    stopping: bool = False
    ended: bool = False
    commit: Kdamond | None = None
    wake: simpy.Event | None = None


class Engine:
    """Runs one scenario.

    Parameters
    ----------
    scenario : Scenario
    on_progress : callable, optional
        Called with the share of the run that is done.
    """

    def __init__(self, scenario: Scenario, on_progress: Callable[[float], None] | None = None) -> None:
        self.scenario = scenario
        self.env = simpy.Environment(initial_time=0)
        self.seeds = Seeds(scenario.seed)
        self.machine = Machine(scenario.topology, scenario.workload, self.seeds, self._absorb_all)
        self.shared = Shared()
        self.threads: list[Thread] = []
        self._nr_threads = 0
        self._version = 0
        self._settled = True
        self._on_progress = on_progress
        self.recorder = Recorder(scenario, self.machine, self.threads)

    # -- time --------------------------------------------------------------------------------------------

    def _sleep(self, delay_ns: int, slot: str, rank: int = 0) -> simpy.Event:
        """An event after `delay_ns`, in its slot of that instant."""
        event = self.env.event()
        event._ok, event._value = True, None
        priority = 2 + SLOTS.index(slot) * SLOT_WIDTH + rank
        self.env.schedule(event, priority=priority, delay=int(delay_ns))  # type: ignore[arg-type]
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

    def _changed(self) -> None:
        """Speeds must be found anew before time goes on."""
        self.machine.settle(self.env.now)
        self._version += 1
        self.env.process(self._await_change(self._version))

    def _await_change(self, version: int) -> Generator:
        """Sleep until the workload changes by itself, unless something else did first."""
        at = self.machine.next_change_ns()
        if math.isfinite(at):
            yield self._sleep(max(1, math.ceil(at) - self.env.now), "TRAFFIC")
            if version == self._version:
                self._absorb_all()
                self.machine.change(self.env.now)
                self._changed()
        else:
            yield self._sleep(0, "TRAFFIC")

    def _traffic(self) -> Generator:
        """Start and stop processes at their times."""
        moments = []
        for p, process in enumerate(self.scenario.workload.processes):
            moments.append((process.start, 0, p))
            if process.stop is not None:
                moments.append((process.stop, 1, p))
        for at, stops, p in sorted(moments):
            if at > self.env.now:
                yield self._sleep(at - self.env.now, "TRAFFIC", p)
            elif not stops:
                yield self._sleep(0, "TRAFFIC", p)
            self.machine.advance(self.env.now)
            (self.machine.stop_process if stops else self.machine.start_process)(p, self.env.now)
            self._changed()

    def _record(self) -> Generator:
        while True:
            self.recorder.sample(self.env.now)
            if self._on_progress is not None:
                self._on_progress(self.env.now / self.scenario.duration_ns)
            yield self._sleep(self.scenario.record_ns, "RECORD")

    # -- what the experimenter does --------------------------------------------------------------------------

    def _events(self) -> Generator:
        policy = self.scenario.policy
        own = Event(policy.start, "start", policy.kdamonds(self.scenario.topology), text=policy.kind)
        events = [own] if own.kdamonds else []
        for event in sorted([*events, *self.scenario.events], key=lambda e: e.at_ns):
            yield self._sleep(max(0, event.at_ns - self.env.now), "POLICY")
            self._absorb_all()
            self._do(event)
            self.recorder.event(self.env.now, event)
            self._changed()

    def _do(self, event: Event) -> None:
        running = [t for t in self.threads if not t.ended and not t.stopping]
        if event.action == "start":
            for kdamond in event.kdamonds:
                self._start(kdamond)
        elif event.action == "stop":
            for thread in running:
                thread.stopping = True
        elif event.action == "commit":
            for thread, kdamond in zip(running, event.kdamonds, strict=True):
                thread.commit = kdamond
        elif event.action == "sysctl":
            self.machine.memory.set_watermarks(
                event.settings.get("vm.min_free_kbytes"), event.settings.get("vm.watermark_scale_factor")
            )
        elif event.action == "interleave":
            self.machine.set_interleave(event.settings)
        else:
            self.machine.stop_process(event.settings["process"], self.env.now)

    # -- kdamonds ----------------------------------------------------------------------------------------------

    def _start(self, kdamond: Kdamond) -> None:
        for spec in kdamond.contexts:
            name = f"kdamond.{self._nr_threads}"
            alive = self._alive
            context = build_context(
                self.machine, spec, name, self.seeds, self.shared, alive, self.scenario.exact_ticks
            )
            thread = Thread(name, kdamond, context, self._nr_threads)
            self._nr_threads += 1
            self.threads.append(thread)
            self.recorder.watch(thread)
            self.env.process(self._kdamond(thread))

    def _alive(self, process: int) -> bool:
        return any(a.state != "ended" for a in self.machine.actors if a.process == process)

    def _kdamond(self, thread: Thread) -> Generator:
        """The kernel's loop, many sampling intervals at a time."""
        context, env = thread.context, self.env
        context.start(env.now)
        while not (thread.stopping or context.finished()):
            wait_us = context.wait_activation(env.now)
            if wait_us:
                yield self._sleep(wait_us * 1000, "KDAMOND", thread.rank)
                self._commit(thread)
                continue
            self._plan(thread)
            yield self._sleep(int(thread.ends[-1]) - env.now, "KDAMOND", thread.rank)
            self._absorb(thread, env.now)
            yield from self._due(thread)
            work = context.source.check_ns(context.nr_regions) // 2
            yield self._sleep(work, "KDAMOND", thread.rank)
        context.stop()
        thread.ended = True
        self.machine.load.cores.pop(thread.name, None)
        forget_context(self.machine, context)

    def _plan(self, thread: Thread) -> None:
        """True times of the ticks until the next iteration that does more than sample."""
        context, kernel = thread.context, self.scenario.topology.kernel
        work = context.source.check_ns(context.nr_regions)
        nr = min(context.samples_until_due(), MAX_TICKS_AHEAD)
        sample_us, at = context.attrs.sample_us, self.env.now
        starts, ends = [], []
        for _ in range(nr):
            starts.append(at)
            # regions are prepared one after the other and checked in the same order
            end = wake_ns(at + work // 2, sample_us, kernel.hz, kernel.timer_slack) + work // 2
            ends.append(end)
            at = end + work // 2 if len(ends) < nr else end
        thread.starts, thread.ends = np.array(starts, np.int64), np.array(ends, np.int64)
        thread.absorbed = 0
        span = max(1, ends[-1] - starts[0])
        self.machine.load.cores[thread.name] = min(1.0, work * nr / span)

    def _absorb(self, thread: Thread, until_ns: int) -> None:
        """Account for the ticks that are over: their world is about to change, or is complete."""
        done = int(np.searchsorted(thread.ends, until_ns, "right"))
        if done > thread.absorbed:
            part = slice(thread.absorbed, done)
            thread.absorbed = done
            thread.cpu_ns += thread.context.source.check_ns(thread.context.nr_regions) * (part.stop - part.start)
            thread.context.absorb(Window(thread.starts[part], thread.ends[part]))

    def _absorb_all(self, now_ns: int | None = None) -> None:
        for thread in self.threads:
            if not thread.ended:
                self._absorb(thread, self.env.now if now_ns is None else now_ns)

    def _due(self, thread: Thread) -> Generator:
        """Aggregation, schemes, tuning; time passes while pages are checked and moved."""
        pending, moved = 0, False
        for busy_ns in thread.context.due(self.env.now):
            pending += busy_ns
            moved = True
            if pending >= MIGRATE_STEP_NS:
                yield from self._busy(thread, pending)
                pending = 0
        self._commit(thread)
        if pending:
            yield from self._busy(thread, pending)
        elif moved:
            self._changed()

    def _busy(self, thread: Thread, busy_ns: int) -> Generator:
        """The kdamond works on pages for a while; its traffic and its core are part of the load."""
        thread.cpu_ns += busy_ns
        self.machine.begin_migration(thread.name, busy_ns)
        self._changed()
        yield self._sleep(busy_ns, "MIGRATE", thread.rank)
        self.machine.end_migration(thread.name)
        self._changed()

    def _commit(self, thread: Thread) -> None:
        if thread.commit is None:
            return
        try:
            thread.context.commit(thread.commit.contexts[0], self.env.now)
        except ValueError as error:
            raise SimulationError(str(error), self.env.now, thread.name) from error
        thread.spec, thread.commit = thread.commit, None
