"""Settings that the kernel would take for something else: refused rather than rounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from numasim.errors import Problem
from numasim.units import Ratio, format_bytes, format_duration

MS = 1_000_000
PAGE_BYTES = 4096

Hot = Annotated[Ratio, Field(gt=0)]
"""Share of samples from which memory is hot: one sample at least, as none is what all has."""


def check_quota(policy: Any) -> Iterator[Problem]:
    """A quota of size that moves nothing, or of zero, which means that there is none.

    Parameters
    ----------
    policy : Policy
        With a `quota`, bytes.
    """
    if policy.quota < PAGE_BYTES:
        message = f"got {format_bytes(policy.quota)}, expected a page or more"
        yield Problem("quota", message, 'use "4 KiB" at least; to the kernel 0 means no limit')


def check_interval(policy: Any) -> Iterator[Problem]:
    """A quota window (`interval`, ns) that is none of whole milliseconds."""
    yield from whole_ms("interval", policy.interval, "the kernel counts quota windows in them")


def check_weights(policy: Any) -> Iterator[Problem]:
    """Priority weights (`weights`, permil) below zero."""
    if min(policy.weights) < 0:
        message = f"got {list(policy.weights)}, expected 0 or more each"
        yield Problem("weights", message, "0 leaves one out: [1, 1, 1] takes all alike")


def whole_ms(place: str, value_ns: int, why: str) -> Iterator[Problem]:
    """A duration that milliseconds cannot say, or nothing at all.

    Parameters
    ----------
    place : str
    value_ns : int
    why : str
        Who wants milliseconds.
    """
    if value_ns < MS or value_ns % MS:
        message = f"got {format_duration(value_ns)}, expected whole milliseconds, 1 ms or more"
        yield Problem(place, message, why)
