"""hugepage, nohugepage and collapse as schemes of a process: all of a region, or nothing."""

from __future__ import annotations

import numpy as np
import pytest

import numasim as ns
from numasim.damon.folios import Folios
from numasim.damon.huge_actions import CALL_NS
from numasim.damon.paddr import Paddr
from numasim.damon.schemes import SchemeState
from numasim.damon.spec import Filter, Scheme
from numasim.damon.vaddr import ProcessView, Vaddr
from numasim.formats import kdamonds
from numasim.huge.folding import HUGE as WANTED
from numasim.huge.folding import NEVER
from numasim.loader import load_scenario
from numasim.monitors import physical_addresses
from numasim.seeds import Seeds
from tests import worlds
from tests.unit.huge.scenes import HUGE, PER, hand_of, touch

BASE = 1 << 30


def ops(*mappings: dict, fixed: bool = False, alive: bool = True):
    """A process's operations over some pages, all there; who makes huge pages."""
    found = mappings or (worlds.mapping("m", "8 MiB", address=BASE),)
    hand, huge, _ = hand_of(*found)
    for pages in hand.space.mappings:
        touch(hand, pages, 0, pages.nr)
    folios = Folios(hand.space, hand.law, hand, [""], 7, Seeds(1).stream("young"), "k")
    process = ProcessView(hand.space.mappings, lambda: alive)
    made = Vaddr(folios, [process], hand.memory.frame_of, 4096, fixed, huge)
    return hand, huge, made, folios


def act(made, action: str, start: int, end: int, *filters: Filter):
    return made.apply(SchemeState(Scheme(action=action, filters=filters)), 0, start, end, 0)


@pytest.mark.parametrize(("action", "advice"), [("hugepage", WANTED), ("nohugepage", NEVER)])
def test_advice_is_written_for_exactly_the_region(action, advice):
    hand, huge, made, _ = ops()
    found = act(made, action, BASE + 4096, BASE + 3 * 4096)
    assert (found.applied_bytes, found.passed_bytes, found.busy_ns) == (8192, 0, CALL_NS)
    assert np.flatnonzero(huge.advice == advice).tolist() == [1, 2]
    assert huge.nr_huge == 0 and not hand.ledger.moved


def test_collapse_makes_the_blocks_that_lie_whole_in_the_region():
    _, huge, made, _ = ops()
    found = act(made, "collapse", BASE + 4096, BASE + 3 * HUGE)
    assert found.applied_bytes == 3 * HUGE - 4096, "all of the region counts"
    assert huge.are_whole(np.array([0, PER, 2 * PER, 3 * PER])).tolist() == [0, 1, 1, 0]
    assert found.busy_ns == CALL_NS + 2 * PER * 1000


def test_a_region_without_a_whole_block_is_applied_without_effect():
    _, huge, made, _ = ops()
    assert act(made, "collapse", BASE + 4096, BASE + HUGE).applied_bytes == HUGE - 4096
    assert huge.nr_huge == 0


def test_where_one_block_fails_nothing_counts_as_applied():
    hand, huge, made, _ = ops()
    gone = np.arange(PER, 2 * PER)
    hand.memory.release(hand.lift(gone, freed=True))
    found = act(made, "collapse", BASE, BASE + 4 * HUGE)
    assert found.applied_bytes == 0 and found.busy_ns == CALL_NS + 3 * PER * 1000
    assert huge.nr_huge == 3, "the others are huge all the same"


def test_a_block_that_must_not_be_huge_ends_the_call():
    _, huge, made, _ = ops()
    act(made, "nohugepage", BASE + HUGE + 4096, BASE + HUGE + 8192)
    assert act(made, "collapse", BASE, BASE + 4 * HUGE).applied_bytes == 0
    assert huge.nr_huge == 1


def test_files_cannot_be_collapsed_but_are_marked():
    _, huge, made, _ = ops(worlds.mapping("f", "8 MiB", address=BASE, kind="file"))
    assert act(made, "collapse", BASE, BASE + HUGE).applied_bytes == 0
    assert act(made, "hugepage", BASE, BASE + HUGE).applied_bytes == HUGE
    assert huge.nr_huge == 0


def test_a_hole_in_the_region_fails_the_call_and_not_its_effect():
    mappings = (
        worlds.mapping("a", "2 MiB", address=BASE),
        worlds.mapping("b", "2 MiB", address=BASE + 2 * HUGE),
    )
    for action in ("collapse", "hugepage"):
        _, huge, made, _ = ops(*mappings)
        assert act(made, action, BASE, BASE + 3 * HUGE).applied_bytes == 0
        assert (huge.nr_huge == 2) == (action == "collapse")
        assert (huge.advice == WANTED).all() == (action == "hugepage")


def test_nothing_happens_to_a_process_that_has_ended():
    _, huge, made, _ = ops(alive=False)
    assert act(made, "collapse", BASE, BASE + HUGE).applied_bytes == 0 == huge.nr_huge


def test_filters_for_pages_are_not_asked():
    _, huge, made, _ = ops(fixed=True)
    found = act(made, "collapse", BASE, BASE + HUGE, Filter("anon", True, False))
    assert found.applied_bytes == HUGE and huge.nr_huge == 1


@pytest.mark.parametrize("action", ["hugepage", "nohugepage", "collapse", "cold", "willneed"])
def test_physical_memory_takes_them_without_effect(action):
    hand, huge, _, folios = ops()
    paddr = Paddr(folios, physical_addresses(hand.memory), hand.memory.page_of)
    start = int(hand.memory.range_start[0])
    found = act(paddr, action, start, start + HUGE)
    assert (found.applied_bytes, found.passed_bytes, found.busy_ns) == (0, 0, 0)
    assert huge.nr_huge == 0 and not huge.advice.any()


