"""Text of masim configurations, in and out.

masim is a program that touches memory as a small text file tells: regions, then phases, each with
patterns over regions. The original reads its files strictly; this reader takes what people write
and says where the original would have stumbled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from numasim.errors import ConfigError, Problem, did_you_mean

Mode = Literal["ro", "wo", "rw"]
MODES: tuple[Mode, ...] = ("ro", "wo", "rw")
LONGEST_NAME = 255
SUFFIXES = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_BYTES = re.compile(r"(\d+)\s*(?:([bkmgt])(?:i?b)?)?", re.IGNORECASE)

Line = tuple[int, str]
"""Number and text of a line."""


@dataclass(frozen=True)
class Region:
    """Memory under a name.

    Parameters
    ----------
    name : str
    nr_bytes : int
    init_file : str or None
        File its first content comes from.
    """

    name: str
    nr_bytes: int
    init_file: str | None = None


@dataclass(frozen=True)
class Access:
    """A pattern of a phase.

    Parameters
    ----------
    region : str
    random : bool
        Any byte of the region; otherwise `stride` bytes further each time, from the start again
        past the end.
    stride : int
        Bytes.
    weight : int
        Chance to be drawn, over the sum of the phase's weights.
    mode : str
        ``ro``, ``wo`` or ``rw`` (reads, then writes the same byte).
    """

    region: str
    random: bool
    stride: int
    weight: int
    mode: Mode = "wo"


@dataclass(frozen=True)
class Phase:
    """Patterns that are drawn from for a while."""

    name: str
    duration_ms: int
    accesses: tuple[Access, ...]


@dataclass(frozen=True)
class Config:
    """A configuration.

    Parameters
    ----------
    regions : tuple of Region
    phases : tuple of Phase
    warnings : tuple of str
        Where the original would have read the file otherwise, or not at all.
    """

    regions: tuple[Region, ...]
    phases: tuple[Phase, ...]
    warnings: tuple[str, ...] = field(default=(), compare=False)


def read(path: str | Path, *, default_mode: Mode = "wo") -> Config:
    """The configuration of a file.

    Parameters
    ----------
    path : str or Path
    default_mode : str
        Of patterns that name none.

    Raises
    ------
    ConfigError
        If the file cannot be read, or with every mistake in it and its line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", source=str(path)) from error
    return loads(text, source=str(path), default_mode=default_mode)


def loads(text: str, *, source: str = "", default_mode: Mode = "wo") -> Config:
    """The configuration of a text.

    Raises
    ------
    ConfigError
        With every mistake and its line.

    Notes
    -----
    Source: DAMON interop specification, section 5 (masim of July 2025).
    """
    return _Reader(default_mode).read(text, source)


def dumps(config: Config) -> str:
    """Text of a configuration, as strict as the original wants it.

    Raises
    ------
    ConfigError
        If a name cannot be written.
    """
    problems = [
        Problem(what, f'got "{name}", expected one line without blanks around it or "#" before it')
        for what, name in _names(config)
        if name.strip().splitlines() != [name] or name.startswith("#")
    ]
    problems += [
        Problem(what, f'got "{name}", expected no comma in it')
        for what, name in _names(config)
        if what != "phase" and "," in name
    ]
    if problems:
        raise ConfigError(problems)
    paragraphs = [[", ".join(map(str, _fields(r))) for r in config.regions]]
    for phase in config.phases:
        lines = [
            f"{a.region}, {int(a.random)}, {a.stride}, {a.weight}, {a.mode}" for a in phase.accesses
        ]
        paragraphs.append([phase.name, str(phase.duration_ms), *lines])
    return "\n\n".join("\n".join(lines) for lines in paragraphs) + "\n"


def write(path: str | Path, config: Config) -> None:
    """Write a configuration to a file; see `dumps`."""
    Path(path).write_text(dumps(config), encoding="utf-8")


