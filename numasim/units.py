"""Text ↔ numbers, in two dialects: ours (``64 GiB``, ``200 GB/s``) and damo's (``64G``, binary).

Text becomes a number here and nowhere else. In *ours* a unit is always written, so a bare ``64G``
is refused and answered with what may have been meant. In *damo's* every size suffix is a power of
1024 and a bare number is in the option's native unit; those readers are called ``damo_*``. Both are
exact: what is written in decimal is read as a fraction, never through a float.
Source of damo's dialect: damo 3.4.3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo

ULONG_MAX = 2**64 - 1

#: Validation context for descriptions that come from a file: there a bare number has no unit and is
#: refused, whereas numbers passed from Python are taken as already converted.
FROM_FILE = {"bare_numbers": False}


class BadText(ValueError):
    """Text that is no such quantity: what was found and expected, and perhaps a way out."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = message, hint
        super().__init__(f"{message}; {hint}" if hint else message)


# ---------------------------------------------------------------------------- our dialect

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
            raise BadText(f"got {_shown(value)}, expected {_RATIO_WANTED}", hint)
        ratio = float(Fraction(match[1]) / 100)
    else:
        ratio = float(_number(value, _RATIO_WANTED))
    if not 0 <= ratio <= 1:
        raise BadText(
            f"got {_shown(value)}, expected {_RATIO_WANTED}", "a share lies within 0..100 %"
        )
    return ratio


def parse_cpulist(value: str | int) -> tuple[int, ...]:
    """CPU numbers, ascending, of a list such as ``"0-3,8"``; empty text is no CPU.

    Raises
    ------
    BadText
        If a part is no number or range, a range runs downward, or a CPU is named twice.
    """
    wanted = 'CPUs such as "0-3,8"'
    cpus: list[int] = []
    for part in str(value).split(",") if str(value).strip() else []:
        match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        if not match or isinstance(value, bool):
            raise BadText(f"got {_shown(value)}, expected {wanted}")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise BadText(f"got {_shown(value)}, expected {wanted}", f'write "{last}-{first}"')
        cpus.extend(range(first, last + 1))
    if len(set(cpus)) != len(cpus):
        raise BadText(f"got {_shown(value)}, expected {wanted}", "a CPU is named twice")
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
        number = _number(value, wanted)
        if number > top or (whole and number.denominator != 1):
            raise BadText(f"got {_shown(value)}, expected {wanted}")
        return int(number) if whole else float(value)

    return BeforeValidator(validate)


Bytes = Annotated[int, _from_text(parse_bytes, _SIZE_WANTED, whole=True)]
DurationNs = Annotated[int, _from_text(parse_duration_ns, _DURATION_WANTED, whole=True)]
Bandwidth = Annotated[float, _from_text(parse_bandwidth, _BANDWIDTH_WANTED, whole=False)]
Ratio = Annotated[float, _from_text(parse_ratio, _RATIO_WANTED, whole=False, top=1)]
RatePerS = Annotated[float, _from_text(parse_rate_per_s, _RATE_WANTED, whole=False)]


def _read(value: str | float, units: Mapping[str, Fraction], wanted: str) -> Fraction:
    if not isinstance(value, str):
        number = _number(value, wanted)
        if number == 0:
            return number
        raise BadText(f"got {_shown(value)}, expected {wanted}", "a bare number has no unit")
    match = _QUANTITY.fullmatch(value)
    if not match:
        raise BadText(f"got {_shown(value)}, expected {wanted}")
    number, unit = Fraction(match[1]), match[2] or ""
    if unit in units:
        return number * units[unit]
    if not unit and number == 0:
        return number
    raise BadText(f"got {_shown(value)}, expected {wanted}", _meant(match[1], unit, units))


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
        raise BadText(f"got {_shown(value)}, expected {wanted}", f"it is no whole number of {unit}")
    return int(number)


