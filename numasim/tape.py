"""Recorded page accesses: which pages a real program touched in each interval, read from disk.

Columns are mapped, not loaded, and are looked at interval by interval, so a recording may be larger
than memory. Format: `formats/page_trace.py`.
"""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np

from numasim.errors import ConfigError, Problem

FORMAT, VERSION = "pgtrace-pages", 1
COLUMNS = ("interval", "thread", "page", "loads", "stores", "writebacks", "touches")
CHUNK_ROWS = 1 << 20
SMALL_BYTES = 64 << 20
"""Recordings that unpack to less are held in memory; others are unpacked to disk and mapped."""
_COUNTS = ("page_size", "line_size", "rows", "intervals", "pages")
MOST = {"intervals": 1 << 24, "pages": 1 << 32}
"""Tables of intervals and of pages are held in memory."""
MOST_THREADS = 1 << 16
DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, KeyError,
    RuntimeError, SyntaxError, MemoryError, OverflowError, UnicodeError,
)  # fmt: skip
"""What reading an archive of arrays may raise that is none, or no longer."""


@dataclass(frozen=True)
class Header:
    """What a recording says about itself.

    Parameters
    ----------
    program : str
    page_size, line_size : int
        Bytes.
    rows, intervals, pages : int
    threads : tuple of int
        Those that appear.
    regions : tuple of (str, int, int)
        Name, first page, number of pages.
    phases : tuple of (str, int, int)
        Name, first interval, number of intervals.
    interval_ns : float or None
        Estimated length of an interval; time is a free parameter.
    """

    program: str
    page_size: int
    line_size: int
    rows: int
    intervals: int
    pages: int
    threads: tuple[int, ...]
    regions: tuple[tuple[str, int, int], ...] = ()
    phases: tuple[tuple[str, int, int], ...] = ()
    interval_ns: float | None = None


def files_of(path: str | Path) -> tuple[Path, Path]:
    """Header and data of a recording, named by either file or by what they have in common."""
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".json", ".npz") else path
    return stem.with_name(stem.name + ".json"), stem.with_name(stem.name + ".npz")


def read_header(path: str | Path) -> Header:
    """The header of a recording.

    Parameters
    ----------
    path : str or Path
        ``NAME``, ``NAME.json`` or ``NAME.npz``.

    Raises
    ------
    ConfigError
        If it is no such file, with everything that is wrong in it.
    """
    where, _ = files_of(path)
    try:
        status = where.stat()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", str(where)) from error
    return _parse(where, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)
