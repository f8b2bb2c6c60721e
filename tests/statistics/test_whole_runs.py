"""Whole runs with the sampling shortcut and with its twin are draws of one distribution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from numasim.loader import load_scenario
from numasim.running import run_scenario
from tests import worlds
from tests.statistics.fit import LEVEL

SEEDS = 24
SPREADS = [
    {"pattern": "gamma", "mapping": "hot", "lines": 4},
    {"pattern": "hot_cold", "mapping": "hot", "scattered": True, "lines": 4},
    {"pattern": "moving_window", "mapping": "hot", "hop_every": 20_000, "lines": 4},
]


def numbers(access: dict, policy, seed: int, exact: bool) -> list[float]:
    """What a run found, in a few numbers."""
    given = worlds.document(policy=policy, seed=seed, exact_ticks=exact, snapshots="all")
    phase = given["workload"]["processes"][0]["actors"][0]["phases"][0]
    phase["access"][0] = access
    phase["pace"] = "200000 /s"
    found = run_scenario(load_scenario(given))
    seen = found.snapshots
    size = seen.end - seen.start
    last = seen[seen.seen_s == seen.seen_s.max()]
    return [
        float((seen.nr_accesses * size).sum() / size.sum()),
        float((seen.nr_accesses**2 * size).sum() / size.sum()),
        len(seen) / seen.seen_s.nunique(),
        float((last.age * (last.end - last.start)).sum() / (last.end - last.start).sum()),
        found.summary()["emd"],
        found.summary()["f1"],
    ]


@pytest.mark.slow
@pytest.mark.parametrize("access", SPREADS, ids=lambda a: a["pattern"])
@pytest.mark.parametrize("target", ["--numa_node 1", "--target_pid 1000"])
def test_shortcut_and_twin_see_the_same_world(access, target):
    policy = {"kind": "damos", "damo": f"damo start {target}"}
    quick, exact = (
        np.array([numbers(access, policy, seed, flag) for seed in range(SEEDS)])
        for flag in (False, True)
    )
    for k in range(quick.shape[1]):
        if np.ptp(quick[:, k]) == np.ptp(exact[:, k]) == 0:
            assert quick[0, k] == exact[0, k]
            continue
        assert stats.ks_2samp(quick[:, k], exact[:, k], method="asymp").pvalue > LEVEL, k
        assert stats.ttest_ind(quick[:, k], exact[:, k], equal_var=False).pvalue > LEVEL, k
