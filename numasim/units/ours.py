"""Our dialect: a unit is always written, decimal and binary sizes are told apart."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo

from numasim.units.numbers import BadText, read_number, shown

#: Validation context for descriptions that come from a file: there a bare number has no unit and is
#: refused, whereas numbers passed from Python are taken as already converted.
FROM_FILE = {"bare_numbers": False}

_DECIMAL = ["", "k", "M", "G", "T", "P", "E"]
_SIZES = (
    {f"{p}B": Fraction(1000**i) for i, p in enumerate(_DECIMAL)}
    | {f"{p.upper()}iB": Fraction(1024**i) for i, p in enumerate(_DECIMAL) if p}
    | {"KB": Fraction(1000)}
)
_DURATIONS = {
    "ns": Fraction(1), "us": Fraction(10**3), "µs": Fraction(10**3), "ms": Fraction(10**6),
    "s": Fraction(10**9), "min": Fraction(60 * 10**9), "h": Fraction(3600 * 10**9),
    "d": Fraction(86400 * 10**9),
}  # fmt: skip
_BANDWIDTHS = {f"{unit}/s": size / 10**9 for unit, size in _SIZES.items()}
_RATES = {
    "/us": Fraction(10**6), "/ms": Fraction(10**3), "/s": Fraction(1),
    "/min": Fraction(1, 60), "/h": Fraction(1, 3600),
}  # fmt: skip
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(\D.*?)?\s*")

_SIZE_WANTED = 'a size such as "64 GiB"'
_DURATION_WANTED = 'a duration such as "5 ms"'
_BANDWIDTH_WANTED = 'a bandwidth such as "200 GB/s"'
_RATE_WANTED = 'a rate such as "8 /s"'
_RATIO_WANTED = 'a share such as "5 %" or 0.05'


def parse_bytes(value: str | float) -> int:
    """Bytes of a size: ``"64 GiB"`` is 2**36, ``"64 GB"`` is 64 * 10**9; 0 needs no unit.

    Raises
    ------
    BadText
        If there is no unit, an unknown one, or a fraction of a byte.
    """
    return _whole(_read(value, _SIZES, _SIZE_WANTED), value, _SIZE_WANTED, "bytes")


def parse_duration_ns(value: str | float) -> int:
    """Nanoseconds of a duration: ``"5 ms"`` is 5_000_000; units ns, us, ms, s, min, h, d.

    Raises
    ------
    BadText
        If there is no unit, an unknown one, or a fraction of a nanosecond.
    """
    return _whole(_read(value, _DURATIONS, _DURATION_WANTED), value, _DURATION_WANTED, "ns")


def parse_bandwidth(value: str | float) -> float:
    """Bytes per nanosecond of a bandwidth: ``"200 GB/s"`` is 200.0.

    Raises
    ------
    BadText
        If there is no unit or an unknown one.
    """
    return float(_read(value, _BANDWIDTHS, _BANDWIDTH_WANTED))


def parse_rate_per_s(value: str | float) -> float:
    """Events per second of a rate: ``"8 /s"`` is 8.0; also per us, ms, min and h.

    Raises
    ------
    BadText
        If there is no unit or an unknown one.
    """
    return float(_read(value, _RATES, _RATE_WANTED))


def parse_ratio(value: str | float) -> float:
    """A fraction in 0..1, from ``"5 %"`` or from a number that already is one.

    Raises
    ------
    BadText
        If it is neither, or not within 0..1.
    """
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value)
        if not match or match[2] != "%":
            hint = f'"{value.strip()} %" is written with its sign' if _is_number(value) else ""
            raise BadText(f"got {shown(value)}, expected {_RATIO_WANTED}", hint)
        ratio = float(Fraction(match[1]) / 100)
    else:
        ratio = float(read_number(value, _RATIO_WANTED))
    if not 0 <= ratio <= 1:
        raise BadText(
            f"got {shown(value)}, expected {_RATIO_WANTED}", "a share lies within 0..100 %"
        )
    return ratio


LAST_CPU = (1 << 20) - 1
"""Largest number of a CPU: far above what Linux can be built for (8192), small enough to list."""


def format_cpulist(cpus: Iterable[int]) -> str:
    """CPU numbers as Linux writes them: ``0-4,8``."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def parse_cpulist(value: str | int) -> tuple[int, ...]:
    """CPU numbers, ascending, of a list such as ``"0-3,8"``; empty text is no CPU.

    Raises
    ------
    BadText
        If a part is no number or range, a range runs downward, a CPU is named twice, or a number
        is above `LAST_CPU`.
    """
    wanted = 'CPUs such as "0-3,8"'
    cpus: list[int] = []
    for part in str(value).split(",") if str(value).strip() else []:
        match = re.fullmatch(r"\s*(\d{1,99})(?:\s*-\s*(\d{1,99}))?\s*", part)
        if not match or isinstance(value, bool):
            raise BadText(f"got {shown(value)}, expected {wanted}")
        first, last = int(match[1]), int(match[2] or match[1])
        if max(first, last) > LAST_CPU:
            hint = f"the largest number is {LAST_CPU}"
            raise BadText(f"got {shown(value)}, expected {wanted}", hint)
        if last < first:
            raise BadText(f"got {shown(value)}, expected {wanted}", f'write "{last}-{first}"')
        cpus.extend(range(first, last + 1))
        if len(cpus) > LAST_CPU + 1:
            break  # more than there are: one is named twice
    if len(set(cpus)) != len(cpus):
        raise BadText(f"got {shown(value)}, expected {wanted}", "a CPU is named twice")
    return tuple(sorted(cpus))


