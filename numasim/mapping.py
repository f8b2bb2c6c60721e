"""Named ranges of a process's address space, and where first touch puts their pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.errors import Problem
from numasim.topology import Topology
from numasim.units import Bytes
from numasim.wholes import checked

CONFIG = ConfigDict(extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)
BASE_PAGE_BYTES = 4096
Mode = Literal["local", "bind", "preferred", "preferred_many", "interleave", "weighted_interleave"]
PAGE_SIZES = {4 << 10: 0, 64 << 10: 4, 2 << 20: 9}


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Mempolicy:
    """Where first touch puts a mapping's pages, as Linux's memory policies do.

    Parameters
    ----------
    mode : str
        ``local`` (nearest node of the accessor that touches), ``bind``, ``preferred`` (one node
        first), ``preferred_many`` (several first, the nearest of them before the others),
        ``interleave`` or ``weighted_interleave``.
    nodes : tuple of str or int
        Node names or numbers; for interleaving, in this order. Only ``interleave`` takes all nodes
        if there are none.
    weights : tuple of int
        One per node, 1..255, for ``weighted_interleave``.

    Notes
    -----
    Source: Linux memory policies (policies specification, section 1).
    """

    mode: Mode = "local"
    nodes: tuple[str | int, ...] = ()
    weights: tuple[Annotated[int, Field(ge=1, le=255)], ...] = ()

    def _check_nodes(self) -> Iterator[Problem]:
        if self.mode not in ("local", "interleave") and not self.nodes:
            yield Problem("nodes", f"is empty, {self.mode} needs at least one")
        if self.mode == "preferred" and len(self.nodes) > 1:
            yield Problem("nodes", "preferred takes one node", "say preferred_many for several")
        if self.mode == "local" and self.nodes:
            yield Problem("nodes", "are given, but local is the accessor's own")

    def _check_weights(self) -> Iterator[Problem]:
        if self.mode != "weighted_interleave" and self.weights:
            yield Problem("weights", "are for weighted_interleave")
        elif self.mode == "weighted_interleave" and 0 < len(self.nodes) != len(self.weights):
            message = f"got {len(self.weights)} for {len(self.nodes)} nodes, expected one each"
            yield Problem("weights", message)

    checks: ClassVar = (_check_nodes, _check_weights)
    _checked = model_validator(mode="after")(checked)

    def wanted(self, topology: Topology, home: int, index: np.ndarray) -> np.ndarray:
        """The node that each folio's first touch asks first.

        Parameters
        ----------
        topology : Topology
        home : int
            Nearest node of the accessor that touches.
        index : int64[N]
            Interleave index of each folio: its page offset, in folios.

        Returns
        -------
        int64[N]
        """
        ids = self._ids(topology)
        if self.mode == "interleave":
            turns: np.ndarray = ids[index % len(ids)]
            return turns
        if self.mode == "weighted_interleave":
            weighted: np.ndarray = np.repeat(ids, self.weights)[index % sum(self.weights)]
            return weighted
        return np.full(len(index), ids[0] if self.mode == "preferred" else home)

    def orders(self, topology: Topology, node: int) -> list[list[int]]:
        """Nodes to try one after another; a later order once all of an earlier one refuse.

        Parameters
        ----------
        topology : Topology
        node : int
            Asked first, as `wanted` says.
        """
        order = list(topology.fallback_order(node))
        if self.mode not in ("bind", "preferred_many"):
            return [order]
        allowed = set(self._ids(topology).tolist())
        own = [n for n in order if n in allowed]
        return [own] if self.mode == "bind" else [own, order]

    def _ids(self, topology: Topology) -> np.ndarray:
        """int64[N]: the nodes' numbers; all of them where none is named."""
        return np.array([topology.node_id(n) for n in self.nodes] or range(len(topology.nodes)))


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Mapping:
    """A named range of a process's address space.

    Parameters
    ----------
    name : str
    size : int
        Bytes.
    kind : str
        ``anonymous`` or ``file``.
    page : int
        Bytes of its pages: 4 KiB, 64 KiB or 2 MiB.
    policy : Mempolicy
    address : int or None
        Virtual address; next free one if None.
    populate : bool
        Touched in full before the first phase; otherwise each phase first touches what it visits.
    busy : tuple of int
        Pages, by their place in the mapping, that the program uses all the time beside its work:
        code, globals, the top of the stack. Every look finds them accessed; they cost nothing. No
        pattern visits such a mapping.
    frames : tuple of (int, int, int)
        Where a real machine's first touch put the pages: runs of page, frame number (physical
        address / 4 KiB) and length. Pages without, or whose frame is gone, go where `policy` says.
    """

    name: str
    size: Annotated[Bytes, Field(gt=0)]
    kind: Literal["anonymous", "file"] = "anonymous"
    page: Bytes = BASE_PAGE_BYTES
    policy: Mempolicy = Mempolicy()
    address: int | None = None
    populate: bool = True
    busy: tuple[Annotated[int, Field(ge=0)], ...] = ()
    frames: tuple[tuple[int, int, int], ...] = ()

    def _check_frames(self) -> Iterator[Problem]:
        ends = [page + nr for page, _, nr in self.frames]
        if any(min(run) < 0 for run in self.frames):
            yield Problem("frames", "expected numbers of pages and frames from 0")
        elif self.frames and max(ends) * BASE_PAGE_BYTES > self.size:
            yield Problem("frames", f"reach page {max(ends)}, beyond the mapping")
        elif self.frames and self.page != BASE_PAGE_BYTES:
            yield Problem("frames", "are for mappings of 4 KiB pages")

    def _check_page(self) -> Iterator[Problem]:
        if self.page not in PAGE_SIZES:
            yield Problem("page", f"got {self.page} bytes, expected 4 KiB, 64 KiB or 2 MiB")

    def _check_size(self) -> Iterator[Problem]:
        if self.page in PAGE_SIZES and self.size % self.page:
            yield Problem("size", f"got {self.size} bytes, expected whole pages of {self.page}")

    def _check_address(self) -> Iterator[Problem]:
        if self.address is not None and self.page in PAGE_SIZES and self.address % self.page:
            yield Problem("address", f"got {self.address:#x}, expected a page boundary")

    def _check_busy(self) -> Iterator[Problem]:
        if self.busy and not self.populate:
            yield Problem("busy", "needs pages that exist", "leave populate on")
        if self.busy and self.page in PAGE_SIZES and max(self.busy) >= self.size // self.page:
            nr = self.size // self.page
            yield Problem("busy", f"got page {max(self.busy)}, the mapping has {nr}")

    checks: ClassVar = (_check_page, _check_size, _check_address, _check_busy, _check_frames)
    _checked = model_validator(mode="after")(checked)

    @property
    def order(self) -> int:
        """Page order: 0, 4 or 9."""
        return PAGE_SIZES[self.page]

    def page_offset(self, address: int) -> int:
        """Page offset of the mapping in 4 KiB pages, if it lies there: of files within the file."""
        return 0 if self.kind == "file" else address // BASE_PAGE_BYTES
