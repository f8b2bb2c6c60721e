"""Any program, policy and events: a run ends well, keeps every byte, and repeats itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from numasim.engine import Engine
from numasim.errors import ConfigError, SimulationError
from numasim.loader import load_scenario
from numasim.result import Result
from tests import worlds
from tests.properties.test_patterns import PARAMETERS

MIB = worlds.MIB
NAMES = ("a", "b", "c")
ms = st.integers(0, 900).map(lambda n: f"{n} ms")
KINDS = {
    "local": st.just({"mode": "local"}),
    "bind": st.sampled_from(["n0", "n1"]).map(lambda n: {"mode": "bind", "nodes": [n]}),
    "preferred": st.just({"mode": "preferred", "nodes": ["n1"]}),
    "preferred_many": st.just({"mode": "preferred_many", "nodes": ["n1"]}),
    "interleave": st.just({"mode": "interleave"}),
    "weighted": st.tuples(st.integers(1, 9), st.integers(1, 9)).map(
        lambda w: {"mode": "weighted_interleave", "nodes": ["n1", "n0"], "weights": list(w)}
    ),
}


@st.composite
def accesses(draw: st.DrawFn) -> dict[str, Any]:
    """One pattern with any parameters; steps are not more often than a hundred in a run."""
    name = draw(st.sampled_from(sorted(PARAMETERS)))
    fields = dict(draw(PARAMETERS[name]))
    for step in ("hop_every", "add_every"):
        if step in fields:
            fields[step] = draw(st.floats(3e4, 1e8))
    for key in ("cells", "slices", "steps"):
        if key in fields:
            fields[key] = min(fields[key], 24)
    return {
        "pattern": name,
        "mapping": draw(st.sampled_from(NAMES)),
        "visits": draw(st.sampled_from([0, 1e-6, 0.01, 1, 40])),
        "lines": draw(st.sampled_from([0.5, 1, 5, 64])),
        "miss": draw(st.sampled_from([0, 0.1, 1])),
        "write": draw(st.sampled_from([0, 0.5, 1])),
        "parallelism": draw(st.sampled_from([1, 4, 100])),
        **fields,
    }


@st.composite
def phases(draw: st.DrawFn) -> dict[str, Any]:
    length = draw(st.sampled_from(["duration", "operations", None]))
    found: dict[str, Any] = {"access": draw(st.lists(accesses(), max_size=3))}
    if length == "duration":
        found["duration"] = f"{draw(st.integers(20, 900))} ms"
    elif length == "operations":
        found["operations"] = draw(st.floats(1e4, 1e6))
    if draw(st.booleans()):
        found["compute"] = f"{draw(st.integers(500, 5000))} ns"
    if found["access"] and draw(st.integers(0, 5)) == 0:
        found["burst"] = 1 << 17
        found["access"] = [{**a, "visits": a["visits"] or 1} for a in found["access"]]
    if draw(st.booleans()) or "compute" not in found:
        found["pace"] = f"{draw(st.sampled_from([0, 1, 1000, 1e5, 1e6]))} /s"
    return found


@st.composite
def processes(draw: st.DrawFn, name: str) -> dict[str, Any]:
    actors = [
        {
            "name": f"t{i}",
            "on": draw(st.sampled_from(["CPU", "CPU", "CPU[1]", "GPU"])),
            "threads": draw(st.integers(1, 9)),
            "repeat": draw(st.booleans()),
            "phases": draw(st.lists(phases(), min_size=1, max_size=3)),
        }
        for i in range(draw(st.integers(0, 2)))
    ]
    mappings = [
        worlds.mapping(
            mapping,
            f"{2 * draw(st.integers(1, 5))} MiB",
            page=draw(st.sampled_from(["4 KiB", "4 KiB", "64 KiB", "2 MiB"])),
            populate=draw(st.booleans()),
            kind=draw(st.sampled_from(["anonymous", "file"])),
            policy=draw(KINDS[draw(st.sampled_from(sorted(KINDS)))]),
        )
        for mapping in NAMES
    ]
    start = draw(st.sampled_from([0, 0, 150]))
    made = {"name": name, "start": f"{start} ms", "mappings": mappings, "actors": actors}
    if draw(st.booleans()):
        made["stop"] = f"{draw(st.integers(start + 1, 900))} ms"
    return made


def damo(draw: st.DrawFn, pids: list[int]) -> str:
    """One monitoring context with up to one scheme."""
    where = draw(st.sampled_from(["--numa_node 0", "--numa_node 1", "--target_pid"]))
    if where == "--target_pid":
        where += f" {draw(st.sampled_from(pids))}"
    words = [where, draw(st.sampled_from(["", "--monitoring_intervals 1ms 20ms 100ms"]))]
    if draw(st.booleans()):
        action = draw(st.sampled_from(["migrate_hot 0", "migrate_cold 1", "stat"]))
        words += [f"--damos_action {action} --damos_access_rate 0% max"]
        words += [
            draw(st.sampled_from(["", "--damos_filter allow young", "--damos_filter reject anon"]))
        ]
        words += [draw(st.sampled_from(["", "--damos_quotas 10ms 1M 100ms 0 0"]))]
    return " ".join(words)


@st.composite
def machines(draw: st.DrawFn) -> dict[str, Any]:
    """Two sockets and a GPU, memory on each; the first node is soon full."""
    other = {"bytes": "4 MiB", "reclaimable_bytes": "2 MiB"}
    nodes = [
        {
            "name": "n0",
            "capacity": "20 MiB",
            "latency": "100 ns",
            "at": "s0",
            "other_memory": other,
        },
        {"name": "n1", "capacity": "64 MiB", "latency": "300 ns", "at": "s0", "kind": "CXL"},
        {"name": "n2", "capacity": "16 MiB", "latency": "90 ns", "at": "s1"},
        {"name": "n3", "capacity": "8 MiB", "latency": "60 ns", "at": "g", "kind": "HBM"},
    ]
    speeds = draw(st.lists(st.sampled_from(["1 GB/s", "50 GB/s"]), min_size=4, max_size=4))
    for node, speed in zip(nodes, speeds, strict=True):
        node["bandwidth"] = speed
    tlb = draw(st.sampled_from([{}, {"entries": 64}, {"entries": 64, "flush_interval": "1 ms"}]))
    accessors = [
        {"name": "c0", "cpus": "0-1", "at": "s0", "tlb": tlb},
        {"name": "c1", "cpus": "2-3", "at": "s1", "tlb": tlb},
        {"name": "g0", "kind": "GPU", "cores": 64, "in_flight_bytes": "1 MiB", "at": "g"},
    ]
    links = [
        {"between": ["s0", "s1"], "latency": "60 ns", "bandwidth": "20 GB/s"},
        {"between": ["s0", "g"], "latency": "200 ns", "bandwidth": "40 GB/s"},
    ]
    kernel = {
        "min_free_kbytes": 256,
        "transparent_hugepage": "never",
        "hz": draw(st.sampled_from([100, 250, 1000])),
    }
    names = {"nodes": nodes, "accessors": accessors, "links": links, "kernel": kernel}
    return {"name": "any", **names}


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A scenario of a second on a machine that is a little too small for some of them."""
    programs = [draw(processes(name)) for name in ("p", "q")[: draw(st.integers(1, 2))]]
    pids = list(range(1000, 1000 + len(programs)))
    events: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(0, 3))):
        what = draw(st.sampled_from(["start", "stop", "tune", "sysctl", "stop_process"]))
        event: dict[str, Any] = {"at": draw(ms)}
        if what == "start":
            event["damo"] = f"damo start {damo(draw, pids)}"
        elif what == "tune":
            event["damo"] = f"damo tune {damo(draw, pids)}"
        elif what == "stop":
            event["damo"] = "damo stop"
        elif what == "sysctl":
            event["sysctl"] = {"vm.min_free_kbytes": draw(st.integers(0, 2048))}
        else:
            event["stop_process"] = draw(st.sampled_from([p["name"] for p in programs]))
        events.append(event)
    policy: Any = draw(
        st.sampled_from(["no_tiering", worlds.tiering(), worlds.tiering(start="200 ms"), "damo"])
    )
    if policy == "damo":
        policy = {"kind": "damos", "damo": f"damo start {damo(draw, pids)}", "start": "150 ms"}
    given = worlds.document(policy=policy, events=events, seed=draw(st.integers(0, 5)))
    given["topology"] = draw(machines())
    given["workload"] = {"name": "any", "processes": programs}
    return given


