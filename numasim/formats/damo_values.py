"""Single values of a kdamonds tree: each reader gives the canonical form or says what is wrong.

What damo would cut, round or take for something else in silence is told to `warn`.
Source: damo 3.4.3.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from numasim import units
from numasim.damon import spec
from numasim.errors import did_you_mean
from numasim.formats.damo_tree import Leaf, Warn
from numasim.units import ULONG_MAX, BadText


def _bytes(raw: Any, warn: Warn) -> str:
    size = units.damo_bytes(raw)
    return "max" if size == ULONG_MAX else str(size)


def _time(native: str) -> Leaf:
    """A time the kernel keeps as a whole number of the native unit."""
    unit_ns = {"us": 10**3, "ms": 10**6}[native]

    def read(raw: Any, warn: Warn) -> str:
        whole, rest = divmod(units.damo_time_ns(raw, native), unit_ns)
        if rest:
            warn(f"{raw} is no whole number of {native} and is cut to {whole} {native}")
        return "max" if whole == ULONG_MAX else units.format_damo_time(whole * unit_ns)

    return Leaf(read)


def _age(raw: Any, warn: Warn) -> str:
    """A time, kept exactly since it is divided later, or a number of aggregation intervals."""
    count = _suffixed(raw, "aggr_intervals")
    if count is not None:
        return f"{min(count, spec.UINT_MAX)} aggr_intervals"
    time_ns = units.damo_time_ns(raw, "us")
    return "max" if time_ns == ULONG_MAX * 1000 else units.format_damo_time(time_ns)


def _access_rate(raw: Any, warn: Warn) -> str:
    """Percent of the samples of an aggregation interval, kept exactly, or a number of samples."""
    count = _suffixed(raw, "samples")
    if count is not None:
        return f"{min(count, spec.UINT_MAX)} samples"
    percent = _share(raw, 100, warn)
    return "max" if percent == ULONG_MAX else units.format_damo_share(percent, 100)


def _share_of(per: int) -> Leaf:
    """A share the kernel keeps as a whole number of parts; the nearest one is taken."""

    def read(raw: Any, warn: Warn) -> str:
        return units.format_damo_share(whole_parts(raw, per, warn), per)

    return Leaf(read)


def read_count(raw: Any, warn: Warn) -> int | str:
    """A whole number; ``"max"`` for the largest."""
    number = units.damo_number(raw)
    if number.denominator != 1:
        warn(f"{raw} is no whole number and is cut to {int(number)}")
    return "max" if number == ULONG_MAX else int(number)


def _node(raw: Any, warn: Warn) -> int | None:
    """A node id; -1 is how the kernel says none."""
    if raw in (-1, "-1"):
        return None
    number = units.damo_number(raw, "a node id such as 0")
    if number.denominator != 1 or number > 2**31:
        raise BadText(f'got "{raw}", expected a node id such as 0')
    return int(number)


def _pid(raw: Any, warn: Warn) -> int:
    number = units.damo_number(raw, "a process id such as 4242")
    if number.denominator != 1:
        raise BadText(f'got "{raw}", expected a process id such as 4242')
    return int(number)


def _bool(raw: Any, warn: Warn) -> bool:
    return units.damo_bool(raw)


def _text(raw: Any, warn: Warn) -> str:
    if not isinstance(raw, str):
        raise BadText(f"got {raw}, expected text")
    return str(raw)


def _raw(raw: Any, warn: Warn) -> Any:
    return raw


def _cpumask(raw: Any, warn: Warn) -> str:
    units.parse_cpulist(raw)
    return str(raw).replace(" ", "")


LAST_TID = (1 << 31) - 1  # a signed int of the kernel


def _threads(raw: Any, warn: Warn) -> str:
    words = raw if isinstance(raw, list | tuple) else str(raw).split(",")
    try:
        numbers = [int(units.damo_number(word)) for word in words]
        if max(numbers, default=0) > LAST_TID:
            raise BadText(f"expected at most {LAST_TID}")
        return ",".join(str(number) for number in numbers)
    except BadText as error:
        raise BadText(f'got "{raw}", expected thread ids such as "777,888"') from error


def one_of(words: tuple[str, ...], what: str, other: dict[str, str] | None = None) -> Leaf:
    """A leaf that takes one of some words; `other` spellings are taken for theirs."""

    def read(raw: Any, warn: Warn) -> str:
        word = (other or {}).get(str(raw), str(raw))
        if word not in words:
            raise BadText(f'got "{raw}", expected {what}', did_you_mean(word, words))
        return word

    return Leaf(read)


def _suffixed(raw: Any, unit: str) -> int | None:
    """The count before a DAMON unit (``"3 samples"``); None for other forms."""
    if not isinstance(raw, str) or not raw.rstrip().endswith(unit):
        return None
    return units.damo_count(raw.rstrip().removesuffix(unit))


def _share(raw: Any, per: int, warn: Warn) -> Fraction:
    share = units.damo_ratio(raw, per)
    if 0 < share < 1 and "%" not in str(raw):
        unit = {100: "percent", 1000: "permil", 10_000: "basis points"}[per]
        warn(f"a bare {raw} is {raw} {unit}; a percent sign was perhaps meant")
    return share


def whole_parts(raw: Any, per: int, warn: Warn) -> int:
    """A share in whole parts of ``1/per``, rounded."""
    share = _share(raw, per, warn)
    parts = int(share + Fraction(1, 2))
    if share != parts:
        warn(f"{raw} is no whole number of 1/{per} and is rounded to {parts}/{per}")
    return parts


BYTES, COUNT, BOOL, TEXT = Leaf(_bytes), Leaf(read_count), Leaf(_bool), Leaf(_text)
ANYTHING, PID, CPUMASK, THREADS = Leaf(_raw), Leaf(_pid), Leaf(_cpumask), Leaf(_threads)
NODE, RATE, AGE = Leaf(_node), Leaf(_access_rate), Leaf(_age)
TIME_US, TIME_MS, PERMIL, BP = _time("us"), _time("ms"), _share_of(1000), _share_of(10_000)
