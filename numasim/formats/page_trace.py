"""Page-granular recordings of real programs: read, written, and played as a workload.

A recording is two files: ``NAME.json``, the header, and ``NAME.npz``, one entry per interval,
thread and page with any touch, in the order of intervals:

``interval``, ``thread``, ``page``
    From 0, by number (1 is the main thread), dense index in the order of addresses.
``loads``, ``stores``
    Lines that the last-level cache fetched for either.
``writebacks``
    Dirty lines of the page that it evicted; an entry can have only these.
``touches``
    Line touches before any cache; above 0 the accessed bit is set.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from numasim.errors import ConfigError, Problem
from numasim.tape import (
    CHUNK_ROWS,
    COLUMNS,
    FORMAT,
    VERSION,
    Header,
    Tape,
    files_of,
    open_tape,
    read_header,
)

__all__ = ["Header", "Tape", "open_tape", "read_header", "to_workload", "write"]

LINE_BYTES = 64
PAGE_BYTES = 4096
DTYPES: dict[str, type[np.unsignedinteger[Any]]] = dict(
    zip(COLUMNS, (np.uint16, np.uint8, np.uint32, *[np.uint16] * 3, np.uint32), strict=True)
)
WIDER: dict[str, type[np.unsignedinteger[Any]]] = {
    "interval": np.uint32, "thread": np.uint16,
    "loads": np.uint32, "stores": np.uint32, "writebacks": np.uint32,
}  # fmt: skip
"""Types of columns whose numbers do not fit those of the format."""


def to_workload(
    path: str | Path,
    name: str = "",
    *,
    copies: int = 1,
    slower: float = 1.0,
    stretch: int = 1,
    page_bytes: int = PAGE_BYTES,
    accessors: Mapping[str, Sequence[int]] | None = None,
    idle_bytes: int = 0,
    loop: bool = True,
) -> dict[str, Any]:
    """Plain data of a workload that plays a recording, as a workload's YAML would give it.

    Parameters
    ----------
    path : str or Path
    name : str
        The program's if empty.
    copies : int
        Processes, each with a mapping of its own; they start evenly spaced along the recording.
    slower : float
        An interval takes so many times its estimated length, waiting for memory apart.
    stretch : int
        Pages of a mapping for each recorded page.
    page_bytes : int
        Pages of the mappings.
    accessors : mapping of str to sequence of int, optional
        Accessor → threads of the recording that run there; all on the first CPU if not given.
    idle_bytes : int
        Memory of each process that is there and never touched.
    loop : bool
        Play again from the beginning, or stop.

    Returns
    -------
    dict

    Raises
    ------
    ConfigError
        If the recording is unreadable or does not say how long an interval is, or a number makes
        no sense.
    """
    header = read_header(path)
    wrong = [
        Problem(what, f"got {value}, expected more than 0")
        for what, value in (("copies", copies), ("slower", slower), ("stretch", stretch))
        if value <= 0
    ]
    if header.interval_ns is None:
        wrong.append(Problem("est_seconds_per_interval", "is missing", "write a workload by hand"))
    elif not wrong and header.interval_ns * slower < 0.5:
        message = f"makes an interval last {header.interval_ns * slower:g} ns, expected 1 or more"
        wrong.append(Problem("slower", message))
    if wrong:
        raise ConfigError(wrong, str(files_of(path)[0]))
    assert header.interval_ns is not None
    groups = dict(accessors) if accessors else {"CPU": ()}
    file, compute = str(files_of(path)[0].resolve()), f"{header.interval_ns * slower:.0f} ns"
    processes = []
    for copy in range(copies):
        begin = copy * header.intervals / copies
        actors = [
            {
                "name": f"threads{n}",
                "on": on,
                "phases": [
                    {
                        "compute": compute,
                        "access": [
                            {
                                "pattern": "trace", "mapping": "recorded", "file": file,
                                "threads": list(threads), "begin": begin, "loop": loop,
                                "stretch": stretch,
                            }
                        ],
                    }
                ],
            }
            for n, (on, threads) in enumerate(groups.items())
        ]  # fmt: skip
        size = f"{header.pages * stretch * page_bytes} B"
        mappings = [{"name": "recorded", "size": size, "page": f"{page_bytes} B"}]
        if idle_bytes:
            whole = -(-idle_bytes // page_bytes) * page_bytes
            mappings.append({"name": "idle", "size": f"{whole} B", "page": f"{page_bytes} B"})
        label = Path(header.program).name or "program"
        processes.append({"name": f"{label}{copy or ''}", "mappings": mappings, "actors": actors})
    name = name or files_of(path)[0].stem
    return {"name": name, "description": f"recording of {header.program}", "processes": processes}


def found_beside(data: Any, folder: Path) -> Any:
    """Plain data of a workload whose recordings are named as seen from its own folder.

    Parameters
    ----------
    data : Any
        Changed where a recording lies there, and otherwise left alone.
    folder : Path

    Returns
    -------
    Any
        The same data.
    """
    if isinstance(data, Mapping):
        file = data.get("file")
        if (
            data.get("pattern") == "trace"
            and isinstance(file, str)
            and not Path(file).is_absolute()
        ):
            header, _ = files_of(folder / file)
            if header.is_file():
                cast(dict[str, Any], data)["file"] = str(header.resolve())
        for value in data.values():
            found_beside(value, folder)
    elif isinstance(data, list):
        for value in data:
            found_beside(value, folder)
    return data


def write(
    path: str | Path,
    columns: Mapping[str, np.ndarray],
    *,
    intervals: int,
    pages: int,
    packed: bool = True,
    header: Mapping[str, Any] | None = None,
    more: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write a recording.

    Parameters
    ----------
    path : str or Path
        ``NAME``; ``.json`` and ``.npz`` are added.
    columns : mapping of str to int[rows]
        The seven columns named above; rows in the order of intervals. They may be mapped files:
        no more than a million rows are looked at together.
    intervals, pages : int
    packed : bool
        Deflated; else the columns can be mapped where they lie.
    header : mapping, optional
        More of it: program, phases, regions, est_seconds_per_interval.
    more : mapping of str to array, optional
        Further arrays, such as ``page_vpn``, the virtual page number of each page.

    Raises
    ------
    ConfigError
        If a column is missing, of another length than the others, or holds numbers that no type
        of the format can.

    Notes
    -----
    Columns have the format's narrow types; `WIDER` ones where their numbers need it.
    """
    where, data = files_of(path)
    missing = [Problem(name, "is missing") for name in COLUMNS if name not in columns]
    if missing:
        raise ConfigError(missing, str(data))
    rows = len(columns["interval"])
    problems, types, threads = [], dict[str, np.dtype[Any]](), set[int]()
    for name in COLUMNS:
        column = np.asanyarray(columns[name])
        if column.shape != (rows,):
            problems.append(Problem(name, f"has shape {column.shape}, expected {rows} rows"))
            continue
        low, high = _range(column)
        most = np.iinfo(WIDER.get(name, DTYPES[name])).max
        if low < 0 or high > most:
            problems.append(Problem(name, f"holds numbers outside 0..{most}"))
            continue
        fits = high <= np.iinfo(DTYPES[name]).max
        types[name] = np.dtype(DTYPES[name] if fits else WIDER[name])
        if name == "thread":
            for part in _parts(column):
                threads.update(np.unique(part).tolist())
    if problems:
        raise ConfigError(problems, str(data))
    plain = {
        "format": FORMAT, "version": VERSION, "page_size": PAGE_BYTES, "line_size": LINE_BYTES,
        "rows": rows, "intervals": intervals, "pages": pages, "threads": sorted(threads),
        **(header or {}),
    }  # fmt: skip
    where.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(data, "w", method) as archive:
        for name in COLUMNS:
            _store(archive, name, np.asanyarray(columns[name]), types[name])
        for name, array in (more or {}).items():
            _store(archive, name, array, array.dtype)


def _parts(column: np.ndarray) -> Iterator[np.ndarray]:
    """A column piece by piece."""
    for low in range(0, len(column), CHUNK_ROWS):
        yield column[low : low + CHUNK_ROWS]


def _range(column: np.ndarray) -> tuple[int, int]:
    """Least and greatest number; 0 and 0 if there is none."""
    bounds = [(int(part.min()), int(part.max())) for part in _parts(column)]
    return min((b[0] for b in bounds), default=0), max((b[1] for b in bounds), default=0)


def _store(archive: zipfile.ZipFile, name: str, column: np.ndarray, dtype: np.dtype[Any]) -> None:
    """Write one array into an archive, as numpy would; the same array gives the same bytes."""
    member = zipfile.ZipInfo(f"{name}.npy")  # its date stays 1980-01-01
    member.compress_type = archive.compression
    about = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False,
             "shape": column.shape}  # fmt: skip
    with archive.open(member, "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, about)
        for part in _parts(column):
            file.write(np.ascontiguousarray(part.astype(dtype)).tobytes())
