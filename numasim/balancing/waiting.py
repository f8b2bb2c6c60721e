"""Armed pages that wait for their next random visit, found without looking at those that do not.

When a page is armed, a unit exponential is drawn: the visits to pages of its class that it sleeps
through. So it is due once the class's expected visits pass a mark, at whatever speed they come.
Marks are kept sorted by class, in a few lots of falling size that are merged as they grow alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Lot:
    """Entries sorted by class and mark.

    Parameters
    ----------
    page : int64[N]
    mark : float64[N]
    armed : int64[N]
        Which arming made the entry; what does not match the page's present one is void.
    head, end : int64[C]
        First entry of each class that has not come due, and one past the last.
    """

    page: np.ndarray
    mark: np.ndarray
    armed: np.ndarray
    head: np.ndarray
    end: np.ndarray

    @classmethod
    def of(
        cls, page: np.ndarray, classes: np.ndarray, mark: np.ndarray, armed: np.ndarray, nr: int
    ) -> Lot:
        """Sort entries of classes (int64[N], of `nr`)."""
        order = np.lexsort((mark, classes))
        end = np.cumsum(np.bincount(classes, minlength=nr))
        return cls(page[order], mark[order], armed[order], np.r_[0, end[:-1]], end)

    def __len__(self) -> int:
        """Entries left."""
        return int((self.end - self.head).sum())

    def left(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the entries left, and their classes, int64[M] each."""
        nr = self.end - self.head
        classes = np.repeat(np.arange(len(nr)), nr)
        within = np.arange(len(classes)) - np.repeat(np.cumsum(nr) - nr, nr)
        return self.head[classes] + within, classes

    def nr_due(self, visits: np.ndarray) -> np.ndarray:
        """int64[C]: entries that will have come due by so many visits (float64[C])."""
        there = np.flatnonzero(self.head < self.end)
        due = there[self.mark[self.head[there]] <= visits[there]]
        nr = np.zeros(len(visits), np.int64)
        for c in due.tolist():
            first, last = int(self.head[c]), int(self.end[c])
            nr[c] = np.searchsorted(self.mark[first:last], visits[c], "right")
        return nr

    def take(self, visits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Indices of entries due by now, and their classes, which leave the lot.

        Parameters
        ----------
        visits : float64[C]
            Expected visits to a page of each class so far.
        """
        there = np.flatnonzero(self.head < self.end)
        due = there[self.mark[self.head[there]] <= visits[there]]
        parts, classes = [], []
        for c in due.tolist():
            first, last = int(self.head[c]), int(self.end[c])
            stop = first + int(np.searchsorted(self.mark[first:last], visits[c], "right"))
            parts.append(np.arange(first, stop))
            classes.append(np.full(stop - first, c))
            self.head[c] = stop
        none = np.zeros(0, np.int64)
        return np.concatenate([none, *parts]), np.concatenate([none, *classes])


@dataclass
class Due:
    """Entries that came due: pages, classes, marks, and which arming each is of; [N] each."""

    page: np.ndarray
    classes: np.ndarray
    mark: np.ndarray
    armed: np.ndarray


class Waiting:
    """All armed pages that wait for random visits.

    Parameters
    ----------
    nr_classes : int
    """

    def __init__(self, nr_classes: int) -> None:
        self._nr_classes = nr_classes
        self._lots: list[Lot] = []

    def __len__(self) -> int:
        """Entries kept, void ones included."""
        return sum(len(lot) for lot in self._lots)

    def add(
        self, page: np.ndarray, classes: np.ndarray, mark: np.ndarray, armed: np.ndarray
    ) -> None:
        """Keep entries (int64[N], int64[N], float64[N], int64[N]) of pages just armed."""
        if not len(page):
            return
        self._lots.append(Lot.of(page, classes, mark, armed, self._nr_classes))
        while len(self._lots) > 1 and len(self._lots[-2]) <= 2 * len(self._lots[-1]):
            self._merge()

    def _merge(self) -> None:
        """Make one lot of the last two."""
        pair = (self._lots.pop(-2), self._lots.pop())
        left = [lot.left() for lot in pair]
        page, mark, armed = (
            np.concatenate(
                [getattr(lot, name)[own] for lot, (own, _) in zip(pair, left, strict=True)]
            )
            for name in ("page", "mark", "armed")
        )
        classes = np.concatenate([c for _, c in left])
        if len(page):
            self._lots.append(Lot.of(page, classes, mark, armed, self._nr_classes))

    def nr_due(self, visits: np.ndarray) -> int:
        """Entries that will have come due by so many expected visits (float64[C]) to a page."""
        return int(self.due_by_class(visits).sum())

    def due_by_class(self, visits: np.ndarray) -> np.ndarray:
        """int64[C]: the same, by class; entries that became void since are among them."""
        none = np.zeros(self._nr_classes, np.int64)
        return sum((lot.nr_due(visits) for lot in self._lots), none)

    def take(self, visits: np.ndarray) -> Due:
        """Entries due by now (float64[C] expected visits to a page so far), which are forgotten."""
        found = []
        for lot in self._lots:
            own, classes = lot.take(visits)
            if len(own):
                found.append((lot.page[own], classes, lot.mark[own], lot.armed[own]))
        self._lots = [lot for lot in self._lots if len(lot)]
        none = np.zeros(0, np.int64)
        if not found:
            return Due(none, none, np.zeros(0), none)
        page, classes, mark, armed = (np.concatenate(column) for column in zip(*found, strict=True))
        return Due(page, classes, mark, armed)
