"""The open door: `damon_report_access()`. Nothing is watched; components say what they have seen.

Any code that holds the machine's `observing` may report at any time, and a *reporter* is asked at
every window what it has seen since the last. What nobody reports does not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass as plain_dataclass
from functools import partial
from typing import ClassVar, Protocol

import numpy as np
from pydantic.dataclasses import dataclass

from numasim.damon.reports import Reports, Stream
from numasim.damon.sample_filters import Semantics
from numasim.errors import ConfigError, Problem
from numasim.memory import Memory
from numasim.observing import Observing
from numasim.patterns import STRICT
from numasim.registry import Registry
from numasim.sources import register
from numasim.sources.reading import Reading, unknown
from numasim.topology import Topology


class Reporter(Protocol):
    """A component that reports accesses; made once per run."""

    kind: ClassVar[str]

    def __init__(self, observing: Observing, rng: np.random.Generator) -> None: ...

    def report(self, grid_ns: np.ndarray) -> Reports:
        """What it has seen between instants (int64[T + 1], ascending)."""
        ...


reporters: Registry[Reporter] = Registry("reporter", "numasim.sources", "numasim.reporters")
register_reporter: Callable[[str], Callable[[type], type]] = reporters.register


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ReportSettings:
    """Parameters of the open door.

    Parameters
    ----------
    reporters : tuple of str
        Registered names of components to ask.
    filters : str
        ``intent`` or ``rfc``.
    """

    reporters: tuple[str, ...] = ()
    filters: Semantics = "intent"

    def misfits(self, topology: Topology) -> list[Problem]:
        """Reporters that nobody registered."""
        return unknown("reporters", self.reporters, reporters.names(), "reporter")


@register("report")
@plain_dataclass
class Report(Reading):
    """What components say they have seen.

    Parameters: see `Reading`.
    """

    kind: ClassVar[str]
    Settings: ClassVar[type] = ReportSettings

    def streams(self) -> list[Stream]:
        """Reporters, each asked once for all contexts."""
        return [
            self.scene.observing.shared(("reporter", name), partial(self._start, name))
            for name in self.scene.settings.reporters
        ]

    def _start(self, name: str) -> Stream:
        observing = self.scene.observing
        reporter = reporters.get(name)(observing, observing.seeds.stream(f"reporters/{name}"))
        return Stream(partial(asked, name, reporter, observing.memory))


def asked(name: str, reporter: Reporter, memory: Memory, grid_ns: np.ndarray) -> Reports:
    """What a component has seen between instants.

    Parameters
    ----------
    name : str
        Its registered one.
    reporter : Reporter
    memory : Memory
    grid_ns : int64[T + 1]

    Raises
    ------
    ConfigError
        If it reports what is no access of this workload.
    """
    found = reporter.report(grid_ns)
    problems = list(found.problems(len(memory.frame_of), memory.frame_bytes))
    if problems:
        raise ConfigError(problems, f'reporter "{name}"')
    return found
