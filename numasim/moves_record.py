"""What is recorded of moves: how much by mapping and cause, and where it was taken from and came.

A move names its pages and frames as it is made; they are counted by place when a row is due, or
when many have come together, so that moving costs no more than before.
"""

from __future__ import annotations

import numpy as np

from numasim.columns import Columns
from numasim.machine import Machine

NODE_PARTS, PAGE_PARTS = 256, 512
"""Equal parts of a node's frames, and of the pages of all mappings together."""
ENOUGH, PART_COST = 1 << 18, 64
"""Pages of which nobody keeps more until they are counted; what a single call counts beside."""


class MovesRecord:
    """Tables ``moves``, ``failed_moves``, ``moves_by_frame`` and ``moves_by_page`` of a run.

    Parameters
    ----------
    machine : Machine
    columns : Columns
        Where they grow.
    """

    def __init__(self, machine: Machine, columns: Columns) -> None:
        self._machine, self._columns = machine, columns
        self._nodes = [node.name for node in machine.topology.nodes]
        self._lay_out_frames()
        self._lay_out_pages()
        self._up = np.array([self._upwards(p) for p in range(len(machine.workload.processes))])
        self._parts: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
        self._kept = 0
        self._counts: dict[tuple[str, int], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        machine.migrator.ledger.on_move = self._moved

    def _lay_out_frames(self) -> None:
        """Where each range of frames begins in its node, of which ranges are joined."""
        memory = self._machine.memory
        self._frames_of = np.zeros(len(self._nodes), np.int64)
        self._before = np.zeros(len(memory.range_node), np.int64)
        for k, node in enumerate(memory.range_node.tolist()):
            self._before[k] = self._frames_of[node]
            self._frames_of[node] += memory.range_frames[k]

    def _lay_out_pages(self) -> None:
        """Parts of mappings: as long for all of them, and each begins one of its own."""
        space = self._machine.space
        self._part_pages = max(1, -(-space.nr_pages // PAGE_PARTS))
        sizes = np.array([pages.nr for pages in space.mappings], np.int64)
        self._first_page = np.array([pages.first for pages in space.mappings], np.int64)
        self._first_part = np.r_[0, np.cumsum(-(-sizes // self._part_pages))]
        self._process = np.array([pages.process for pages in space.mappings], np.int64)

    def _upwards(self, process: int) -> np.ndarray:
        """bool[nodes * nodes]: ways that are up the tiers of the process's first actor."""
        machine = self._machine
        accessor = next((a.accessor for a in machine.actors if a.process == process), 0)
        rank = np.argsort(machine.topology.tiers(accessor))
        up: np.ndarray = (rank[None, :] < rank[:, None]).reshape(-1)
        return up

    def _moved(
        self, cause: str, pages: np.ndarray, sources: np.ndarray, targets: np.ndarray
    ) -> None:
        """Pages (int64[N]) left frames for others (int64[N] each)."""
        self._parts.setdefault(cause, []).append((pages, sources, targets))
        self._kept += len(pages) + PART_COST
        if self._kept >= ENOUGH:
            self._count()

    # -- counting ----------------------------------------------------------------------------------

    def _count(self) -> None:
        """Count what was named, by cause, way, and place."""
        for cause, parts in self._parts.items():
            pages, sources, targets = (
                np.concatenate(column) for column in zip(*parts, strict=True)
            )
            mapping = self._machine.space.mapping_index_of(pages)
            part = (pages - self._first_page[mapping]) // self._part_pages
            part += self._first_part[mapping]
            (left, out), (came, into) = (self._place(frames) for frames in (sources, targets))
            way = left * len(self._nodes) + came
            code = 2 * way + self._up[self._process[mapping], way]
            for one in np.flatnonzero(np.bincount(code[left != came])).tolist():
                own = code == one
                found = (
                    np.bincount(out[own], minlength=NODE_PARTS),
                    np.bincount(into[own], minlength=NODE_PARTS),
                    np.bincount(part[own], minlength=int(self._first_part[-1])),
                )
                before = self._counts.get((cause, one))
                if before is not None:
                    for more, sum_ in zip(found, before, strict=True):
                        more += sum_
                self._counts[cause, one] = found
        self._parts, self._kept = {}, 0

    def _place(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """int64[N] twice: node of each frame, and the part of the node that it lies in."""
        memory = self._machine.memory
        k = np.searchsorted(memory.range_first, frames, "right") - 1
        node = memory.range_node[k]
        at = frames - memory.range_first[k] + self._before[k]
        return node, at * NODE_PARTS // self._frames_of[node]

    # -- rows --------------------------------------------------------------------------------------

    def sample(self, t: float) -> None:
        """Rows of how much moved since the last ones, by cause, mapping and way."""
        machine = self._machine
        moved, failed = machine.migrator.ledger.take()
        for (cause, mapping, source, target), nr_bytes in sorted(moved.items()):
            pages = machine.space.mappings[mapping]
            up = self._up[pages.process, source * len(self._nodes) + target]
            self._columns.append(
                "moves", t_s=t, cause=cause,
                process=machine.workload.processes[pages.process].name,
                mapping=pages.mapping.name, source=self._nodes[source], target=self._nodes[target],
                direction=_direction(up), bytes=nr_bytes,
            )  # fmt: skip
        for cause, nr_bytes in sorted(failed.items()):
            self._columns.append("failed_moves", t_s=t, cause=cause, bytes=nr_bytes)

    def places(self, t: float) -> None:
        """Rows of where it was taken from and where it came, since the last ones."""
        self._count()
        for (cause, code), (out, into, parts) in sorted(self._counts.items(), key=lambda c: c[0]):
            source, target = divmod(code // 2, len(self._nodes))
            same = {
                "t_s": t, "cause": cause, "source": self._nodes[source],
                "target": self._nodes[target], "direction": _direction(code % 2),
            }  # fmt: skip
            for node, counts in ((source, out), (target, into)):
                self._frames(node, counts, same)
            self._pages(parts, same)
        self._counts = {}

    def _frames(self, node: int, counts: np.ndarray, same: dict[str, object]) -> None:
        """Rows of one node's frames (int64[NODE_PARTS] of them moved)."""
        frame, at = self._machine.memory.frame_bytes, np.flatnonzero(counts)
        edges = -(-np.arange(NODE_PARTS + 1) * self._frames_of[node] // NODE_PARTS) * frame
        self._columns.extend(
            "moves_by_frame", len(at), **same, node=self._nodes[node], start=edges[at],
            end=edges[at + 1], bytes=counts[at] * frame,
        )  # fmt: skip

    def _pages(self, counts: np.ndarray, same: dict[str, object]) -> None:
        """Rows of mappings (int64[parts] of their pages moved)."""
        machine, parts = self._machine, np.flatnonzero(counts)
        frame, first = machine.memory.frame_bytes, self._first_part
        owner = np.searchsorted(first, parts, "right") - 1
        for mapping in np.unique(owner).tolist():
            own, pages = parts[owner == mapping], machine.space.mappings[mapping]
            start = (own - first[mapping]) * self._part_pages
            end = np.minimum(start + self._part_pages, pages.nr)
            self._columns.extend(
                "moves_by_page", len(own), **same,
                process=machine.workload.processes[pages.process].name,
                mapping=pages.mapping.name, start=start * frame, end=end * frame,
                bytes=counts[own] * frame,
            )  # fmt: skip


def _direction(up: object) -> str:
    return "promotion" if up else "demotion"
