"""Choosing between numpy and compiled kernels (``pip install numasim[fast]``, Numba).

Both give the same bits, so the choice is about time alone. Numba takes half a second to come up
(once on a machine: some more to compile), which a short run would never earn back: kernels are
fetched once a process has walked `WORTH_REGIONS`. The environment variable ``NUMASIM_COMPILED``
decides otherwise: ``0`` never, ``1`` from the first region on.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

WORTH_REGIONS = 1_000_000
"""Regions walked in numpy before Numba is asked for: about what its start costs."""
SWITCH = "NUMASIM_COMPILED"


class Kernels:
    """The compiled kernels, once they are worth it.

    Parameters
    ----------
    switch : str or None
        ``"0"`` for never, ``"1"`` for at once, None for when it pays.
    """

    def __init__(self, switch: str | None = None) -> None:
        self.decide(switch)

    def decide(self, switch: str | None) -> None:
        """Begin anew, with that switch."""
        self._walked = WORTH_REGIONS if switch == "1" else 0
        self._module: Any = None
        self._settled = switch == "0"

    def after(self, nr_regions: int) -> Any:
        """The module of kernels, or None for numpy; `nr_regions` are about to be walked."""
        if not self._settled:
            self._walked += nr_regions
            if self._walked >= WORTH_REGIONS:
                self._settled, self._module = True, load()
        return self._module

    @property
    def ready(self) -> Any:
        """The module of kernels if they are in use, else None."""
        return self.after(0)


def load() -> Any:
    """The module of compiled kernels; None where Numba is absent, broken, or cannot cache."""
    if find_spec("numba") is None:
        return None
    try:  # late on purpose: see above
        return import_module("numasim.damon.jitted")
    except (ImportError, RuntimeError):
        # a Numba that does not go with this numpy; or no folder to cache in, and then compiling
        # anew in every process is not worth it
        return None


KERNELS = Kernels(os.environ.get(SWITCH))
