"""Where pages ought to live, by whoever knows the truth: the best split of every rate class.

Pages of one class are alike, so a placement is a number of pages for each node and class. What it
is worth is the speed that the machine's own cost model gives the actors with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numasim.cost import LINE_BYTES, CostModel, Demand, Flow, Overlap, Solution
from numasim.topology import Topology

ROUNDS = 24  # of looking for a better split; each ends at the best point between two placements
LINE_SEARCHES = 12
LEAST_GAIN = 1e-5  # of the logarithm of speed
GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Want:
    """One pattern of a running actor: missing lines per operation to one page of each class.

    Parameters
    ----------
    lines : float64[C]
    parallelism : float
    write_ratio : float
    overlap : str
    """

    lines: np.ndarray
    parallelism: float
    write_ratio: float
    overlap: Overlap


@dataclass(frozen=True)
class Worker:
    """A running actor and what it wants.

    Parameters
    ----------
    accessor : int
    threads : float
    compute_ns : float
    pace_per_ns : float
    wants : tuple of Want
    weight : float
        What a thread's waiting counts, such as for how long it will go on.
    """

    accessor: int
    threads: float
    compute_ns: float
    pace_per_ns: float
    wants: tuple[Want, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Plan:
    """A placement, and what one page is worth where.

    Parameters
    ----------
    pages : float64[N, C]
        Pages of each class on each node.
    wait : float64[N, C]
        Threads that wait for one page of a class on a node, each counted by its worker's `weight`.
    """

    pages: np.ndarray
    wait: np.ndarray


class Placing:
    """The search for the best placement on one machine.

    Parameters
    ----------
    topology : Topology

    Notes
    -----
    What is sought is the largest product of the actors' speeds, each of which is an operation's
    inverse time, with every page on one node and no node overfilled. While latencies stay what
    they are, the logarithm of that product falls with each page by its visits times the latency
    from its node: a transport problem, which `transport` solves exactly. For one accessor it is the
    rule of everybody's oracle: the pages with most misses into the nearest node, and so on.

    Latencies rise with load, and there this is a search, not a proof: from the solution for
    unloaded latencies, and from the present placement, it goes on towards the solution for the
    latencies that result, as far as that is faster (Frank and Wolfe's method), until nothing is
    gained; and last towards a split by bandwidth, which latencies do not lead to as long as the
    nearer node's are lower, however much each line adds to them. So it is never slower than the
    exact answer for idle latencies, and where bandwidth alone counts it ends near the split by
    bandwidth. It looks at the present phases only.
    """

    def __init__(self, topology: Topology) -> None:
        self.topology, self._model = topology, CostModel(topology)

    def plan(self, workers: Sequence[Worker], pages: np.ndarray, room: np.ndarray) -> Plan:
        """The best placement found.

        Parameters
        ----------
        workers : sequence of Worker
        pages : float64[N, C]
            Pages of each class on each node now.
        room : float64[N]
            Most pages of the workload that each node can hold.
        """
        total = pages.sum(axis=0)
        idle = self._price(workers, self.topology.idle_latency_ns, self._times(workers, pages))
        found, gain = pages, self._worth(workers, pages)
        start = self._fill(idle, total, room, pages)
        if (worth := self._worth(workers, start)) > gain:
            found, gain = start, worth
        for _ in range(ROUNDS):
            solution = self._solve(workers, found)
            price = self._price(workers, solution.loaded_latency_ns, solution.op_ns)
            towards = self._fill(price, total, room, found)
            best, worth = self._between(workers, found, towards)
            if worth - gain < LEAST_GAIN:
                break
            found, gain = best, worth
        best, worth = self._between(workers, found, self._spread(workers, found, room))
        if worth - gain >= LEAST_GAIN:
            found = best
        solution = self._solve(workers, found)
        counted = np.array([worker.threads * worker.weight for worker in workers])
        wait = self._price(workers, solution.loaded_latency_ns, solution.op_ns, counted)
        return Plan(found, wait)

    def _between(
        self, workers: Sequence[Worker], here: np.ndarray, there: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """The best point on the way from one placement to another (golden section), its worth."""
        low, high = 0.0, 1.0
        seen = {t: self._worth(workers, here + t * (there - here)) for t in (0.0, 1.0)}
        for _ in range(LINE_SEARCHES):
            left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
            for t in (left, right):
                if t not in seen:
                    seen[t] = self._worth(workers, here + t * (there - here))
            low, high = (low, right) if seen[left] >= seen[right] else (left, high)
        best = max(seen, key=lambda t: seen[t])
        return here + best * (there - here), seen[best]

    def _spread(self, workers: Sequence[Worker], now: np.ndarray, room: np.ndarray) -> np.ndarray:
        """float64[N, C]: what is visited, split by bandwidth as far as there is room."""
        used = np.any([want.lines > 0 for worker in workers for want in worker.wants], axis=0)
        bandwidth = np.array([node.bandwidth.read for node in self.topology.nodes])
        room = np.maximum(room - now[:, ~used].sum(axis=1), 0.0)
        total = now[:, used].sum(axis=0)
        share, left = np.zeros(len(bandwidth)), float(total.sum())
        while left > 1e-9 * total.sum() and (open_nodes := room - share > 1e-9 * room).any():
            weight = np.where(open_nodes, bandwidth, 0.0)
            taken = np.minimum(left * weight / weight.sum(), room - share)
            share, left = share + taken, left - float(taken.sum())
        placed = now.copy()
        placed[:, used] = np.outer(share / max(float(share.sum()), 1e-9), total)
        return placed

    def _fill(
        self, price: np.ndarray, total: np.ndarray, room: np.ndarray, now: np.ndarray
    ) -> np.ndarray:
        """The cheapest placement at fixed prices; what nobody visits stays while there is room."""
        used = price.any(axis=0)
        placed = np.zeros_like(now)
        placed[:, used] = transport(price[:, used], total[used], room)
        left = room - placed.sum(axis=1)
        for c in np.flatnonzero(~used & (total > 0)).tolist():
            stays = np.minimum(now[:, c], np.maximum(left, 0.0))
            rest = total[c] - stays.sum()
            for n in np.argsort(stays - left, kind="stable").tolist():  # where most room is left
                more = min(rest, max(0.0, left[n] - stays[n]))
                stays[n] += more
                rest -= more
            placed[:, c] = stays
            left = left - stays
        return placed

    # -- the cost model ----------------------------------------------------------------------------

    def _solve(self, workers: Sequence[Worker], pages: np.ndarray) -> Solution:
        demands = [
            Demand(
                accessor=worker.accessor,
                threads=worker.threads,
                compute_ns=worker.compute_ns,
                flows=tuple(
                    Flow(pages @ want.lines, want.parallelism, want.write_ratio, want.overlap)
                    for want in worker.wants
                ),
                pace_per_ns=worker.pace_per_ns,
            )
            for worker in workers
        ]
        return self._model.solve(demands)

    def _times(self, workers: Sequence[Worker], pages: np.ndarray) -> np.ndarray:
        times: np.ndarray = self._solve(workers, pages).op_ns
        return times

    def _worth(self, workers: Sequence[Worker], pages: np.ndarray) -> float:
        """Logarithm of the product of the actors' speeds."""
        return -float(np.log(np.maximum(self._times(workers, pages), 1e-9)).sum())

    def _price(
        self,
        workers: Sequence[Worker],
        latency_ns: np.ndarray,
        op_ns: np.ndarray,
        counted: np.ndarray | None = None,
    ) -> np.ndarray:
        """float64[N, C]: what a page of a class costs on a node, as a share of operations' times.

        Weighted by `counted` (float64[workers]) threads, it is how many of these wait for it.
        """
        nr_classes = len(workers[0].wants[0].lines)
        price = np.zeros((len(self.topology.nodes), nr_classes))
        for k, worker in enumerate(workers):
            accessor = self.topology.accessors[worker.accessor]
            cap = float(accessor.max_outstanding)
            if accessor.in_flight_bytes is not None:
                cap = accessor.in_flight_bytes / LINE_BYTES / worker.threads
            weight = (1.0 if counted is None else counted[k]) / max(op_ns[k], 1e-9)
            for want in worker.wants:
                waits = want.lines / min(want.parallelism, cap)
                price += weight * latency_ns[worker.accessor][:, None] * waits
        return price


def transport(price: np.ndarray, total: np.ndarray, room: np.ndarray) -> np.ndarray:
    """The cheapest way to put all pages of every class somewhere.

    Parameters
    ----------
    price : float64[N, C]
        Of one page of a class on a node.
    total : float64[C]
        Pages of each class; in sum at most all room.
    room : float64[N]

    Returns
    -------
    float64[N, C]

    Notes
    -----
    Exact: all classes start on their cheapest nodes, and what overfills a node leaves it by the
    cheapest chain of moves to a node with room (successive shortest paths for min-cost flow, which
    never leaves a cheaper way open).
    """
    nr_nodes, nr_classes = price.shape
    placed = np.zeros((nr_nodes, nr_classes))
    placed[price.argmin(axis=0), np.arange(nr_classes)] = total
    over = placed.sum(axis=1) - room
    tiny = 1e-9 * max(1.0, float(total.sum()))
    while (over > tiny).any() and (over < -tiny).any():
        start = int(over.argmax())
        chain = _cheapest_chain(price, placed, start, over < -tiny, tiny)
        if chain is None:
            break
        end = chain[-1][1]
        amount = min(over[start], -over[end], *(placed[n, c] for n, _, c in chain))
        for n, m, c in chain:
            placed[n, c] -= amount
            placed[m, c] += amount
        over[start] -= amount
        over[end] += amount
    return np.maximum(placed, 0.0)


def _cheapest_chain(
    price: np.ndarray, placed: np.ndarray, start: int, free: np.ndarray, tiny: float
) -> list[tuple[int, int, int]] | None:
    """Moves (from, to, class) that lead from an overfull node to one with room (bool[N])."""
    nr_nodes = len(price)
    there = placed > tiny
    extra = np.full((nr_nodes, nr_nodes), np.inf)
    by = np.zeros((nr_nodes, nr_nodes), np.int64)
    for n in np.flatnonzero(there.any(axis=1)).tolist():
        own = np.flatnonzero(there[n])
        change = price[:, own] - price[n, own]
        by[n] = own[change.argmin(axis=1)]
        extra[n] = change.min(axis=1)
        extra[n, n] = np.inf
    least = 1e-12 * float(np.abs(price).max(initial=0.0))  # less is rounding
    cost, before = np.full(nr_nodes, np.inf), np.full(nr_nodes, -1)
    cost[start] = 0.0
    for _ in range(nr_nodes):  # Bellman and Ford: a chain visits no node twice
        through = cost[:, None] + extra
        nearer = through.min(axis=0) < cost - least
        nearer[start] = False
        if not nearer.any():
            break
        before[nearer] = through.argmin(axis=0)[nearer]
        cost[nearer] = through.min(axis=0)[nearer]
    reached = np.where(free & np.isfinite(cost), cost, np.inf)
    if not np.isfinite(reached).any():
        return None
    chain: list[tuple[int, int, int]] = []
    at = int(reached.argmin())
    while at != start:
        chain.append((int(before[at]), at, int(by[before[at], at])))
        at = int(before[at])
        if len(chain) > nr_nodes:
            return None
    return chain[::-1]
