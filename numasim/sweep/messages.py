"""What goes through the pipe between a sweep and its workers: pickles, each after its length."""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

HEADER = struct.Struct("<Q")


@dataclass(frozen=True)
class Prepare:
    """What a worker does before its first task.

    Parameters
    ----------
    paths : tuple of str
        Where modules are looked for.
    modules : tuple of str
        To import: they register what the plan names.
    source, source_path : str
        Text of a plan in Python, and where it lies; empty without one.
    memory_bytes : int
        That it may take beyond what it holds once it is warm; 0 for no limit.
    code : str
        What `fingerprint` is to be there.
    """

    paths: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    source: str = ""
    source_path: str = ""
    memory_bytes: int = 0
    code: str = ""


def send(pipe: BinaryIO, message: Any) -> None:
    """Write one message."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(HEADER.pack(len(data)) + data)
    pipe.flush()


def receive(pipe: BinaryIO) -> Any:
    """Read one message.

    Raises
    ------
    EOFError
        If the other end is gone.
    """
    return pickle.loads(_exactly(pipe, HEADER.unpack(_exactly(pipe, HEADER.size))[0]))


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = pipe.read(size - len(found))
        if not more:
            raise EOFError
        found += more
    return found
