"""The density prefetcher's trees, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.hotness.device_memory import dense_subtrees


def leaves(text: str) -> np.ndarray:
    return np.array([[c == "1" for c in text]])


@pytest.mark.parametrize(
    ("present", "wanted", "brought"),
    [
        ("0000", "1000", "1000"),  # one of two is 50 %, not more than 51
        ("0000", "1100", "1100"),  # two of four neither
        ("0110", "1000", "1001"),  # three of four: the whole, without what is there
        ("00000000", "11110000", "11110000"),
        ("00000000", "11110100", "11111111"),  # five of eight
        ("01110000", "00000001", "00000001"),  # the dense half has no fault
        ("1111", "0000", "0000"),
    ],
)
def test_dense_subtrees_are_brought_whole(present, wanted, brought):
    assert (dense_subtrees(leaves(present), leaves(wanted)) == leaves(brought)).all()


def test_blocks_are_decided_one_by_one():
    present = np.zeros((2, 4), bool)
    wanted = np.array([[1, 1, 1, 0], [1, 0, 0, 0]], bool)
    assert dense_subtrees(present, wanted).sum(axis=1).tolist() == [4, 1]
