"""A tiny run's tables, as text beside this file: did results change?

If they did, and should have, renew them and say why in the commit::

    NUMASIM_RENEW=1 pytest tests/golden

Whole numbers and words are compared exactly, other numbers to nine digits.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.api.types import is_float_dtype

from numasim.loader import load_scenario
from numasim.result import COLUMNS, Result
from numasim.running import run_scenario
from tests import worlds

HERE = Path(__file__).parent / "tables"
RENEW = bool(os.environ.get("NUMASIM_RENEW"))
ASKED_FOR = {"sources", "tolls", "accessor_truth", "accessor_errors", "vmstat"}
# what these are made of is in the others, or not kept
LEFT_OUT = ASKED_FOR | {"truth", "tunings", "applies", "acts"}
COMMON = (
    "--monitoring_nr_regions_range 5 12 --monitoring_intervals 5ms 100ms 1s "
    "--damos_quotas 0 2M 200ms 0 0 --damos_apply_interval 200ms"
)
UP = (
    f"damo start --numa_node 1 --damos_action migrate_hot 0 --damos_access_rate 20% max {COMMON} "
    "--damos_filter allow young"
)
DOWN = f"damo start --numa_node 0 --damos_action migrate_cold 1 --damos_access_rate 0% 0% {COMMON}"


def scenario() -> dict:
    """Something of everything: spreads, sweeps, huge pages, two programs, moves both ways."""
    kv = {"pattern": "gamma", "mapping": "heap", "lines": 5, "parallelism": 2}
    log = {"pattern": "sweep", "mapping": "log", "visits": 0.1}
    serve = [
        {"compute": "1 us", "duration": "900 ms", "access": [kv, log]},
        {"compute": "1 us", "pace": "50000 /s", "access": [log]},
    ]
    store = {
        "name": "store",
        "mappings": [worlds.mapping("log", "6 MiB"), worlds.mapping("heap", "16 MiB")],
        "actors": [{"name": "serve", "threads": 2, "phases": serve}],
    }
    grid = {"pattern": "hot_cold", "mapping": "grid", "hot": 0.25, "lines": 16, "write": "50 %"}
    solve = {
        "name": "solve",
        "start": "300 ms",
        "stop": "1500 ms",
        "mappings": [worlds.mapping("grid", "12 MiB", page="2 MiB")],
        "actors": [{"name": "iterate", "phases": [{"compute": "2 us", "access": [grid]}]}],
    }
    return worlds.document(
        workload={"name": "golden", "processes": [store, solve]},
        policy={"kind": "damos", "damo": UP},
        events=[
            {"at": "100 ms", "damo": DOWN},
            {"at": "600 ms", "sysctl": {"vm.min_free_kbytes": 512}},
            {"at": "1700 ms", "damo": "damo stop"},
        ],
        duration="2 s",
        record="500 ms",
        seed=11,
    )


@pytest.fixture(scope="module")
def result() -> Result:
    found = run_scenario(load_scenario(scenario()))
    if RENEW:
        HERE.mkdir(exist_ok=True)
        for name in COLUMNS.keys() - LEFT_OUT:
            found.tables[name].to_csv(HERE / f"{name}.csv", index=False, float_format="%.10g")
    return found


@pytest.mark.parametrize("name", sorted(COLUMNS.keys() - LEFT_OUT))
def test_the_table_is_as_it_was(result, name):
    table, was = result.tables[name], pd.read_csv(HERE / f"{name}.csv", keep_default_na=False)
    hint = "if this is meant, NUMASIM_RENEW=1 pytest tests/golden, and say why in the commit"
    assert was.columns.tolist() == table.columns.tolist(), hint
    assert len(was) == len(table), hint
    for column in table:
        mine, theirs = table[column], was[column]
        if is_float_dtype(mine):
            numbers = pd.to_numeric(theirs.replace("", np.nan))
            np.testing.assert_allclose(
                mine, numbers, rtol=1e-9, atol=1e-12, err_msg=f"{name}.{column}: {hint}"
            )
        else:
            same = mine.astype(str).to_numpy() == theirs.astype(str).to_numpy()
            assert same.all(), f"{name}.{column}, row {int(np.argmin(same))}: {hint}"


def test_the_run_shows_something_of_everything(result):
    assert set(result.moves.direction) == {"promotion", "demotion"}
    assert len(result.kdamonds.kdamond.unique()) == 2
    assert set(result.events.what) >= {"start", "stop", "sysctl", "ends", "is populated"}
    assert len(result.snapshots) and len(result.tried)
