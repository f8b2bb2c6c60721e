"""Pictures of runs and comparisons. Alone in importing matplotlib.

Each function takes a result or a comparison and gives a `matplotlib.figure.Figure`, which a
notebook shows as it is; `write_run` and `write_comparison` put all of them into a folder.
"""

from numasim.report.flows import migration_rate
from numasim.report.heatmap import heatmap
from numasim.report.kdamonds import intervals, monitoring_error
from numasim.report.occupancy import occupancy
from numasim.report.overview import comparison_overview
from numasim.report.quota import effective_quota
from numasim.report.speed import throughput
from numasim.report.write import write_comparison, write_run

__all__ = [
    "comparison_overview",
    "effective_quota",
    "heatmap",
    "intervals",
    "migration_rate",
    "monitoring_error",
    "occupancy",
    "throughput",
    "write_comparison",
    "write_run",
]
