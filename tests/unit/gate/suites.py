"""A small suite for tests of gates, whose policy can be made worse; all numbers are made up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from pydantic.dataclasses import dataclass

from numasim.damon.spec import Kdamond
from numasim.gate.suite import Suite, read_suite
from numasim.policies import STRICT, Policy, registry
from numasim.policy_data import parse_damo
from numasim.topology import Topology
from tests.worlds import document

DAMO = """damo start
--numa_node 0 --monitoring_intervals 1ms 20ms 1s --damos_action migrate_cold 1
--damos_access_rate 0% 0% --damos_apply_interval 20ms --damos_quota_interval 20ms
--damos_quota_space {quota} --damos_quota_goal node_mem_free_bp 10% 0
--numa_node 1 --monitoring_intervals 1ms 20ms 1s --damos_action migrate_hot 0
--damos_access_rate 30% max --damos_apply_interval 20ms --damos_quota_interval 20ms
--damos_quota_space {quota} --damos_nr_quota_goals 1 0 --nr_targets 1 1 --nr_schemes 1 1
--nr_ctxs 1 1"""
QUOTA = "1MB"
"""What the policy moves in 20 ms."""
WORSE = "620KB"
"""So little that throughput falls by some 2 %: the hot set takes longer to arrive."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Gated(Policy):
    """Fixed thresholds, under the module's quota."""

    def kdamonds(self, topology: Topology) -> tuple[Kdamond, ...]:
        """One down and one up."""
        command = DAMO.format(quota=QUOTA).replace("\n", " ")
        return parse_damo(command, topology).kdamonds


@contextmanager
def known() -> Iterator[None]:
    """The policy is registered for a while."""
    registry.names()  # loads what is shipped, or it would be forgotten with the rest
    with mock.patch.dict(registry._known):
        registry.register("gated")(Gated)
        yield


@contextmanager
def injected(quota: str = WORSE) -> Iterator[None]:
    """The policy is worse for a while."""
    with mock.patch(f"{__name__}.QUOTA", quota):
        yield


def plain(policy: Any = "gated", **more: Any) -> dict[str, Any]:
    """One experiment of a few seeds."""
    shared = document(duration="2 s", record="1 s")
    return {
        "name": "small", **shared, "seeds": 8, "baseline_seeds": 40, "false_alarm": "0.1 %",
        "metrics": {"throughput_ops_per_s": "0.4 %"},
        "experiments": [{"name": "tiering", "policy": policy}], **more,
    }  # fmt: skip


def quick(**more: Any) -> dict[str, Any]:
    """Runs of some milliseconds: nothing moves."""
    return plain("no_tiering", **{"duration": "1 s", "seeds": 5, "baseline_seeds": 6, **more})


def read(**more: Any) -> Suite:
    """The suite of `plain`."""
    return read_suite(plain(**more))
