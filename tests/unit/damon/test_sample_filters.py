"""Sample filters: what the documentation promises, what the proposed code does, and a twin."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from numasim.damon.sample_filters import passes
from numasim.damon.spec import SampleFilter

CPUS = np.array([0, 0, 4, 5, 5, -1])
TIDS = np.array([777, 888, 777, 777, 1, -1])
WRITES = np.array([False, True, True, False, True, False])
THE_PROPOSED_LINE = (
    SampleFilter("cpumask", True, True, cpumask="0-4"),
    SampleFilter("threads", True, True, threads=(777, 888, 999)),
    SampleFilter("write", True, False),
)


def kept(filters, semantics) -> list[bool]:
    return passes(filters, CPUS, TIDS, WRITES, semantics).tolist()


def test_the_proposed_line_keeps_reads_of_these_threads_on_these_cpus():
    assert kept(THE_PROPOSED_LINE, "intent") == [True, False, False, False, False, False]


def test_without_filters_everything_passes():
    assert kept((), "intent") == kept((), "rfc") == [True] * 6


def test_as_coded_a_lone_allow_filters_nothing():
    allow = (SampleFilter("cpumask", True, True, cpumask="0"),)
    assert kept(allow, "intent") == [True, True, False, False, False, False]
    assert kept(allow, "rfc") == [True] * 6


def test_as_coded_a_last_reject_drops_everything():
    reject = (SampleFilter("write", True, False),)
    assert kept(reject, "intent") == [True, False, False, True, False, True]
    assert kept(reject, "rfc") == [False] * 6
    assert kept(THE_PROPOSED_LINE, "rfc") == [False] * 6


def test_as_coded_the_working_idiom_rejects_the_rest_and_ends_with_any_allow():
    idiom = (
        SampleFilter("cpumask", False, False, cpumask="0-4"),
        SampleFilter("write", True, True),
    )
    assert kept(idiom, "rfc") == [True, True, True, False, False, False]
    alone = (idiom[0],)
    assert kept(alone, "intent") == kept(idiom, "rfc")


def test_nobody_is_in_no_list():
    unknown = kept((SampleFilter("threads", True, True, threads=(1,)),), "intent")
    assert unknown == [False, False, False, False, True, False]


def twin(filters, cpu: int, tid: int, write: bool, semantics: str) -> bool:
    """One report, read from the specification."""
    for one in filters:
        condition = {
            "write": write,
            "threads": tid in one.threads,
            "cpumask": cpu in {"0": {0}, "1-2": {1, 2}}.get(one.cpumask or "", set()),
        }[one.type]
        if semantics == "intent" and (condition == one.matching) != one.allow:
            return False
        if semantics == "rfc" and condition == one.matching and not one.allow:
            return False
    return semantics == "intent" or not filters or filters[-1].allow


FILTERS = st.lists(
    st.builds(
        SampleFilter,
        type=st.sampled_from(["cpumask", "threads", "write"]),
        matching=st.booleans(),
        allow=st.booleans(),
        cpumask=st.sampled_from(["0", "1-2"]),
        threads=st.sampled_from([(1,), (1, 2)]),
    ),
    max_size=4,
)


@given(FILTERS, st.sampled_from(["intent", "rfc"]))
def test_all_at_once_is_one_after_the_other(filters, semantics):
    cpu, tid, write = (x.ravel() for x in np.meshgrid([-1, 0, 1, 2], [-1, 1, 2], [0, 1]))
    found = passes(filters, cpu, tid, write.astype(bool), semantics)
    wanted = [
        twin(filters, c, t, bool(w), semantics) for c, t, w in zip(cpu, tid, write, strict=True)
    ]
    assert found.tolist() == wanted
