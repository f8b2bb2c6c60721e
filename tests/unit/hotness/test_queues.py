"""Lists that are checked when somebody takes from them."""

from __future__ import annotations

import numpy as np

from numasim.hotness.queues import Queue


def everything(numbers: np.ndarray) -> np.ndarray:
    return np.ones(len(numbers), bool)


def test_first_in_first_out_and_nobody_twice():
    queue = Queue(10)
    queue.push(np.array([3, 1, 2]))
    queue.push(np.array([1, 5]))
    assert len(queue) == 4
    assert queue.pop(2, everything).tolist() == [3, 1]
    queue.push(np.array([3]))
    assert queue.pop(9, everything).tolist() == [2, 5, 3]
    assert not len(queue) and queue.pop(1, everything).tolist() == []


def test_what_does_not_belong_is_passed_over_and_may_come_back():
    queue = Queue(10)
    queue.push(np.arange(6))
    assert queue.pop(2, lambda n: n % 2 == 1).tolist() == [1, 3]
    queue.push(np.array([0]))
    assert queue.pop(9, everything).tolist() == [4, 5, 0]


def test_what_was_taken_can_be_put_back_in_front():
    queue = Queue(10)
    queue.push(np.arange(4))
    queue.push_front(queue.pop(2, everything))
    assert queue.pop(9, everything).tolist() == [0, 1, 2, 3]


def test_long_lists_are_taken_in_parts():
    queue = Queue(100_000)
    queue.push(np.arange(100_000))
    taken = [queue.pop(30_000, lambda n: n % 3 == 0) for _ in range(3)]
    assert np.concatenate(taken).tolist() == list(range(0, 100_000, 3))
