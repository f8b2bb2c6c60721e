"""HeMem's threads: count samples by 2 MiB span, keep the hottest in the fast tier.

With a `Balance` the same lists serve Colloid: how much moves, and which way, then follows from the
tiers' latencies instead of from room in the fast tier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.agents import Stage
from numasim.hotness.balance import LINE_BYTES, Balance, hottest_that_fit
from numasim.hotness.cooled import CooledCounts
from numasim.hotness.mover import Mover
from numasim.hotness.queues import Queue
from numasim.hotness.samples import Samples
from numasim.hotness.spans import Spans
from numasim.hotness.throttle import Throttle
from numasim.hotness.tier_counters import TierCounters
from numasim.hotness.worker import Worker


@dataclass(frozen=True)
class PackingRules:
    """Parameters of HeMem's threads; see `numasim.policies.hemem` for their sources.

    Parameters
    ----------
    span : int
        Bytes counted and moved as one.
    least : int
        Mappings smaller than that are left where they are.
    load_period, store_period : float
        Events per sample.
    hot_reads, hot_writes : int
        Counts from which a span is hot.
    cooling : int
        Count above which all are halved.
    period_ns : int
        Of the policy thread.
    rate_bytes_per_ns : float
        Most that is moved.
    copy_threads : int
    accessor : int
        Whose tiers.
    """

    span: int
    least: int
    load_period: float
    store_period: float
    hot_reads: int
    hot_writes: int
    cooling: int
    period_ns: int
    rate_bytes_per_ns: float
    copy_threads: int
    accessor: int


class Packing(Worker):
    """HeMem at work.

    Parameters
    ----------
    stage : Stage
    rules : PackingRules
    now_ns : int
    balance : Balance, optional
        Colloid's law in place of packing the fast tier.
    name : str

    Notes
    -----
    The sampling thread polls and takes a core for itself. Assumption: so does the policy thread
    while it moves. Source: HeMem (SOSP'21), policies specification section 8.
    """

    def __init__(
        self,
        stage: Stage,
        rules: PackingRules,
        now_ns: int,
        balance: Balance | None = None,
        name: str = "hemem",
    ) -> None:
        super().__init__(stage, name, now_ns, rules.period_ns)
        self.rules, self.balance = rules, balance
        self.throttle: Throttle | None = None
        self.spans = Spans(stage, rules.span, rules.least)
        self.counts = CooledCounts(len(self.spans), rules.cooling)
        self.hot = np.zeros(len(self.spans), bool)
        self._writes = np.zeros(len(self.spans), bool)  # hot by its writes
        self.hot_slow = [Queue(len(self.spans)) for _ in range(2)]  # by writes, by reads
        self.cold_fast = Queue(len(self.spans))
        events = [("load", "llc_miss", rules.load_period), ("store", "retired", rules.store_period)]
        self.samples = Samples(stage, name, events, now_ns)  # type: ignore[arg-type]
        self.mover = Mover(stage, name, rules.copy_threads)
        tiers = stage.topology.tiers(rules.accessor)
        self.fast, self.slow = tiers[0], tuple(tiers[1:])
        self.tiers = TierCounters(stage, rules.accessor)
        self._listed_clock = -1
        stage.load.cores[f"{name}/sampling"] = 1.0

    def act(self, now_ns: int) -> bool:
        """As every worker; the hardware's counters are read before speeds change."""
        self.tiers.accumulate()
        return super().act(now_ns)

    def step(self, now_ns: int) -> int:
        """Count what was sampled, then move: by room, or by the balance of latencies."""
        self.observe(now_ns)
        if not self.slow or not len(self.spans):
            return 0
        if self.balance is None:
            return self.pack()
        occupied, arrived = (self._by_tier(x) for x in self.tiers.read())
        self.balance.measure(occupied, arrived)
        wanted = self.balance.decide()
        moved = abs(wanted) * float(arrived.sum()) * LINE_BYTES
        nr_spans = int(min(self.balance.most_bytes, moved) // self.rules.span)
        return self.shift(wanted, nr_spans) if nr_spans and wanted else 0

    def _by_tier(self, of_node: np.ndarray) -> np.ndarray:
        return np.array([of_node[self.fast], of_node[list(self.slow)].sum()])

    def _budget(self) -> float:
        return self.rules.rate_bytes_per_ns * self.period_ns

    def counters(self) -> dict[str, int]:
        """Halvings, spans found hot, bytes moved."""
        found = {
            "coolings": self.counts.clock,
            "hot_spans": int(self.hot.sum()),
            "moved_bytes": self.mover.moved_bytes,
        }
        if self.balance is not None:
            found |= self.balance.counters()
        return found

    # -- observing ---------------------------------------------------------------------------------

    def observe(self, now_ns: int) -> None:
        """Count the samples since the last time and put spans on the lists that they belong to."""
        reports = self.samples.read(now_ns)
        unit = self.spans.of(reports.page)
        own = np.flatnonzero(unit >= 0)
        advanced = self.counts.add(unit[own], reports.is_write[own])
        touched = np.unique(unit[own])
        if advanced:  # the policy thread walks the hot list
            touched = np.union1d(touched, np.flatnonzero(self.hot))
        if len(touched):
            self._list(touched)

    def _list(self, units: np.ndarray) -> None:
        reads, writes = self.counts.of(units)
        by_writes = writes >= self.rules.hot_writes
        hot = by_writes | (reads >= self.rules.hot_reads)
        cooled = units[self.hot[units] & ~hot]
        self.hot[units], self._writes[units] = hot, by_writes
        self.cold_fast.push(cooled[self.spans.nodes(cooled) == self.fast])
        found = units[hot]
        nodes = self.spans.nodes(found)
        found = found[(nodes >= 0) & (nodes != self.fast)]
        self.hot_slow[0].push(found[self._writes[found]])
        self.hot_slow[1].push(found[~self._writes[found]])

    # -- packing -----------------------------------------------------------------------------------

    def _is_hot_slow(self, units: np.ndarray) -> np.ndarray:
        nodes = self.spans.nodes(units)
        found: np.ndarray = self.hot[units] & (nodes >= 0) & (nodes != self.fast)
        return found

    def _is_cold_fast(self, units: np.ndarray) -> np.ndarray:
        found: np.ndarray = ~self.hot[units] & (self.spans.nodes(units) == self.fast)
        return found

    def pack(self) -> int:
        """Hot spans of the slow tier to the fast one, each for a cold one where it is full; ns."""
        most = int(self._budget() // self.rules.span)
        if self.throttle is not None:
            most = self.throttle.take(most)
        wanted = self.hot_slow[0].pop(most, self._is_hot_slow)
        wanted = np.r_[wanted, self.hot_slow[1].pop(most - len(wanted), self._is_hot_slow)]
        if not len(wanted):
            return 0
        free = self.mover.room(self.fast) // self.spans.per
        direct, swapped = wanted[:free], wanted[free:]
        pairs = min(len(swapped), max(0, most - len(direct)) // 2)
        victims = self._victims(pairs)
        spent = self._demote(victims)
        room = self.mover.room(self.fast) // self.spans.per
        going = wanted[: min(len(direct) + len(victims), room)]
        spent += self.mover.move(self.spans.heads(going), self.fast)[1]
        left = wanted[len(going) :]
        self.hot_slow[0].push_front(left[self._writes[left]])
        self.hot_slow[1].push_front(left[~self._writes[left]])
        return spent

    def _victims(self, nr: int) -> np.ndarray:
        """Cold spans of the fast tier, the longest on their list first."""
        found = self.cold_fast.pop(nr, self._is_cold_fast)
        if len(found) < nr and self._listed_clock != self.counts.clock:
            self._listed_clock = self.counts.clock  # once per cooling: what never was sampled
            cold = np.flatnonzero(~self.hot)
            self.cold_fast.push(np.setdiff1d(cold[self.spans.nodes(cold) == self.fast], found))
            more = self.cold_fast.pop(nr - len(found), self._is_cold_fast)
            found = np.r_[found, more]
        return found

    def _demote(self, units: np.ndarray) -> int:
        """To the nearest slower node that has room; ns."""
        spent = 0
        for node in self.slow:
            room = self.mover.room(node) // self.spans.per
            spent += self.mover.move(self.spans.heads(units[:room]), node)[1]
            units = units[room:]
        return spent

    # -- balancing ---------------------------------------------------------------------------------

    def shift(self, wanted: float, nr: int) -> int:
        """Move up to `nr` hot spans with a share of accesses `wanted`, to the fast tier if > 0."""
        some = np.flatnonzero(self.hot)
        nodes = self.spans.nodes(some)
        some = some[nodes == self.fast if wanted < 0 else (nodes >= 0) & (nodes != self.fast)]
        if wanted > 0 and self.throttle is not None:
            nr = self.throttle.take(nr)
        if not len(some) or not nr:
            return 0
        reads, writes = self.counts.of(some)
        shares = (reads + writes) / max(1, self.counts.total())
        units = some[hottest_that_fit(shares, abs(wanted), nr)]
        if wanted < 0:
            return self._demote(units)
        free = self.mover.room(self.fast) // self.spans.per
        victims = self._victims(max(0, len(units) - free))
        spent = self._demote(victims)
        room = self.mover.room(self.fast) // self.spans.per
        return spent + self.mover.move(self.spans.heads(units[:room]), self.fast)[1]
