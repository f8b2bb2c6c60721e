"""Files of /sys below one name each, wherever they come from: a dump, an archive, a folder."""

from __future__ import annotations

import bz2
import io
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from numasim.errors import ConfigError, Problem
from numasim.formats.machines.reading import text_of

Files = dict[str, str]
"""Name below ``sys/`` → contents, or ``-> target`` of a link."""

WANTED = re.compile(
    r"(?:^|/)(devices/system/node/(?:online|has_cpu|has_memory|possible"
    r"|node\d{1,4}/(?:cpulist|cpumap|distance|meminfo|memory\d{1,9})"
    r"|node\d{1,4}/access[01]/initiators/(?:node\d{1,4}|(?:read|write)_(?:latency|bandwidth)))"
    r"|devices/system/memory/block_size_bytes"
    r"|devices/virtual/memory_tiering/memory_tier\d{1,4}/nodelist"
    r"|kernel/mm/numa/demotion_enabled"
    r"|kernel/mm/mempolicy/weighted_interleave/node\d{1,4})$"
)
"""What an import reads of /sys."""
LARGEST_FILE = 1 << 16
MOST_FILES = 2_000_000
MOST_UNPACKED = 256 << 20
CHUNK = 1 << 18
MAGIC = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ": "xz"}
UNPACKERS: dict[str, Callable[[], Any]] = {
    "gz": lambda: zlib.decompressobj(wbits=31),
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=1 << 28),
}


def from_data(data: bytes, source: str) -> Files:
    """Files of a tar archive (also gz, bz2, xz), or of a dump of ``path:value`` lines.

    Raises
    ------
    ConfigError
        If it is neither, is cut off, or unpacks to more than any machine has.
    """
    if data[:4] == b"PK\x03\x04":
        raise ConfigError(
            Problem("", "is a zip archive", "expected a tar archive or a dump"), source
        )
    packed = next((kind for magic, kind in MAGIC.items() if data.startswith(magic)), "")
    if packed:
        data = _unpacked(data, packed, source)
    if packed or data[257:262] == b"ustar":
        return _from_tar(data, source)
    return _from_dump(text_of(data, source))


def from_folder(root: Path) -> Files:
    """Files below a folder that holds ``sys/``, or is /sys itself.

    Raises
    ------
    ConfigError
        If it holds no such files.
    """
    sys_root = next((p for p in (root / "sys", root) if (p / "devices/system/node").is_dir()), None)
    if sys_root is None:
        hint = "expected a folder with sys/devices/system/node"
        raise ConfigError(Problem("", "holds no nodes", hint), str(root))
    files: Files = {}
    for pattern in (
        "devices/system/node/*", "devices/system/node/node*/*",
        "devices/system/node/node*/access[01]/initiators/*",
        "devices/system/memory/block_size_bytes",
        "devices/virtual/memory_tiering/memory_tier*/nodelist",
        "kernel/mm/numa/demotion_enabled", "kernel/mm/mempolicy/weighted_interleave/node*",
    ):  # fmt: skip
        for path in sorted(sys_root.glob(pattern)):
            name = path.relative_to(sys_root).as_posix()
            if WANTED.search(name):
                files[name] = _contents(path)
    return files


def _contents(path: Path) -> str:
    """Contents of a file, or where a link leads; empty where it may not be read."""
    try:
        if path.is_symlink() or path.is_dir():
            return f"-> {path.readlink() if path.is_symlink() else path.name}"
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(LARGEST_FILE)
    except OSError:
        return ""


def _unpacked(data: bytes, kind: str, source: str) -> bytes:
    """The data unpacked, up to a bound: a bomb is met before it bursts."""
    machine = UNPACKERS[kind]()
    out, total = [], 0
    try:
        for at in range(0, len(data), CHUNK):
            piece = machine.decompress(data[at : at + CHUNK], CHUNK)
            while piece:
                out.append(piece)
                total += len(piece)
                if total > MOST_UNPACKED:
                    message = f"unpacks to more than {MOST_UNPACKED >> 20} MiB, which no /sys needs"
                    raise ConfigError(Problem("", message), source)
                if machine.eof:
                    return b"".join(out)
                piece = machine.decompress(getattr(machine, "unconsumed_tail", b""), CHUNK)
    except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError) as error:
        raise ConfigError(Problem("", f"cannot be unpacked: {error}"), source) from None
    raise ConfigError(Problem("", "cannot be unpacked: it is cut off"), source)


def _from_tar(data: bytes, source: str) -> Files:
    files: Files = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for nr, member in enumerate(archive):
                if nr >= MOST_FILES:
                    raise ConfigError(Problem("", f"holds more than {MOST_FILES} files"), source)
                match = WANTED.search(member.name)
                if match is None:
                    continue
                if member.issym():
                    files[match[1]] = f"-> {member.linkname[:256]}"
                elif member.isfile() and (file := archive.extractfile(member)) is not None:
                    text = file.read(LARGEST_FILE).decode("utf-8", errors="replace")
                    files[match[1]] = text.rstrip("\0")  # tar keeps the size that /sys declares
    except (tarfile.TarError, EOFError, ValueError, OSError) as error:
        raise ConfigError(Problem("", f"is no whole tar archive: {error}"), source) from None
    return files


def _from_dump(text: str) -> Files:
    """Files of lines ``path:value`` (as ``grep -r`` prints them) and ``path -> target``.

    Lines of one file are joined; "Node 2 MemTotal: …" without a path is of that node's meminfo.
    """
    files: Files = {}
    for name, value in _lines(text):
        known = files.get(name)
        if known is None:
            files[name] = value
        elif len(known) < LARGEST_FILE:
            files[name] = f"{known}\n{value}"
    return files


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        head, arrow, target = line.partition(" -> ")
        if arrow and (match := WANTED.search(head.strip())):
            yield match[1], f"-> {target.strip()[:256]}"
            continue
        head, colon, value = line.partition(":")
        if colon and (match := WANTED.search(head.strip())):
            yield match[1], value
        elif match := re.match(r"Node (\d{1,4}) \w+:", line):
            yield f"devices/system/node/node{match[1]}/meminfo", line