def _parse(where: Path, changed_ns: int, size: int) -> Header:
    """The header in a file; one that changed is another one."""
    try:
        plain = json.loads(where.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", str(where)) from error
    except ValueError as error:
        raise ConfigError(f"is no JSON: {error}", str(where)) from error
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise ConfigError(Problem("format", f'expected "{FORMAT}"'), str(where))
    problems = (
        [] if plain.get("version") == VERSION else [Problem("version", f"expected {VERSION}")]
    )
    problems += [
        Problem(name, f"got {plain.get(name)!r}, expected a number above 0")
        for name in _COUNTS
        if not _is_count(plain.get(name)) or plain[name] < 1
    ]
    problems += [
        Problem(name, f"got {plain[name]}, expected {most} at most")
        for name, most in MOST.items()
        if _is_count(plain.get(name)) and plain[name] > most
    ]
    threads = plain.get("threads")
    if not isinstance(threads, list) or not threads or not all(_is_count(t) for t in threads):
        problems.append(Problem("threads", f"got {threads!r}, expected the threads seen"))
    parts = {
        name: _parts(plain.get(name, []), keys, name, problems)
        for name, keys in (
            ("regions", ("first_page", "n_pages")),
            ("phases", ("first_interval", "n_intervals")),
        )
    }
    seconds = plain.get("est_seconds_per_interval")
    if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
        problems.append(
            Problem("est_seconds_per_interval", f"got {seconds!r}, expected more than 0")
        )
    if problems:
        raise ConfigError(problems, str(where))
    return Header(
        program=str(plain.get("program", where.stem)),
        **{name: plain[name] for name in _COUNTS},
        threads=tuple(threads or ()),
        regions=parts["regions"],
        phases=parts["phases"],
        interval_ns=None if seconds is None else float(seconds) * 1e9,
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _parts(
    rows: Any, keys: tuple[str, str], place: str, problems: list[Problem]
) -> tuple[tuple[str, int, int], ...]:
    """Named ranges of a header."""
    good = isinstance(rows, list) and all(
        isinstance(row, dict) and "name" in row and all(_is_count(row.get(k)) for k in keys)
        for row in rows
    )
    if not good:
        problems.append(Problem(place, f"expected a list of name, {keys[0]} and {keys[1]}"))
        return ()
    return tuple((str(row["name"]), row[keys[0]], row[keys[1]]) for row in rows)


# -- the data --------------------------------------------------------------------------------------


@dataclass(eq=False)
class Tape:
    """A recording, read only.

    Parameters
    ----------
    header : Header
    source : str
        Its file, for messages.
    columns : dict of str to array
        Mapped or in memory: ``thread``, ``page``, ``loads``, ``stores``, ``writebacks``,
        ``touches``, one entry a row.
    bounds : int64[intervals + 1]
        Rows of interval i are ``bounds[i]`` to ``bounds[i + 1]``.
    """

    header: Header
    source: str
    columns: dict[str, np.ndarray]
    bounds: np.ndarray
    _threads: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)
    _touched: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)

    def rows(self, first: int, last: int, threads: tuple[int, ...] = ()) -> slice | np.ndarray:
        """Rows of intervals ``[first, last)``, of some threads or of all.

        Parameters
        ----------
        first, last : int
        threads : tuple of int
            Empty: all.

        Returns
        -------
        slice or int64[N]
        """
        low, high = int(self.bounds[first]), int(self.bounds[last])
        if not threads:
            return slice(low, high)
        return low + np.flatnonzero(self._chosen(threads)[self.columns["thread"][low:high]])

    def chunks(self, threads: tuple[int, ...] = ()) -> Iterator[slice | np.ndarray]:
        """All rows in their order, whole intervals, about a million at a time."""
        first = 0
        while first < self.header.intervals:
            goal = self.bounds[first] + CHUNK_ROWS
            last = max(first + 1, int(np.searchsorted(self.bounds, goal, "right")) - 1)
            yield self.rows(first, last, threads)
            first = last

    def touched(self, threads: tuple[int, ...] = ()) -> np.ndarray:
        """int64[pages]: intervals in which each page is touched; each thread counts apart."""
        if threads not in self._touched:
            found = np.zeros(self.header.pages, np.int64)
            for rows in self.chunks(threads):
                page = self.columns["page"][rows][self.columns["touches"][rows] > 0]
                found += np.bincount(page, minlength=self.header.pages)
            self._touched[threads] = np.minimum(found, self.header.intervals)
        return self._touched[threads]

    def _chosen(self, threads: tuple[int, ...]) -> np.ndarray:
        """Whether each thread number is one of those."""
        if threads not in self._threads:
            chosen = np.zeros(int(np.iinfo(self.columns["thread"].dtype).max) + 1, bool)
            chosen[list(threads)] = True
            self._threads[threads] = chosen
        return self._threads[threads]


