"""What goals look at, what cannot run, and contexts that change while they run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from numasim.damon.context import Shared
from numasim.damon.spec import (
    Attrs,
    Context,
    Dest,
    Filter,
    Kdamond,
    Quota,
    QuotaGoal,
    SampleControl,
    SampleFilter,
    Scheme,
    Target,
    Watermarks,
)
from numasim.engine import Engine
from numasim.errors import ConfigError
from numasim.loader import load_scenario
from numasim.monitors import Metrics, build_context, check_runnable, commit_context, forget_context
from numasim.policies.damos import Damos
from numasim.seeds import Seeds
from numasim.workload import Workload
from tests import worlds
from tests.unit.test_machine import run

MIB = worlds.MIB
READS = SampleFilter("write", True, False)


def machine(page: str = "4 KiB"):
    """Two programs in cgroups of their own; everything is on node 0 but b's second MiB."""
    mappings = [worlds.mapping("m", "4 MiB", page=page)]
    far = worlds.mapping("y", "2 MiB", page=page, policy={"mode": "bind", "nodes": ["n1"]})
    near = worlds.mapping("x", "2 MiB", page=page)
    processes = [
        {"name": "a", "cgroup": "/a", "mappings": mappings},
        {"name": "b", "cgroup": "/b", "mappings": [near, far]},
    ]
    made = worlds.machine(work=Workload.from_dict({"name": "w", "processes": processes}))
    run(made, 10**9, (0, 1))
    return made


# -- metrics ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["4 KiB", "2 MiB"])
def test_metrics_count_pages_of_4_kib_whatever_a_frame_is(page):
    made = machine(page)
    metrics = Metrics(made)
    managed, free = metrics.node_pages(0)
    assert managed == 8192
    assert 8192 - 1536 - 2048 <= free <= 8192 - 1536, "less what per-CPU lists hold"
    assert metrics.system_pages()[0] == 8192 + 16384
    assert metrics.node_memcg_pages(0, "/b") == metrics.node_memcg_pages(1, "/b") == 512
    assert metrics.node_memcg_pages(0, "/a") == 1024
    assert metrics.node_memcg_pages(1, "/a") == 0


def test_nodes_and_cgroups_that_are_not_there():
    metrics = Metrics(machine())
    assert metrics.node_pages(2) is None and metrics.node_pages(-1) is None
    assert metrics.node_memcg_pages(7, "/a") is None
    assert metrics.node_memcg_pages(0, "/nobody") is None
    assert metrics.lru_pages() is None and metrics.psi_some_us() is None


def test_eligible_bytes_are_those_of_programs_in_the_ranges():
    made = machine()
    ((start, end),), ((far, far_end),) = (made.topology.node_ranges(n) for n in (0, 1))
    metrics = Metrics(made)
    assert metrics.eligible_bytes([(start, end), (far, far_end)]) == {0: 6 * MIB, 1: 2 * MIB}
    assert metrics.eligible_bytes([(start + MIB, start + 2 * MIB)]) == {0: MIB}
    assert metrics.eligible_bytes([(start, start + MIB), (start + MIB, start + 2 * MIB)]) == {
        0: 2 * MIB
    }
    assert metrics.eligible_bytes([(0, start)]) == {}


# -- what cannot run -------------------------------------------------------------------------------


def context(*schemes: Scheme, **more) -> Context:
    return Context("paddr", (Target(regions=((0, 4096),)),), Attrs(), schemes, **more)


def goal(metric: str, **more) -> Scheme:
    return Scheme("migrate_hot", quota=Quota(goals=(QuotaGoal(metric, 10, **more),)), target_nid=0)


def one(*contexts: Context) -> tuple[Kdamond, ...]:
    return (Kdamond(contexts),)


