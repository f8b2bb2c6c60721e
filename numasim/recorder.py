"""Columns of a run as it goes. It appends what it is shown, and how well DAMON sees.

Every series is sampled at a fixed interval that the duration bounds, so memory is bounded however
long the run; only who asks for all snapshots gets them at the pace of monitoring.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from numasim.accessor_record import AccessorRecord
from numasim.actors import ActorState
from numasim.agents import Agent
from numasim.columns import Columns
from numasim.damon.context import ContextState
from numasim.damon.ops import Applied
from numasim.damon.regions import Regions
from numasim.machine import Machine
from numasim.moves_record import MovesRecord
from numasim.overhead import KSWAPD, WORKER
from numasim.profiles import monitoring_error, truth_profile
from numasim.scenario import Event, Scenario

if TYPE_CHECKING:
    from numasim.kdamond import Thread

SNAPSHOTS = 240  # monitoring snapshots and truth profiles kept per kdamond
PROFILE_BINS = 256
BINS = np.arange(PROFILE_BINS)
COUNTERS = (
    "nr_tried", "sz_tried", "nr_applied", "sz_applied", "sz_ops_filter_passed", "qt_exceeds",
    "nr_snapshots",
)  # fmt: skip
"""Statistics of a scheme, as the kernel names them."""
TRIED_ROWS = 16  # tried regions kept per scheme and row of the time series: those that moved most


class Recorder:
    """Tables of one run, as lists of columns.

    Parameters
    ----------
    scenario : Scenario
    machine : Machine
    threads : list of Thread
        The engine's, read only.
    """

    def __init__(self, scenario: Scenario, machine: Machine, threads: list[Thread]) -> None:
        self.scenario, self.machine, self._threads = scenario, machine, threads
        self.columns = Columns()
        self.append, self.extend = self.columns.append, self.columns.extend
        self._found: dict[Any, tuple[Any, Any]] = {}
        self._snapshot_ns = max(scenario.record_ns, scenario.duration_ns // SNAPSHOTS)
        self._next_snapshot_ns = 0
        self.latest: dict[str, tuple[int, int, list[Regions]]] = {}
        self._tried: dict[tuple[str, int], list[tuple[int, ...]]] = {}
        self._before: dict[int, tuple[float, float, np.ndarray]] = {}
        self._tune_at: dict[str, int] = {}
        self._accessors = AccessorRecord(scenario, machine, self.columns)
        self._moves = MovesRecord(machine, self.columns)
        self.agents: list[Agent] = []

    @property
    def tables(self) -> dict[str, dict[str, list[Any]]]:
        """All tables so far, as lists of columns."""
        return self.columns.lists()

    def _known(self, what: Any, state: Any, find: Callable[[], Any]) -> Any:
        """What was found last for the same state of the world, or find it anew."""
        known = self._found.get(what)
        if known is None or known[0] != state:
            known = self._found[what] = (state, find())
        return known[1]

    def watch(self, thread: Thread) -> None:
        """Follow a kdamond from now on."""
        thread.context.aggregated = self._aggregated
        thread.context.on_apply = self._apply

    def _apply(
        self, context: ContextState, scheme: int, target: int, start: int, end: int, nr: int,
        age: int, applied: Applied,
    ) -> None:  # fmt: skip
        if self.scenario.all_snapshots:
            self.append(
                "acts", t_s=context.now_ns / 1e9, kdamond=context.name, scheme=scheme, start=start,
                target=target, end=end, nr_accesses=nr, age=age, passed_bytes=applied.passed_bytes,
            )  # fmt: skip
        rows = self._tried.setdefault((context.name, scheme), [])
        rows.append((applied.applied_bytes, end - start, target, start, end, nr, age))
        if len(rows) > 4 * TRIED_ROWS:  # keep what moved most
            rows.sort(reverse=True)
            del rows[TRIED_ROWS:]

    def _aggregated(self, context: ContextState, now_ns: int, regions: tuple[Regions, ...]) -> None:
        max_nr = max(1, context.attrs.aggr_us // max(1, context.attrs.sample_us))
        seen = (now_ns, max_nr, [r.view() for r in regions])
        self.latest[context.name] = seen
        if self.scenario.all_snapshots:
            self._regions(now_ns / 1e9, context.name, *seen)
            self._tuned(context, now_ns)

    def _tuned(self, context: ContextState, now_ns: int) -> None:
        """A row if intervals have just been tuned: then the next time for it was set."""
        asked, tune_at = context.spec.attrs, context.next_intervals_tune_sis
        first = asked.aggr_us // max(1, asked.sample_us) * asked.intervals_goal.aggrs
        if tune_at != self._tune_at.get(context.name, first):
            self._tune_at[context.name] = tune_at
            sample_us = context.attrs.sample_us
            self.append("tunings", t_s=now_ns / 1e9, kdamond=context.name, sample_us=sample_us)

    def applied(self, thread: Thread, schemes: list[int], now_ns: int) -> None:
        """A row for each scheme that has just been applied, where every snapshot is kept."""
        if not self.scenario.all_snapshots:
            return
        for s in schemes:
            stat, quota = thread.context.schemes[s].stat, thread.context.schemes[s].quota
            counters = {name: getattr(stat, name) for name in COUNTERS}
            self.append(
                "applies", t_s=now_ns / 1e9, kdamond=thread.name, scheme=s,
                esz=min(quota.esz, 2**62), **counters,
            )  # fmt: skip

    def event(self, now_ns: int, event: Event) -> None:
        """Something the experimenter did."""
        self.append(
            "events", t_s=now_ns / 1e9, who="experimenter", what=event.action, detail=event.text
        )

    # -- sampling ----------------------------------------------------------------------------------

    def sample(self, now_ns: int) -> None:
        """A row of every time series."""
        machine = self.machine
        machine.advance(now_ns)
        t = now_ns / 1e9
        for actor in machine.actors:
            self._actor(t, actor)
        self._nodes(t)
        for i, link in enumerate(machine.topology.links):
            forward, backward = machine.link_bytes[i].tolist()
            self.append(
                "links", t_s=t, link=link.label, forward_bytes=forward, backward_bytes=backward
            )
        self._residency(t)
        self._moves.sample(t)
        for thread in self._threads:
            if not thread.ended:
                self._kdamond(t, thread)
        self._tried_regions(t)
        for agent in self.agents:
            counters = {**agent.counters()}
            if KSWAPD not in counters and agent.name in machine.load.worked_ns:
                counters[WORKER] = machine.load.worked_ns[agent.name]
            for name, value in counters.items():
                self.append("vmstat", t_s=t, agent=agent.name, counter=name, value=value)
        self._accessors.sample(now_ns)
        if now_ns >= self._next_snapshot_ns:
            self._next_snapshot_ns += self._snapshot_ns
            self._snapshots(now_ns)

    def _actor(self, t: float, actor: ActorState) -> None:
        since, done, times = self._before.get(actor.index, (0.0, 0.0, np.zeros(3)))
        self._before[actor.index] = (t, actor.operations, actor.op_times)
        more = actor.operations - done
        mean, p50, p99 = (
            (actor.op_times - times) / more if more > 0 else np.full(3, np.nan)
        ).tolist()
        near = self._known(("near", actor.index), 0, lambda: self._near(actor))
        running = actor.state == "running"
        self.append(
            "actors",
            t_s=t,
            actor=actor.name,
            state=actor.state,
            phase=actor.current.name or str(actor.phase),
            operations=actor.operations,
            ops_per_s=more / (t - since) if t > since else 0.0,
            op_mean_ns=mean,
            op_p50_ns=p50,
            op_p99_ns=p99,
            lines=float(actor.lines.sum()),
            local_lines=float(actor.lines[near]),
            line_wait_ns=actor.line_wait_ns,
            local_share=_share(actor.lines_per_ns[near], actor.lines_per_ns.sum()),
            best_local_share=self._best_share(actor, near) if running else float("nan"),
        )

    def _near(self, actor: ActorState) -> int:
        return self.machine.topology.tiers(actor.accessor)[0]

    def _best_share(self, actor: ActorState, near: int) -> float:
        """Share of the missing lines that the nearest node could serve with the hottest pages."""
        machine = self.machine
        weights = machine.weights[actor.process, actor.number]
        state = (machine.migrator.frame_counts.version, id(weights), actor.phase)
        find = partial(self._find_best_share, actor, near)
        share: float = self._known(("best", actor.index), state, lambda: (find(), weights))[0]
        return share

    def _find_best_share(self, actor: ActorState, near: int) -> float:
        machine = self.machine
        counts = machine.migrator.node_counts.sum(axis=0).astype(float)
        density = np.zeros(machine.space.nr_classes)
        for compiled, w in zip(
            machine.patterns_of(actor), machine.weights[actor.process, actor.number], strict=True
        ):
            p = compiled.pattern
            density += p.visits * p.lines * p.miss * w
        order = np.argsort(-density, kind="stable")
        room = machine.memory.managed_frames(near)
        taken = np.minimum(
            counts[order], np.maximum(0, room - np.r_[0, np.cumsum(counts[order])[:-1]])
        )
        return _share(float(taken @ density[order]), float(counts @ density))

    def _nodes(self, t: float) -> None:
        machine = self.machine
        frame, solution = machine.memory.frame_bytes, machine.solution
        placed = machine.migrator.frame_counts.version
        pages = self._known(
            "pages", placed, lambda: machine.migrator.node_counts.sum(axis=1).tolist()
        )
        latency = [float("nan")] * len(pages)
        if solution is not None:
            find = solution.loaded_latency_ns.min
            latency = self._known(
                "latency", id(solution), lambda: (find(axis=0).tolist(), solution)
            )[0]
        carried = machine.node_bytes.tolist()
        for n, node in enumerate(machine.topology.nodes):
            read, write = carried[n]
            self.append(
                "nodes",
                t_s=t,
                node=node.name,
                free_bytes=machine.memory.free_frames(n) * frame,
                managed_bytes=machine.memory.managed_frames(n) * frame,
                workload_bytes=pages[n] * frame,
                read_bytes=read,
                written_bytes=write,
                loaded_latency_ns=latency[n],
            )

    def _residency(self, t: float) -> None:
        placed = self.machine.migrator.frame_counts.version
        for process, mapping, node, nr_bytes in self._known("places", placed, self._places):
            self.append(
                "residency", t_s=t, process=process, mapping=mapping, node=node, bytes=nr_bytes
            )

    def _places(self) -> list[tuple[str, str, str, int]]:
        """Bytes of each mapping on each node: process, mapping, node, bytes."""
        machine, found = self.machine, []
        mappings = machine.space.mappings
        for n, node in enumerate(machine.topology.nodes):
            pages = np.bincount(
                machine.space.mapping_of_class,
                machine.migrator.node_counts[n],
                minlength=len(mappings),
            )
            for mapping, count in zip(mappings, pages.tolist(), strict=True):
                process = machine.workload.processes[mapping.process].name
                nr_bytes = int(count) * machine.memory.frame_bytes
                found.append((process, mapping.mapping.name, node.name, nr_bytes))
        return found

    def _kdamond(self, t: float, thread: Thread) -> None:
        context = thread.context
        self.append(
            "kdamonds",
            t_s=t,
            kdamond=thread.name,
            sample_us=context.attrs.sample_us,
            aggr_us=context.attrs.aggr_us,
            nr_regions=context.nr_regions,
            passed_sample_intervals=context.passed_sample_intervals,
            cpu_ns=thread.cpu_ns,
        )
        for s, scheme in enumerate(context.schemes):
            stat, quota = scheme.stat, scheme.quota
            goals = quota.goals
            self.append(
                "schemes",
                t_s=t,
                kdamond=thread.name,
                scheme=s,
                action=scheme.action,
                nr_tried=stat.nr_tried,
                sz_tried=stat.sz_tried,
                nr_applied=stat.nr_applied,
                sz_applied=stat.sz_applied,
                sz_ops_filter_passed=stat.sz_ops_filter_passed,
                qt_exceeds=stat.qt_exceeds,
                nr_snapshots=stat.nr_snapshots,
                esz=min(quota.esz, 2**62),
                goal=goals[0].spec.metric if goals else "",
                goal_current=goals[0].current_value if goals else 0,
                goal_target=goals[0].spec.target_value if goals else 0,
            )

    def _tried_regions(self, t: float) -> None:
        for (kdamond, scheme), rows in sorted(self._tried.items()):
            rows.sort(reverse=True)
            for applied, _, target, start, end, nr, age in rows[:TRIED_ROWS]:
                self.append(
                    "tried", t_s=t, kdamond=kdamond, scheme=scheme, target=target, start=start,
                    end=end, nr_accesses=nr, age=age, applied_bytes=applied,
                )  # fmt: skip
        self._tried.clear()

    # -- what DAMON saw, beside the truth ----------------------------------------------------------

    def _snapshots(self, now_ns: int) -> None:
        t, from_ns = now_ns / 1e9, max(0, now_ns - self.scenario.record_ns)
        machine = self.machine
        self._accessors.truth(now_ns)
        self._moves.places(t)
        # while speeds stay and nothing moves, the truth is what it was
        steady = machine.law.steady_since(from_ns)
        state = (machine.migrator.frame_counts.version, machine.law.exposure.version)
        for n, node in enumerate(machine.topology.nodes):
            find = partial(truth_profile, machine, n, PROFILE_BINS, from_ns)
            profile = self._known(("truth", n), state, find) if steady else find()
            self.extend(
                "truth", PROFILE_BINS, t_s=t, node=node.name, bin=BINS, visits_per_s=profile
            )
        for thread in self._threads:
            if thread.ended or thread.name not in self.latest:
                continue
            context, seen = thread.context, self.latest[thread.name]
            seen_ns, max_nr, regions = seen
            if len(regions) != len(context.targets):
                continue  # tuned since: what was seen is of other targets
            if not self.scenario.all_snapshots:
                self._regions(t, thread.name, seen_ns, max_nr, regions)
            look = partial(self._error, context, regions, max_nr, from_ns, now_ns)
            sight = (*state, seen_ns, context.attrs.sample_us)
            error = self._known(("error", thread.name), sight, look) if steady else look()
            self.append("monitoring", t_s=t, kdamond=thread.name, **error)

    def _error(
        self, context: ContextState, regions: list[Regions], max_nr: int, from_ns: int, now_ns: int
    ) -> dict[str, float]:
        """Monitoring error against the truth that the context is for, and every accessor's."""
        seen = (context, regions, max_nr, self.scenario.hot_ratio, from_ns, now_ns)
        chance = self._accessors.errors(*seen)
        return monitoring_error(*seen, chance)

    def _regions(
        self, t: float, name: str, seen_ns: int, max_nr: int, regions: list[Regions]
    ) -> None:
        """Rows of one monitoring snapshot."""
        for target, found in enumerate(regions):
            self.extend(
                "snapshots", len(found), t_s=t, seen_s=seen_ns / 1e9, kdamond=name, target=target,
                start=found.start, end=found.end, nr_accesses=found.nr_accesses,
                max_nr_accesses=max_nr, age=found.age,
            )  # fmt: skip

    def finish(self, now_ns: int) -> None:
        """The last row, at the end of the run."""
        self.sample(now_ns)
        self._moves.places(now_ns / 1e9)
        self.machine.end_phases(now_ns)
        for run in self.machine.phase_runs:
            assert run.ended_ns is not None
            self.append(
                "phases", actor=run.actor, phase=run.phase, began_s=run.began_ns / 1e9,
                ended_s=run.ended_ns / 1e9, operations=run.after - run.before,
            )  # fmt: skip
        for at, who, what in self.machine.phase_log:
            self.append("events", t_s=at / 1e9, who=who, what=what, detail="")


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")
