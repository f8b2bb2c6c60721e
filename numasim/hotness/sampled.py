"""MEMTIS's sampling thread: counts samples, cools, adapts thresholds, keeps to its CPU share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.agents import Stage
from numasim.hotness.heat import HUGE_PAGES, Heat
from numasim.hotness.queues import Queue
from numasim.hotness.samples import Samples
from numasim.hotness.splitting import Splitting
from numasim.hotness.worker import Worker

READ_NS = 100_000_000
"""Period in which samples are handed on. Assumption: the real thread polls all the time."""


@dataclass(frozen=True)
class SampledRules:
    """Parameters of the sampling thread; see `numasim.policies.memtis` for their sources.

    Parameters
    ----------
    load_periods, store_periods : tuple of float
        From the shortest to the longest.
    cpu, cpu_slack : float
        Share of a core that it keeps to, within.
    cooling, adaptation : int
        Samples between halvings of all counts, and between new thresholds.
    accessor : int
        Whose tiers.
    """

    load_periods: tuple[float, ...]
    store_periods: tuple[float, ...]
    cpu: float
    cpu_slack: float
    cooling: int
    adaptation: int
    accessor: int


class PeriodLadder:
    """The position on the lists of periods, moved by what the thread used of a core.

    Parameters
    ----------
    rules : SampledRules
    """

    def __init__(self, rules: SampledRules) -> None:
        self._rules, self.at = rules, 0
        self._top = max(len(rules.load_periods), len(rules.store_periods)) - 1

    def step(self, used: float) -> tuple[float, float]:
        """One rung to longer periods above the share, to shorter below; the periods then."""
        if used > self._rules.cpu + self._rules.cpu_slack:
            self.at = min(self.at + 1, self._top)
        elif used < self._rules.cpu - self._rules.cpu_slack:
            self.at = max(self.at - 1, 0)
        lists = (self._rules.load_periods, self._rules.store_periods)
        loads, stores = (one[min(self.at, len(one) - 1)] for one in lists)
        return loads, stores


class Sampled(Worker):
    """The thread and what it knows.

    Parameters
    ----------
    stage : Stage
    rules : SampledRules
    now_ns : int
    splitting : Splitting, optional
        What decides on splits of huge pages; None where no page can be split.
    name : str

    Attributes
    ----------
    heat : Heat
        Of folios, by their first page.
    hot, warm : int
        Thresholds in bins.
    hot_slow, hot_fast : Queue
        Folios that were hot when last touched, by where they were; the latter for a balance only.
    total : float
        Samples, halved as counts are.
    """

    def __init__(
        self,
        stage: Stage,
        rules: SampledRules,
        now_ns: int,
        splitting: Splitting | None = None,
        name: str = "memtis",
    ) -> None:
        super().__init__(stage, f"{name}/sampling", now_ns, READ_NS)
        self.rules, self.splitting = rules, splitting
        self.heat = Heat(stage.space.nr_pages)
        self.hot, self.warm = 1, 1
        self.nr_samples = self.adaptations = 0
        self.total = 0.0
        self.hot_slow, self.hot_fast = Queue(stage.space.nr_pages), Queue(stage.space.nr_pages)
        self.fast = stage.topology.tiers(rules.accessor)[0]
        self.ladder = PeriodLadder(rules)
        events = [
            ("load", "llc_miss", rules.load_periods[0]),
            ("store", "retired", rules.store_periods[0]),
        ]
        self.samples = Samples(stage, name, events, now_ns)  # type: ignore[arg-type]
        self._last_ns = now_ns

    def counters(self) -> dict[str, int]:
        """Samples, halvings, thresholds, period of loads."""
        return {
            "samples": self.nr_samples,
            "coolings": self.heat.clock,
            "hot_bin": self.hot,
            "warm_bin": self.warm,
            "load_period": round(self.samples.samplers[0].period),
            "splits": 0 if self.splitting is None else self.splitting.nr_split,
        }

    def step(self, now_ns: int) -> int:
        """Count samples; find the periods for the next."""
        pages = self.samples.read(now_ns).page
        at = 0
        while at < len(pages):
            left = self.rules.adaptation - self.nr_samples % self.rules.adaptation
            left = min(left, self.rules.cooling - self.nr_samples % self.rules.cooling)
            part = pages[at : at + left]
            self.count(part)
            at += len(part)
        used = len(pages) * self.samples.drain_ns / max(1, now_ns - self._last_ns)
        self._last_ns = now_ns
        for sampler, period in zip(self.samples.samplers, self.ladder.step(used), strict=True):
            sampler.period = period
        self.stage.load.cores[self.name] = min(used, 1.0)
        return 0

    def count(self, pages: np.ndarray) -> None:
        """Count samples (pages, int64[N]) that end before or at the next cooling or adaptation."""
        space = self.stage.space
        heads, nr = np.unique(space.folio_heads(pages), return_counts=True)
        sizes = space.pages_per_bit[space.class_of[heads]]
        self.heat.add(heads, nr * self.weights(heads), sizes)
        self.total += len(pages)
        if self.splitting is not None:
            self.splitting.count(pages, self.fast)
        self.nr_samples += len(pages)
        if self.nr_samples % self.rules.cooling == 0:
            self.heat.cool()
            self.total /= 2
            if self.splitting is not None:
                self.splitting.bases.cool()
        if self.nr_samples % self.rules.adaptation == 0:
            self.adapt()
        hot = heads[self.heat.bin_of(heads) >= self.hot]
        nodes = self.stage.nodes_of(hot)
        self.hot_slow.push(hot[(nodes >= 0) & (nodes != self.fast)])
        self.hot_fast.push(hot[nodes == self.fast])

    def weights(self, heads: np.ndarray) -> np.ndarray:
        """int64[N]: what a sample of each folio counts: a smaller one's stands for fewer pages."""
        sizes = self.stage.space.pages_per_bit[self.stage.space.class_of[heads]]
        base_pages = sizes * self.stage.memory.pages_per_frame
        weights: np.ndarray = np.maximum(HUGE_PAGES // base_pages, 1)
        return weights

    def hot_folios(self, outside: bool) -> tuple[np.ndarray, np.ndarray]:
        """Hot folios in the fast tier or `outside`, and the share of samples of each."""
        queue = self.hot_slow if outside else self.hot_fast
        heads = queue.pop(len(queue), self.is_hot_slow if outside else self.is_hot_fast)
        queue.push_front(heads)
        counts = self.heat.of(heads) / self.weights(heads)
        return heads, counts / max(self.total, 1.0)

    def adapt(self) -> None:
        """New thresholds from the histogram and the size of the fast tier."""
        self.adaptations += 1
        self.hot, self.warm = self.heat.thresholds(self.capacity())
        if self.splitting is not None:
            self.splitting.decide(self.heat, self.capacity())

    def capacity(self) -> int:
        """Frames of the fast tier above its HIGH watermarks."""
        memory = self.stage.memory
        marks = sum(zone.marks.high for zone in memory.zones_of_node(self.fast))
        return memory.managed_frames(self.fast) - marks

    def is_hot_slow(self, heads: np.ndarray) -> np.ndarray:
        """bool[N]: which folios are hot now and outside the fast tier."""
        nodes = self.stage.nodes_of(heads)
        found: np.ndarray = self._is_hot(heads) & (nodes >= 0) & (nodes != self.fast)
        return found

    def is_hot_fast(self, heads: np.ndarray) -> np.ndarray:
        """bool[N]: which folios are hot now and in the fast tier."""
        found: np.ndarray = self._is_hot(heads) & (self.stage.nodes_of(heads) == self.fast)
        return found

    def _is_hot(self, heads: np.ndarray) -> np.ndarray:
        whole = self.stage.space.folio_heads(heads) == heads
        found: np.ndarray = whole & (self.heat.bin_of(heads) >= self.hot)
        return found