class _Reader:
    """Collects what is wrong and what is odd while it reads."""

    def __init__(self, default_mode: Mode) -> None:
        self.default_mode = default_mode
        self.problems: list[Problem] = []
        self.warnings: list[str] = []

    def read(self, text: str, source: str) -> Config:
        paragraphs = list(self._paragraphs(text))
        regions = [r for line in paragraphs[:1] for r in map(self._region, line) if r is not None]
        self._check_names(regions, paragraphs[0] if paragraphs else [])
        known = [region.name for region in regions]
        phases = [self._phase(lines, known) for lines in paragraphs[1:]]
        if not paragraphs:
            self.problems.append(Problem("", "is empty, expected regions and phases"))
        elif not phases:
            message = "has no phase, expected a paragraph of them after that of the regions"
            self.problems.append(Problem("", message, "an empty line ends a paragraph"))
        if self.problems:
            raise ConfigError(self.problems, source)
        return Config(tuple(regions), tuple(phases), tuple(self.warnings))

    def _wrong(self, line: int, message: str, hint: str = "") -> None:
        self.problems.append(Problem(f"line {line}", message, hint))

    def _odd(self, line: int, message: str) -> None:
        self.warnings.append(f"line {line}: {message}")

    def _paragraphs(self, text: str) -> Iterator[list[Line]]:
        lines = text.removeprefix("\ufeff").splitlines()
        if text and not text.endswith("\n"):
            self._odd(len(lines), "has no newline; masim loses the last line of such a file")
        paragraph: list[Line] = []
        empty = 0
        for number, line in enumerate(lines, 1):
            if line.lstrip().startswith("#"):
                if not line.startswith("#"):
                    self._odd(number, "blanks before the comment; masim takes it for data")
            elif line.strip():
                paragraph.append((number, line))
                empty = 0
            else:
                empty += 1
                if line:
                    self._odd(number, "blanks on an empty line; masim ends no paragraph here")
                if empty == 2 or (empty == 1 and not paragraph):
                    self._odd(number, "one empty line too many for masim")
                if paragraph:
                    yield paragraph
                    paragraph = []
        if paragraph:
            yield paragraph

    def _region(self, line: Line) -> Region | None:
        number, text = line
        fields = self._split(line)
        if not 2 <= len(fields) <= 3:
            self._wrong(number, f'got "{text.strip()}", expected "NAME, BYTES[, FILE]"')
            return None
        name, nr_bytes = fields[0], self._bytes(number, fields[1])
        if not name:
            self._wrong(number, "a region without a name")
        if len(name) > LONGEST_NAME:
            self._odd(number, f"a name of {len(name)} characters; masim keeps {LONGEST_NAME}")
        init = fields[2] if len(fields) == 3 and fields[2] not in ("", "none") else None
        return Region(name, nr_bytes, init)

    def _bytes(self, number: int, text: str) -> int:
        match = _BYTES.fullmatch(text)
        if not match or int(match[1]) < 1:
            self._wrong(number, f'got "{text}", expected a number of bytes such as 10485760')
            return 1
        if match[2]:
            self._odd(number, f'"{text}": masim ignores the suffix and reads {match[1]} bytes')
        return int(match[1]) * SUFFIXES[(match[2] or "b").lower()]

    def _check_names(self, regions: list[Region], lines: list[Line]) -> None:
        names = [region.name for region in regions]
        for name in dict.fromkeys(n for i, n in enumerate(names) if n and n in names[:i]):
            where = [number for number, text in lines if text.split(",")[0].strip() == name]
            self._wrong(where[-1], f'"{name}" is taken by line {where[0]}')

    def _phase(self, lines: list[Line], known: list[str]) -> Phase:
        (first, name), rest = lines[0], lines[1:]
        duration = 0
        if rest:
            number, text = rest[0]
            duration = self._whole(number, text.strip(), "milliseconds", 1)
        if len(rest) < 2:
            expected = "expected its duration in ms and at least one pattern on the next lines"
            self._wrong(first, f'the phase "{name.strip()}" ends here, {expected}')
        found = [self._access(line, known) for line in rest[1:]]
        return Phase(name.strip(), duration, tuple(a for a in found if a is not None))

    def _access(self, line: Line, known: list[str]) -> Access | None:
        number, text = line
        fields = self._split(line)
        if not 4 <= len(fields) <= 5:
            expected = '"REGION, RANDOM(0|1), STRIDE, WEIGHT[, ro|wo|rw]"'
            self._wrong(number, f'got "{text.strip()}", expected {expected}')
            return None
        if fields[0] not in known:
            self._wrong(number, f'no region "{fields[0]}"', did_you_mean(fields[0], known))
        if fields[1] not in ("0", "1"):
            self._wrong(number, f'got "{fields[1]}", expected 1 (random) or 0 (in order)')
        random = fields[1] == "1"
        stride = self._whole(number, fields[2], "bytes of stride", 0 if random else 1)
        weight = self._whole(number, fields[3], "weight", 0)
        mode = fields[4] if len(fields) == 5 else self.default_mode
        for one in MODES:
            if one == mode:
                return Access(fields[0], random, stride, weight, one)
        self._wrong(number, f'got mode "{mode}"', did_you_mean(mode, MODES))
        return None

    def _whole(self, number: int, text: str, what: str, least: int) -> int:
        if re.fullmatch(r"\d+", text) and int(text) >= least:
            return int(text)
        self._wrong(number, f'got "{text}", expected a whole number ({what}) of at least {least}')
        return least

    def _split(self, line: Line) -> list[str]:
        number, text = line
        if text[0].isspace():
            self._odd(number, "blanks before the name; masim takes them for a part of it")
        fields = [part.strip() for part in text.split(",")]
        if len(fields) > 2 and not fields[-1]:
            self._odd(number, "a comma at the end of the line")
            fields.pop()
        return fields


def _fields(region: Region) -> list[str | int]:
    file = [] if region.init_file is None else [region.init_file]
    return [region.name, region.nr_bytes, *file]


def _names(config: Config) -> list[tuple[str, str]]:
    regions = [("region", r.name) for r in config.regions]
    files = [("init_file", r.init_file) for r in config.regions if r.init_file is not None]
    return regions + files + [("phase", p.name) for p in config.phases]
