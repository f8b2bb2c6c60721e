"""numasim: what memory tiering does on many-accessor machines, in a minute on a laptop.

>>> import numasim as ns
>>> result = ns.run("dram_cxl", "cold_first", "tpp_damon", duration="60 s")  # doctest: +SKIP
>>> result.summary()  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numasim.comparing import compare
    from numasim.comparison import Comparison
    from numasim.errors import ConfigError, NumasimError, SimulationError
    from numasim.loader import load_scenario, load_topology, load_workload
    from numasim.policies import Policy
    from numasim.result import Result
    from numasim.running import run, run_scenario
    from numasim.scenario import Scenario
    from numasim.topology import Topology
    from numasim.workload import Workload

__version__ = "0.1.0"

# public name → module; imported on first use, so that `numasim --help` stays quick
_WHERE = {
    "Comparison": "comparison",
    "ConfigError": "errors",
    "NumasimError": "errors",
    "Policy": "policies",
    "Result": "result",
    "Scenario": "scenario",
    "SimulationError": "errors",
    "Topology": "topology",
    "Workload": "workload",
    "compare": "comparing",
    "load_scenario": "loader",
    "load_topology": "loader",
    "load_workload": "loader",
    "run": "running",
    "run_scenario": "running",
}
__all__ = [
    "Comparison",
    "ConfigError",
    "NumasimError",
    "Policy",
    "Result",
    "Scenario",
    "SimulationError",
    "Topology",
    "Workload",
    "compare",
    "load_scenario",
    "load_topology",
    "load_workload",
    "run",
    "run_scenario",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"numasim.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'numasim' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
