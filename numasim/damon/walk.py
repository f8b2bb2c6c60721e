"""Requests for the regions that schemes try ("tried regions").

Source: DAMON core specification, section 9.7 (Linux 7.3.4).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TriedRegion:
    """A region for which a scheme's action was called, as it was just before.

    Attributes
    ----------
    start, end : int
        Core address units.
    nr_accesses : int
        Pseudo moving sum, samples.
    age : int
        Aggregation intervals, before the action reset it.
    sz_filter_passed : int
        Bytes that passed the filters handled by the operations set.
    """

    start: int
    end: int
    nr_accesses: int
    age: int
    sz_filter_passed: int


@dataclass
class Walk:
    """One request, served during exactly one application of each scheme.

    Attributes
    ----------
    tried : dict of int to list of TriedRegion
        For each scheme index.
    state : str
        ``"pending"``, ``"done"`` or ``"canceled"``.
    """

    tried: dict[int, list[TriedRegion]] = field(default_factory=dict)
    state: str = "pending"
    _served: set[int] = field(default_factory=set)

    def total_bytes(self, scheme_index: int) -> int:
        """Sum of the sizes of a scheme's tried regions, core address units."""
        return sum(region.end - region.start for region in self.tried.get(scheme_index, ()))

    def wants(self, scheme_index: int) -> bool:
        """Whether this scheme's regions are still to be reported."""
        return self.state == "pending" and scheme_index not in self._served

    def report(self, scheme_index: int, region: TriedRegion) -> None:
        """A scheme tried a region."""
        self.tried.setdefault(scheme_index, []).append(region)

    def served(self, scheme_index: int, nr_schemes: int) -> None:
        """A scheme was applied; after all of them the request is done."""
        self._served.add(scheme_index)
        if self.state == "pending" and len(self._served) >= nr_schemes:
            self.state = "done"

    def cancel(self) -> None:
        """Give up, unless done."""
        if self.state == "pending":
            self.state = "canceled"
