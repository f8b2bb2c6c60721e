"""What observers take is paid once: not before it is owed, and not twice."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.loader import load_scenario
from numasim.running import run_scenario
from numasim.tolls import MOST, Tolls
from tests import eyes, worlds

MS = 1_000_000


def tolls(threads: int = 4):
    one = eyes.actor("one", "cpu0", eyes.visit("m", 0.1), threads=threads)
    made = eyes.running(eyes.workload([one], worlds.mapping("m", "4 MiB")))
    return made.actors, Tolls(made.actors, 0)


def test_a_toll_is_paid_over_the_time_after_it():
    _, found = tolls()
    found.charge(np.array([30.0 * MS]), 200 * MS)
    assert found.changed(0)
    found.settled(0)
    assert found.paying[0] == pytest.approx(0.15)
    assert found.working_share(0) == pytest.approx(1 - 0.15 / 4)
    assert found.paid_by(100 * MS)[0] == pytest.approx(15 * MS)
    found.settled(200 * MS)
    assert found.paid_ns[0] == pytest.approx(30 * MS) and found.paying[0] == 0


def test_owed_and_paid_differ_by_one_window_at_most():
    _, found = tolls()
    rng = np.random.default_rng(2)
    now, most = 0, 0.0
    for _ in range(500):
        now += 100 * MS
        amount = float(rng.integers(0, 20)) * MS
        most = max(most, amount)
        found.charge(np.array([amount]), 100 * MS)
        if found.changed(now):
            found.settled(now)
        assert abs(found.owed_ns[0] - found.paid_by(now)[0]) <= most * (1 + 0.05)


def test_who_does_not_run_does_not_pay_and_nobody_pays_with_all_threads():
    actors, found = tolls()
    found.charge(np.array([10_000.0 * MS]), 100 * MS)
    found.settled(0)
    assert found.paying[0] == pytest.approx(MOST * 4)
    actors[0].state = "ended"
    found.settled(100 * MS)
    assert found.paying[0] == 0
    assert found.paid_by(900 * MS)[0] == pytest.approx(MOST * 4 * 100 * MS), "the rest stays owed"


def test_a_toll_slows_its_actor_down():
    made = eyes.running(
        eyes.workload(
            [{**eyes.actor("one", "cpu0"), "phases": [{"compute": "1 us"}]}],
            worlds.mapping("m", "4 MiB"),
        )
    )
    seen = eyes.context(made, "page_fault")
    before = made.actors[0].rate_per_ns
    tally = made.observing.tally("page_fault", "eye")
    made.observing.charge(tally, 1000, np.array([40.0 * MS]), 100 * MS)
    made.settle(made.now_ns)
    assert made.actors[0].rate_per_ns == pytest.approx(before * (1 - 0.4 / 4), rel=1e-6)
    assert (tally.events, tally.stall_ns, seen.name) == (1000, 40 * MS, "eye")


def test_paying_stops_when_nothing_more_falls_due():
    _, found = tolls()
    assert found.paid_off_ns() == np.inf
    found.charge(np.array([30.0 * MS]), 200 * MS)
    found.settled(0)
    assert found.paid_off_ns() == pytest.approx((200 + 20) * MS), "a tenth of a window later"
    found.settled(round(found.paid_off_ns()))
    assert found.paying[0] == 0 and found.paid_off_ns() == np.inf
    assert found.paid_ns[0] == pytest.approx(33 * MS)


@pytest.mark.parametrize("source", ["page_fault", "pebs"])
def test_nobody_pays_for_a_source_that_was_switched_off(source):
    start = f"damo start --sample_primitives {source} --monitoring_nr_regions_range 50 100"
    document = {
        "topology": "four_node_small",
        "workload": "two_sockets",
        "duration": "9 s",
        "events": [{"at": "4 s", "damo": start}, {"at": "6 s", "damo": "damo stop"}],
        "sources": {"pebs": {"period": 500}},
    }
    table = run_scenario(load_scenario(document)).tolls.groupby("t_s")[["owed_ns", "paid_ns"]].sum()
    owed, paid = table.loc[8.0]
    assert owed > 0 and paid == pytest.approx(owed, rel=0.1)


def test_hardware_is_switched_on_when_it_is_asked_for_not_when_somebody_looked_last():
    def events(record):
        start = "damo start --sample_primitives pebs --monitoring_nr_regions_range 50 100"
        document = {
            "topology": "four_node_small",
            "workload": "two_sockets",
            "duration": "9 s",
            "record": record,
            "events": [{"at": "7900 ms", "damo": start}],
        }
        sources = run_scenario(load_scenario(document)).tables["sources"]
        return sources[sources.t_s == sources.t_s.max()]["events"].sum()

    assert events("5 s") == pytest.approx(events("100 ms"), rel=0.2)