def finish(given: dict[str, Any]) -> Engine | None:
    """Run it; None if it is refused, memory runs out, or a kdamond to be tuned has ended."""
    try:
        engine = Engine(load_scenario(given))
        engine.run()
    except ConfigError:
        return None
    except SimulationError as error:
        known = ("out of memory", "given to tune", "commit refused")
        assert any(words in str(error) for words in known), error
        return None
    return engine


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents())
def test_any_run_ends_well(given):
    engine = finish(given)
    assume(engine is not None)
    machine = engine.machine
    worlds.check(machine.migrator)
    assert machine.now_ns == 10**9
    for p, process in enumerate(machine.workload.processes):
        own = [m for m in machine.space.mappings if m.process == p]
        there = sum(int((machine.memory.frame_of[m.first : m.last] >= 0).sum()) for m in own)
        if not machine.alive[p]:
            assert there == 0, f"{process.name} has ended and holds memory"
    for actor in machine.actors:
        assert np.isfinite(actor.operations) and actor.operations >= 0
        assert np.isfinite(actor.lines).all() and (actor.lines >= 0).all()
        pace = actor.current.pace
        if pace is not None:
            assert actor.rate_per_ns <= pace / 1e9 * (1 + 1e-9)
    for thread in engine.threads:
        for target in thread.context.targets:
            target.regions.check()
        assert thread.cpu_ns <= 10**9 * 1.05
    result = Result.of(engine.recorder.tables, {})
    summary = result.summary()
    assert not any(np.isinf(value) for value in summary.values()), summary
    again = Result.of(finish(given).recorder.tables, {})
    for name, table in result.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table, check_exact=True, obj=name)
