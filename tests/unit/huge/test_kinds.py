"""Classes of pages in huge pages: visited as before, seen as often as any page of the block."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.pages import PageSpace
from numasim.seeds import Seeds
from tests import worlds

PER = 512
AT = {"address": 1 << 30}


def space(*access: dict, size: str = "16 MiB", more: tuple = (), **mapping) -> PageSpace:
    found = [worlds.mapping("m", size, **{**AT, **mapping}), *more]
    return PageSpace(worlds.workload(found, access), Seeds(5), huge=True)


def weights(of: PageSpace, work: float = 0.0) -> np.ndarray:
    """float64[C]: visits of the only pattern to one page of each class."""
    (pattern,) = of.patterns.values()
    return pattern.page_weights(work)


def whole(of: PageSpace, index: int = 0) -> np.ndarray:
    """uint16[B, per]: classes of all blocks of a mapping, made huge."""
    blocks = of.huge.blocks[index]
    pages = blocks.first + np.arange(len(blocks.kind) * PER)
    numbers = np.repeat(np.arange(len(blocks.kind)), PER)
    return of.huge.whole(index, numbers, of.class_of[pages]).reshape(-1, PER)


HOT = {"pattern": "hot_cold", "mapping": "m", "hot": 0.3, "hot_visits": 0.9}
PATTERNS = [
    {"pattern": "uniform", "mapping": "m"},
    HOT,
    {"pattern": "hot_cold", "mapping": "m", "hot": 0.3, "hot_visits": 0.9, "scattered": True},
    {"pattern": "zipf", "mapping": "m"},
    {"pattern": "gamma", "mapping": "m", "shape": 1.0},
]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p["pattern"] + str(len(p)))
def test_pages_are_visited_as_before(pattern):
    of = space(pattern)
    blocks, before = of.huge.blocks[0], weights(of)
    own = of.class_of[blocks.first : blocks.first + len(blocks.kind) * PER]
    assert (before[whole(of).reshape(-1)] == before[own]).all()
    assert (of.split_class[whole(of).reshape(-1)] == own).all(), "and once split they are as before"


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p["pattern"] + str(len(p)))
def test_a_bit_is_set_as_often_as_any_page_of_the_block_is_visited(pattern):
    """Exactly over all blocks; of each block to within the width of a kind."""
    of = space(pattern, size="64 MiB")
    blocks, before = of.huge.blocks[0], weights(of)
    own = of.class_of[blocks.first : blocks.first + len(blocks.kind) * PER].reshape(-1, PER)
    truth = before[own].sum(axis=1)
    seen = of.of_bits(before)[whole(of)]
    assert (seen == seen[:, :1]).all(), "all pages of a block have one bit"
    np.testing.assert_allclose(seen[:, 0], truth, rtol=0.09)
    assert seen[:, 0].sum() == pytest.approx(truth.sum(), rel=1e-12)


def test_equal_blocks_are_exact_and_so_is_the_one_between():
    of = space(HOT, size="64 MiB")  # 30 % end within a block
    before = weights(of)
    blocks = of.huge.blocks[0]
    own = of.class_of[blocks.first : blocks.first + len(blocks.kind) * PER].reshape(-1, PER)
    np.testing.assert_allclose(of.of_bits(before)[whole(of)[:, 0]], before[own].sum(axis=1))
    assert len(of.huge.made_of) == 3


def test_the_workloads_own_classes_are_what_they_are_without():
    for pattern in PATTERNS:
        of = space(pattern)
        plain = PageSpace(
            worlds.workload([worlds.mapping("m", "16 MiB", **AT)], [pattern]), Seeds(5)
        )
        assert (of.class_of == plain.class_of).all()
        assert (of.mapping_of_class[: plain.nr_classes] == plain.mapping_of_class).all()
        one, two = (next(iter(s.patterns.values())).weights for s in (of, plain))
        assert (one[:, : plain.nr_classes] == two).all()


def test_blocks_are_aligned_by_address():
    of = space(address=(1 << 30) + 4096 * 12, size="5 MiB")
    blocks = of.huge.blocks[0]
    assert blocks.first == PER - 12 and len(blocks.kind) == 1
    pages = blocks.first + np.arange(PER)
    of.class_of[pages] = of.huge.whole(0, np.zeros(PER, np.int64), of.class_of[pages])
    assert (of.folio_heads(pages) == blocks.first).all()
    assert of.folio_heads(np.array([0, PER - 13, 2 * PER - 12])).tolist() == [
        0, PER - 13, 2 * PER - 12
    ]  # fmt: skip


def test_what_cannot_be_huge_has_no_blocks():
    more = (
        worlds.mapping("f", "4 MiB", kind="file"),
        worlds.mapping("s", "4 MiB", busy=[0]),
        worlds.mapping("t", "1 MiB"),
    )
    of = space(more=more)
    assert set(of.huge.blocks) == {0, 3} and not len(of.huge.blocks[3].kind)


def test_a_mapping_of_huge_pages_gets_its_own_classes_back():
    of = space({"pattern": "uniform", "mapping": "m"}, page="2 MiB",
               more=(worlds.mapping("b", "4 KiB"),))  # fmt: skip
    split = of.split_class[of.class_of[:PER]]
    again = of.huge.whole(0, np.zeros(PER, np.int64), split.astype(np.uint16))
    assert (again == of.class_of[:PER]).all()


def test_pages_of_64_kib_are_seen_together_too():
    of = space({"pattern": "uniform", "mapping": "m"}, page="64 KiB",
               more=(worlds.mapping("b", "4 KiB"),))  # fmt: skip
    before = weights(of)
    huge = whole(of)
    assert of.pages_per_bit[huge[0, 0]] == PER
    own = before[of.class_of[:PER]].sum()
    assert of.of_bits(before)[huge[0, 0]] == pytest.approx(own)
    assert of.pages_per_bit[of.split_class[huge[0, 0]]] == 1
