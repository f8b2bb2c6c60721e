"""One number of several policies, a bar for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from numasim.report.page.charts import Trace, brief, safe
from numasim.report.page.content import Chart
from numasim.report.style import POLICIES


def bars(heading: str, values: Mapping[str, float], told: Callable[[float], str]) -> Chart:
    """A chart of one number, the first policy on top.

    Parameters
    ----------
    heading : str
    values : mapping of str to float
        By policy; NaN where there is none.
    told : callable
        Writes a value.
    """
    means = list(values.values())
    at = list(range(len(means)))[::-1]
    known = [m if math.isfinite(m) else None for m in means]
    trace: Trace = {
        "type": "bar", "orientation": "h", "x": known, "y": at, "showlegend": False,
        "marker": {"color": [f"@{POLICIES[i % len(POLICIES)]}" for i in range(len(means))]},
        "text": [safe(told(m)) for m in means], "textposition": "outside",
        "hovertemplate": "%{text}<extra></extra>", "cliponaxis": False,
        "outsidetextfont": {"color": "@ink"},
    }  # fmt: skip
    room = 1.3 * max((v for v in known if v is not None), default=1.0)  # for the numbers
    made = {
        "xaxis": {"range": [0, room or 1.0], "showticklabels": False, "showgrid": False,
                  "ticks": ""},
        "yaxis": {"tickvals": at, "ticktext": [brief(policy) for policy in values],
                  "showgrid": False, "zeroline": False, "fixedrange": True},
        "hovermode": "closest", "bargap": 0.25,
    }  # fmt: skip
    height = 40 + 30 * max(2, len(means))
    return Chart(heading, {"data": [trace], "layout": made}, half=True, height=height)