def _number(value: Any, wanted: str) -> Fraction:
    """A number that was not text, exactly as its decimal digits say."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Fraction(value)
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise BadText(f"got {_shown(value)}, expected {wanted}")
    if not math.isfinite(value) or value < 0:
        raise BadText(f"got {_shown(value)}, expected {wanted}")
    return Fraction(int(value)) if value == int(value) else Fraction(str(float(value)))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*\d+(\.\d+)?\s*", text) is not None


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _short(number: float) -> str:
    """At most four significant digits, no exponent, no trailing zeros."""
    digits = max(0, 3 - math.floor(math.log10(abs(number)))) if number else 0
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


# ---------------------------------------------------------------------------- damo's dialect

_DAMO_SIZES = {"": 1, "B": 1} | {
    prefix + tail: 1024**power
    for power, prefix in enumerate("KMGTPE", start=1)
    for tail in ("", "B", "iB")
}
_DAMO_TIMES = {
    "ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9,
    "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9,
}  # fmt: skip
_DAMO_NUMBER = r"(\d[\d,]*(?:\.\d+)?|\.\d+)"
_DAMO_QUANTITY = re.compile(_DAMO_NUMBER + r"\s*([A-Za-z%]*)")


def damo_number(value: str | float, wanted: str = 'a number such as "1,000"') -> Fraction:
    """A plain number, exactly; commas are ignored, ``min`` is 0 and ``max`` is 2**64 - 1.

    Raises
    ------
    BadText
        If it is no number, is negative or hexadecimal.
    """
    number, unit = _damo_split(value, wanted)
    if unit:
        raise BadText(f"got {_shown(value)}, expected {wanted}")
    return number


def damo_count(value: str | float) -> int:
    """A count; what is behind the decimal point is cut off, as damo does."""
    return int(damo_number(value))


def damo_bytes(value: str | float) -> int:
    """Bytes of a size; every suffix is binary: ``"200MB"`` is 200 * 2**20. At most 2**64 - 1.

    Raises
    ------
    BadText
        If it is no size; suffixes are case-sensitive and there is no hexadecimal.
    """
    wanted = 'a size such as "4096", "200MB" or "1.5 GiB"'
    number, unit = _damo_split(value, wanted)
    if unit not in _DAMO_SIZES:
        near = [u for u in _DAMO_SIZES if u.lower() == unit.lower()]
        digits = str(value).strip().removesuffix(unit)
        hint = f'case matters: did you mean "{digits}{near[0]}"?' if near else ""
        raise BadText(f"got {_shown(value)}, expected {wanted}", hint)
    return min(int(number * _DAMO_SIZES[unit]), ULONG_MAX)


def damo_time_ns(value: str | float, native: str = "us") -> Fraction:
    """Nanoseconds of a time, exactly; a bare number is in `native` (``ns``, ``us`` or ``ms``).

    Pairs may be chained: ``"1 m 30 s"``. ``max`` is 2**64 - 1 of the native unit.

    Raises
    ------
    BadText
        If it is no time, or longer than ``max``.
    """
    wanted = f'a time such as "5ms", "1 m 30 s" or a bare number of {native}'
    unit_ns = _DAMO_TIMES[native]
    if isinstance(value, str):
        pairs = list(_DAMO_QUANTITY.finditer(value))
        if len(pairs) > 1:
            known = all(pair[2] in _DAMO_TIMES for pair in pairs)
            if not known or _DAMO_QUANTITY.sub("", value).strip():
                raise BadText(f"got {_shown(value)}, expected {wanted}")
            return sum((_plain(pair[1]) * _DAMO_TIMES[pair[2]] for pair in pairs), Fraction(0))
    number, unit = _damo_split(value, wanted)
    if unit and unit not in _DAMO_TIMES:
        raise BadText(f"got {_shown(value)}, expected {wanted}", "units: ns us ms s m h d")
    time_ns = number * (_DAMO_TIMES[unit] if unit else unit_ns)
    if time_ns > ULONG_MAX * unit_ns:
        raise BadText(f"got {_shown(value)}, expected {wanted}", f'the longest is "max" ({native})')
    return time_ns


def damo_time_us(value: str | float) -> int:
    """Whole microseconds of a time whose bare number is in us; fractions are cut off."""
    return int(damo_time_ns(value, "us") / 1000)


def damo_time_ms(value: str | float) -> int:
    """Whole milliseconds of a time whose bare number is in ms; fractions are cut off."""
    return int(damo_time_ns(value, "ms") / 10**6)


def damo_ratio(value: str | float, per: int) -> Fraction:
    """A share in parts per `per`, exactly: ``"5%"`` is 50 of 1000; a bare number is in those parts.

    Raises
    ------
    BadText
        If it is no share.
    """
    wanted = f'a share such as "5%" or a bare number of 1/{per}'
    number, unit = _damo_split(value, wanted)
    if unit not in ("", "%"):
        raise BadText(f"got {_shown(value)}, expected {wanted}")
    return number * per / 100 if unit == "%" else number


def damo_percent(value: str | float) -> Fraction:
    """Percent, exactly; a bare ``0.05`` is 0.05 percent. ``max`` is 2**64 - 1."""
    return damo_ratio(value, 100)


def damo_permil(value: str | float) -> int:
    """Parts per thousand, rounded half up: ``"50%"`` and ``500`` are 500."""
    return math.floor(damo_ratio(value, 1000) + Fraction(1, 2))


def damo_bp(value: str | float) -> int:
    """Basis points, rounded half up where damo cuts off: ``"0.29%"`` is 29."""
    return math.floor(damo_ratio(value, 10_000) + Fraction(1, 2))


def damo_bool(value: str | bool) -> bool:
    """A truth value: Y/N, yes/no, true/false in any case.

    Raises
    ------
    BadText
        If it is none of these.
    """
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else ""
    if word not in ("y", "yes", "true", "n", "no", "false"):
        raise BadText(f"got {_shown(value)}, expected Y or N")
    return word in ("y", "yes", "true")


def format_damo_time(time_ns: int | Fraction, space: str = " ") -> str:
    """A time as damo reads it back without loss: ``"100 ms"``."""
    for unit in ("s", "ms", "us"):
        if time_ns and time_ns % _DAMO_TIMES[unit] == 0:
            return f"{time_ns // _DAMO_TIMES[unit]}{space}{unit}"
    return f"{format_decimal(Fraction(time_ns))}{space}ns"


def format_damo_share(parts: int | Fraction, per: int, space: str = " ") -> str:
    """A share of `parts` per `per` as damo reads it back without loss: ``"0.1 %"``."""
    return f"{format_decimal(Fraction(parts) * 100 / per)}{space}%"


def format_decimal(number: Fraction) -> str:
    """All decimal digits of a fraction that has finitely many."""
    digits = 0
    while (number * 10**digits).denominator != 1:
        digits += 1
    whole = str(int(number * 10**digits)).rjust(digits + 1, "0")
    return f"{whole[:-digits]}.{whole[-digits:]}" if digits else whole


def _damo_split(value: str | float, wanted: str) -> tuple[Fraction, str]:
    if not isinstance(value, str):
        return _number(value, wanted), ""
    text = value.strip()
    if text in ("min", "max"):
        return Fraction(0 if text == "min" else ULONG_MAX), ""
    match = _DAMO_QUANTITY.fullmatch(text)
    if not match:
        hexadecimal = re.fullmatch(r"0[xX][0-9a-fA-F]+", text)
        hint = f"there is no hexadecimal: write {int(text, 16)}" if hexadecimal else ""
        raise BadText(f"got {_shown(value)}, expected {wanted}", hint)
    return _plain(match[1]), match[2]


def _plain(digits: str) -> Fraction:
    return Fraction(digits.replace(",", ""))
