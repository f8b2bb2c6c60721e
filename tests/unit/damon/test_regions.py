"""Regions as a container."""

import platform
import subprocess
import sys

import numpy as np
import pytest

from numasim.damon.regions import Regions, insert_cuts, split_at


def test_rows_go_in_and_out():
    rows = [(0, 10, 1, 2, 3), (10, 30, 4, 5, 6)]
    regions = Regions(rows)
    assert regions.rows() == rows
    assert regions.size.tolist() == [10, 20]
    assert regions.start.dtype == np.int64


def test_empty():
    regions = Regions()
    regions.check()
    assert (len(regions), regions.rows()) == (0, [])


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([(0, 0)], "region 0 is empty"),
        ([(0, 10), (9, 20)], "region 1 begins before"),
        ([(20, 30), (0, 10)], "region 1 begins before"),
        ([(0, 10, -1)], "nr_accesses of region 0"),
        ([(0, 10), (10, 20, 0, 0, 2**32)], "age of region 1"),
    ],
)
def test_check_names_the_offender(rows, complaint):
    with pytest.raises(ValueError, match=complaint):
        Regions(rows).check()


def test_a_copy_is_independent():
    regions = Regions([(0, 10)])
    other = regions.copy()
    other.age[0] = 7
    assert regions.rows()[0][4] == 0


def test_several_cuts_in_one_region():
    regions = Regions([(0, 10, 1), (10, 20, 2)])
    insert_cuts(regions, np.array([0, 1, 1]), np.array([4, 12, 15]))
    bounds = [row[:3] for row in regions.rows()]
    assert bounds == [(0, 4, 1), (4, 10, 1), (10, 12, 2), (12, 15, 2), (15, 20, 2)]


def test_split_copies_counters():
    regions = Regions([(0, 100, 42, 15, 10)])
    split_at(regions, 0, 25)
    assert regions.rows() == [(0, 25, 42, 15, 10), (25, 100, 42, 15, 10)]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc's allocator")
def test_arrays_of_many_regions_are_not_faulted_in_again_and_again():
    program = (
        "import resource, numpy as np, numasim.damon.regions\n"
        "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "work = lambda: [np.ones(50_000) for _ in range(8)]\n"
        "work()\n"
        "before = faults()\n"
        "for _ in range(100): work()\n"
        "print(faults() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert int(done.stdout) < 1000, f"of some 80,000 pages: {done.stdout} {done.stderr}"
