"""Linux's memory policies for all programs, as numactl sets them: first touch decides for good.

Each stands in for whatever policies the workload gives its mappings; `no_tiering` leaves those as
they are. What moves pages later is another policy's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.errors import Problem
from numasim.interleaving import Rule, weights_on
from numasim.mapping import BASE_PAGE_BYTES, Mapping, Mempolicy
from numasim.policies import STRICT, Policy, register
from numasim.topology import Topology
from numasim.wholes import checked

Node = str | int
Weight = Annotated[int, Field(ge=1, le=255)]
TOUCHER = "by the accessor that touches first"


@register("first_touch")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class FirstTouch(Policy):
    """Every page goes to the nearest node of who touches it first, whatever the program asked for.

    Notes
    -----
    Where a node has no room, the next by distance serves. Source: Linux's default memory policy
    (policies specification, section 1).
    """

    multi_accessor: ClassVar[str] = TOUCHER

    def mempolicy(self, topology: Topology, mapping: Mapping) -> Mempolicy:
        return Mempolicy()


@register("bind")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Bind(Policy):
    """Only these nodes, the nearest first; the machine is out of memory when they are full.

    Parameters
    ----------
    nodes : tuple of str or int
        Names or numbers.

    Notes
    -----
    Source: Linux's MPOL_BIND (policies specification, section 1).
    """

    nodes: Annotated[tuple[Node, ...], Field(min_length=1)] = (0,)

    multi_accessor: ClassVar[str] = TOUCHER

    def mempolicy(self, topology: Topology, mapping: Mapping) -> Mempolicy:
        return Mempolicy(mode="bind", nodes=_known(topology, self.nodes))


@register("preferred")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Preferred(Policy):
    """One node first; then its neighbours by distance.

    Parameters
    ----------
    node : str or int
        Name or number.

    Notes
    -----
    Source: Linux's MPOL_PREFERRED (policies specification, section 1).
    """

    node: Node = 0

    def mempolicy(self, topology: Topology, mapping: Mapping) -> Mempolicy:
        return Mempolicy(mode="preferred", nodes=_known(topology, (self.node,)))


@register("preferred_many")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class PreferredMany(Policy):
    """These nodes down to their last page, the nearest first; then all others by distance.

    Parameters
    ----------
    nodes : tuple of str or int
        Names or numbers.

    Notes
    -----
    Source: Linux's MPOL_PREFERRED_MANY (policies specification, section 1).
    """

    nodes: Annotated[tuple[Node, ...], Field(min_length=1)] = (0,)

    multi_accessor: ClassVar[str] = TOUCHER

    def mempolicy(self, topology: Topology, mapping: Mapping) -> Mempolicy:
        return Mempolicy(mode="preferred_many", nodes=_known(topology, self.nodes))


@register("interleave")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Interleave(Policy):
    """Page by page over the nodes in turn.

    Parameters
    ----------
    nodes : tuple of str or int
        Names or numbers, in this order; all nodes if empty.

    Notes
    -----
    Source: Linux's MPOL_INTERLEAVE of a mapping (policies specification, section 1).
    """

    nodes: tuple[Node, ...] = ()

    bandwidth_aware: ClassVar[str] = "equal split"

    def mempolicy(self, topology: Topology, mapping: Mapping) -> Mempolicy:
        return Mempolicy(mode="interleave", nodes=_known(topology, self.nodes))


@register("weighted_interleave")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class WeightedInterleave(Policy):
    """So many pages to each node in turn; weights from bandwidth if none are given.

    Parameters
    ----------
    nodes : tuple of str or int
        Names or numbers, in this order; all nodes if empty.
    weights : tuple of int
        One for each node, 1 to 255; from bandwidth if empty, see `rule`.
    rule : str
        How bandwidths become small whole numbers: as the ``kernel`` tunes them (shares of 32), or
        as HMSDK's ``bwactl`` (halved until none is above 10). See `numasim.interleaving`.
    accessor : int
        Whose bandwidth to the nodes counts.

    Notes
    -----
    Source: Linux's MPOL_WEIGHTED_INTERLEAVE since v6.9 and its auto-tuned weights; HMSDK's
    bandwidth expansion (policies specification, section 1).
    """

    nodes: tuple[Node, ...] = ()
    weights: tuple[Weight, ...] = ()
    rule: Rule = "kernel"
    accessor: Annotated[int, Field(ge=0)] = 0

    bandwidth_aware: ClassVar[str] = "fixed weights"

    def _check_weights(self) -> Iterator[Problem]:
        if self.weights and len(self.weights) != len(self.nodes):
            message = f"got {len(self.weights)} for {len(self.nodes)} nodes, expected one each"
            yield Problem("weights", message, "name the nodes" if not self.nodes else "")

    checks: ClassVar = (_check_weights,)
    _checked = model_validator(mode="after")(checked)

    def mempolicy(self, topology: Topology, mapping: Mapping) -> Mempolicy:
        nodes = _known(topology, self.nodes or range(len(topology.nodes)))
        weights = self.weights or weights_on(topology, self.accessor, nodes, self.rule)
        return Mempolicy(mode="weighted_interleave", nodes=nodes, weights=weights)

    def remark(self, topology: Topology) -> str:
        made = self.mempolicy(topology, Mapping(name="any", size=BASE_PAGE_BYTES))
        pairs = zip(made.nodes, made.weights, strict=True)
        return "weights: " + ", ".join(f"{topology.nodes[int(n)].name} {w}" for n, w in pairs)


def _known(topology: Topology, nodes: tuple[Node, ...] | range) -> tuple[int, ...]:
    """Numbers of nodes, all of which the machine has.

    Raises
    ------
    ConfigError
    """
    return tuple(topology.node_id(node) for node in nodes)
