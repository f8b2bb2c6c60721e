"""Named streams and fixed page numbers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from numasim.seeds import Seeds, page_quantiles


def test_a_stream_is_its_seed_and_name():
    a, b = Seeds(7).stream("x/y"), Seeds(7).stream("x/y")
    assert a.random(100).tolist() == b.random(100).tolist()


def test_streams_of_other_names_and_seeds_differ():
    drawn = {Seeds(s).stream(n).integers(1 << 60) for s in (1, 2) for n in ("a", "b", "a/b", "")}
    assert len(drawn) == 8


def test_asking_for_one_stream_does_not_move_another():
    seeds = Seeds(3)
    alone = seeds.stream("kdamond.0/sampling").random(10).tolist()
    for name in ("kdamond.1/sampling", "new actor"):
        seeds.stream(name).random(1000)
    assert seeds.stream("kdamond.0/sampling").random(10).tolist() == alone


def test_streams_are_the_same_whatever_the_hash_seed():
    code = "from numasim.seeds import Seeds; print(Seeds(5).stream('k').integers(1 << 60))"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for hash_seed in ("0", "1", "77")
    }  # fmt: skip
    assert len(told) == 1


def test_quantiles_are_even_and_fixed():
    u = page_quantiles(np.arange(100_000), Seeds(1).salt("spread"))
    assert u.min() >= 0 and u.max() < 1
    counts = np.bincount((u * 50).astype(int), minlength=50)
    assert ((counts - 2000) ** 2 / 2000).sum() < 110  # chi-square, 49 degrees: p above 1e-6
    assert (u[500:600] == page_quantiles(np.arange(500, 600), Seeds(1).salt("spread"))).all()


def test_salts_part_spreads_and_seeds():
    pages = np.arange(10_000)
    a = page_quantiles(pages, Seeds(1).salt("a"))
    for other in (Seeds(1).salt("b"), Seeds(2).salt("a")):
        assert abs(np.corrcoef(a, page_quantiles(pages, other))[0, 1]) < 0.05


def test_neighbouring_pages_have_nothing_in_common():
    u = page_quantiles(np.arange(10_000), 12345)
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 0.05
