"""A recorded program: every page touched in the intervals in which the recording says so."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.errors import ConfigError, Problem
from numasim.patterns import STRICT, Extent, Pattern, Spread, register, steps_done
from numasim.tape import open_tape, read_header

HOTNESS_CLASSES = 16
TOLD = {"visits": 1.0, "lines": 1.0, "miss": 1.0, "write": 0.0}


@register("trace")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Trace(Pattern):
    """A page-granular recording, played on the first pages of a mapping.

    An operation is one interval of the recording: `compute` of the phase scales time. Visits, lines
    and writes are the recording's; `visits`, `lines`, `miss` and `write` are not given.

    Parameters
    ----------
    file : str
        The recording: ``NAME.json`` with ``NAME.npz`` beside it.
    threads : tuple of int
        Threads of the recording to play; empty: all. Give each of several actors its own.
    begin : float
        Interval to start from: several processes can play one recording out of step.
    loop : bool
        Begin again at the end; otherwise the pages then lie idle.
    stretch : int
        Pages of the mapping for each recorded page.
    resolution : int
        Intervals over which lines per operation are averaged to find the speed. Accessed bits see
        every interval for itself.
    """

    file: str
    threads: tuple[Annotated[int, Field(ge=0)], ...] = ()
    begin: Annotated[float, Field(ge=0)] = 0.0
    loop: bool = True
    stretch: Annotated[int, Field(ge=1)] = 1
    resolution: Annotated[int, Field(ge=1)] = 8
    parallelism: Annotated[float, Field(gt=0)] = 16.0
    overlap: Literal["dynamic", "barrier", "serial"] = "dynamic"

    sweep: ClassVar[bool] = True
    recorded: ClassVar[bool] = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            header = read_header(self.file)
        except ConfigError as error:
            raise ConfigError(
                Problem("file", f'"{self.file}": {p}') for p in error.problems
            ) from error
        problems = [
            Problem(name, "is told by the recording", "leave it out")
            for name, value in TOLD.items()
            if getattr(self, name) != value
        ]
        unknown = sorted(set(self.threads) - set(header.threads))
        if unknown:
            known = ", ".join(map(str, header.threads))
            problems.append(
                Problem("threads", f"no thread {unknown[0]}, the recording has {known}")
            )
        if self.begin >= header.intervals:
            message = f"got {self.begin:g}, the recording has {header.intervals} intervals"
            problems.append(Problem("begin", message))
        if problems:
            raise ConfigError(problems)
        return self

    def misfit(self, nr_pages: int) -> str:
        wanted = read_header(self.file).pages * self.stretch
        if wanted <= nr_pages:
            return ""
        return f"has {nr_pages} pages, the recording needs {wanted}"

    def extents(self, nr_pages: int) -> list[Extent]:
        """The pages played on, in classes of pages that are touched about equally often."""
        tape = open_tape(self.file)
        header = tape.header
        if problem := self.misfit(nr_pages):
            raise ConfigError(Problem(f'mapping "{self.mapping}"', problem))
        share = tape.touched(self.threads) / header.intervals
        rank = np.where(share > 0, np.floor(-2 * np.log2(np.maximum(share, 2.0**-60))), np.inf)
        rank = np.minimum(rank, HOTNESS_CLASSES - 1).astype(np.int64)
        edges = tuple((np.arange(HOTNESS_CLASSES + 1) / HOTNESS_CLASSES).tolist())
        quantiles = np.repeat((rank + 0.5) / HOTNESS_CLASSES, self.stretch)
        key = f"trace/{self.file}/{self.threads}/{self.stretch}"
        rates = (1.0,) * HOTNESS_CLASSES
        return [Extent(0, header.pages * self.stretch, Spread(key, edges, rates, quantiles))]

    def shares(self, work: float, nr_pages: int) -> np.ndarray:
        """All visits go to them."""
        return np.ones(1)

    def next_change(self, work: float) -> float:
        """Where the next stretch of `resolution` intervals begins."""
        nr = read_header(self.file).intervals
        at = work + self.begin
        rounds = steps_done(at, nr)
        if rounds and not self.loop:
            return math.inf
        within = max(0.0, at - rounds * nr)
        end = min((steps_done(within, self.resolution) + 1) * self.resolution, nr)
        return rounds * nr + end - self.begin
