"""What is measured of a run, recorded or simulated alike.

Each module yields `Measured` values by name; which names there are follows from the recording:
its programs, kdamonds, schemes, phases and tables, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from numasim.validate.metrics.case import Case, Measured, case
from numasim.validate.metrics.monitoring import monitoring
from numasim.validate.metrics.placement import placement
from numasim.validate.metrics.quotas import quotas
from numasim.validate.metrics.tuning import tuning
from numasim.validate.observed import Observed

__all__ = ["Case", "Measured", "case", "measure"]


def measure(case: Case, seen: Observed) -> dict[str, Measured]:
    """Every metric of a run that the recording allows, by name."""
    return {one.name: one for one in _all(case, seen)}


def _all(case: Case, seen: Observed) -> Iterator[Measured]:
    for part in (monitoring, tuning, quotas, placement):
        yield from part(case, seen)
