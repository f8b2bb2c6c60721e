"""The kernel's integer arithmetic: alignment by mask, and a fraction that overflows as it does."""

from __future__ import annotations

U32 = 2**32 - 1
U64 = 2**64 - 1
INT64_MAX = 2**63 - 1  # our arrays are int64; larger bounds mean "no bound"


def align_down(x: int, a: int) -> int:
    """The multiple of `a` at or below `x`; a mask, so `a` ought to be a power of two."""
    return x & ~(a - 1)


def align_up(x: int, a: int) -> int:
    """The multiple of `a` at or above `x`."""
    return (x + a - 1) & ~(a - 1) & U64


def mult_frac(x: int, n: int, d: int, mask: int = U64) -> int:
    """``x * n / d``, truncated, as a C type of the given width computes it.

    Parameters
    ----------
    x, n, d : int
        Value, numerator, denominator; non-negative, `d` not 0.
    mask : int
        `U64` or `U32`: the width in which the remainder's product wraps around.

    Notes
    -----
    Source: DAMON core specification, section 0 (Linux 7.3.4).
    """
    quotient, remainder = divmod(x, d)
    return (quotient * n + ((remainder * n) & mask) // d) & mask
