"""Cases: what was published, which runs answer to it, and how far off they may be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from numasim import library
from numasim.checking import build
from numasim.documents import Document, read_document
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.reproduce.reading import Expression, parse
from numasim.scenario import Scenario, seeds_of
from numasim.settings import in_full
from numasim.wholes import checked

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)
Kind = Literal["blind", "calibration", "mechanism", "input"]
HEADLINE_KEYS = ("scenario", "set", "seed", "seeds")


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Tolerance:
    """Which values count as the published one; every bound that is given holds.

    Parameters
    ----------
    least, most : float or None
        Bounds, themselves allowed.
    above, below : float or None
        Strict bounds; the whole interval over seeds has to keep them.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def _check(self) -> Iterator[Problem]:
        if all(b is None for b in (self.least, self.most, self.above, self.below)):
            yield Problem("", "bounds nothing", "give least, most, above or below")

    checks: ClassVar = (_check,)
    _checked = model_validator(mode="after")(checked)

    def holds(self, mean: float, low: float, high: float) -> bool:
        """Whether a mean over seeds, with its interval, keeps the bounds."""
        if not math.isfinite(mean):
            return False
        low, high = (mean if math.isnan(x) else x for x in (low, high))
        return (
            (self.least is None or mean >= self.least)
            and (self.most is None or mean <= self.most)
            and (self.above is None or low > self.above)
            and (self.below is None or high < self.below)
        )

    def __str__(self) -> str:
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        pairs = (("≥", self.least), ("≤", self.most), (">", self.above), ("<", self.below))
        return ", ".join(f"{sign} {bound:g}" for sign, bound in pairs if bound is not None)


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Value:
    """One published number, or an order that was published.

    Parameters
    ----------
    name : str
    published : str
        As it was published.
    ours : str
        What is read off the runs: see `numasim.reproduce.reading`.
    tolerance : Tolerance
    unit : str
    """

    name: str
    published: str
    ours: str
    tolerance: Tolerance
    unit: str = ""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Case:
    """A published result, as a file of cases tells it.

    Parameters
    ----------
    name : str
        Of its file.
    title : str
    row : str
        Of the table in the workloads specification.
    source : str
        Where it was published.
    kind : str
        ``blind`` (everything was fixed from other numbers), ``calibration`` (something was fitted
        to this one), ``mechanism`` (what is unknown was chosen; direction and size of an effect),
        ``input`` (a number that the model was given comes out again).
    conditions : str
        In words.
    scenario : dict
        What all runs share: the keys of a scenario, ``scenario`` (a shipped one to begin with) and
        ``set``.
    runs : dict of str to dict
        The same for each run, over that.
    values : tuple of Value
    seeds : int
    why_missed : str
        Shown beside the verdict if it is that the case was missed; says nothing otherwise.
    remark : str
        Shown always: what was assumed, and what speaks against it.
    quick : bool
        Takes seconds.
    long : bool
        Takes more than some minutes of a processor.
    """

    name: str
    title: str
    row: str = ""
    source: str
    kind: Kind
    conditions: str
    scenario: dict[str, Any] = Field(default_factory=dict)
    runs: Annotated[dict[str, dict[str, Any] | None], Field(min_length=1)]
    values: Annotated[tuple[Value, ...], Field(min_length=1)]
    seeds: Annotated[int, Field(ge=1)] = 3
    why_missed: str = ""
    remark: str = ""
    quick: bool = False
    long: bool = False

    def expressions(self) -> list[Expression]:
        """What is read off the runs, value by value.

        Raises
        ------
        ConfigError
        """
        problems: list[Problem] = []
        found = []
        for i, value in enumerate(self.values):
            try:
                found.append(parse(value.ours, list(self.runs)))
            except ConfigError as error:
                problems += [
                    Problem(f"values[{i}].ours", p.message, p.hint) for p in error.problems
                ]
        if problems:
            raise ConfigError(problems)
        return found

    def scenarios(self, base: Path = Path(".")) -> dict[str, Scenario]:
        """The scenario of each run, with the first seed.

        Raises
        ------
        ConfigError
        """
        problems: list[Problem] = []
        found = {}
        for name, own in self.runs.items():
            try:
                found[name] = _scenario(self.scenario, own or {}, base)
            except ConfigError as error:
                problems += [
                    Problem(f"runs.{name}: {p.place}", p.message, p.hint) for p in error.problems
                ]
        if problems:
            raise ConfigError(problems)
        return found


def _scenario(shared: Mapping[str, Any], own: Mapping[str, Any], base: Path) -> Scenario:
    """A shipped scenario, what all runs share over it, and what is this run's over that."""
    data: dict[str, Any] = {}
    start = own.get("scenario", shared.get("scenario"))
    if start is not None:
        data = dict(read_document(start).data)
    for layer in (shared, own):
        data.update({k: v for k, v in layer.items() if k not in HEADLINE_KEYS})
    data.pop("seeds", None)
    data.pop("policies", None)
    for key in ("topology", "workload"):
        beside = base / str(data.get(key, ""))
        if isinstance(data.get(key), str) and beside.suffix and beside.is_file():
            data[key] = str(beside)
    settings = [*(shared.get("set") or ()), *(own.get("set") or ())]
    settings, problems = in_full(settings, data, [data.get("policy", "no_tiering")])
    if problems:
        raise ConfigError(problems)
    return Document(data).scenario(None, settings)


def folder() -> Path:
    """Where the shipped cases lie."""
    return library.folder("workloads") / "cases"


def load(path: Path) -> Case:
    """The case of a file.

    Raises
    ------
    ConfigError
        With every mistake found, and its line.
    """
    data = library.read(path)
    if not isinstance(data, Mapping):
        raise ConfigError(Problem("", "expected a mapping"), str(path))
    try:
        case = build(Case, {"name": path.stem, **data}, str(path))
        case.expressions()
    except ConfigError as error:
        raise library.with_lines(error, path) from None
    return case


def find(wanted: list[str], more: Path | None = None) -> list[tuple[Case, Path]]:
    """Cases by name, or all, of the shipped ones and a further folder, with their files' folders.

    Raises
    ------
    ConfigError
        With every mistake of every file.
    """
    if more is not None and not more.is_dir():
        raise ConfigError(Problem("--cases", f"{more} is no folder"))
    places = [folder(), *([more] if more else [])]
    paths = {path.stem: path for place in places for path in sorted(place.glob("*.yaml"))}
    problems = [
        Problem("", f'no case "{name}"', did_you_mean(name, paths))
        for name in wanted
        if name not in paths
    ]
    if problems:
        raise ConfigError(problems)
    found = []
    for path in [paths[name] for name in wanted or paths]:
        try:
            found.append((load(path), path.parent))
        except ConfigError as error:
            problems += [
                Problem(f"{path.name}: {p.place}", p.message, p.hint) for p in error.problems
            ]
    if problems:
        raise ConfigError(problems)
    return sorted(found, key=lambda pair: (order(pair[0].row), pair[0].row + pair[0].name))


def order(row: str) -> float:
    """Where a row of the specification's table stands in it; last if it is none."""
    number = "".join(c for c in row.split(",")[0].split("-")[0] if c.isdigit())
    return float(number) if number else math.inf


def seeds(case: Case, number: int | None) -> tuple[int, ...]:
    """Seeds of its runs: as many as the case says, or as asked for."""
    return seeds_of(number or case.seeds)
