"""What makes a gate again: its suite as one document, and what it was made with."""

from __future__ import annotations

from typing import Any

from numasim import __version__
from numasim.gate.suite import SCENARIO_KEYS, Experiment, Metric, Suite
from numasim.provenance import provenance
from numasim.sweep.code import fingerprint
from numasim.units import format_bytes, format_duration, parse_bytes, parse_duration_ns


def document_of(suite: Suite) -> dict[str, Any]:
    """A suite that needs no other file: `read_suite` makes the same experiments of it.

    Parameters
    ----------
    suite : Suite
    """
    found: dict[str, Any] = {
        "name": suite.name,
        "seeds": suite.seeds,
        "baseline_seeds": suite.baseline_seeds,
        "false_alarm": suite.false_alarm,
        "notice": suite.notice,
        "limits": {"time": _duration(suite.limits.time_ns)},
    }
    if suite.limits.memory_bytes:
        found["limits"]["memory"] = _size(suite.limits.memory_bytes)
    return {**found, "experiments": [_experiment(each) for each in suite.experiments]}


def _duration(ns: int) -> str:
    short = format_duration(ns)
    return short if parse_duration_ns(short) == ns else f"{ns} ns"


def _size(nr_bytes: int) -> str:
    short = format_bytes(nr_bytes)
    return short if parse_bytes(short) == nr_bytes else f"{nr_bytes} B"


def _experiment(each: Experiment) -> dict[str, Any]:
    document = {k: v for k, v in each.scenario.document.items() if k in SCENARIO_KEYS}
    metrics = {metric.name: _metric(metric) for metric in each.metrics}
    return {"name": each.name, "metrics": metrics, **document}


def _metric(metric: Metric) -> dict[str, Any]:
    return {"relative" if metric.relative else "absolute": metric.within, "better": metric.better}


def made_with(suite: Suite) -> dict[str, Any]:
    """Versions and machine, and the hash of the simulator's source."""
    about = provenance(suite.experiments[0].scenario)
    versions = {**about["versions"], "numasim": __version__}
    return {"code": fingerprint(), "versions": versions, "platform": about["platform"]}
