"""Actors that go as fast as a real machine let them, frames and room as it had them."""

import numpy as np
import pytest

from numasim.engine import Engine
from numasim.errors import ConfigError
from numasim.free_frames import FreeFrames
from numasim.loader import load_scenario
from numasim.memory import Memory
from numasim.running import run_scenario
from numasim.traffic import Course, Exposure
from tests import worlds

S = 1_000_000_000


def exposure(times, work, nr_columns=2):
    return Exposure(nr_columns, 0, (Course(np.array(times, np.int64), np.array(work, float)),))


def test_columns_gain_with_a_course():
    found = exposure([10, 20, 30, 40], [0, 100, 100, 400])
    found.set_rates(0, np.array([0.0, 1.0]), np.array([[2.0, 0.5]]))
    at = found.at(np.array([5, 10, 15, 25, 35, 100]))
    np.testing.assert_allclose(at[:, 0], [0, 0, 100, 200, 500, 800])
    np.testing.assert_allclose(at[:, 1], np.array([5, 10, 15, 25, 35, 100]) + at[:, 0] / 4)
    np.testing.assert_allclose(found.of(np.array([0, 1]), np.array([15, 15])), [100, 40])


def test_what_was_gained_stays_when_gains_change():
    found = exposure([0, 100], [0, 100])
    found.set_rates(0, np.zeros(2), np.array([[1.0, 0.0]]))
    found.set_rates(40, np.zeros(2), np.array([[0.0, 3.0]]))
    np.testing.assert_allclose(found.at(np.array([20, 40, 50, 200])), [
        [20, 0], [40, 0], [40, 30], [40, 180],
    ])  # fmt: skip


