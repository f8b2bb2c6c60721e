"""A running monitoring context: what a kdamond does, in the kernel's steps and order.

The context never asks for the time; `now_ns` is handed in. It is driven in one of two forms that
give the same results: tick by tick with `iterate`, or in bulk, where the sampling intervals up to
the next interesting one are absorbed at once::

    context.start(now_ns)
    while not context.finished():
        wait_us = context.wait_activation(now_ns)       # 0: go on
        window = ...                                    # of context.samples_until_due() ticks
        context.absorb(window)
        for busy_ns in context.due(now_ns):             # actions that take time
            ...

Source: DAMON core specification, section 3 (Linux 7.3.4).
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import numpy as np

from numasim.damon.apply import apply_schemes
from numasim.damon.attrs import aggr_samples, convert_results, intervals_score, tuned
from numasim.damon.commit import commit, context_problems
from numasim.damon.feedback import GOAL
from numasim.damon.merging import merge_regions
from numasim.damon.ops import PAGE_SIZE, AccessSource, Applied, GoalMetrics, Ops, Window
from numasim.damon.ranges import set_regions
from numasim.damon.regions import (
    Regions,
    apply_min_nr_regions,
    left_window_bp,
    mvsum,
    reset_aggregated,
    side_by_side,
)
from numasim.damon.schemes import SchemeState, due_of
from numasim.damon.spec import Attrs, Context
from numasim.damon.splitting import Draws, Shared, split_regions
from numasim.damon.targets import TargetState
from numasim.damon.turnover import Turned, turn_over
from numasim.damon.walk import Walk
from numasim.errors import ConfigError

OnApply = Callable[["ContextState", int, int, int, int, int, int, Applied], None]
Aggregated = Callable[["ContextState", int, tuple[Regions, ...]], None]


class PausedFor(int):
    """Nanoseconds for which a paused kdamond sleeps before it looks again; not work."""


class ContextState:
    """One context while it runs.

    Parameters
    ----------
    spec : Context
        Description; its attributes must be valid.
    ops : Ops
        Operations set bound to this context.
    source : AccessSource
        Its eye.
    metrics : GoalMetrics
        For goals of quotas and watermarks.
    shared : Shared
        What all contexts of the run have in common.
    rng : numpy.random.Generator or Draws
        Where splits happen.
    min_region_sz : int
        Core address units, a power of two.
    tick_ns : int
        Length of a scheduler tick (4,000,000 at HZ=250).
    name : str
        For messages.

    Attributes
    ----------
    targets : list of TargetState
    schemes : list of SchemeState
    attrs : Attrs
        In force, after tuning.
    passed_sample_intervals, next_aggregation_sis, next_ops_update_sis : int
        Counted in sampling intervals since the start.
    now_ns : int
        Instant last handed in, advanced by the actions of the pass at hand.
    paused : bool
    on_apply, aggregated, on_ops_update : callable or None
        ``on_apply(ctx, scheme, target, start, end, nr_accesses, age, applied)`` is called after an
        action and before the age is reset, ``aggregated(ctx, now_ns, regions)`` when a window is
        complete, after schemes and tuning and before counters are reset, ``on_ops_update(ctx)``
        when ranges are looked at anew.

    Raises
    ------
    ConfigError
        Where the kernel would refuse to start.
    """

    def __init__(
        self,
        spec: Context,
        *,
        ops: Ops,
        source: AccessSource,
        metrics: GoalMetrics,
        shared: Shared,
        rng: np.random.Generator | Draws,
        min_region_sz: int = PAGE_SIZE,
        tick_ns: int = 4_000_000,
        name: str = "",
    ) -> None:
        problems = context_problems(spec, min_region_sz)
        if problems:
            raise ConfigError(problems, name)
        self.spec, self.name = spec, name
        self.ops, self.source, self.metrics, self.shared = ops, source, metrics, shared
        self.draws = rng if isinstance(rng, Draws) else Draws.of(rng)
        self.min_region_sz, self.tick_ns, self.addr_unit = min_region_sz, tick_ns, spec.addr_unit
        self.attrs: Attrs = spec.attrs
        self.aggr_samples = aggr_samples(spec.attrs)
        self.targets = [TargetState(target) for target in spec.targets]
        self.schemes = [SchemeState(scheme) for scheme in spec.schemes]
        self.walks: list[Walk] = []
        self.paused = spec.pause
        self.now_ns = 0
        self.passed_sample_intervals = 0
        self.next_aggregation_sis = self.next_ops_update_sis = self.next_intervals_tune_sis = 0
        self.on_apply: OnApply | None = None
        self.aggregated: Aggregated | None = None
        self.on_ops_update: Callable[[ContextState], None] | None = None
        self._size_limit = 0
        self._first_target = np.empty(0, np.int64)  # zeros: the target of every region, if only one
        self._calls: list[Callable[[], None]] = []
        self._waiting = self._exited = False

    # what others look at

    @property
    def regions(self) -> tuple[Regions, ...]:
        """The regions of all targets, in order."""
        return tuple([target.regions for target in self.targets])

    @property
    def nr_regions(self) -> int:
        """Number of regions over all targets."""
        return sum([len(target.regions.start) for target in self.targets])

    @property
    def sample_us(self) -> int:
        """Sampling interval in force, microseconds."""
        return self.attrs.sample_us

    def mvsum(self, regions: Regions) -> np.ndarray:
        """Access frequency of regions at this moment (section 5.3). int64[R], samples"""
        left = max(self.next_aggregation_sis - self.passed_sample_intervals, 0)
        bp = left_window_bp(left, self.attrs.sample_us, self.attrs.aggr_us)
        return mvsum(regions.nr_accesses, regions.last_nr_accesses, bp)

    # from outside

    def start(self, now_ns: int) -> None:
        """Begin: set timers, make the initial regions and cut them evenly (section 3.1)."""
        self.now_ns = now_ns
        attrs, sample_us = self.attrs, self.attrs.sample_us or 1
        self.passed_sample_intervals = 0
        self.next_aggregation_sis = attrs.aggr_us // sample_us
        self.next_ops_update_sis = attrs.ops_update_us // sample_us
        self.next_intervals_tune_sis = self.next_aggregation_sis * attrs.intervals_goal.aggrs
        for scheme in self.schemes:
            scheme.next_apply_sis = scheme.interval_sis(attrs.aggr_us, sample_us)
        for i, target in enumerate(self.targets):
            if target.spec.regions:
                set_regions(target.regions, target.spec.regions, self.min_region_sz)
            else:
                set_regions(target.regions, self.ops.init_ranges(i) or [], PAGE_SIZE)
        self._size_limit = self._apply_min_nr_regions()

    def finished(self) -> bool:
        """Whether the kdamond ends by itself: no target is valid any more (never for paddr)."""
        return self.ops.name != "paddr" and not any(
            self.ops.target_valid(i) for i in range(len(self.targets))
        )

    def stop(self) -> None:
        """The kdamond ends; pending requests are cancelled."""
        self._exited = True
        self._cancel_walks()

    def commit(self, new: Context, now_ns: int, *, min_region_sz: int | None = None) -> None:
        """Follow a new description (section 2.3).

        Raises
        ------
        ConfigError
            Where the kernel would refuse; then nothing has changed.
        """
        self.now_ns = now_ns
        commit(self, new, self.min_region_sz if min_region_sz is None else min_region_sz)

    def call(self, function: Callable[[], None]) -> None:
        """Have a function called at the kdamond's next point for it, after the next sample."""
        self._calls.append(function)

    def walk(self) -> Walk:
        """Ask for the regions that schemes try from now on; cancelled if this one has ended."""
        request = Walk()
        if self._exited:
            request.cancel()
        else:
            self.walks.append(request)
        return request

    def set_attrs(self, attrs: Attrs, nr_aggr_samples: int = 0) -> None:
        """Change attributes, rescale results and restart timers (section 2.2).

        Parameters
        ----------
        attrs : Attrs
        nr_aggr_samples : int
            Samples of an aggregation as the user set them; 0 to derive them from `attrs`.
        """
        passed, sample_us = self.passed_sample_intervals, attrs.sample_us or 1
        aggregating = passed < self.next_aggregation_sis
        self.aggr_samples = nr_aggr_samples or attrs.aggr_us // sample_us
        self.next_aggregation_sis = passed + attrs.aggr_us // sample_us
        self.next_ops_update_sis = passed + attrs.ops_update_us // sample_us
        convert_results(self.regions, self.attrs, attrs, aggregating)
        self.attrs = attrs
        for scheme in self.schemes:
            scheme.next_apply_sis = passed + scheme.interval_sis(attrs.aggr_us, sample_us)

    # the loop

    def wait_activation(self, now_ns: int) -> int:
        """How long to sleep because no scheme is active, microseconds; 0 to go on (section 12).

        The kernel asks before every sample. In bulk it is asked before every stretch of samples, so
        a scheme may turn active or inactive up to one aggregation interval late.
        """
        self.now_ns = now_ns
        if self._waiting:
            self._run_calls()
            self._cancel_walks()
        waits = [scheme.watermark_wait_us(*self._pages(scheme)) for scheme in self.schemes]
        wait_us = min(waits) if waits else 0
        self._waiting = wait_us > 0
        return wait_us

    def samples_until_due(self) -> int:
        """Sampling intervals until the next iteration in which more than sampling happens."""
        if self._calls or self.paused:
            return 1
        times = [scheme.next_apply_sis for scheme in self.schemes if scheme.activated]
        if self.ops.updates:
            times.append(self.next_ops_update_sis)
        return max(min([self.next_aggregation_sis, *times]) - self.passed_sample_intervals, 1)

    def absorb(self, window: Window) -> None:
        """Let the ticks of a window pass: sample (steps C to E of as many iterations)."""
        columns = self.regions
        if len(columns) == 1:
            start, end = columns[0].start, columns[0].end
            if len(self._first_target) < len(start):
                self._first_target = np.zeros(2 * len(start), dtype=np.int64)
                self._first_target.flags.writeable = False
            target = self._first_target[: len(start)]
        else:
            start, end, target = side_by_side(columns)
        hits = self.source.hits(start, end, target, window)
        self.passed_sample_intervals += len(window)
        addr = getattr(self.source, "sampling_addr", None)
        if addr is None and len(columns) == 1:
            columns[0].nr_accesses = columns[0].nr_accesses + hits
            return
        first = 0
        for regions in columns:
            after = first + len(regions.start)
            regions.nr_accesses = regions.nr_accesses + hits[first:after]
            if addr is not None:
                regions.sampling_addr = addr[first:after]
            first = after

    def iterate(self, start_ns: int, end_ns: int) -> Generator[int, int | None, None]:
        """One iteration: a single sampling interval and what follows it."""
        self.absorb(Window.tick(start_ns, end_ns))
        yield from self.due(end_ns)

    def due(self, now_ns: int) -> Generator[int, int | None, None]:
        """Steps F to J of the iteration whose sampling has just been absorbed.

        Yields
        ------
        int
            Nanoseconds for which an action kept the kdamond; a `PausedFor` while it is paused. The
            caller may send the instant at which it resumes.
        """
        self.now_ns = now_ns
        aggregate_at, update_at = self.next_aggregation_sis, self.next_ops_update_sis
        passed = self.passed_sample_intervals
        turned = self._merge_regions() if passed >= aggregate_at else None
        self._run_calls()
        while self.paused:
            self._cancel_walks()
            pause = PausedFor(self.attrs.sample_us * 1_000)
            resumed_ns = yield pause
            self.now_ns = self.now_ns + pause if resumed_ns is None else resumed_ns
            self._run_calls()
        if self.schemes:
            if turned is None:  # else none is due
                yield from apply_schemes(self)
            self.walks = [walk for walk in self.walks if walk.state == "pending"]
        else:
            self._cancel_walks()
        if passed >= aggregate_at:
            self._complete_window(aggregate_at, turned)
        if passed >= update_at:
            self.next_ops_update_sis = update_at + self.attrs.ops_update_us // (
                self.attrs.sample_us or 1
            )
            self._update_ranges()

    def forget_positions(self, target: TargetState) -> None:
        """Schemes that would continue in this target begin at the first region instead."""
        for scheme in self.schemes:
            if scheme.quota.charge_target_from is target:
                scheme.quota.forget_position()

    # steps

    def _merge_regions(self) -> Turned | None:
        regions, attrs, limit = self.regions, self.attrs, self._size_limit
        max_thres, unit = aggr_samples(attrs), self.min_region_sz
        if self._splits_next():
            turned = turn_over(regions, attrs, max_thres, limit, unit, self.shared, self.draws)
            if turned is not None:
                self._size_limit = turned.size_limit
                return turned
        most = max([int(np.maximum.reduce(r.nr_accesses)) for r in regions if len(r)], default=0)
        merge_regions(regions, most // 10, limit, max_thres, attrs.max_nr_regions)
        self._size_limit = self._apply_min_nr_regions()
        return None

    def _splits_next(self) -> bool:
        """Whether nothing sees or changes regions, once they are merged, before they are split."""
        passed = self.passed_sample_intervals
        tunes = self.attrs.intervals_goal.aggrs and passed >= self.next_intervals_tune_sis
        return not (tunes or self.paused or self._calls or due_of(self.schemes, passed))

    def _apply_min_nr_regions(self) -> int:
        return apply_min_nr_regions(self.regions, self.attrs.min_nr_regions, self.min_region_sz)

    def _complete_window(self, aggregate_at: int, turned: Turned | None) -> None:
        if self.attrs.intervals_goal.aggrs and (
            self.passed_sample_intervals >= self.next_intervals_tune_sis
        ):
            self.next_aggregation_sis = aggregate_at
            self.next_intervals_tune_sis += self.aggr_samples * self.attrs.intervals_goal.aggrs
            self.tune_intervals()
        self.next_aggregation_sis = aggregate_at + aggr_samples(self.attrs)
        if self.aggregated is not None:
            self.aggregated(self, self.now_ns, self.regions)
        if turned is not None:
            turned.close(self.targets[0].regions)
            return
        regions, most = self.regions, self.attrs.max_nr_regions
        reset_aggregated(regions)
        split_regions(regions, self.shared, self.draws, self.min_region_sz, most)

    def tune_intervals(self) -> None:
        """Change intervals towards the goal, by the window just completed (section 7)."""
        wanted_bp = self.attrs.intervals_goal.access_bp
        score = intervals_score(self.regions, self.aggr_samples, wanted_bp)
        if score.adaptation_bp != GOAL:
            new = tuned(self.attrs, score.adaptation_bp, self.aggr_samples)
            self.set_attrs(new, self.aggr_samples)

    def _update_ranges(self) -> None:
        if self.on_ops_update is not None:
            self.on_ops_update(self)
        for i, target in enumerate(self.targets):
            ranges = self.ops.update_ranges(i)
            if ranges is not None:
                set_regions(target.regions, ranges, PAGE_SIZE)

    def _pages(self, scheme: SchemeState) -> tuple[int, int]:
        none = scheme.spec.wmarks.metric == "none"
        return (0, 0) if none else self.metrics.system_pages()

    def _run_calls(self) -> None:
        calls, self._calls = self._calls, []
        for function in calls:
            function()

    def _cancel_walks(self) -> None:
        for walk in self.walks:
            walk.cancel()
        self.walks = []
