"""Recordings in a running machine: bits, lines, speed, and what is refused at the door."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.addresses import AddressSpace
from numasim.damon.ops import Window
from numasim.engine import Engine
from numasim.errors import ConfigError
from numasim.formats import page_trace
from numasim.loader import load_scenario
from numasim.machine import Machine
from numasim.running import run_scenario
from numasim.seeds import Seeds
from numasim.sources.accessed_bits import AccessedBits
from numasim.view import View
from tests import recordings, worlds

MADE = recordings.columns()
PAGES, INTERVALS = recordings.PAGES, recordings.INTERVALS
PAGE = worlds.PAGE
FILE = str(recordings.TINY)
INTERVAL_NS = 1_000_000


def playing(pages: int = PAGES, page: str = "4 KiB", phase: dict | None = None, **more) -> Machine:
    """A machine whose one actor plays the recording, an interval every millisecond."""
    access = {"pattern": "trace", "mapping": "m", "file": FILE, **more}
    size = f"{pages * 4 if page == '4 KiB' else pages * 2048} KiB"
    work = worlds.workload(
        [worlds.mapping("m", size, page=page)], [access],
        phase={"compute": 0, "pace": "1000 /s", **(phase or {})},
    )  # fmt: skip
    machine = worlds.machine(worlds.topology("256 MiB", "64 MiB"), work)
    machine.start_process(0, 0)
    while machine.populators:
        machine.change(int(machine.next_change_ns()) + 1)
    machine.settle(machine.now_ns)
    return machine


def eye(machine: Machine) -> tuple[AccessedBits, int]:
    (pages,) = machine.space.mappings
    ranges = [(pages.address, pages.address + pages.nr * machine.space.frame_bytes, pages.first)]
    view = View(
        AddressSpace(ranges, machine.space.frame_bytes), lambda slots: slots,
        machine.migrator.watch_pages(), machine.law,
    )  # fmt: skip
    source = AccessedBits([view], machine.law, Seeds(1).stream("eye"), 0)
    return source, pages.address


def truth(first: int, last: int) -> np.ndarray:
    """bool[pages]: touched in intervals [first, last) of the recording."""
    own = (MADE["interval"] >= first) & (MADE["interval"] < last) & (MADE["touches"] > 0)
    found = np.zeros(PAGES, bool)
    found[MADE["page"][own]] = True
    return found


@pytest.mark.parametrize("ticks_of", [1, 3, 8])
def test_hits_are_exactly_what_the_recording_says(ticks_of):
    """All ticks x regions at once, one region per page, ticks of whole intervals."""
    machine = playing()
    source, base = eye(machine)
    begin, nr = machine.now_ns, 12
    starts = begin + np.arange(nr) * ticks_of * INTERVAL_NS
    start = base + np.arange(PAGES) * PAGE
    hits = source.hits(
        start, start + PAGE, np.zeros(PAGES, int), Window(starts, starts + ticks_of * INTERVAL_NS)
    )
    want = sum(truth(k * ticks_of, (k + 1) * ticks_of).astype(int) for k in range(nr))
    assert hits.tolist() == want.tolist()


def test_the_touched_share_of_the_whole_is_the_recordings():
    """One region over everything: the mean over draws is the share that the recording tells."""
    machine = playing()
    source, base = eye(machine)
    starts = machine.now_ns + np.arange(20) * 4 * INTERVAL_NS
    rounds = 500
    zeros = np.zeros(rounds, int)
    hits = source.hits(
        zeros + base, zeros + base + PAGES * PAGE, zeros, Window(starts, starts + 4 * INTERVAL_NS)
    )
    share = np.mean([truth(4 * k, 4 * k + 4).mean() for k in range(20)])
    deviation = np.sqrt(share * (1 - share) / (rounds * 20))
    assert hits.mean() / 20 == pytest.approx(share, abs=5 * deviation)  # once in a million


def test_huge_pages_and_stretched_ones_have_one_bit_for_each_recorded_page():
    machine = playing(PAGES * 2, "2 MiB", stretch=2)
    source, base = eye(machine)
    size = 2 << 20
    start = base + np.arange(2 * PAGES) * size
    ends = machine.now_ns + np.array([4 * INTERVAL_NS])
    hits = source.hits(
        start, start + size, np.zeros(2 * PAGES, int), Window(ends - 4 * INTERVAL_NS, ends)
    )
    assert hits.astype(bool).tolist() == np.repeat(truth(0, 4), 2).tolist()


def test_pages_beyond_the_recording_lie_idle():
    machine = playing(PAGES + 16)
    source, base = eye(machine)
    start = base + np.arange(PAGES + 16) * PAGE
    starts = machine.now_ns + np.arange(10) * INTERVAL_NS
    hits = source.hits(
        start, start + PAGE, np.zeros(PAGES + 16, int), Window(starts, starts + INTERVAL_NS)
    )
    assert not hits[PAGES:].any() and hits[: recordings.SWEPT].any()


def test_the_young_filter_sees_the_recording():
    machine = playing()
    machine.law.track_bits()
    (pages,) = machine.space.mappings
    heads, begin = np.arange(pages.first, pages.last), machine.now_ns // 100_000 * 100_000
    none = np.zeros(PAGES, int)
    machine.law.note_checked(heads, np.array([begin]), none.astype(bool))
    # what was cleared a moment after the beginning: that moment lies within the first interval
    position = machine.law.exposure.of(np.array([machine.rates.law.fronts[0].column]),
                                       np.array([begin + 20 * INTERVAL_NS]))[0]  # fmt: skip
    chance = machine.law.young_chance(heads, begin + 20 * INTERVAL_NS)
    inner = truth(1, int(position))
    assert (chance[inner] == 1.0).all()
    assert not chance[~truth(0, int(position) + 1)].any()


def test_lines_and_write_backs_are_those_of_the_stretch():
    machine = playing(resolution=4)
    (actor,) = machine.actors
    own = MADE["interval"] < 4
    reads = (MADE["loads"] + MADE["stores"])[own].sum() / 4
    assert actor.lines_per_ns.sum() * INTERVAL_NS == pytest.approx(reads, rel=1e-9)
    written = MADE["writebacks"][own].sum() / 4
    solution = machine.solution
    assert solution.node_write_bytes_per_ns.sum() * INTERVAL_NS == pytest.approx(written * 64)


def test_moved_pages_take_their_lines_with_them():
    machine = playing()
    (actor,) = machine.actors
    (pages,) = machine.space.mappings
    assert actor.lines_per_ns[1] == 0
    machine.migrator.migrate(np.arange(pages.first, pages.first + recordings.SWEPT), 1, "test")
    machine.settle(machine.now_ns)
    own = (MADE["interval"] < 8) & (MADE["page"] < recordings.SWEPT)
    reads = (MADE["loads"] + MADE["stores"])[own].sum() / 8
    assert actor.lines_per_ns[1] * INTERVAL_NS == pytest.approx(reads, rel=1e-9)


def test_slow_memory_slows_the_replay():
    def intervals(**bind) -> float:
        machine = playing(phase={"pace": None, "compute": "10 us"})
        if bind:
            (pages,) = machine.space.mappings
            machine.migrator.migrate(np.arange(pages.first, pages.last), 1, "test")
            machine.settle(machine.now_ns)
        return machine.actors[0].rate_per_ns

    assert intervals(slow=True) < intervals()


def test_speed_is_found_anew_at_every_stretch_also_over_the_end():
    pattern = playing(resolution=40).workload.processes[0].actors[0].phases[0].access[0]
    found, work = [], 0.0
    for _ in range(8):
        work = pattern.next_change(work)
        found.append(work)
    assert found == [40, 80, 120, 150, 190, 230, 270, 300]


def test_changes_count_from_where_the_replay_begins_and_stop_with_it():
    pattern = playing(resolution=40, begin=100, loop=False).workload
    (trace,) = pattern.processes[0].actors[0].phases[0].access
    assert [trace.next_change(w) for w in (0.0, 20.0, 49.0)] == [20, 50, 50]
    assert trace.next_change(50.0) == float("inf")


def document(**more) -> dict:
    plain = page_trace.to_workload(recordings.TINY, copies=2, idle_bytes=1 << 20)
    base = worlds.document(duration="600 ms", **more)
    return {**base, "workload": plain}


def test_a_scenario_plays_a_recording_under_a_policy_and_repeats_itself():
    policy = worlds.tiering()
    one, two = (run_scenario(load_scenario(document(policy=policy))) for _ in range(2))
    for name, table in one.tables().items() if callable(one.tables) else one.tables.items():
        other = two.tables()[name] if callable(two.tables) else two.tables[name]
        assert table.equals(other), name
    done = one.phases.operations
    assert (done > 100).all() and (done < 400).all()  # 2 ms an interval and the misses


def test_threads_play_on_their_accessors():
    plain = page_trace.to_workload(recordings.TINY, accessors={"cpu0": [1], "cpu1": [2]})
    topology = worlds.document()["topology"]
    topology["accessors"].append({"name": "cpu1", "cpus": "4-7", "at": "socket0"})
    base = worlds.document(duration="100 ms")
    engine = Engine(load_scenario({**base, "topology": topology, "workload": plain}))
    engine.run()
    first, second = engine.machine.actors
    assert first.lines.sum() > 10 * second.lines.sum() > 0  # thread 1 has the sweep


# -- refused at the door ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"visits": 2}, "visits: is told by the recording"),
        ({"write": 0.5}, "write: is told by the recording"),
        ({"threads": [1, 5]}, "threads: no thread 5, the recording has 1, 2"),
        ({"begin": 150}, "begin: got 150, the recording has 150 intervals"),
        ({"file": "nowhere.json"}, 'file: "nowhere.json": cannot be read'),
        ({"stretch": 0}, "stretch"),
        ({"stretch": 2}, '"m" has 48 pages, the recording needs 96'),
    ],
)
def test_what_cannot_be_played_is_refused(more, complaint):
    with pytest.raises(ConfigError, match=complaint):
        playing(**more)


def test_bursts_and_operations_without_time_are_refused():
    with pytest.raises(ConfigError, match="burst: is for patterns that are made up"):
        playing(phase={"burst": 1000})
    with pytest.raises(ConfigError, match="an operation that takes no time"):
        playing(phase={"pace": None})
