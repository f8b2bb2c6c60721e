"""Results made by hand: what a run of any length, machine and policy might leave."""

from __future__ import annotations

import copy
import functools
import json

import numpy as np
import pandas as pd

from numasim.loader import load_scenario
from numasim.provenance import provenance
from numasim.result import COLUMNS, Result

GIB = 1 << 30
SNAPSHOT_ROWS = 12
PHASES = "hotA is hot", "hotB is hot"


def made(
    topology: str = "dram_cxl",
    policy: str | dict = "tpp_damon",
    span_s: float = 300.0,
    rows: int = 61,
    seed: int = 1,
    speed: float = 1.0,
) -> Result:
    """A result with plausible numbers in every table.

    Parameters
    ----------
    topology : str
    policy : str or dict
        ``no_tiering`` leaves the tables of DAMON and of migration empty.
    span_s : float
    rows : int
        Instants of the time series.
    seed : int
    speed : float
        Factor on the throughput.
    """
    made_once = _made(topology, json.dumps(policy), span_s, rows, seed, speed)
    tables = {name: table.copy() for name, table in made_once.tables.items()}
    return Result(tables, copy.deepcopy(made_once.provenance))


@functools.cache
def _made(topology: str, policy: str, span_s: float, rows: int, seed: int, speed: float) -> Result:
    document = {"topology": topology, "workload": "cold_first", "duration": "350 s", "seed": seed}
    scenario = load_scenario(document, policy=json.loads(policy))
    nodes = scenario.topology.nodes
    t = np.linspace(0, span_s, rows)
    tables = {name: pd.DataFrame(columns=wanted.split()) for name, wanted in COLUMNS.items()}
    tables["actors"] = _actors(t, speed * (1 + 0.01 * seed))
    tables["nodes"] = pd.concat([_node(t, node) for node in nodes])
    tables["residency"] = pd.concat(
        [_held(t, node, name) for node in nodes for name in ("cold", "hot")]
    )
    tables["truth"] = pd.concat([_truth(t, node.name) for node in nodes])
    tables["events"] = pd.DataFrame(
        [
            (0.0, "experimenter", "start", scenario.policy_name),
            (0.15 * span_s, "app", "populates", ""),
            (0.16 * span_s, "app/workers", f"phase {PHASES[0]}", ""),
            (0.6 * span_s, "app/workers", f"phase {PHASES[1]}", ""),
        ],
        columns=COLUMNS["events"].split(),
    )
    bounds = 0.16 * span_s, 0.6 * span_s, span_s
    tables["phases"] = pd.DataFrame(
        [
            ("app/workers", phase, began, ended, 1e7 * speed * (1 + 0.01 * seed) * (ended - began))
            for phase, began, ended in zip(PHASES, bounds[:-1], bounds[1:], strict=True)
        ],
        columns=COLUMNS["phases"].split(),
    )
    if scenario.policy_name != "no_tiering":
        tables |= _damon(t, scenario, seed)
    for name, table in tables.items():
        table = table.reset_index(drop=True)
        tables[name] = table[COLUMNS[name].split()]
    return Result(tables, provenance(scenario))


def _actors(t: np.ndarray, speed: float) -> pd.DataFrame:
    going = np.maximum(0, t - 0.16 * t[-1])
    share = np.where(going > 0, np.clip(going / t[-1], 0, 0.9), np.nan)
    rows = {
        "t_s": t,
        "actor": "app/workers",
        "phase": np.where(t < 0.6 * t[-1], *PHASES),
        "state": np.where(going > 0, "running", "waiting"),
        "operations": 1e7 * speed * going,
        "ops_per_s": np.where(going > 0, 1e7 * speed, 0.0),
        "lines": 5e7 * going,
        "local_lines": 5e7 * np.nancumsum(share) * t[1],
        "line_wait_ns": 5e7 * going * 200.0,
        "local_share": share,
        "best_local_share": np.where(going > 0, 0.99, np.nan),
    }
    return pd.DataFrame(rows).assign(op_mean_ns=700.0, op_p50_ns=690.0, op_p99_ns=1100.0)


def _node(t: np.ndarray, node: object) -> pd.DataFrame:
    size = node.capacity
    held = np.where(t > 0.15 * t[-1], int(0.6 * size), 0)
    return pd.DataFrame(
        {
            "t_s": t,
            "node": node.name,
            "free_bytes": size - held,
            "managed_bytes": size,
            "workload_bytes": held,
            "read_bytes": 1e9 * t,
            "written_bytes": 1e8 * t,
            "loaded_latency_ns": 120.0,
        }
    )


def _held(t: np.ndarray, node: object, mapping: str) -> pd.DataFrame:
    part = int((0.4 if mapping == "cold" else 0.2) * node.capacity)
    held = np.where(t > 0.15 * t[-1], part, 0)
    return pd.DataFrame(
        {"t_s": t, "process": "app", "mapping": mapping, "node": node.name, "bytes": held}
    )


