"""Settings that would be cut down to nothing, or taken for their opposite, are refused."""

from __future__ import annotations

import numpy as np
import pytest

import numasim as ns
from numasim.contention import Arbiter
from numasim.damon.attrs import least_samples
from numasim.damon.spec import Attrs
from numasim.errors import ConfigError
from numasim.policy_data import build_policy
from tests.unit.test_holistic import Frames, SeenBy

FOUR = "two_socket_four_node"
HOT = ("holistic", "tpp_damon", "hmsdk", "push_pull", "dynamic_interleave")


def built(kind, **options):
    topology = ns.load_topology(FOUR)
    policy = build_policy({"kind": kind, **options}, topology)
    return policy.kdamonds(topology)


def complaints(kind, **options):
    with pytest.raises(ConfigError) as refused:
        built(kind, **options)
    return {p.place: f"{p.message}; {p.hint}" for p in refused.value.problems}


def least(threads):
    hot = [s for k in threads for s in k.contexts[0].schemes if s.action == "migrate_hot"]
    return {s.pattern.min_nr_accesses for s in hot}


@pytest.mark.parametrize(
    ("share", "samples"),
    [(0.01, 1), (0.04, 1), (0.05, 1), (0.12, 3), (0.15, 3), (0.29, 6), (1, 20)],
)
def test_a_share_is_rounded_up_to_samples(share, samples):
    assert least_samples(share, Attrs()) == samples


@pytest.mark.parametrize("kind", HOT)
def test_a_small_share_is_not_everything(kind):
    more = {"sample": "0 s", "aggregate": "0 s"} if kind == "dynamic_interleave" else {}
    assert least(built(kind, hot=0.04, **more)) == {1}
    assert least(built(kind, hot=0.12, **more)) == {3}


@pytest.mark.parametrize("kind", HOT[:4])
def test_no_share_at_all_is_refused(kind):
    assert "greater than 0" in complaints(kind, hot=0)["hot"]


@pytest.mark.parametrize("positive", range(5))
def test_who_is_promoted_and_who_is_a_rival_go_by_the_same_samples(positive):
    topology = ns.load_topology(FOUR)
    policy = build_policy({"kind": "holistic", "hot": 0.12, "contended": "leave"}, topology)
    threads = policy.kdamonds(topology)
    arbiter = Arbiter(policy.contention(topology), Frames(), topology.idle_latency_ns)
    arbiter.meet(threads[0], SeenBy("stays", positive))
    arbiter.meet(threads[6], SeenBy("goes", 20))
    rival = not arbiter.allowed(np.arange(8), 3, "goes").any()
    assert rival == (positive >= least(threads).pop())


@pytest.mark.parametrize("kind", ["holistic", "tpp_damon", "hmsdk", "push_pull"])
def test_quotas_that_the_kernel_would_misread(kind):
    found = complaints(kind, quota="0 B", interval="10 us")
    assert "got 0 B, expected a page" in found["quota"]
    assert "0 means no limit" in found["quota"]
    assert "got 10 us, expected whole milliseconds" in found["interval"]
    assert "got 0 ns" in complaints(kind, interval="0 s")["interval"]
    assert "1.5 ms" in complaints(kind, interval="1500 us")["interval"]


@pytest.mark.parametrize("kind", ["holistic", "tpp_damon"])
def test_weights_are_not_negative(kind):
    assert "got [-1, 0, 0]" in complaints(kind, weights=[-1, 0, 0])["weights"]
    assert built(kind, weights=[0, 0, 0])


def test_times_of_hmsdk_are_not_rounded_to_no_limit():
    found = complaints("hmsdk", demote_time="10 us", promote_time="0 s")
    assert {"demote_time", "promote_time"} == set(found)


def test_more_of_holistic():
    for twice in (["cpu1", "cpu1"], ["cpu1", 0]):
        assert "cpu1 more than once" in complaints("holistic", accessors=twice)["accessors"]
    assert "500 ns" in complaints("holistic", apply="500 ns")["apply"]
    assert "2 KiB for each" in complaints("holistic", quota="4 KiB", goals="split")["quota"]
