"""What schemes acted upon, as records of their own: one for each scheme and target.

They are what ``damo report access --input tried_regions_of …`` shows of a running kernel. damo
shows every record of a file, so these lie in a file beside the monitoring results: together, each
region would be there twice. Source: damo 3.4.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from numasim.damon.spec import Context, Scheme
from numasim.formats.damo_record import STATS, contexts_of, intervals, region, sample_us_at
from numasim.formats.damo_specs import filter_tree
from numasim.result import Result


def tried(result: Result) -> list[dict[str, Any]]:
    """Records of what every scheme acted upon each time it was applied.

    Parameters
    ----------
    result : Result
        Of a scenario that kept all snapshots; of another one there is nothing to tell.

    Returns
    -------
    list of dict
        A snapshot for each application, with the scheme's statistics as they were after it.
    """
    found: list[dict[str, Any]] = []
    for name, context in contexts_of(result.scenario(), tuned=True).items():
        for number, scheme in enumerate(context.schemes):
            for record in _records(result, name, context, number, scheme):
                found.append({**record, "target_id": len(found)})
    return found


def _records(
    result: Result, kdamond: str, context: Context, number: int, scheme: Scheme
) -> Iterator[dict[str, Any]]:
    """Records of one scheme, one for each target that it acted upon."""
    applies, acts = (
        table[(table.kdamond == kdamond) & (table.scheme == number)]
        for table in (result.applies, result.acts)
    )
    if not len(applies):
        return
    ends_ns = _ns(applies.t_s)
    # an action keeps the kdamond, so acts of one application follow each other up to its end
    turn = np.searchsorted(ends_ns, _ns(acts.t_s), "left")
    sample_us = sample_us_at(result, kdamond, context.attrs, ends_ns)
    apply_us = scheme.apply_interval_us or context.attrs.aggr_us
    starts_ns = np.r_[max(0, int(ends_ns[0]) - 1000 * apply_us), ends_ns[:-1]]
    stats = applies[list(STATS)].to_dict("records")
    for target in sorted(acts.target.unique().tolist()):  # damo opens no record without a region
        here = (acts.target == target).to_numpy()
        own = dict(iter(acts[here].groupby(turn[here])))
        yield {
            "kdamond_idx": int(kdamond.rpartition(".")[2]),
            "context_idx": 0,
            "intervals": intervals(context.attrs),
            "scheme_idx": number,
            "scheme_filters": [filter_tree(one) for one in scheme.filters],
            "snapshots": [
                {
                    "start_time": str(begin),
                    "end_time": str(end),
                    **_regions(own.get(i, acts[:0]), context.addr_unit),
                    "damos_stats": {
                        **{str(key): int(value) for key, value in stats[i].items()},
                        "max_nr_snapshots": scheme.max_nr_snapshots,
                    },
                    "sample_interval_us": str(us),
                }
                for i, (begin, end, us) in enumerate(
                    zip(starts_ns.tolist(), ends_ns.tolist(), sample_us.tolist(), strict=True)
                )
            ],
            "data_source": "unknown",
        }


def _regions(acts: pd.DataFrame, unit: int) -> dict[str, Any]:
    """Regions of one application in address order, in bytes, and their size."""
    rows = acts.sort_values("start", kind="stable")
    columns = ("start", "end", "nr_accesses", "age", "passed_bytes")
    told = zip(*(rows[name].tolist() for name in columns), strict=True)
    return {
        "regions": [
            region(start * unit, end * unit, int(nr), int(age), int(passed) * unit)
            for start, end, nr, age, passed in told
        ],
        "total_bytes": str(int((rows.end - rows.start).sum()) * unit),
    }


def _ns(seconds: pd.Series) -> np.ndarray:
    """int64[N]: recorded seconds as the instants they were."""
    found: np.ndarray = np.rint(seconds.to_numpy(float) * 1e9).astype(np.int64)
    return found