def open_tape(path: str | Path) -> Tape:
    """A recording; those opened last are remembered while their files stay as they are.

    Parameters
    ----------
    path : str or Path
        ``NAME``, ``NAME.json`` or ``NAME.npz``.

    Raises
    ------
    ConfigError
        If header or data are missing or do not fit each other.
    """
    header = read_header(path)
    _, data = files_of(path)
    try:
        status = data.stat()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", str(data)) from error
    return _load(header, data, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _load(header: Header, data: Path, changed_ns: int, size: int) -> Tape:
    """Map the columns, check every row once; a file that changed is another one."""
    try:
        with zipfile.ZipFile(data) as archive:
            missing = [n for n in COLUMNS if f"{n}.npy" not in archive.namelist()]
            if missing:
                raise ConfigError([Problem(n, "is missing") for n in missing], str(data))
            whole = sum(archive.getinfo(f"{n}.npy").file_size for n in COLUMNS)
            folder = None if whole <= SMALL_BYTES else tempfile.mkdtemp(prefix="numasim-trace-")
            columns = {n: _column(archive, data, n, folder) for n in COLUMNS}
    except DAMAGED as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"is no archive of arrays: {error}", str(data)) from error
    problems = [
        Problem(n, f"has shape {c.shape} of {c.dtype}, expected {header.rows} whole numbers")
        for n, c in columns.items()
        if c.shape != (header.rows,) or c.dtype.kind not in "ui"
    ]
    if not problems and np.iinfo(columns["thread"].dtype).max >= MOST_THREADS:
        message = f"is of {columns['thread'].dtype}, expected numbers below {MOST_THREADS}"
        problems.append(Problem("thread", message))
    if problems:
        raise ConfigError(problems, str(data))
    _check_rows(header, columns, str(data))
    bounds = np.searchsorted(columns.pop("interval"), np.arange(header.intervals + 1))
    tape = Tape(header, str(data), columns, bounds.astype(np.int64))
    if folder is not None:
        weakref.finalize(tape, shutil.rmtree, folder, ignore_errors=True)
    return tape


def _column(archive: zipfile.ZipFile, data: Path, name: str, folder: str | None) -> np.ndarray:
    """One array: in memory, mapped where it lies, or unpacked to a folder and mapped there."""
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as packed:
        if folder is None:
            array: np.ndarray = np.lib.format.read_array(packed, allow_pickle=False)
            return array
        if member.compress_type == zipfile.ZIP_STORED:
            return _mapped(data, _begin(data, member))
        path = Path(folder) / f"{name}.npy"
        with path.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
    return _mapped(path, 0)


def _begin(data: Path, member: zipfile.ZipInfo) -> int:
    """Where an uncompressed member's bytes begin: after its local header (zip format, 4.3.7)."""
    with data.open("rb") as raw:
        raw.seek(member.header_offset + 26)
        name, extra = np.frombuffer(raw.read(4), "<u2").tolist()
    return int(member.header_offset + 30 + name + extra)


def _mapped(path: Path, begin: int) -> np.ndarray:
    with path.open("rb") as raw:
        raw.seek(begin)
        shape, dtype = _array_header(raw)
        mapped: np.ndarray = np.memmap(path, dtype, "r", raw.tell(), shape)
    return mapped.view(np.ndarray)  # still mapped; slices of a plain array cost less


def _array_header(raw: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(raw)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(raw)
    if dtype.hasobject:
        raise ValueError("holds objects")
    return shape, dtype


def _check_rows(header: Header, columns: dict[str, np.ndarray], source: str) -> None:
    """Refuse rows that are out of order, or of pages or threads that the header does not know."""
    before = 0
    known = np.zeros(int(np.iinfo(columns["thread"].dtype).max) + 1, bool)
    known[[t for t in header.threads if t < len(known)]] = True
    for low in range(0, header.rows, CHUNK_ROWS):
        interval, page, thread = (
            columns[n][low : low + CHUNK_ROWS] for n in ("interval", "page", "thread")
        )
        problems = []
        if interval[0] < before or (interval[1:] < interval[:-1]).any():
            problems.append(Problem("interval", "is not ascending"))
        before = int(interval[-1])
        for name, column, most in (
            ("interval", interval, header.intervals),
            ("page", page, header.pages),
        ):
            if int(column.max()) >= most or int(column.min()) < 0:
                message = f"got {int(column.max())}, expected less than {most} (header: {name}s)"
                problems.append(Problem(name, message))
        if int(thread.min()) < 0 or not known[thread].all():
            problems.append(Problem("thread", "has numbers that the header does not list"))
        if problems:
            raise ConfigError(problems, source)
