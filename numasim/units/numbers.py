"""What both dialects share: numbers that are not text, and the error for text that is none."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any


class BadText(ValueError):
    """Text that is no such quantity: what was found and expected, and perhaps a way out."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = message, hint
        super().__init__(f"{message}; {hint}" if hint else message)


def read_number(value: Any, wanted: str) -> Fraction:
    """A number that was not text, exactly as its decimal digits say."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Fraction(value)
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise BadText(f"got {shown(value)}, expected {wanted}")
    if not math.isfinite(value) or value < 0:
        raise BadText(f"got {shown(value)}, expected {wanted}")
    return Fraction(int(value)) if value == int(value) else Fraction(str(float(value)))


def shown(value: object) -> str:
    """A value as messages show it: text in quotes, no sections."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return f'"{value}"' if isinstance(value, str) else str(value)
