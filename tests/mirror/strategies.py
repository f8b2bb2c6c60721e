"""What hypothesis may throw at regions: rows of any counters, gaps or none, awkward sizes."""

from __future__ import annotations

from hypothesis import strategies as st

units = st.sampled_from([1, 4096])
draws = st.lists(st.integers(1, 9), min_size=1, max_size=40)


@st.composite
def tables(draw, unit=units, max_regions=24, most=20, big=False):
    """``(rows, unit)``: sorted, disjoint rows aligned to the unit."""
    u = draw(unit)
    count = draw(st.integers(0, max_regions))
    cursor = draw(st.integers(0, 5)) * u
    sizes = st.integers(1, 60) if not big else st.integers(1, 2**36)
    counter = st.one_of(st.sampled_from([0, 1, most]), st.integers(0, most))
    age = st.one_of(st.integers(0, 3), st.integers(0, 2**32 - 2 if big else 10_000))
    rows = []
    for _ in range(count):
        cursor += draw(st.sampled_from([0, 0, 0, 1, 7])) * u
        size = draw(sizes) * u
        rows.append((cursor, cursor + size, draw(counter), draw(counter), draw(age)))
        cursor += size
    return rows, u


@st.composite
def ranges(draw, reach=1500, unit=1):
    """Sorted ranges, not aligned; sometimes invalid on purpose."""
    edges = sorted(draw(st.lists(st.integers(0, reach), min_size=0, max_size=8)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    return [(a * unit + draw(st.integers(0, unit - 1)), b * unit) for a, b in pairs]


@st.composite
def covered_and_wanted(draw, unit=1):
    """Rows, and ranges whose bounds lie at or near those of the rows; ranges may touch."""
    rows, _ = draw(tables(unit=st.just(unit), max_regions=8))
    bounds = [0, *(bound for row in rows for bound in row[:2])]
    near = st.builds(lambda at, by: max(at + by, 0), st.sampled_from(bounds), st.integers(-2, 2))
    edges = sorted(draw(st.lists(st.one_of(st.sampled_from(bounds), near), max_size=7)))
    stride = draw(st.sampled_from([1, 2]))
    return rows, list(zip(edges[::stride], edges[1::stride], strict=False))
