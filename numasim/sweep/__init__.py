"""From one run to thousands: plans, workers, a dataset, and what it says about policies.

`reading` makes a `Plan` of a file, `sweeping` carries it out on `lanes` (processes of this machine)
or a `cluster`, `store` keeps what is finished, `ranking` and `until` say what it means.
"""

from numasim.sweep.plan import Limits, Plan, Point
from numasim.sweep.reading import read_plan
from numasim.sweep.store import DiskFull, read_runs
from numasim.sweep.sweeping import Progress, Sweep, sweep

__all__ = [
    "DiskFull",
    "Limits",
    "Plan",
    "Point",
    "Progress",
    "Sweep",
    "read_plan",
    "read_runs",
    "sweep",
]
