"""No benchmark is a third worse than its committed value (benchmarks/committed.json).

A first bad measurement is taken again: the machine may have been busy with something else.
"""

from __future__ import annotations

import pytest

from benchmarks import harness
from benchmarks.__main__ import COMMITTED

pytestmark = pytest.mark.bench
KNOWN = harness.read(COMMITTED) if COMMITTED.exists() else {}


@pytest.mark.parametrize("name", harness.REGISTRY)
def test_no_benchmark_regresses_by_a_third(name):
    asked = {ask.name for ask in harness.REGISTRY[name].asks}
    if not any(one in KNOWN and KNOWN[one].value is not None for one in asked):
        pytest.skip("no committed value")
    for _ in range(2):
        results = harness.measure(name)
        assert not [one.name for one in results if one.unit == harness.FAILED]
        found = harness.regressions(results, KNOWN)
        if not found:
            return
    pytest.fail("\n".join(found))
