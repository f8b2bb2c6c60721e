"""What does not fit between two drains is lost, however readers cut time."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.counting import BlockCounter, CounterRule
from numasim.monitors import observing_of
from numasim.sampling import Rule, Sampler
from tests import eyes, worlds

S, MS = 1_000_000_000, 1_000_000
FAR = {"policy": {"mode": "bind", "nodes": ["x0"]}}
CUTS_MS = (5, 7, 100, 1000, 2000)  # windows of readers, within drains, across them, and both


def made():
    """Four threads, on a CPU each, stream through 64 blocks of 64 KiB."""
    one = eyes.actor("one", "cpu0", eyes.visit("m", 1.0, lines=4, miss=1.0))
    return eyes.running(eyes.workload([one], worlds.mapping("m", "4 MiB", **FAR)))


def read(drawn, cut_ms: int, seconds: int = 2) -> list[np.ndarray]:
    """Instants of what is kept of some seconds, read in windows of a length."""
    edges = np.append(np.arange(S, (1 + seconds) * S, cut_ms * MS), (1 + seconds) * S)
    return [drawn.draw(edges[i : i + 2]).time_ns for i in range(len(edges) - 1)]


@pytest.mark.parametrize("drain_ms", [10, 1000])
@pytest.mark.parametrize("cut_ms", CUTS_MS)
def test_buffers_of_samplers_are_emptied_by_drains_and_not_by_readers(drain_ms, cut_ms):
    observing = observing_of(made())
    rule = Rule("pebs", 100, "llc_miss", "load", 1, 1.0, 10, drain_ms * MS, None, 15.0)
    kept = np.concatenate(read(Sampler(rule, observing), cut_ms))
    # 40,000 samples a second fall due; four buffers of ten hold 40 until they are emptied
    each = np.bincount(kept // (drain_ms * MS))[1000 // drain_ms :]
    assert (each[:-1] == 40).all() and len(each) in (2000 // drain_ms, 2000 // drain_ms + 1)
    assert (each <= 40).all(), "a sample may fall on the last instant"
    tally = observing.tally("pebs")
    assert tally.events == pytest.approx(80_000, rel=0.01)
    assert tally.lost == tally.events - len(kept)


@pytest.mark.parametrize("drain_ms", [10, 1000])
@pytest.mark.parametrize("cut_ms", CUTS_MS)
def test_counters_notify_once_between_drains_and_keep_a_batch(drain_ms, cut_ms):
    running = made()
    counter = BlockCounter(
        CounterRule("c", (2,), None, 64 << 10, 4, drain_ms * MS, 16, -1), observing_of(running)
    )
    kept = np.concatenate(read(counter, cut_ms))
    each = np.bincount((kept - 1) // (drain_ms * MS))[1000 // drain_ms :]
    assert (each == 16).all() and len(each) == 2000 // drain_ms
    # 62 accesses a millisecond and block come to four within every interval
    tally = running.observing.tally("c")
    assert (tally.events, tally.lost) == (len(each) * 64, len(each) * 48)


def test_counters_that_nobody_read_for_a_while_were_drained():
    counter = BlockCounter(
        CounterRule("c", (2,), None, 64 << 10, 4, S, 1000, -1), observing_of(made())
    )
    assert len(counter.draw(np.array([S, S + 100 * MS]))) == 64
    assert len(counter.draw(np.array([S + 100 * MS, S + 200 * MS]))) == 0, "they wait"
    assert len(counter.draw(np.array([2 * S + 100 * MS, 2 * S + 200 * MS]))) == 64
