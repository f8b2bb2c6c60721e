"""Monitoring targets while they run."""

from __future__ import annotations

from numasim.damon.regions import Regions
from numasim.damon.spec import Target


class TargetState:
    """One target of a running context.

    Attributes
    ----------
    spec : Target
        Description in force.
    regions : Regions
        What DAMON believes about it.
    """

    def __init__(self, spec: Target) -> None:
        self.spec = spec
        self.regions = Regions()
