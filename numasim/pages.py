"""The page space: where each mapping's pages are numbered, and the rate class of every page.

Pages of one class have the same law for the whole run: same mapping, same extents of every pattern
of every phase, same quantile of every spread. So a class's rate may change, a page's class does not
(a folio that is split moves to the class of its base pages).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from numasim.errors import ConfigError
from numasim.huge.kinds import HugeKinds
from numasim.mapping import Mapping
from numasim.patterns import Extent, Pattern
from numasim.seeds import Seeds, page_quantiles
from numasim.workload import Workload

MAX_CLASSES = 4096
MOST_COMBINATIONS = 1 << 62  # of quantile classes, counted in 64 bits
_TOO_MANY = (
    f"the workload needs more than {MAX_CLASSES} rate classes; "
    "use fewer different spreads on one mapping"
)

Key = tuple[int, int, int, int]
"""Process, actor, phase, access: one pattern of a workload."""

Member = tuple[int, int, int, dict[str, int]]
"""Class, first and last folio of its cell, its class under each spread."""


@dataclass(frozen=True)
class MappingPages:
    """Where one mapping lies. Pages have a frame's size; a folio has ``1 << order`` of them."""

    process: int
    mapping: Mapping
    address: int
    first: int
    nr: int
    folio_pages: int

    @property
    def last(self) -> int:
        """One past the last page."""
        return self.first + self.nr


@dataclass(frozen=True)
class CompiledPattern:
    """A pattern on the page space.

    Parameters
    ----------
    pattern : Pattern
    pages : MappingPages
    extents : list of Extent
        In folios of the mapping.
    weights : float64[extents, C]
        Chance that a visit to an extent goes to one given page of a class.
    """

    pattern: Pattern
    pages: MappingPages
    extents: list[Extent]
    weights: np.ndarray

    def page_weights(self, work: float) -> np.ndarray:
        """float64[C]: chance that a visit, after `work` operations, goes to one page of a class."""
        nr_folios = self.pages.nr // self.pages.folio_pages
        weights: np.ndarray = self.pattern.shares(work, nr_folios) @ self.weights
        return weights


