"""Access sources: how accesses become visible to DAMON. One file registers one source.

A source answers, for a context's regions, in how many ticks of a window the sampled address was
found accessed, and what the looking cost. DAMON never sees traffic except through a source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Protocol

import numpy as np

from numasim.checking import Collector, build
from numasim.errors import ConfigError, Problem
from numasim.law import Law
from numasim.registry import Registry
from numasim.topology import Topology
from numasim.view import View


class Ticking(Protocol):
    """A window of sampling ticks: when addresses were chosen and were checked, int64[T]."""

    @property
    def starts_ns(self) -> np.ndarray:
        """Instants at which addresses were chosen."""
        ...

    @property
    def ends_ns(self) -> np.ndarray:
        """Instants at which they were checked."""
        ...


class AccessSource(Protocol):
    """What a monitoring context asks.

    A scenario names it (``access_source``); it is made once per context, with keywords ``views``
    (one `View` per target), ``law``, ``rng``, ``check_cost_ns``, ``addr_unit`` and ``exact_ticks``.
    `views` and `addr_unit` change when the context is tuned. A source that knows accessors has a
    class attribute ``Settings``, a frozen description of its parameters (``sources`` in a
    scenario), and is also given a `scene` (see `numasim.sources.scene`). One whose reports do not
    say everything that sample filters ask for names what they do say in ``tells``.
    """

    kind: ClassVar[str]
    views: list[View]
    addr_unit: int

    def __init__(
        self,
        *,
        views: list[View],
        law: Law,
        rng: np.random.Generator,
        check_cost_ns: int,
        addr_unit: int,
        exact_ticks: bool,
    ) -> None: ...

    def hits(
        self, start: np.ndarray, end: np.ndarray, target: np.ndarray, window: Ticking
    ) -> np.ndarray:
        """int64[R]: ticks in which each region ``[start, end)`` was found accessed.

        Parameters
        ----------
        start, end : int64[R]
            Addresses in bytes; those of a target ascend and do not overlap, as DAMON keeps them.
        target : int64[R]
            Index of each region's target.
        window : Ticking
        """
        ...

    def check_ns(self, nr_regions: int) -> int:
        """CPU time of preparing and checking that many regions once."""
        ...


registry: Registry[AccessSource] = Registry("access source", "numasim.sources", "numasim.sources")
register = registry.register


def knows_accessors(source: type[AccessSource]) -> bool:
    """Whether a source tells who accessed, so that sample filters and settings mean something."""
    return hasattr(source, "Settings")


def tells(source: type[AccessSource]) -> tuple[str, ...]:
    """Kinds of sample filters that a source's reports say enough for: its ``tells``, else all."""
    if not knows_accessors(source):
        return ()
    found: tuple[str, ...] = getattr(source, "tells", ("cpumask", "threads", "write"))
    return found


def default_settings(source: type[AccessSource]) -> Any:
    """Parameters of a source that knows accessors, as they are when nothing is said."""
    return source.Settings()  # type: ignore[attr-defined]


def settings_of(given: Any) -> dict[str, Any]:
    """Parameters of sources by name, checked.

    Parameters
    ----------
    given : mapping
        ``{source: {parameter: value}}``.

    Raises
    ------
    ConfigError
        With every mistake found.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(f"got {given!r}, expected names of sources with their parameters")
    problems: list[Problem] = []
    collect, found = Collector(problems), {}
    for name, parameters in given.items():
        source = collect(str(name), partial(registry.get, str(name)))
        if source is None:
            continue
        if not knows_accessors(source):
            problems.append(Problem(str(name), "has no parameters"))
            continue
        wanted = source.Settings  # type: ignore[attr-defined]
        found[str(name)] = collect(str(name), partial(build, wanted, parameters))
    if problems:
        raise ConfigError(problems)
    return found


def misfits(settings: Mapping[str, Any], topology: Topology) -> list[Problem]:
    """What parameters of sources name that a machine, or this program, does not have.

    Parameters
    ----------
    settings : mapping
        As `settings_of` gives them; a source whose parameters name things has a ``misfits``.
    topology : Topology
    """
    found: list[Problem] = []
    for name, parameters in settings.items():
        complain = getattr(parameters, "misfits", None)
        if complain is not None:
            found += [replace(p, place=f"sources.{name}.{p.place}") for p in complain(topology)]
    return found
