"""Chance: one seed makes a tree of named streams, so that no actor can shift another's numbers."""

from __future__ import annotations

import hashlib

import numpy as np


def _key(name: str) -> tuple[int, ...]:
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))


class Seeds:
    """Named, independent random streams of one run.

    Parameters
    ----------
    seed : int
        Root of the tree; the same seed and name give the same stream in any process.
    """

    def __init__(self, seed: int) -> None:
        self.seed = int(seed)

    def stream(self, name: str) -> np.random.Generator:
        """The stream of that name, from its beginning."""
        sequence = np.random.SeedSequence(self.seed, spawn_key=_key(name))
        return np.random.Generator(np.random.PCG64DXSM(sequence))

    def salt(self, name: str) -> int:
        """A 64-bit constant for `page_quantiles`."""
        words = _key(f"{self.seed}/{name}")
        return words[0] | words[1] << 32


def page_quantiles(pages: np.ndarray, salt: int) -> np.ndarray:
    """A fixed uniform number in [0, 1) for every page: a page keeps its rate for the whole run.

    Parameters
    ----------
    pages : int64[P]
        Page indices.
    salt : int
        From `Seeds.salt`.

    Returns
    -------
    float64[P]

    Notes
    -----
    Source: the splitmix64 finaliser (Steele, Lea, Flood, OOPSLA 2014), used as a hash.
    """
    with np.errstate(over="ignore"):
        z = pages.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
