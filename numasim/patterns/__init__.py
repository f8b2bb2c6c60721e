"""Access patterns: which part of a mapping an operation visits, as a function of work done.

A pattern cuts its mapping into *extents* once; at any point of its actor's work it says which share
of its visits each extent gets. Inside an extent all pages are alike, or differ by a `Spread`.
One file registers one pattern; its fields are its YAML keys.
"""

from __future__ import annotations

import math
from dataclasses import dataclass as plain_dataclass
from dataclasses import field as plain_field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from numasim.errors import ConfigError, Problem
from numasim.registry import Registry
from numasim.units import Ratio
from numasim.wholes import known

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
registry: Registry[Pattern] = Registry("pattern", "numasim.patterns", "numasim.patterns")
register = registry.register


@plain_dataclass(frozen=True)
class Spread:
    """How rates differ between pages of one extent.

    Parameters
    ----------
    key : str
        Spreads of equal key give a page the same class, so that a page keeps its rate.
    edges : tuple of float
        Class bounds in the page's fixed quantile, ``0 = edges[0] < … < edges[-1] = 1``.
    rates : tuple of float
        Rate of each class relative to the others.
    quantiles : float64[pages of the mapping] or None
        The quantile of every page, where it is known; None: a hash of seed and page.
    """

    key: str
    edges: tuple[float, ...]
    rates: tuple[float, ...]
    quantiles: np.ndarray | None = plain_field(default=None, compare=False)


@plain_dataclass(frozen=True)
class Extent:
    """Pages ``[first, last)`` of a mapping that share one law."""

    first: int
    last: int
    spread: Spread | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Pattern:
    """What every pattern has.

    Parameters
    ----------
    mapping : str
        Name of the mapping visited.
    visits : float
        Pages (of the mapping's own size) turned to per operation; accessed bits and hint faults
        follow these.
    lines : float
        64-byte lines used per visit.
    miss : float
        Share of those lines that miss the caches; bandwidth and latency follow these.
    write : float
        Share of visits that write.
    parallelism : float
        Misses of this pattern that overlap.
    overlap : str
        How threads meet slow pages: ``dynamic`` (work is balanced), ``barrier`` (all wait for the
        slowest) or ``serial`` (one front that is in one node at a time).
    """

    mapping: str
    visits: Annotated[float, Field(ge=0)] = 1.0
    lines: Annotated[float, Field(gt=0)] = 1.0
    miss: Ratio = 1.0
    write: Ratio = 0.0
    parallelism: Annotated[float, Field(gt=0)] = 1.0
    overlap: Literal["dynamic", "barrier", "serial"] = "dynamic"

    kind: ClassVar[str]
    sweep: ClassVar[bool] = False
    recorded: ClassVar[bool] = False

    def misfit(self, nr_pages: int) -> str:
        """What is wrong with a mapping of so many pages for it, nothing if it fits."""
        return ""

    def extents(self, nr_pages: int) -> list[Extent]:
        """The extents this pattern will ever use, in a mapping of `nr_pages` pages."""
        raise NotImplementedError

    def shares(self, work: float, nr_pages: int) -> np.ndarray:
        """float64[extents]: share of the visits that each extent gets after `work` operations."""
        raise NotImplementedError

    def next_change(self, work: float) -> float:
        """The work at which `shares` changes next, always more than `work`."""
        return math.inf

    def populated_pages(self, work: float, nr_pages: int) -> int:
        """Pages of the mapping that exist after `work` operations."""
        return nr_pages


def misfit(pattern: Any, mapping: Any) -> str:
    """What is wrong with a mapping for a pattern, as far as either is understood."""
    if not isinstance(pattern, Pattern) or mapping is None:
        return ""
    size, page = known(mapping, "size"), known(mapping, "page")
    return pattern.misfit(size // page) if size and page else ""


def steps_done(work: float, every: float) -> int:
    """How many changes that come `every` so many operations are over after `work` operations.

    Work that rounding left a hair before a change counts as there, so that after
    ``(k + 1) * every`` operations, however rounded, the next change is a new one.
    """
    return math.floor(work / every * (1 + 1e-12) + 1e-9)


def check_range(first: float, last: float) -> None:
    """Refuse a range of a mapping that ends before it begins.

    Raises
    ------
    ConfigError
    """
    if last <= first:
        raise ConfigError(Problem("last", f"got {last:g}, expected more than first ({first:g})"))


def window(first: float, last: float, nr_pages: int) -> tuple[int, int]:
    """Page bounds of a share of a mapping, never empty."""
    start = min(round(first * nr_pages), nr_pages - 1)
    return start, max(start + 1, round(last * nr_pages))
