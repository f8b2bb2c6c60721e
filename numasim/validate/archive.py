"""Simulated runs on disk: what was seen of each, so that a kill loses only runs not finished."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from numasim.damon.spec import Context
from numasim.validate.observed import KdamondSeen, Observed, SchemeSeen, Watch

PACKAGE = Path(__file__).parents[1]
IDLE = ("cli", "report", "__pycache__")
"""Parts of the package on which no result depends."""


@cache
def code() -> str:
    """A fingerprint of the program that simulates and measures."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        if not set(IDLE) & set(path.relative_to(PACKAGE).parts):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def fingerprint(folder: Path) -> str:
    """Of all that a recorded run's folder says."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def save(seen: Observed, path: Path, key: dict[str, Any]) -> None:
    """Write what was seen of a run; complete or not at all."""
    arrays: dict[str, np.ndarray] = {
        "t_s": seen.t_s, "free_bytes": seen.free_bytes, "pages_s": seen.pages_s
    }  # fmt: skip
    for program, mapping in seen.pages:
        arrays[f"pages/{program}/{mapping}"] = seen.pages[program, mapping]
    shape = []
    for k, kdamond in enumerate(seen.kdamonds):
        shape.append([len(kdamond.watches), len(kdamond.schemes)])
        arrays[f"k{k}/tuned_s"], arrays[f"k{k}/tuned_us"] = kdamond.tuned_s, kdamond.tuned_us
        for w, watch in enumerate(kdamond.watches):
            for name in ("t_s", "index", "first", "regions"):
                arrays[f"k{k}/w{w}/{name}"] = getattr(watch, name)
        for s, scheme in enumerate(kdamond.schemes):
            for name in ("t_s", "counters", "esz_s", "esz"):
                arrays[f"k{k}/s{s}/{name}"] = getattr(scheme, name)
            arrays[f"k{k}/s{s}/acted_s"] = np.array([t for t, _ in scheme.applied], float)
            rows = [own for _, own in scheme.applied] or [np.empty((0, 4), np.int64)]
            arrays[f"k{k}/s{s}/acted"] = np.concatenate(rows)
    arrays["about"] = np.array(json.dumps({"key": key, "shape": shape}))
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    with beside.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    beside.replace(path)


def load(path: Path, key: dict[str, Any], contexts: list[Context | None]) -> Observed | None:
    """Read what `save` wrote; None if it is not there, or was made otherwise.

    Parameters
    ----------
    path : Path
    key : dict
        As given to `save`; everything in it must be the same.
    contexts : list of Context or None
        Of the kdamonds, which the recording tells.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
        about = json.loads(str(arrays["about"]))
    except (OSError, ValueError, KeyError):
        return None
    if about["key"] != json.loads(json.dumps(key)) or len(about["shape"]) != len(contexts):
        return None
    kdamonds = tuple(
        _kdamond(arrays, k, contexts[k], *numbers) for k, numbers in enumerate(about["shape"])
    )
    pages = {}
    for name, array in arrays.items():
        if name.startswith("pages/"):
            _, program, mapping = name.split("/", 2)
            pages[int(program), mapping] = array
    return Observed(tuple(kdamonds), arrays["t_s"], arrays["free_bytes"], arrays["pages_s"], pages)


def _kdamond(
    arrays: dict[str, np.ndarray], k: int, context: Context | None, watches: int, schemes: int
) -> KdamondSeen:
    tuned_s, tuned_us = _of(arrays, f"k{k}", "tuned_s tuned_us")
    looked = tuple(
        Watch(*_of(arrays, f"k{k}/w{w}", "t_s index first regions")) for w in range(watches)
    )
    applied = []
    for s in range(schemes):
        names = "t_s counters esz_s esz acted_s acted"
        t_s, counters, esz_s, esz, acted_s, acted = _of(arrays, f"k{k}/s{s}", names)
        acts = tuple((float(t), acted[i : i + 1]) for i, t in enumerate(acted_s))
        applied.append(SchemeSeen(t_s, counters, esz_s, esz, acts))
    return KdamondSeen(f"kd{k}", context, looked, tuned_s, tuned_us, tuple(applied))


def _of(arrays: dict[str, np.ndarray], prefix: str, names: str) -> list[np.ndarray]:
    return [arrays[f"{prefix}/{name}"] for name in names.split()]
