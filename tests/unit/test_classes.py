"""The pattern of page classes: shares, rates, runs of pages, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.errors import ConfigError
from numasim.pages import PageSpace
from numasim.seeds import Seeds
from numasim.workload import Workload

PAGES = 1000


def space(*accesses: dict, seed: int = 1) -> PageSpace:
    access = [{"pattern": "classes", "mapping": "m", **one} for one in accesses]
    phases = [{"operations": 10, "access": [one]} for one in access]
    actor = {"name": "a", "phases": phases}
    mapping = {"name": "m", "size": f"{PAGES * 4096} B"}
    plain = {"name": "w", "processes": [{"name": "p", "mappings": [mapping], "actors": [actor]}]}
    return PageSpace(Workload.from_dict(plain), Seeds(seed))


def rates(made: PageSpace, phase: int = 0) -> np.ndarray:
    """Chance of every page to get a visit."""
    weights = made.patterns[0, 0, phase, 0].page_weights(0.0)
    return weights[made.class_of]


@pytest.mark.parametrize("run", [1, 4, 10])
def test_every_class_has_its_share_and_its_rate(run):
    found = rates(space({"pages": [0.5, 0.3, 0.2], "rates": [1, 4, 20], "run": run}))
    assert found.sum() == pytest.approx(1)
    values, nr = np.unique(found, return_counts=True)
    assert values / values[0] == pytest.approx([1, 4, 20])
    assert np.abs(nr - [500, 300, 200]).max() <= run


def test_runs_of_pages_are_alike_and_lie_anywhere():
    found = rates(space({"pages": [0.8, 0.2], "rates": [1, 9], "run": 8})).reshape(-1, 8)
    assert (found == found[:, :1]).all()
    hot = np.flatnonzero(found[:, 0] > found.min())
    assert len(hot) == 25 and np.diff(hot).max() > 3 > np.diff(hot).min()


def test_other_rates_of_the_same_classes_keep_the_pages():
    both = space({"pages": [0.8, 0.2], "rates": [1, 9]}, {"pages": [0.8, 0.2], "rates": [1, 2]})
    assert ((rates(both, 0) > 1.5e-3) == (rates(both, 1) > 1.2e-3)).all()
    other = space({"pages": [0.8, 0.2], "rates": [1, 9], "shuffle": "other"})
    assert (rates(other) != rates(both, 0)).any()


def test_what_makes_no_sense_is_refused_at_once():
    with pytest.raises(ConfigError) as caught:
        space({"pages": [0.5, 0.4], "rates": [1, 2, 3]})
    assert [p.place.rpartition(".")[2] for p in caught.value.problems] == ["pages", "rates"]
    with pytest.raises(ConfigError, match="rates"):
        space({"pages": [1.0], "rates": [0.0]})
