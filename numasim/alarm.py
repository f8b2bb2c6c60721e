"""One alarm for things that know their next instant, and may change their mind before it comes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


class Alarm:
    """Rings at the earliest instant asked for, and sets itself anew after every ring.

    Parameters
    ----------
    clock : callable
        The instant now, ns.
    sleep : callable
        An event after so many ns.
    next_ns : callable
        The next instant wanted now; infinite if there is none.
    ring : callable
        What to do then.

    Notes
    -----
    An earlier instant replaces a later one; the replaced event passes without effect, so that
    nothing has to be taken out of the queue.
    """

    def __init__(
        self,
        clock: Callable[[], int],
        sleep: Callable[[int], Any],
        next_ns: Callable[[], float],
        ring: Callable[[], None],
    ) -> None:
        self._clock, self._sleep, self._next_ns, self._do = clock, sleep, next_ns, ring
        self._at_ns = math.inf

    def set(self) -> None:
        """Ask for the next instant; call after anything that may have changed it."""
        now, at = self._clock(), self._next_ns()
        if at == math.inf or (at := max(math.ceil(at), now + 1)) >= self._at_ns:
            return  # the one that is set rings first and sets the next one
        self._at_ns = at
        self._sleep(int(at) - now).callbacks.append(self._ring)

    def _ring(self, _: Any) -> None:
        now = self._clock()
        if now != self._at_ns:
            return  # an earlier one was set meanwhile
        self._at_ns = math.inf
        if now >= self._next_ns():
            self._do()
        self.set()
