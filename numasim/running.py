"""Run a scenario: the call behind ``ns.run`` and the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numasim.engine import Engine
from numasim.loader import load_scenario
from numasim.provenance import provenance
from numasim.result import Result
from numasim.scenario import Scenario


def run_scenario(
    scenario: Scenario,
    on_progress: Callable[[float], None] | None = None,
    on_start: Callable[[Engine], None] | None = None,
) -> Result:
    """Run one scenario to its end.

    Parameters
    ----------
    scenario : Scenario
    on_progress : callable, optional
        Called with the share that is done.
    on_start : callable, optional
        Called with the engine before it runs; who keeps it may look, not touch.

    Raises
    ------
    SimulationError
    """
    engine = Engine(scenario, on_progress)
    if on_start is not None:
        on_start(engine)
    return Result.of(engine.run().tables, provenance(scenario))


def run(
    topology: Any,
    workload: Any,
    policy: Any = "no_tiering",
    *,
    duration: str = "60 s",
    seed: int = 1,
    events: Sequence[Mapping[str, Any]] = (),
    set: Sequence[str] = (),
    **more: Any,
) -> Result:
    """Simulate a workload on a machine under a policy.

    Parameters
    ----------
    topology, workload : str or mapping
        Name of a shipped one, path of a file, or plain data.
    policy : str or mapping
        Registered name, damo command (``"damo start …"``), kdamonds file, or plain data.
    duration : str
        Simulated time, such as ``"300 s"``.
    seed : int
    events : sequence of mapping
        Timed events, as in a scenario file.
    set : sequence of str
        ``"workload.KEY=VALUE"`` or ``"policy.KEY=VALUE"``; ``"KEY=VALUE"`` where only one has it.

    Returns
    -------
    Result

    Raises
    ------
    ConfigError, SimulationError

    Examples
    --------
    >>> import numasim as ns
    >>> result = ns.run("dram_cxl", "cold_first", "tpp_damon", duration="60 s")
    >>> sorted(result.tables)[:3]
    ['actors', 'events', 'failed_moves']
    """
    document = {
        "topology": topology,
        "workload": workload,
        "duration": duration,
        "seed": seed,
        **more,
    }
    if events:
        document["events"] = list(events)
    return run_scenario(load_scenario(document, policy=policy, overrides=set))