def _truth(t: np.ndarray, node: str) -> pd.DataFrame:
    bins = 32
    heat = np.where(np.arange(bins) < 8, 1e6, 1e3)
    heat[24:] = 0.0
    return pd.DataFrame(
        {
            "t_s": np.repeat(t, bins),
            "node": node,
            "bin": np.tile(np.arange(bins), len(t)),
            "visits_per_s": (heat * (t > 0.2 * t[-1])[:, None]).reshape(-1),
        }
    )


def _damon(t: np.ndarray, scenario: object, seed: int) -> dict[str, pd.DataFrame]:
    """Tables of DAMON and of migration, from the second instant on."""
    rng = np.random.default_rng(seed)
    nodes = [node.name for node in scenario.topology.nodes]
    parts: dict[str, list[pd.DataFrame]] = {}
    for k, kdamond in enumerate(scenario.policy.kdamonds(scenario.topology)):
        context, name = kdamond.contexts[0], f"kdamond.{k}"
        made_here = {
            "kdamonds": _kdamond(t[1:], name, k, rng),
            "monitoring": _monitoring(t[1:], name, rng),
            "snapshots": _snapshots(t[1:], name, context),
        }
        for scheme in context.schemes:
            made_here["schemes"] = _scheme(t[1:], name, scheme)
            made_here["moves"] = _moves(t[1::3], name, nodes[:2], k % 2)
        for table, rows in made_here.items():
            parts.setdefault(table, []).append(rows)
    failed = pd.DataFrame({"t_s": t[5:9], "cause": "kdamond.1", "bytes": 1 << 26})
    return {table: pd.concat(rows) for table, rows in parts.items()} | {"failed_moves": failed}


def _kdamond(t: np.ndarray, name: str, k: int, rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "t_s": t,
            "kdamond": name,
            "sample_us": 5000 * (1 + k),
            "aggr_us": 100_000 * (1 + k),
            "nr_regions": 10 + rng.integers(0, 900, len(t)),
            "passed_sample_intervals": 100,
            "cpu_ns": (2e7 * t).astype(np.int64),
        }
    )


def _monitoring(t: np.ndarray, name: str, rng: np.random.Generator) -> pd.DataFrame:
    emd, f1 = rng.random(len(t)) / 5, 1 - rng.random(len(t)) / 3
    rows = pd.DataFrame({"t_s": t, "kdamond": name, "emd": emd, "f1": f1})
    return rows.assign(heat_bytes=5e8, hot_bytes=1e9, seen_hot_bytes=1e9, both_bytes=9e8)


def _scheme(t: np.ndarray, name: str, scheme: object) -> pd.DataFrame:
    """Cold ones wind up to their cap, hot ones stay at one byte."""
    goal, wound = scheme.quota.goals[0], 2.0 ** (np.arange(len(t)) / 2)
    stuck = scheme.action == "migrate_hot"
    return pd.DataFrame(
        {
            "t_s": t,
            "kdamond": name,
            "scheme": 0,
            "action": scheme.action,
            "nr_tried": 5,
            "sz_tried": (1e8 * t).astype(np.int64),
            "nr_applied": 3,
            "sz_applied": (1e7 * t).astype(np.int64),
            "sz_ops_filter_passed": 0,
            "qt_exceeds": 0,
            "nr_snapshots": 1,
            "esz": np.where(stuck, 1, np.minimum(scheme.quota.sz, wound)).astype(np.int64),
            "goal": goal.metric,
            "goal_current": int(goal.target_value * 0.99),
            "goal_target": goal.target_value,
        }
    )


def _snapshots(t: np.ndarray, name: str, context: object) -> pd.DataFrame:
    """The lowest quarter of the first range is hot."""
    start, end = (context.targets[0].regions or ((0, 16 * GIB),))[0]
    edges = np.linspace(start, end, SNAPSHOT_ROWS + 1).astype(np.int64)
    heat = np.where(np.arange(SNAPSHOT_ROWS) < SNAPSHOT_ROWS // 4, 15, 0)
    return pd.DataFrame(
        {
            "t_s": np.repeat(t, SNAPSHOT_ROWS),
            "seen_s": np.repeat(t, SNAPSHOT_ROWS) - 0.01,
            "kdamond": name,
            "target": 0,
            "start": np.tile(edges[:-1], len(t)),
            "end": np.tile(edges[1:], len(t)),
            "nr_accesses": np.tile(heat, len(t)),
            "max_nr_accesses": 20,
            "age": 3,
        }
    )


def _moves(t: np.ndarray, name: str, nodes: list[str], up: int) -> pd.DataFrame:
    source, target = nodes[::-1] if up else nodes
    return pd.DataFrame(
        {
            "t_s": t,
            "cause": name,
            "process": "app",
            "mapping": "hot",
            "source": source,
            "target": target,
            "direction": ("demotion", "promotion")[up],
            "bytes": 1 << 27,
        }
    )