def format_bytes(size_bytes: float) -> str:
    """A size for people, in binary units: ``"1.5 GiB"``."""
    units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    step = 0
    while abs(size_bytes) >= 1024 and step < len(units) - 1:
        size_bytes, step = size_bytes / 1024, step + 1
    return f"{_short(size_bytes)} {units[step]}"


def format_duration(duration_ns: float) -> str:
    """A duration for people: ``"5 ms"``, ``"1.5 s"``, ``"2 min"``."""
    unit = "ns"
    for name in ("us", "ms", "s", "min", "h", "d"):
        if abs(duration_ns) >= _DURATIONS[name]:
            unit = name
    return f"{_short(duration_ns / float(_DURATIONS[unit]))} {unit}"


def format_bandwidth(bytes_per_ns: float) -> str:
    """A bandwidth for people, in decimal units as datasheets have it: ``"200 GB/s"``."""
    unit = "B/s"
    for name in ("kB/s", "MB/s", "GB/s", "TB/s"):
        if abs(bytes_per_ns) >= _BANDWIDTHS[name]:
            unit = name
    return f"{_short(bytes_per_ns / float(_BANDWIDTHS[unit]))} {unit}"


def _from_text(parse: Callable[[Any], Any], wanted: str, whole: bool, top: float = math.inf) -> Any:
    """Validator of one annotated type: text is parsed, a number from Python already converted."""

    def validate(value: Any, info: ValidationInfo) -> Any:
        bare = (info.context or {}).get("bare_numbers", True)
        if isinstance(value, str) or not bare:
            return parse(value)
        number = read_number(value, wanted)
        if number > top or (whole and number.denominator != 1):
            raise BadText(f"got {shown(value)}, expected {wanted}")
        return int(number) if whole else float(value)

    return BeforeValidator(validate)


Bytes = Annotated[int, _from_text(parse_bytes, _SIZE_WANTED, whole=True)]
DurationNs = Annotated[int, _from_text(parse_duration_ns, _DURATION_WANTED, whole=True)]
Bandwidth = Annotated[float, _from_text(parse_bandwidth, _BANDWIDTH_WANTED, whole=False)]
Ratio = Annotated[float, _from_text(parse_ratio, _RATIO_WANTED, whole=False, top=1)]
RatePerS = Annotated[float, _from_text(parse_rate_per_s, _RATE_WANTED, whole=False)]


def _read(value: str | float, units: Mapping[str, Fraction], wanted: str) -> Fraction:
    if not isinstance(value, str):
        number = read_number(value, wanted)
        if number == 0:
            return number
        raise BadText(f"got {shown(value)}, expected {wanted}", "a bare number has no unit")
    match = _QUANTITY.fullmatch(value)
    if not match:
        raise BadText(f"got {shown(value)}, expected {wanted}")
    number, unit = Fraction(match[1]), match[2] or ""
    if unit in units:
        return number * units[unit]
    if not unit and number == 0:
        return number
    raise BadText(f"got {shown(value)}, expected {wanted}", _meant(match[1], unit, units))


def _meant(number: str, unit: str, units: Mapping[str, Fraction]) -> str:
    """What a missing or misspelt unit may have been meant to be."""
    if not unit:
        return "a bare number has no unit"
    if unit.lower() in {"m", "mins", "minute", "minutes"} and "min" in units:
        return f'did you mean "{number} min" or "{number} ms"?'
    letter, tail = unit[0].upper(), "/s" if unit.endswith("/s") else ""
    same = [u for u in units if u.lower() == unit.lower()]
    bare = [f"{letter}iB{tail}", f"{letter if letter != 'K' else 'k'}B{tail}"]
    near = same or [u for u in bare if u in units and len(unit) - len(tail) == 1]
    if not near:
        return "known units: " + ", ".join(units)
    return "did you mean " + " or ".join(f'"{number} {u}"' for u in near) + "?"


def _whole(number: Fraction, value: object, wanted: str, unit: str) -> int:
    if number.denominator != 1:
        raise BadText(f"got {shown(value)}, expected {wanted}", f"it is no whole number of {unit}")
    return int(number)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*\d+(\.\d+)?\s*", text) is not None


def _short(number: float) -> str:
    """At most four significant digits, no exponent, no trailing zeros."""
    digits = max(0, 3 - math.floor(math.log10(abs(number)))) if number else 0
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
