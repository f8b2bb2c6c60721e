"""Errors a user meets: bad input is `ConfigError`, a run that cannot go on is `SimulationError`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class NumasimError(Exception):
    """Everything numasim raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the input: where it is, what was found, what was expected, a way out."""

    place: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        return f"{text}; {self.hint}" if self.hint else text


class ConfigError(NumasimError, ValueError):
    """The input is wrong. Carries every mistake found, not only the first.

    Parameters
    ----------
    problems : iterable of Problem or str
        All mistakes found in one source.
    source : str
        File or command line the problems belong to; printed once above them.
    """

    def __init__(self, problems: Iterable[Problem | str] | Problem | str, source: str = "") -> None:
        if isinstance(problems, str | Problem):
            problems = [problems]
        self.problems = tuple(p if isinstance(p, Problem) else Problem("", p) for p in problems)
        self.source = source
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [str(p) for p in self.problems]
        if self.source and len(lines) == 1 and not self.problems[0].place:
            return f"{self.source}: {lines[0]}"
        if self.source:
            return "\n".join([self.source, *(f"  {line}" for line in lines)])
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:  # a worker process must be able to send it home
        return (type(self), (list(self.problems), self.source))


class SimulationError(NumasimError, RuntimeError):
    """A run cannot go on.

    Parameters
    ----------
    message : str
    now_ns : int
        Simulated instant.
    actor : str
        Who was acting.
    """

    def __init__(self, message: str, now_ns: int = 0, actor: str = "") -> None:
        self.message, self.now_ns, self.actor = message, now_ns, actor
        who = f"{actor}: " if actor else ""
        super().__init__(f"at {now_ns / 1e9:.3f} s: {who}{message}")

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message, self.now_ns, self.actor))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion for a misspelt word, or the list of known ones."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return "known: " + ", ".join(known) if known else ""
