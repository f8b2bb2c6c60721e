"""Memory of a recorded machine that was neither free nor the workload's, and what it leaves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from numasim.validate.recording import Recording

PAGE = 4096
DIP_ROWS = 11
PLATEAU_ROWS = 30
PAGEBLOCK = 512


def room_left(recording: Recording, began_s: float) -> Iterator[tuple[float, str, int]]:
    """What everybody else left on each node: bytes free or the workload's, by the recorder's rows.

    Parameters
    ----------
    recording : Recording
    began_s : float
        When the first program began.

    Yields
    ------
    (float, str, int)
        Instant in seconds, name of the node, bytes.

    Notes
    -----
    Free and anonymous memory of a node come from one reading. While pages migrate, some are in
    neither count for a moment (in flight, on per-CPU lists): such dips are filled.
    """
    for nid in range(recording.setup.nr_nodes):
        room = _room(recording.timeline, nid, began_s)
        if room is not None:
            # closing: dips shorter than the window are filled, steps stay where they are
            upper = room.rolling(DIP_ROWS, center=True, min_periods=1).max()
            envelope = upper.rolling(DIP_ROWS, center=True, min_periods=1).min()
            envelope = envelope.where(_migrating(recording.timeline).reindex(room.index), room)
            # between two rows others have what either row shows: page tables, caches, helpers
            sizes = envelope.to_numpy(float)
            least = np.minimum(sizes, np.append(sizes[1:], sizes[-1:]))
            for t, size in zip(envelope.index.to_numpy(float), least, strict=True):
                yield float(t), f"node{nid}", int(size)


def _room(table: pd.DataFrame, nid: int, began_s: float) -> pd.Series | None:
    free, anonymous = f"n{nid}.MemFree_kB", f"n{nid}.AnonPages_kB"
    if free not in table:
        return None
    own = [c for c in table if str(c).startswith("pages.") and str(c).endswith(f".N{nid}")]
    pages = table[own].sum(axis=1).where(table[own].notna().any(axis=1)) * PAGE
    if anonymous in table:
        used = table[anonymous] * 1024
        others = (used - pages).dropna()
        before = used[used.index < began_s]
        used = used - float(others.median() if len(others) else before.median())
        used = used.where(used.index >= began_s, 0.0).clip(lower=0.0)
    else:
        used = pages.where(pages.index >= began_s, 0.0)
    room: pd.Series = (table[free] * 1024 + used).dropna()
    return room


def _migrating(table: pd.DataFrame) -> pd.Series:
    """Whether pages migrated within a few rows of each row."""
    if "vm.pgmigrate_success" not in table:
        return pd.Series(False, table.index)
    moved = table["vm.pgmigrate_success"].diff().fillna(0) > 0
    near: pd.Series = moved.rolling(DIP_ROWS, center=True, min_periods=1).max() > 0
    return near


def atomic_reserve(recording: Recording, nid: int) -> int:
    """Bytes of free memory that promotions could not use although no watermark kept it.

    Notes
    -----
    Linux keeps pageblocks for high-order atomic allocations: they count as free, ordinary
    allocations do not get them, and no recorded counter tells how many there are. Where promotion
    to a node keeps failing at the same free memory, all that watermarks, lowmem reserve and per-CPU
    lists do not explain is taken for such blocks. Source: Linux 7.3.4, zone watermark checks.
    """
    zones = [z for z in recording.setup.zones if z.node == nid]
    column = f"n{nid}.MemFree_kB"
    if not zones or column not in recording.timeline:
        return 0
    free = (recording.timeline[column] // 4)[recording.timeline.index > 0]
    runs = free.groupby((free != free.shift()).cumsum()).agg(["size", "first"])
    plateaus = runs[runs["size"] >= PLATEAU_ROWS]["first"]
    if not len(plateaus) or not _refused(recording):
        return 0
    above = sum(z.managed for z in zones[1:])
    kept = zones[0].min + above // 256 + sum(z.min for z in zones[1:]) if len(zones) > 1 else 0
    kept = kept or zones[0].min
    blocks = -(-max(0, int(plateaus.min()) - kept) // PAGEBLOCK)
    return blocks * PAGEBLOCK * PAGE


def _refused(recording: Recording) -> bool:
    """Whether schemes mostly failed to move what they tried."""
    last = [series[-1][1] for k in recording.kdamonds for series in k.stats.values()]
    return any(c["sz_tried"] > 20 * max(c["sz_applied"], PAGE) for c in last)
