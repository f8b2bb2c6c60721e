"""Small whole weights for interleaving over nodes of unlike bandwidth.

A stream that is bound by bandwidth alone is fastest where every node serves its share of all
bandwidth, B_i / ΣB. Weights have to be small: a period of interleaving has as many pages as their
sum, and what is smaller than a period is not spread as wanted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from numasim.topology import Topology

WEIGHT_SUM = 32  # Linux: what the weights share out before common factors are taken away
BWACTL_MOST = 10
Rule = Literal["kernel", "bwactl"]


def bandwidth_weights(bandwidths: Sequence[float], rule: Rule = "kernel") -> tuple[int, ...]:
    """Interleave weights that follow bandwidths.

    Parameters
    ----------
    bandwidths : sequence of float
        Of each node, in any one unit; positive.
    rule : str
        ``kernel``: the node's share of `WEIGHT_SUM`, cut to a whole number, at least 1.
        ``bwactl``: all are halved until none is above `BWACTL_MOST`, then rounded, at least 1.
        Either way a common factor is taken away, as 1:2 spreads better than 16:32.

    Returns
    -------
    tuple of int

    Notes
    -----
    Source: Linux's auto-tuned weighted interleave (policies specification, section 1; the cut to 32
    shares from memory); HMSDK's bwactl tool (damo specification, section 6).

    Examples
    --------
    >>> bandwidth_weights([200, 100])
    (21, 10)
    >>> bandwidth_weights([72, 26], "bwactl")
    (3, 1)
    """
    if rule == "kernel":
        total = sum(bandwidths)
        found = [max(1, int(WEIGHT_SUM * one / total)) for one in bandwidths]
    else:
        halvings = max(0, math.ceil(math.log2(max(bandwidths) / BWACTL_MOST)))
        found = [max(1, round(one / 2**halvings)) for one in bandwidths]
    common = math.gcd(*found)
    return tuple(weight // common for weight in found)


def weights_on(
    topology: Topology, accessor: int, nodes: Sequence[int], rule: Rule = "kernel"
) -> tuple[int, ...]:
    """The same for nodes as one accessor reads them.

    Parameters
    ----------
    topology : Topology
    accessor : int
    nodes : sequence of int
    rule : str
    """
    peaks = topology.peak_bandwidth_bytes_per_ns[accessor]
    return bandwidth_weights([float(peaks[n]) for n in nodes], rule)
