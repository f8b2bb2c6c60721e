"""Hint faults with all that decisions need to know of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Batch:
    """Faults with what is known of them, in order of time.

    Parameters
    ----------
    head, time_ns, actor : int64[N]
    task : int64[N]
        Of its process.
    source, target : int64[N]
        Node of the page, and of the CPU that faulted.
    nr : int64[N]
        4 KiB pages.
    """

    head: np.ndarray
    time_ns: np.ndarray
    actor: np.ndarray
    task: np.ndarray
    source: np.ndarray
    target: np.ndarray
    nr: np.ndarray

    def at(self, where: np.ndarray) -> Batch:
        """Some of them."""
        return Batch(*(getattr(self, name)[where] for name in self.__dataclass_fields__))
