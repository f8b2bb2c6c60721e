"""The user's own machine, from what its tools print: one reader per format, one topology for all.

Each reader gives a `Description`; several of one machine are merged, gaps are filled by stated
rules, and the YAML says of every number where it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from numasim.errors import ConfigError, Problem
from numasim.formats.machines import hmat, hwloc, mlc, numactl, qemu, sysfs
from numasim.formats.machines.completing import Complete, completed
from numasim.formats.machines.description import Description, merged
from numasim.formats.machines.reading import STDIN, bytes_of
from numasim.formats.machines.writing import guesses, to_yaml

__all__ = ["FORMATS", "Complete", "guesses", "host", "import_files", "read_file", "to_yaml"]

Reader = Callable[[bytes, str], Description]
FORMATS: dict[str, Reader] = {
    "mlc": mlc.read,
    "hwloc": hwloc.read,
    "sysfs": sysfs.read,
    "numactl": numactl.read,
    "hmat": hmat.read,
    "qemu": qemu.read,
}
"""Reader of each format."""

SIGNS = (
    ("hmat", (b"HMAT",)), ("hwloc", (b"<?xml", b"<topology", b"<!DOCTYPE topology")),
    ("sysfs", (b"\x1f\x8b", b"BZh", b"\xfd7zXZ")),
)  # fmt: skip
WORDS = (
    ("mlc", (b"Memory Latency Checker", b"Measuring idle latenc", b"Measuring Memory Bandwidths")),
    ("numactl", (b"node distances:", b"available: ")), ("sysfs", (b"devices/system/node",)),
    ("qemu", (b"-numa",)),
)  # fmt: skip


def recognised(data: bytes) -> str | None:
    """Name of the format that a file seems to be in, or None."""
    start = data.lstrip()[:64]
    for name, signs in SIGNS:
        if start.startswith(signs):
            return name
    for name, words in WORDS:
        if any(word in data[: 1 << 16] for word in words):
            return name
    return None


def read_file(
    path: str | Path, kind: str | None = None, pxm_map: Mapping[int, int] | None = None
) -> Description:
    """What one file (``-``: stdin) tells of a machine.

    Parameters
    ----------
    path : str or Path
        For sysfs also a folder.
    kind : str, optional
        A name of `FORMATS`; left out, it is recognised by the contents.
    pxm_map : mapping of int to int, optional
        Proximity domain → node, for HMAT.

    Returns
    -------
    Description

    Raises
    ------
    ConfigError
        If the file cannot be read or is not in that format.
    """
    source = "stdin" if str(path) == STDIN else Path(path).name or str(path)
    if str(path) != STDIN and Path(path).is_dir() and kind in ("sysfs", None):
        return sysfs.read_folder(Path(path), source)
    data = bytes_of(path)
    seems = recognised(data)
    if kind is None and seems is None:
        hint = f"known: {', '.join(sorted(FORMATS))}"
        raise ConfigError(Problem("", "is in no format that is known", hint), str(path))
    name = kind or seems or ""
    read = partial(hmat.read, nodes=pxm_map) if name == "hmat" else FORMATS[name]
    try:
        return read(data, source)
    except ConfigError as error:
        if seems in (None, name):
            raise
        said = Problem("", f"is not {name}; it looks like {seems}", f"try numasim import {seems}")
        raise ConfigError([said, *error.problems], str(path)) from None


def import_files(
    files: Sequence[str | Path],
    kind: str | None,
    others: Iterable[str | Path] = (),
    pxm_map: Mapping[int, int] | None = None,
) -> Complete:
    """One machine from files of a format, with others of any format for what these leave open.

    Parameters
    ----------
    files : sequence of str or Path
    kind : str or None
        Format of `files`.
    others : iterable of str or Path
        Files of the same machine; their formats are recognised.
    pxm_map : mapping of int to int, optional
        Proximity domain → node, for HMAT.

    Returns
    -------
    Complete

    Raises
    ------
    ConfigError
        If a file is wrong, or they are not of one machine.
    """
    found = [read_file(path, kind, pxm_map) for path in files]
    found += [read_file(path, None, pxm_map) for path in others]
    return completed(merged(found))


def host(others: Iterable[str | Path] = (), root: Path = Path("/")) -> Complete:
    """The machine this runs on, with files of others for what it does not tell.

    Raises
    ------
    ConfigError
        As `import_files`.
    """
    return completed(merged([sysfs.read_host(root), *(read_file(path) for path in others)]))
