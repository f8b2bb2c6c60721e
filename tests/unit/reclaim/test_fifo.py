"""Lists that cost what is scanned: order, tickets, ranges."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from numasim.reclaim.fifo import Fifo, Tickets


def ones(heads: np.ndarray) -> np.ndarray:
    return np.ones(len(heads), np.int64)


def test_first_in_first_out_over_ranges_and_singles():
    one = Fifo(Tickets(100))
    one.add(np.arange(10, 20))
    one.add(np.array([5, 3, 99]))
    assert one.take(4, ones).tolist() == [10, 11, 12, 13]
    assert one.take(8, ones).tolist() == [14, 15, 16, 17, 18, 19, 5, 3]
    assert one.heads().tolist() == [99] and not one.is_empty()
    assert one.take(8, ones).tolist() == [99]
    assert one.is_empty() and one.take(1, ones).tolist() == []


def test_who_went_elsewhere_is_passed_over():
    tickets = Tickets(100)
    one, other = Fifo(tickets), Fifo(tickets)
    one.add(np.arange(10))
    other.add(np.array([2, 3]))
    tickets.held[5] = 0
    assert one.take(4, ones).tolist() == [0, 1, 4, 6]
    one.add(np.array([2]))
    assert other.heads().tolist() == [3] and one.heads().tolist() == [7, 8, 9, 2]


def test_a_folio_that_comes_back_has_its_new_place_only():
    one = Fifo(Tickets(10))
    one.add(np.array([1, 2, 3]))
    one.add(np.array([1]))
    assert one.heads().tolist() == [2, 3, 1]


def test_large_folios_count_as_their_pages():
    one = Fifo(Tickets(5000))
    one.add(np.arange(0, 4096, 512))
    assert one.take(600, lambda heads: np.full(len(heads), 512)).tolist() == [0, 512]


def test_one_list_can_be_put_before_another():
    tickets = Tickets(20)
    one, other = Fifo(tickets), Fifo(tickets)
    one.add(np.array([1, 2]))
    other.add(np.array([7, 8]))
    other.add(np.array([9]))
    one.add_first(other)
    assert one.heads().tolist() == [7, 8, 9, 1, 2] and other.is_empty()


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sets(st.integers(0, 60), min_size=1, max_size=30)),
            st.tuples(st.just("take"), st.integers(0, 80)),
            st.tuples(st.just("drop"), st.integers(0, 60)),
        ),
        max_size=40,
    )
)
def test_it_is_a_plain_list_of_whom_it_holds(steps):
    tickets = Tickets(61)
    one, plain = Fifo(tickets), []
    for what, value in steps:
        if what == "add":
            heads = sorted(value)
            one.add(np.array(heads))
            plain = [h for h in plain if h not in value] + heads
        elif what == "take":
            assert one.take(value, ones).tolist() == plain[:value]
            plain = plain[value:]
        else:
            tickets.held[value] = 0
            plain = [h for h in plain if h != value]
        assert one.heads().tolist() == plain and one.is_empty() == (not plain)
