"""MEMTIS's migration thread: hot folios up, cold ones (then warm ones) down to make room."""

from __future__ import annotations

import numpy as np

from numasim.agents import Stage
from numasim.hotness.balance import LINE_BYTES, hottest_that_fit
from numasim.hotness.measured import Measured
from numasim.hotness.mover import Mover
from numasim.hotness.queues import Queue
from numasim.hotness.sampled import Sampled
from numasim.hotness.throttle import Throttle
from numasim.hotness.worker import Worker


class Migrated(Worker):
    """The thread.

    Parameters
    ----------
    stage : Stage
    eye : Sampled
    now_ns : int
    period_ns : int
    rate_bytes_per_ns : float
        Most that it moves, up and down together.
    measured : Measured, optional
        Colloid's law in place of filling the fast tier.
    name : str

    Notes
    -----
    Folios to demote are found by a walk over the fast tier, once after each adaptation at most, as
    the real thread walks its lists.
    """

    def __init__(
        self,
        stage: Stage,
        eye: Sampled,
        now_ns: int,
        period_ns: int,
        rate_bytes_per_ns: float,
        measured: Measured | None = None,
        name: str = "memtis",
    ) -> None:
        super().__init__(stage, name, now_ns, period_ns)
        self.eye, self.measured = eye, measured
        self.throttle: Throttle | None = None
        self._frames = int(rate_bytes_per_ns * period_ns) // stage.memory.frame_bytes
        self.mover = Mover(stage, name)
        tiers = stage.topology.tiers(eye.rules.accessor)
        self.fast, self.slow = tiers[0], tuple(tiers[1:])
        nr = stage.space.nr_pages
        self._cold, self._warm = Queue(nr), Queue(nr)
        self._walked = -1

    def counters(self) -> dict[str, int]:
        """Bytes moved."""
        return {"moved_bytes": self.mover.moved_bytes}

    def step(self, now_ns: int) -> int:
        """Split what is to be split, then move; ns."""
        spent = 0
        if self.eye.splitting is not None:
            spent = self.eye.splitting.split(self.eye.heat)
        if not self.slow:
            return spent
        if self.measured is not None:
            return spent + self.shift(self.measured)
        most = self._frames if self.throttle is None else self.throttle.take(self._frames)
        room = max(0, self.mover.room(self.fast, "high"))
        up = most if room >= most else (most + room) // 2  # what has no room sends as much down
        wanted = self._take(self.eye.hot_slow, up, self.eye.is_hot_slow)
        return spent + self.raise_up(wanted, most)

    def _sizes(self, heads: np.ndarray) -> np.ndarray:
        space = self.stage.space
        sizes: np.ndarray = space.pages_per_bit[space.class_of[heads]]
        return sizes

    def _take(self, queue: Queue, frames: int, belongs: object) -> np.ndarray:
        """Folios from the front of a list, as many as so many frames hold."""
        found: list[np.ndarray] = []
        while frames > 0:
            heads = queue.pop(256, belongs)  # type: ignore[arg-type]
            if not len(heads):
                break
            nr = int(np.searchsorted(np.cumsum(self._sizes(heads)), frames, "right"))
            queue.push_front(heads[nr:])
            found.append(heads[:nr])
            frames -= int(self._sizes(heads[:nr]).sum())
            if nr < len(heads):
                break
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def raise_up(self, wanted: np.ndarray, frames: int) -> int:
        """Promote folios, making room for them; up to so many frames move in all. ns."""
        need = int(self._sizes(wanted).sum())
        short = need - self.mover.room(self.fast, "high")
        spent = self._demote(self._victims(min(short, max(0, frames - need)))) if short > 0 else 0
        fits = np.cumsum(self._sizes(wanted)) <= self.mover.room(self.fast)
        going = wanted[fits]
        spent += self.mover.move(going, self.fast)[1]
        self.eye.hot_slow.push(wanted[~fits])
        return spent

    def _victims(self, frames: int) -> np.ndarray:
        """Folios of the fast tier that are cold, then warm."""
        cold = self._take(self._cold, frames, self._below_warm)
        frames -= int(self._sizes(cold).sum())
        if frames > 0 and self._walked != self.eye.adaptations:
            self._walked = self.eye.adaptations
            self._walk()
            more = self._take(self._cold, frames, self._below_warm)
            frames -= int(self._sizes(more).sum())
            cold = np.r_[cold, more]
        warm = self._take(self._warm, frames, self._below_hot)
        victims: np.ndarray = np.r_[cold, warm]
        return victims

    def _below(self, heads: np.ndarray, limit: int) -> np.ndarray:
        found: np.ndarray = self.eye.heat.bin_of(heads) < limit
        found &= self.stage.nodes_of(heads) == self.fast
        found &= self.stage.space.folio_heads(heads) == heads
        return found

    def _below_warm(self, heads: np.ndarray) -> np.ndarray:
        return self._below(heads, self.eye.warm)

    def _below_hot(self, heads: np.ndarray) -> np.ndarray:
        return self._below(heads, self.eye.hot)

    def _walk(self) -> None:
        """List what is cold and what is warm on the fast tier, by address."""
        memory = self.stage.memory
        for first, last in memory.node_runs(self.fast):
            pages = memory.page_of[first:last]
            pages = pages[pages >= 0].astype(np.int64)
            heads = pages[self.stage.space.folio_heads(pages) == pages]
            bins = self.eye.heat.bin_of(heads)
            self._cold.push(heads[bins < self.eye.warm])
            self._warm.push(heads[(bins >= self.eye.warm) & (bins < self.eye.hot)])

    def _demote(self, heads: np.ndarray) -> int:
        """To the nearest slower node with room; ns."""
        spent = 0
        for node in self.slow:
            fits = np.cumsum(self._sizes(heads)) <= self.mover.room(node)
            spent += self.mover.move(heads[fits], node)[1]
            heads = heads[~fits]
        return spent

    # -- balancing ---------------------------------------------------------------------------------

    def shift(self, measured: Measured) -> int:
        """Move the share of accesses that the balance asks for, hottest folios first; ns."""
        balance, arrived = measured.balance, measured.take_arrived()
        wanted = balance.decide()
        moved = abs(wanted) * arrived * LINE_BYTES
        frames = int(min(balance.most_bytes, moved) // self.stage.memory.frame_bytes)
        frames = min(frames, self._frames)
        if wanted > 0 and self.throttle is not None:
            frames = self.throttle.take(frames)
        if not frames or not wanted:
            return 0
        heads, shares = self.eye.hot_folios(outside=wanted > 0)
        if not len(heads):
            return 0
        chosen = heads[hottest_that_fit(shares, abs(wanted), len(heads))]
        chosen = chosen[np.cumsum(self._sizes(chosen)) <= frames]
        return self.raise_up(chosen, 2 * frames) if wanted > 0 else self._demote(chosen)