def test_thinning_keeps_the_ends_of_what_it_joins():
    many = 3 * Exposure.MAX_SEGMENTS // 2
    kept = exposure([0, 10 * many], [0, 5 * many])
    exact = np.zeros((many + 1, 2))
    for k in range(many):
        rates, gains = np.array([k % 3, 1.0]), np.array([[k % 2, 0.25]])
        kept.set_rates(10 * k, rates, gains)
        exact[k + 1] = exact[k] + 10 * rates + 5 * gains[0]
    times = 10 * np.arange(many + 1)
    recent = slice(many - Exposure.MAX_SEGMENTS // 4, None)
    np.testing.assert_allclose(kept.at(times)[recent], exact[recent])
    drift = np.abs(kept.at(times) - exact).max()
    assert drift <= 8 * 20  # of one joined stretch, not of all of them


def course_document(course, **more):
    document = worlds.document(duration="4 s", **more)
    actor = document["workload"]["processes"][0]["actors"][0]
    actor["phases"][0].pop("compute", None)
    actor["course"] = course
    return document


def test_an_actor_on_a_course_does_what_was_measured_when_it_was():
    course = [["1 s", 0], ["2 s", 500.0], ["3 s", 500.0], ["3500 ms", 2000.0]]
    result = run_scenario(load_scenario(course_document(course)))
    done = result.actors.set_index("t_s").operations
    assert done[1.0] == 0
    assert done[1.5] == pytest.approx(250)
    assert done[2.5] == pytest.approx(500)
    assert done[3.2] == pytest.approx(1100)
    assert done.iloc[-1] == pytest.approx(2000)


def test_the_same_course_twice_gives_the_same_tables():
    course = [["1 s", 0], ["2 s", 1e6]]
    damo = "damo start --target_pid 1000 --ops vaddr --monitoring_intervals 5ms 100ms 1s"
    policy = {"kind": "damos", "damo": damo}
    one, two = (run_scenario(load_scenario(course_document(course, policy=policy))) for _ in "ab")
    assert one.snapshots.equals(two.snapshots) and len(one.snapshots)


@pytest.mark.parametrize(
    ("course", "said"),
    [
        ([["1 s", 0]], "two instants"),
        ([["2 s", 0], ["1 s", 5]], "later instants"),
        ([["1 s", 9], ["2 s", 5]], "later instants"),
    ],
)
def test_courses_that_make_no_sense_are_refused(course, said):
    with pytest.raises(ConfigError, match=said):
        load_scenario(course_document(course))


def test_a_course_leaves_no_room_for_another_speed():
    document = course_document([["1 s", 0], ["2 s", 5]])
    phase = document["workload"]["processes"][0]["actors"][0]["phases"][0]
    phase["pace"] = "5 /s"
    with pytest.raises(ConfigError, match="pace"):
        load_scenario(document)


# -- frames ----------------------------------------------------------------------------------------


def test_promised_frames_are_kept_until_named():
    free = FreeFrames([(0, 100)])
    free.promise(np.array([3, 4, 50]), [(0, 100)])
    taken = free.take(60)
    assert not np.isin([3, 4, 50], taken).any()
    assert free.claim(np.array([4, 60, 500])).tolist() == [True, False, False]
    assert free.nr_promised == 2
    assert not free.claim(np.array([4])).any(), "named once"


def test_a_broken_promise_holds_again_once_the_frame_is_free():
    free = FreeFrames([(0, 10)])
    free.promise(np.array([8, 9]), [(0, 10)])
    assert sorted(free.take(9).tolist()) == [*range(8), 8]
    free.give(np.array([8, 2]))
    assert free.nr_promised == 2
    assert free.take(1).tolist() == [2], "what is not promised goes first"


def test_mappings_get_the_frames_that_they_name():
    document = worlds.document()
    cold = document["workload"]["processes"][0]["mappings"][0]
    base = Memory(load_scenario(document).topology, 1).range_start[0] // 4096
    nowhere = 1 << 40  # such runs are ignored
    cold["frames"] = [[0, int(base) + 3000, 7], [7, int(base) + 2000, 3], [10, nowhere, 5]]
    engine = Engine(load_scenario(document))
    engine.run()
    memory, pages = engine.machine.memory, engine.machine.space.mappings[0]
    named = memory.frames_at(base + np.r_[3000 + np.arange(7), 2000 + np.arange(3)])
    assert (named >= 0).all()
    np.testing.assert_array_equal(memory.frame_of[pages.first : pages.first + 10], named)
    worlds.check(engine.machine.migrator)


def test_frames_beyond_the_mapping_are_refused():
    document = worlds.document()
    mapping = document["workload"]["processes"][0]["mappings"][0]
    mapping["frames"] = [[5000, 0, 1]]
    with pytest.raises(ConfigError, match="frames"):
        load_scenario(document)


# -- room ------------------------------------------------------------------------------------------


def test_others_leave_the_room_that_was_measured():
    events = [
        {"at": "300 ms", "available": {"slow": "40 MiB"}},
        {"at": "600 ms", "available": {"slow": "50 MiB"}},
    ]
    result = run_scenario(load_scenario(worlds.document(events=events)))
    rows = result.nodes[result.nodes.node == "slow"].set_index("t_s")
    room = rows.free_bytes + rows.workload_bytes
    assert room[0.5] == 40 << 20
    assert room[0.8] == 50 << 20
    engine = Engine(load_scenario(worlds.document(events=events)))
    engine.run()
    worlds.check(engine.machine.migrator)


def test_others_take_nothing_that_watermarks_keep():
    events = [{"at": "300 ms", "available": {"slow": "0 B"}}]
    result = run_scenario(load_scenario(worlds.document(events=events)))
    free = result.nodes[result.nodes.node == "slow"].free_bytes
    assert 0 < free.min() < 1 << 20


def test_what_is_wrong_with_room_is_said_at_once():
    events = [{"at": "1 ms", "available": {"slwo": "1 MiB", "fast": "1 TiB"}}]
    with pytest.raises(ConfigError) as error:
        load_scenario(worlds.document(events=events))
    assert "slwo" in str(error.value) and "more than the node has" in str(error.value)


def test_the_atomic_reserve_is_free_and_of_no_use():
    document = worlds.document()
    for node in document["topology"]["nodes"]:
        node["other_memory"] = {"atomic_reserve": "4 MiB"}
    result = run_scenario(load_scenario(document))
    fast = result.nodes[result.nodes.node == "fast"]
    assert fast.free_bytes.min() >= 4 << 20
