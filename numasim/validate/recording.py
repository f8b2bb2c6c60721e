"""Recorded runs of a real kernel: what was set up, what happened, what DAMON said.

A folder holds one run: ``config.json``, ``timeline.csv`` and ``truth.csv``, and where DAMON ran
``snapshots.jsonl.gz`` and its other tracepoints. Times are seconds since the workload began its
first phase, addresses are numbers of 4 KiB pages: virtual, or physical frames for ``paddr``.
`benchmarks/capture` records such folders.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from numasim.errors import ConfigError, Problem
from numasim.recorder import COUNTERS
from numasim.validate.setup import Setup, read_setup

MOST_PAGES = 1 << 52


@dataclass(frozen=True)
class Snapshot:
    """One complete aggregation interval of one target: merged, not yet split.

    Parameters
    ----------
    t_s : float
    index : int
        How many the kernel had taken before.
    target : int
    regions : int64[R, 4]
        ``start_page, n_pages, nr_accesses, age``.
    """

    t_s: float
    index: int
    target: int
    regions: np.ndarray


@dataclass
class KdamondRecord:
    """What one kdamond told.

    Parameters
    ----------
    name : str
    pid : int
        Of the thread; every start has another.
    snapshots : list of Snapshot
    tunings : list of (float, int)
        Instant and ``sample_us`` of each tuning of intervals.
    esz : dict of int to list of (float, int)
        Scheme → effective quota in bytes, whenever it changed.
    stats : dict of int to list of (float, dict)
        Scheme → cumulative `COUNTERS` after each apply interval.
    applied : list of (float, int, int64[N, 4])
        Instant, scheme, regions it was applied to.
    """

    name: str
    pid: int
    snapshots: list[Snapshot] = field(default_factory=list)
    tunings: list[tuple[float, int]] = field(default_factory=list)
    esz: dict[int, list[tuple[float, int]]] = field(default_factory=dict)
    stats: dict[int, list[tuple[float, dict[str, int]]]] = field(default_factory=dict)
    applied: list[tuple[float, int, np.ndarray]] = field(default_factory=list)


@dataclass(frozen=True)
class Recording:
    """One recorded run.

    Parameters
    ----------
    folder : Path
    experiment, run : str
    setup : Setup
        Machine, programs, commands.
    kdamonds : list of KdamondRecord
        In order of their first word.
    timeline : pandas.DataFrame
        The recorder's samples, indexed by ``t_s``; columns as in the file.
    truth : list of pandas.DataFrame
        One for each program, indexed by ``t_s`` (end of the row): ``phase, late_us, acc0, …``.
    popularity : dict of str to float64[blocks]
        Name of a ``zipf_*.csv`` without its ending → chance of each block of the range.
    populated : dict of (int, str) to int64[N, 3], or empty
        ``(program, mapping)`` → runs ``page, frame or -1, n``. Where only blocks were kept, the
        page is -1 and the frame that of the block.
    """

    folder: Path
    experiment: str
    run: str
    setup: Setup
    kdamonds: list[KdamondRecord]
    timeline: pd.DataFrame
    truth: list[pd.DataFrame]
    popularity: dict[str, np.ndarray]
    populated: dict[tuple[int, str], np.ndarray]

    @property
    def name(self) -> str:
        """Experiment and run, such as ``E1a/r2``."""
        return f"{self.experiment}/{self.run}"

    @property
    def last_s(self) -> float:
        """Until when the recording tells anything about the workload."""
        return float(max(table.index[-1] for table in self.truth))


def find_runs(folders: list[Path]) -> list[Path]:
    """Folders of single runs in these: each itself, its repeats, or repeats of its experiments.

    Raises
    ------
    ConfigError
        For each that holds none.
    """
    found: list[Path] = []
    problems = []
    for folder in folders:
        folder = folder.resolve()
        own = sorted({p.parent for depth in _DEPTHS for p in folder.glob(f"{depth}config.json")})
        if not own:
            message = "holds no recorded run (no config.json in it, nor two levels below)"
            problems.append(Problem(str(folder), message))
        found += [path for path in own if path not in found]
    if problems:
        raise ConfigError(problems)
    return found


_DEPTHS = ("", "*/", "*/*/")


def read(folder: Path) -> Recording:
    """Read the folder of one run.

    Raises
    ------
    ConfigError
        With everything that is missing or makes no sense.
    """
    problems: list[Problem] = []
    setup = _part(problems, folder / "config.json", read_setup)
    timeline = _part(problems, folder / "timeline.csv", _table)
    paths = sorted(folder.glob("truth*.csv")) or [folder / "truth.csv"]
    truth = [one for path in paths for one in _part(problems, path, _truths) or ()]
    kdamonds: dict[tuple[str, int], KdamondRecord] = {}
    for name, take in _EVENTS.items():
        for path in sorted(folder.glob(name + ".jsonl*")):
            for line in _part(problems, path, _lines) or ():
                try:
                    key = (str(line["kd"]), int(line["pid"]))
                    take(kdamonds.setdefault(key, KdamondRecord(*key)), line)
                except (KeyError, TypeError, ValueError, IndexError) as error:
                    problems.append(Problem(str(path), f"a line is not as expected: {error!r}"))
                    break
    popularity = {
        path.name.split(".")[0]: _part(problems, path, _chances)
        for path in sorted(folder.glob("zipf_*.csv*"))
    }
    populated = _maps(problems, folder, "populated")
    if not problems and setup is not None and len(truth) != len(setup.programs):
        message = f"{len(truth)} tables of true counts for {len(setup.programs)} programs"
        problems.append(Problem(str(folder), message, "expected one truth*.csv for each"))
    started = setup is not None and any(c.text.startswith("damo start") for c in setup.commands)
    found = _in_order(kdamonds)
    problems += _stuck(folder, found)
    if not problems and started and not found:
        message = "damo started kdamonds, but there is no snapshot of any"
        problems.append(Problem(str(folder), message, "expected snapshots.jsonl.gz"))
    if problems:
        raise ConfigError(problems)
    assert setup is not None and timeline is not None
    return Recording(
        folder, setup.experiment, setup.run, setup, found, timeline,
        truth, popularity, populated,
    )  # fmt: skip


def _in_order(kdamonds: dict[tuple[str, int], KdamondRecord]) -> list[KdamondRecord]:
    """Those that took a snapshot, by their first word, then by name."""
    seen = [one for one in kdamonds.values() if one.snapshots]
    return sorted(seen, key=lambda one: (round(one.snapshots[0].t_s), one.name, one.pid))


def _stuck(folder: Path, kdamonds: list[KdamondRecord]) -> Iterator[Problem]:
    """Kdamonds whose snapshots do not come one after the other."""
    for kdamond in kdamonds:
        last: dict[int, float] = {}
        for snapshot in kdamond.snapshots:
            before = last.get(snapshot.target, -math.inf)
            if not before < snapshot.t_s < math.inf:
                message = (
                    f"{kdamond.name}: a snapshot at {snapshot.t_s} s follows one at {before} s"
                )
                yield Problem(str(folder / "snapshots"), message, "expected later instants")
                break
            last[snapshot.target] = snapshot.t_s


def _part(problems: list[Problem], path: Path, reader: Any) -> Any:
    """What a reader makes of a file; None, and a complaint, where that fails."""
    try:
        return reader(path)
    except FileNotFoundError:
        problems.append(Problem(str(path), "is missing"))
    except ConfigError as error:
        problems += [
            Problem(f"{path} {p.place}".strip(), p.message, p.hint) for p in error.problems
        ]
    except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as error:
        problems.append(Problem(str(path), f"cannot be read: {error}"))
    return None


def _table(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path)
    if "t_s" not in table or not len(table):
        raise ConfigError(Problem("", "expected rows with a column t_s"))
    times = pd.to_numeric(table.t_s, errors="coerce")
    if not np.isfinite(times).all():
        raise ConfigError(Problem("t_s", "has missing or infinite instants"))
    return table.assign(t_s=times).set_index("t_s").sort_index()


def _truths(path: Path) -> list[pd.DataFrame]:
    """True counts of one program, or of all where a column tells them apart."""
    table = _table(path)
    if "wl" in table:
        return [_truth(own.drop(columns="wl")) for _, own in table.groupby("wl")]
    return [_truth(table)]


def _truth(table: pd.DataFrame) -> pd.DataFrame:
    table = table.dropna(axis=1, how="all")
    missing = [c for c in ("phase", "late_us", "acc0") if c not in table]
    if missing:
        raise ConfigError(Problem("", f"has no column {', '.join(missing)}"))
    table = table.fillna({c: 0 for c in table if str(c).startswith("acc")})
    if not np.isfinite(table.to_numpy(float)).all() or (table < 0).any(axis=None):
        raise ConfigError(Problem("", "has negative, missing or infinite counts"))
    if (table.phase % 1).any():
        raise ConfigError(Problem("phase", "expected whole numbers"))
    if not table.index.is_unique:
        raise ConfigError(Problem("t_s", "has two rows for one instant"))
    return table


def _chances(path: Path) -> np.ndarray:
    """Chances by block from a table of blocks and chances."""
    table = pd.read_csv(path)
    if table.shape[1] < 2 or not len(table):
        raise ConfigError(Problem("", "expected two columns: block, chance"))
    blocks = table.iloc[:, 0].to_numpy(np.int64)
    chances = table.iloc[:, -1].to_numpy(float)
    if (blocks < 0).any() or not np.isfinite(chances).all() or (chances < 0).any():
        raise ConfigError(Problem("", "has negative or missing numbers"))
    return np.bincount(blocks, weights=chances)


def _lines(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _rows(rows: Any) -> np.ndarray:
    array = np.array(rows)
    if not len(array) or array.dtype.kind not in "iu" or array.shape[1:] != (4,):
        raise ValueError("expected regions of four whole numbers")
    array = array.astype(np.int64)
    ends = array[:, 0] + array[:, 1]
    if (array[:, 1] <= 0).any() or (array < 0).any() or (array[:, :2] > MOST_PAGES).any():
        raise ValueError("a region without pages, too large or with negative numbers")
    if (array[1:, 0] < ends[:-1]).any():
        raise ValueError("regions overlap or are not in order")
    return array


def _take_snapshot(kdamond: KdamondRecord, line: dict[str, Any]) -> None:
    index, target = int(line["i"]), int(line["target"])
    kdamond.snapshots.append(Snapshot(float(line["t"]), index, target, _rows(line["r"])))


def _take_event(kdamond: KdamondRecord, line: dict[str, Any]) -> None:
    t, event = float(line["t"]), line["ev"]
    if event == "damon_monitor_intervals_tune":
        kdamond.tunings.append((t, int(line["sample_us"])))
    elif event == "damos_esz":
        kdamond.esz.setdefault(int(line["scheme_idx"]), []).append((t, int(line["esz"])))
    elif event == "damos_stat_after_apply_interval":
        counters = {name: int(line[name]) for name in COUNTERS if name in line}
        kdamond.stats.setdefault(int(line["scheme_idx"]), []).append((t, counters))


def _take_applied(kdamond: KdamondRecord, line: dict[str, Any]) -> None:
    kdamond.applied.append((float(line["t"]), int(line["scheme"]), _rows(line["r"])))


_EVENTS = {"snapshots": _take_snapshot, "damon_events": _take_event, "applied": _take_applied}


def _maps(problems: list[Problem], folder: Path, tag: str) -> dict[tuple[int, str], np.ndarray]:
    found: dict[tuple[int, str], np.ndarray] = {}
    for path in sorted(folder.glob(f"pagemap_{tag}.jsonl*")):
        for line in _part(problems, path, _lines) or ():
            try:
                found[int(line["wl"]), str(line["region"])] = _runs(line)
            except (KeyError, TypeError, ValueError) as error:
                problems.append(Problem(str(path), f"a line is not as expected: {error!r}"))
                break
    return found


def _runs(line: dict[str, Any]) -> np.ndarray:
    if "runs_vpage_pfn_n" in line:
        return np.array(line["runs_vpage_pfn_n"], np.int64).reshape(-1, 3)
    blocks = np.array(line["pages_per_512pfn_block"], np.int64).reshape(-1, 2)
    return np.stack([np.full(len(blocks), -1), blocks[:, 0] * 512, blocks[:, 1]], axis=1)