@pytest.mark.parametrize(
    ("kdamonds", "text"),
    [
        (
            one(Context("vaddr", (Target(pid=1000),), Attrs(), (Scheme("willneed"),))),
            '"willneed" is not simulated yet',
        ),
        (one(context(Scheme("migrate_hot", target_nid=5))), "no node 5 on small"),
        (one(context(Scheme("migrate_hot", dests=(Dest(9, 1),)))), "no node 9"),
        (one(context(goal("node_mem_used_bp", nid=3))), "no node 3"),
        (one(context(Scheme(filters=(Filter("probe_hits_wsum", True, True),)))), '"probe_'),
        (one(context(), context()), "expected one, as the kernel does"),
        (
            one(replace(context(), sample_control=SampleControl(filters=(READS,)))),
            "accessed_bits do not say who accessed",
        ),
        (
            one(replace(context(), sample_control=SampleControl(page_table=False))),
            "no sampling primitive is enabled",
        ),
        (one(Context("vaddr", (Target(pid=77),))), "no process 77; there are 1000 (a), 1001 (b)"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_told_with_its_place(kdamonds, text):
    made = machine()
    (found,) = check_runnable(kdamonds, made.topology, made.workload, "policy.")
    assert text in str(found)
    assert found.place.startswith("policy.kdamonds[0].contexts")


def test_what_can_run_is_not_complained_about():
    made = machine()
    schemes = (
        Scheme("migrate_cold", target_nid=1),
        Scheme("stat"),
        Scheme("hugepage"),
        goal("node_mem_free_bp", nid=0),
    )
    assert check_runnable(one(context(*schemes)), made.topology, made.workload) == []
    virtual = Context("vaddr", (Target(pid=1000), Target(pid=1001)))
    assert check_runnable(one(virtual), made.topology, made.workload) == []
    for control in (
        SampleControl(page_fault=True, filters=(READS,)),
        SampleControl(True, True, (READS,)),
    ):
        told = replace(context(), sample_control=control)
        assert check_runnable(one(told), made.topology, made.workload) == []
    blind = one(replace(context(), sample_control=SampleControl(filters=(READS,))))
    assert check_runnable(blind, made.topology, made.workload, access_source="page_fault") == []


# -- contexts on the machine -----------------------------------------------------------------------


def built(made, spec: Context):
    return build_context(made, spec, "k", Seeds(1), Shared(), lambda p: made.alive[p])


def test_young_filters_make_the_law_remember():
    made = machine()
    built(made, context(Scheme("stat")))
    assert made.law.cleared_at is None
    built(made, context(Scheme("stat", filters=(Filter("young", True, True),))))
    assert made.law.cleared_at is not None


def test_commits_reach_the_eye_and_the_hand():
    made = machine()
    virtual = Context("vaddr", (Target(pid=1000),))
    running = built(made, virtual)
    running.start(0)
    young = Scheme("stat", filters=(Filter("young", True, True),))
    new = replace(virtual, targets=(Target(pid=1001), Target(pid=1000)), schemes=(young,))
    commit_context(made, running, new, lambda p: made.alive[p])
    assert made.law.cleared_at is not None
    sizes = [sum(b - a for a, b in view.addresses.vmas()) for view in running.source.views]
    assert sizes == [4 * MIB, 4 * MIB]
    assert len(running.source.views[0].addresses.vmas()) == 2, "the second program's mappings"
    assert [view for view, _ in made.migrator.views] == running.source.views
    forget_context(made, running)
    assert made.migrator.views == []


def test_a_refused_commit_changes_nothing():
    made = machine()
    running = built(made, Context("vaddr", (Target(pid=1000),)))
    running.start(0)
    views = list(running.source.views)
    bad = replace(running.spec, attrs=replace(Attrs(), sample_us=0, aggr_us=0))
    with pytest.raises(ConfigError):
        commit_context(made, running, replace(bad, ops="paddr"), lambda p: True)
    assert running.source.views == views
    assert [view for view, _ in made.migrator.views] == views


def test_an_address_unit_may_change_on_the_way():
    made = machine()
    start, end = made.topology.node_ranges(0)[0]
    running = built(made, Context("paddr", (Target(regions=((start, end),)),)))
    running.start(0)
    unit = 16
    new = Context("paddr", (Target(regions=((start // unit, end // unit),)),), addr_unit=unit)
    commit_context(made, running, new, lambda p: True)
    assert running.source.addr_unit == unit
    assert running.min_region_sz == 4096 // unit


# -- watermarks on a machine -----------------------------------------------------------------------


def test_a_scheme_waits_until_its_watermarks_let_it_go():
    """Free memory is between the marks: a kdamond starts below the middle one, and not above."""
    scenario = load_scenario(
        worlds.document(
            policy={"kind": "damos", "damo": "damo start --numa_node 1"}, duration="2 s"
        )
    )
    (kdamond,) = scenario.policy.threads
    marks = Watermarks("free_mem_rate", 100_000, 900, 800, 100)
    scheme = Scheme("stat", wmarks=marks)
    spec = replace(kdamond.contexts[0], schemes=(scheme,))
    given = replace(scenario, policy=Damos(threads=(Kdamond((spec,)),)))
    engine = Engine(given)
    engine.run()
    (thread,) = engine.threads
    metrics = Metrics(engine.machine)
    managed, free = metrics.system_pages()
    assert 100 < free * 1000 // managed < 800
    assert thread.context.passed_sample_intervals > 0
    asleep = replace(spec, schemes=(replace(scheme, wmarks=replace(marks, high=300, mid=200)),))
    engine = Engine(replace(given, policy=Damos(threads=(Kdamond((asleep,)),))))
    engine.run()
    assert engine.threads[0].context.passed_sample_intervals == 0
    assert engine.threads[0].cpu_ns == 0