@pytest.mark.parametrize("action", ["lru_prio", "lru_deprio"])
def test_processes_take_what_is_for_physical_memory_without_effect(action):
    assert act(ops()[2], action, BASE, BASE + HUGE).applied_bytes == 0


# -- whole runs ------------------------------------------------------------------------------------


def document() -> dict:
    """64 MiB that are visited 400,000 times a second: a small page about 24 times."""
    machine = worlds.document()["topology"]
    machine["nodes"][0]["capacity"] = "256 MiB"
    machine["kernel"] = {"min_free_kbytes": 256, "transparent_hugepage": "madvise"}
    work = {
        "name": "w",
        "processes": [{
            "name": "app",
            "mappings": [worlds.mapping("m", "64 MiB", address=BASE)],
            "actors": [{"name": "main", "threads": 4, "phases": [{
                "compute": "10 us", "access": [{"pattern": "uniform", "mapping": "m"}]
            }]}],
        }],
    }  # fmt: skip
    return {"topology": machine, "workload": work, "record": "1 s"}


def run(action: str, seconds: int = 4, ops: str = "vaddr", **more):
    target = "--target_pid 1000 " if ops == "vaddr" else ""
    command = f"damo start --ops {ops} {target}--damos_action {action} --damos_access_rate 0% max"
    data = document()
    return ns.run(
        data["topology"], data["workload"], f"{command} --damos_age 0 max",
        duration=f"{seconds} s", record="1 s", **more,
    )  # fmt: skip


def counter(of, name: str) -> int:
    return int(of.vmstat[of.vmstat.counter == name].value.iloc[-1])


def test_a_collapsed_program_looks_busier_than_it_did():
    """A tick of 5 ms finds 12 % of small pages touched, and every huge page.

    Blocks in which a region ends stay small until it ends elsewhere.
    """
    found = run("collapse")
    assert counter(found, "nr_anon_transparent_hugepages") > 24, "regions end within some blocks"
    assert found.schemes.sz_applied.iloc[-1] == found.schemes.sz_tried.iloc[-1] > 0
    seen = [r.snapshots[r.snapshots.t_s == 4.0] for r in (found, run("stat"))]
    huge, small = (np.average(s.nr_accesses, weights=s.end - s.start) for s in seen)
    assert huge > 15 and small == pytest.approx(2.4, abs=1), "of 20 samples"


def test_collapsing_copies_and_pays():
    found, idle = run("collapse"), run("stat")
    copied = counter(found, "thp_collapse_alloc") * HUGE
    written = [r.nodes[r.nodes.node == "fast"].written_bytes.iloc[-1] for r in (found, idle)]
    assert written[0] - written[1] == pytest.approx(copied, rel=0.01)
    speed = [r.actors.operations.iloc[-1] for r in (found, idle)]
    assert 0.98 * speed[1] < speed[0] < speed[1]


def test_khugepaged_follows_the_advice_of_a_scheme():
    counters = run("hugepage", 21).vmstat
    made = counters[counters.counter == "thp_collapse_alloc"].set_index("t_s").value
    assert made.loc[[9.0, 11.0, 21.0]].tolist() == [0, 8, 16]


@pytest.mark.parametrize("action", ["hugepage", "nohugepage", "collapse"])
def test_a_kdamonds_file_says_the_same_as_the_command(action, tmp_path):
    data = document() | {"duration": "2 s"}
    command = f"damo start --ops vaddr --target_pid 1000 --damos_action {action}"
    made = load_scenario({**data, "policy": command})
    path = tmp_path / "kdamonds.yaml"
    kdamonds.write(path, made.policy.kdamonds(made.topology))
    again = load_scenario({**data, "policy": str(path)})
    assert again.policy.kdamonds(made.topology) == made.policy.kdamonds(made.topology)
    assert not again.warnings


def test_a_repeated_run_and_its_twin_give_the_same():
    first, again = run("collapse"), run("collapse")
    for name in ("actors", "schemes", "snapshots", "vmstat"):
        assert first.tables[name].equals(again.tables[name])
    twin = run("collapse", exact_ticks=True)
    assert counter(twin, "nr_anon_transparent_hugepages") > 24


def test_physical_contexts_try_and_apply_nothing():
    last = run("collapse", ops="paddr").schemes.iloc[-1]
    assert last.sz_tried > 0 and last.sz_applied == 0


def swept(seconds: int, action: str):
    """A front that turns over 64 MiB once in 1.28 s: 64 pages, an eighth of a block, in a tick."""
    data = document()
    (process,) = data["workload"]["processes"]
    process["actors"][0]["threads"] = 1
    process["actors"][0]["phases"][0] = {
        "compute": 0, "pace": "12800 /s", "access": [{"pattern": "sweep", "mapping": "m"}]
    }  # fmt: skip
    command = f"damo start --ops vaddr --target_pid 1000 --damos_action {action}"
    return ns.run(
        data["topology"], data["workload"], f"{command} --damos_access_rate 0% max",
        duration=f"{seconds} s", record="1 s",
    )  # fmt: skip


def test_a_sweep_is_seen_for_longer_on_huge_pages():
    """A small page in 1 tick of 256; a huge one in 9, as the front is in it for 8 of them."""
    huge, small = swept(12, "collapse"), swept(12, "stat")
    assert counter(huge, "nr_anon_transparent_hugepages") > 24
    rows = [s[s.t_s > 3] for s in (huge.snapshots, small.snapshots)]
    found = [np.average(s.nr_accesses, weights=s.end - s.start) for s in rows]
    assert 4 * found[1] < found[0] < 1.2 * 20 * 9 / 256
    speed = [r.actors.operations.iloc[-1] for r in (huge, small)]
    assert speed[0] == pytest.approx(speed[1], rel=0.02)