class PageSpace:
    """Pages of all mappings, numbered in the order of processes and of addresses within each.

    Parameters
    ----------
    workload : Workload
    seeds : Seeds
    huge : bool
        Whether small pages may become huge ones in the course of the run.

    Attributes
    ----------
    huge : HugeKinds or None
        Classes of pages that have.
    mappings : list of MappingPages
        In the workload's order (first touch), whatever their page numbers.
    class_of : uint16[P]
    mapping_of_class : int64[C]
        Index into `mappings`.
    pages_per_bit : int64[C]
        Pages that share one accessed bit.
    split_class : int64[C]
        Class that a page of this class has once its folio is split.
    busy_class : dict of int to list of int
        Process → classes of the pages that it uses all the time.
    patterns : dict
        ``(process, actor, phase, access) → CompiledPattern``.
    """

    def __init__(self, workload: Workload, seeds: Seeds, huge: bool = False) -> None:
        self.frame_bytes = workload.frame_bytes
        self.mappings = _number(workload, self.frame_bytes)
        self.nr_pages = max(m.last for m in self.mappings)
        self.class_of = np.zeros(self.nr_pages, np.uint16)
        self._classes: list[tuple[int, int, int]] = []  # mapping, pages per bit, split class
        self.busy_class: dict[int, list[int]] = {}
        uses = _uses(workload, self.mappings)
        found: list[tuple[Key, CompiledPattern]] = []
        for index, pages in enumerate(self.mappings):
            own = [(key, pattern) for key, where, pattern in uses if where == index]
            found += self._classify(index, pages, own, seeds)
            if pages.mapping.busy:
                self._set_busy(index, pages)
        self.patterns: dict[Key, CompiledPattern] = {}
        for key, made in found:
            wide = np.zeros((len(made.extents), len(self._classes)))
            wide[:, : made.weights.shape[1]] = made.weights
            self.patterns[key] = replace(made, weights=wide)
        self.huge = self._huge_kinds() if huge else None
        table = np.array(self._classes, np.int64).reshape(-1, 3)
        self.mapping_of_class, self.pages_per_bit, self.split_class = table.T.copy()

    @property
    def nr_classes(self) -> int:
        """C, the number of rate classes."""
        return len(self._classes)

    def mapping_index_of(self, pages: np.ndarray) -> np.ndarray:
        """int64[N]: index into `mappings` of each page."""
        index: np.ndarray = self.mapping_of_class[self.class_of[pages]]
        return index

    def folio_heads(self, pages: np.ndarray) -> np.ndarray:
        """int64[N]: first page of the folio of each page (itself for base and split pages)."""
        classes = self.class_of[pages]
        place = pages if self.huge is None else pages - self.huge.origin[classes]
        heads: np.ndarray = pages - place % self.pages_per_bit[classes]
        return heads

    def of_bits(self, visits: np.ndarray) -> np.ndarray:
        """Visits to a page of each class → to all the pages that share its accessed bit.

        Parameters
        ----------
        visits : float64[..., C]

        Returns
        -------
        float64[..., C]
        """
        found: np.ndarray = visits * self.pages_per_bit
        if self.huge is not None:
            found[..., self.huge.nr_own :] = self.huge.of_bits(visits)
        return found

    def _huge_kinds(self) -> HugeKinds:
        """Classes for what may become part of a huge page, visited as the pages it is made of."""
        made = self.patterns.values()
        nothing = np.zeros((0, len(self._classes)))
        visits = np.concatenate([nothing, *(m.pattern.visits * m.weights for m in made)])
        huge = HugeKinds(self.mappings, self.class_of, self._classes, visits, self.frame_bytes)
        self._classes += huge.added
        if len(self._classes) > MAX_CLASSES:
            raise ConfigError(_TOO_MANY)
        for key, one in self.patterns.items():
            wide = np.concatenate([one.weights, one.weights[:, huge.base]], axis=1)
            self.patterns[key] = replace(one, weights=wide)
        return huge

    def _classify(
        self, index: int, pages: MappingPages, uses: list[tuple[Key, Pattern]], seeds: Seeds
    ) -> list[tuple[Key, CompiledPattern]]:
        """Give every page of a mapping its class; weights of the patterns that visit it."""
        nr_folios = pages.nr // pages.folio_pages
        extents = {key: pattern.extents(nr_folios) for key, pattern in uses}
        cuts = {0, nr_folios}
        for found in extents.values():
            cuts.update(bound for e in found for bound in (e.first, e.last))
        bounds = sorted(cuts)
        spread = [e for found in extents.values() for e in found if e.spread is not None]
        edges = {e.spread.key: e for e in reversed(spread) if e.spread is not None}
        class_bounds = {key: _class_bounds(pages, e, seeds) for key, e in edges.items()}
        members: list[Member] = []
        sizes: list[int] = []
        for first, last in pairwise(bounds):
            here = [e.spread for e in spread if e.first <= first and last <= e.last]
            keys = dict.fromkeys(one.key for one in here if one is not None)
            own = {key: class_bounds[key] for key in keys}
            given = {e.spread.key: e.spread.quantiles for e in spread if e.spread is not None}
            for quantiles, folios in self._split_cell(pages, first, last, own, given, seeds):
                number = self._new_class(index, pages.folio_pages)
                members.append((number, first, last, quantiles))
                sizes.append(_paint(self.class_of, pages, folios, number))
        out = []
        for key, pattern in uses:
            weights = np.zeros((len(extents[key]), len(self._classes)))
            for row, extent in enumerate(extents[key]):
                _weigh(weights[row], extent, members, sizes, self._classes)
            out.append((key, CompiledPattern(pattern, pages, extents[key], weights)))
        return out

    def _split_cell(
        self,
        pages: MappingPages,
        first: int,
        last: int,
        bounds: dict[str, np.ndarray],
        given: dict[str, np.ndarray | None],
        seeds: Seeds,
    ) -> list[tuple[dict[str, int], np.ndarray | slice]]:
        """Classes of one cell: every combination of the quantile classes that it has pages of."""
        if not bounds:
            return [({}, slice(first, last))]
        code, combinations = np.zeros(last - first, np.int64), 1
        for key, own in bounds.items():
            u = _quantiles(pages, first, last, key, given[key], seeds)
            code = code * (len(own) + 1) + np.searchsorted(own, u, "right")
            combinations *= len(own) + 1
            if combinations > MOST_COMBINATIONS:
                raise ConfigError(_TOO_MANY)
        kinds, code = np.unique(code, return_inverse=True)
        small = code.astype(np.uint16) if len(kinds) <= 1 << 16 else code  # sorted by its digits
        order = first + np.argsort(small, kind="stable")
        found: list[tuple[dict[str, int], np.ndarray | slice]] = []
        for kind, part in zip(
            kinds.tolist(), np.split(order, np.cumsum(np.bincount(code))[:-1]), strict=True
        ):
            quantiles = {}
            for key in reversed(bounds):
                kind, quantiles[key] = divmod(kind, len(bounds[key]) + 1)
            found.append((quantiles, part))
        return found

    def _set_busy(self, index: int, pages: MappingPages) -> None:
        number = self._new_class(index, pages.folio_pages)
        _paint(self.class_of, pages, np.unique(pages.mapping.busy), number)
        own = self.busy_class.setdefault(pages.process, [])
        own += {number, self._classes[number][2]}

    def _new_class(self, mapping: int, folio_pages: int) -> int:
        number = len(self._classes)
        if number + 2 > MAX_CLASSES:
            raise ConfigError(_TOO_MANY)
        if folio_pages == 1:
            self._classes.append((mapping, 1, number))
        else:
            self._classes.append((mapping, folio_pages, number + 1))
            self._classes.append((mapping, 1, number + 1))
        return number


