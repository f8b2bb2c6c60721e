"""damo's dialect: every size suffix is binary, a bare number is in the option's native unit.

Source: damo 3.4.3.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from numasim.units.numbers import BadText, read_number, shown

ULONG_MAX = 2**64 - 1

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
        raise BadText(f"got {shown(value)}, expected {wanted}")
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
        raise BadText(f"got {shown(value)}, expected {wanted}", hint)
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
    pairs = list(_DAMO_QUANTITY.finditer(value)) if isinstance(value, str) else []
    if len(pairs) > 1:
        known = all(pair[2] in _DAMO_TIMES for pair in pairs)
        if not known or _DAMO_QUANTITY.sub("", str(value)).strip():
            raise BadText(f"got {shown(value)}, expected {wanted}")
        time_ns = sum((_plain(pair[1]) * _DAMO_TIMES[pair[2]] for pair in pairs), Fraction(0))
    else:
        number, unit = _damo_split(value, wanted)
        if unit and unit not in _DAMO_TIMES:
            raise BadText(f"got {shown(value)}, expected {wanted}", "units: ns us ms s m h d")
        time_ns = number * (_DAMO_TIMES[unit] if unit else unit_ns)
    if time_ns > ULONG_MAX * unit_ns:
        raise BadText(f"got {shown(value)}, expected {wanted}", f'the longest is "max" ({native})')
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
        raise BadText(f"got {shown(value)}, expected {wanted}")
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
        raise BadText(f"got {shown(value)}, expected Y or N")
    return word in ("y", "yes", "true")


def format_damo_time(time_ns: int | Fraction, space: str = " ") -> str:
    """A time as damo reads it back without loss: ``"100 ms"``."""
    for unit in ("s", "ms", "us"):
        if time_ns and time_ns % _DAMO_TIMES[unit] == 0:
            return f"{time_ns // _DAMO_TIMES[unit]}{space}{unit}"
    return f"{format_decimal(Fraction(time_ns))}{space}ns"


def format_damo_share(parts: int | Fraction, per: int, space: str = " ") -> str:
    """A share of `parts` per `per` as damo reads it back without loss: ``"0.1 %"``.

    Bare parts where damo, which multiplies a percentage in floating point and cuts off, would lose
    one: 29 basis points are ``"29"``, as ``"0.29 %"`` would become 28.
    """
    percent = format_decimal(Fraction(parts) * 100 / per)
    lost = per > 100 and int(float(percent) * (per // 100)) != parts
    return str(parts) if lost else f"{percent}{space}%"


def format_decimal(number: Fraction) -> str:
    """All decimal digits of a fraction that has finitely many."""
    digits = 0
    while (number * 10**digits).denominator != 1:
        digits += 1
    whole = str(int(number * 10**digits)).rjust(digits + 1, "0")
    return f"{whole[:-digits]}.{whole[-digits:]}" if digits else whole


def _damo_split(value: str | float, wanted: str) -> tuple[Fraction, str]:
    if not isinstance(value, str):
        return read_number(value, wanted), ""
    text = value.strip()
    if text in ("min", "max"):
        return Fraction(0 if text == "min" else ULONG_MAX), ""
    match = _DAMO_QUANTITY.fullmatch(text)
    if not match:
        hexadecimal = re.fullmatch(r"0[xX][0-9a-fA-F]+", text)
        hint = f"there is no hexadecimal: write {int(text, 16)}" if hexadecimal else ""
        raise BadText(f"got {shown(value)}, expected {wanted}", hint)
    return _plain(match[1]), match[2]


def _plain(digits: str) -> Fraction:
    return Fraction(digits.replace(",", ""))
