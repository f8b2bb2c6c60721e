"""Files that a scenario's document names and does not hold: recordings that workloads play."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from numasim.tape import files_of


def with_digests(document: Any) -> Any:
    """A document in which recordings are what they hold, wherever they lie, to be hashed.

    Parameters
    ----------
    document : Any
        Plain data; it stays as it is.
    """
    if isinstance(document, Mapping):
        found = {key: with_digests(value) for key, value in document.items()}
        if found.get("pattern") == "trace" and isinstance(found.get("file"), str):
            found["file"] = _digest(found["file"])
        return found
    if isinstance(document, list | tuple):
        return [with_digests(value) for value in document]
    return document


def _digest(file: str) -> str:
    """Of both files of a recording; its name where they cannot be read, which is told elsewhere."""
    try:
        parts = [(path, path.stat()) for path in files_of(file)]
        return "".join(_hash(path, s.st_mtime_ns, s.st_size) for path, s in parts)
    except OSError:
        return file


@lru_cache(maxsize=64)
def _hash(path: Path, changed_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]
