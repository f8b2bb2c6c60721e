"""A made-up recording: a sweep, a hot page, scatter that two threads share, pages only evicted.

``python -m tests.recordings`` writes it to tests/data/traces/tiny.{json,npz}.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from numasim.formats import page_trace

TINY = Path(__file__).parent / "data" / "traces" / "tiny"
INTERVALS, PAGES = 150, 48  # more than two words of 64 intervals
SWEPT, HOT, EVICTED, NEVER = 24, 30, 40, 47
HEADER = {
    "program": "made up",
    "est_seconds_per_interval": 0.002,
    "phases": [{"name": "all", "first_interval": 0, "n_intervals": INTERVALS}],
    "regions": [{"name": "swept", "first_page": 0, "n_pages": SWEPT}],
}


def columns() -> dict[str, np.ndarray]:
    """The seven columns of the recording."""
    rng = np.random.Generator(np.random.PCG64DXSM(11))
    rows = []
    for i in range(INTERVALS):
        at = 3 * i % SWEPT
        own = [(i, 1, at + k, 64, 0, 0, 64) for k in range(3)]
        own.append((i, 1, HOT, 1, 1, 0, 5000))
        own.append((i, 2, HOT, 1, 0, 0, 4000))
        for thread in (1, 2):
            pages = np.sort(rng.choice(np.arange(31, 46), 2, replace=False)).tolist()
            some = rng.integers((0, 1), 4, (2, 2)).tolist()
            own += [(i, thread, p, n, 1, 0, t) for p, (n, t) in zip(pages, some, strict=True)]
        if i % 7 == 0:
            own.append((i, 2, EVICTED, 0, 0, 3, 0))
        rows += own
    table = np.array(rows, np.int64)
    return dict(zip(page_trace.DTYPES, table.T, strict=True))


def write(path: Path = TINY, packed: bool = True) -> Path:
    """Write it somewhere; the header's path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page_trace.write(
        path, columns(), intervals=INTERVALS, pages=PAGES, packed=packed, header=HEADER
    )
    return path.with_name(path.name + ".json")


if __name__ == "__main__":
    write()