def _number(workload: Workload, frame_bytes: int) -> list[MappingPages]:
    """Number pages by process and address, every mapping on a folio boundary of its own."""
    numbered: list[MappingPages] = []
    at = 0
    for p, process in enumerate(workload.processes):
        own: dict[int, MappingPages] = {}
        addresses = process.addresses()
        for i in sorted(range(len(addresses)), key=addresses.__getitem__):
            mapping = process.mappings[i]
            nr, folio = mapping.size // frame_bytes, mapping.page // frame_bytes
            at = -(-at // folio) * folio
            own[i] = MappingPages(p, mapping, addresses[i], at, nr, folio)
            at += nr
        numbered += [own[i] for i in range(len(addresses))]
    return numbered


def _uses(workload: Workload, mappings: list[MappingPages]) -> list[tuple[Key, int, Pattern]]:
    where = {(m.process, m.mapping.name): i for i, m in enumerate(mappings)}
    return [
        ((p, a, f, k), where[p, pattern.mapping], pattern)
        for p, process in enumerate(workload.processes)
        for a, actor in enumerate(process.actors)
        for f, phase in enumerate(actor.phases)
        for k, pattern in enumerate(phase.access)
    ]


def _quantiles(
    pages: MappingPages, first: int, last: int, key: str, given: np.ndarray | None, seeds: Seeds
) -> np.ndarray:
    """float64[folios]: the fixed number of each folio ``[first, last)`` under a spread."""
    if given is not None:
        return given[first:last]
    folios = np.arange(first, last)
    return page_quantiles(pages.first + folios * pages.folio_pages, seeds.salt(f"spread/{key}"))


def _class_bounds(pages: MappingPages, extent: Extent, seeds: Seeds) -> np.ndarray:
    """Quantiles between the classes of a spread: each class has its share of folios to the folio.

    Left to chance, the few hottest pages of a steep spread would be none in one run and three in
    the next.
    """
    assert extent.spread is not None
    if extent.spread.quantiles is not None:
        return np.array(extent.spread.edges[1:-1])
    u = _quantiles(pages, extent.first, extent.last, extent.spread.key, None, seeds)
    ranks = np.rint(np.array(extent.spread.edges[1:-1]) * len(u)).astype(np.int64)
    within = np.unique(ranks[ranks < len(u)])
    ordered = np.partition(u, within) if len(within) else u
    return np.where(ranks < len(u), ordered[np.minimum(ranks, len(u) - 1)], 1.0)


def _paint(
    class_of: np.ndarray, pages: MappingPages, folios: np.ndarray | slice, number: int
) -> int:
    """Write a class for all pages of some folios of a mapping; the number of pages."""
    k = pages.folio_pages
    if isinstance(folios, slice):
        class_of[pages.first + folios.start * k : pages.first + folios.stop * k] = number
        return k * int(folios.stop - folios.start)
    view = class_of[pages.first : pages.last].reshape(-1, k)
    view[folios] = number
    return len(folios) * k


def _weigh(
    row: np.ndarray,
    extent: Extent,
    members: list[Member],
    sizes: list[int],
    classes: list[tuple[int, int, int]],
) -> None:
    """Fill one extent's chance per page: even, or by the spread; over its pages it sums to one."""
    total = 0.0
    inside = []
    for (number, first, last, quantiles), size in zip(members, sizes, strict=True):
        if extent.first <= first and last <= extent.last:
            rate = extent.spread.rates[quantiles[extent.spread.key]] if extent.spread else 1.0
            inside.append((number, rate))
            total += rate * size
    for number, rate in inside:
        row[number] = rate / total
        row[classes[number][2]] = rate / total
