"""How much migration may have been for nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.result import Result


@dataclass(frozen=True)
class Waste:
    """Migration that went both ways, or came to nothing.

    Parameters
    ----------
    moved_bytes : float
        All that was migrated.
    both_ways_bytes : float
        At most so much of it was undone: what moved one way between two nodes and what moved the
        other way, of the same mapping while no actor changed its phase, both counted.
    refused_bytes : float
        What was tried and found no room.
    """

    moved_bytes: float
    both_ways_bytes: float
    refused_bytes: float


def waste(result: Result) -> Waste:
    """What was moved there and back within a phase, at most.

    Notes
    -----
    Assumption: ours. Moves are recorded by mapping, not by page. Where hot pages of a mapping
    change places with cold ones of the same mapping both ways are useful, so this is a bound from
    above. Across a change of phase nothing counts: what was right then may be wrong now.
    """
    moves = result.moves
    refused = float(result.failed_moves.bytes.sum()) if len(result.failed_moves) else 0.0
    if not len(moves):
        return Waste(0.0, 0.0, refused)
    bounds = np.unique(result.phases.began_s.to_numpy(float))
    turn = np.searchsorted(bounds, moves.t_s.to_numpy(float), "right")
    ends = list(zip(moves.source, moves.target, strict=True))
    rows = moves.assign(
        turn=turn, low=[min(e) for e in ends], high=[max(e) for e in ends],
        up=[e[0] < e[1] for e in ends],
    )  # fmt: skip
    keys = ["process", "mapping", "low", "high", "turn"]
    total = rows.groupby([*keys, "up"]).bytes.sum().unstack("up", fill_value=0)
    both = 0.0
    if {True, False} <= set(total.columns):
        both = float(2 * np.minimum(total[True], total[False]).sum())
    return Waste(float(moves.bytes.sum()), both, refused)
