"""Names → classes: one file registers one thing; an unknown name is answered by known ones."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any, Generic, TypeVar

from numasim.errors import ConfigError, Problem, did_you_mean

T = TypeVar("T")
C = TypeVar("C", bound=type)


class Registry(Generic[T]):
    """The known kinds of one thing (patterns, policies, sources).

    Parameters
    ----------
    what : str
        Singular noun for messages, such as ``"policy"``.
    package : str
        Package whose modules register themselves on import.
    group : str
        Entry-point group through which other distributions add theirs.
    """

    def __init__(self, what: str, package: str, group: str) -> None:
        self.what, self._package, self._group = what, package, group
        self._known: dict[str, type[T]] = {}
        self._loaded = False
        self._points: list[EntryPoint] | None = None

    def register(self, name: str) -> Callable[[C], C]:
        """Class decorator: claim a name. A second claim on it is an error.

        Typed by any class, as type checkers take a pydantic dataclass for something else.
        """

        def claim(cls: C) -> C:
            old = self._known.get(name)
            here = (cls.__module__, cls.__qualname__)
            if old is not None and (old.__module__, old.__qualname__) != here:
                both = f"{old.__module__} and {cls.__module__}"
                raise ConfigError(f'{self.what} "{name}" is claimed twice: by {both}')
            self._known[name] = cls
            cls.kind = name  # type: ignore[attr-defined]
            return cls

        return claim

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True  # before importing: what is imported may ask for names
        try:
            self._import_all()
        except BaseException:
            self._loaded = False
            raise

    def _import_all(self) -> None:
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        for point in self._offered():
            try:
                point.load()
            except Exception as error:
                owner = point.dist.name if point.dist else "unknown distribution"
                raise ConfigError(
                    f"{self.what} plugin {point.name} of {owner} failed: {error}"
                ) from error

    def _offered(self) -> list[EntryPoint]:
        """What other distributions offer; finding that out takes milliseconds."""
        if self._points is None:
            self._points = list(entry_points(group=self._group))
        return self._points

    def _import_one(self, name: str) -> None:
        path = f"{self._package}.{name}"
        if name.isidentifier() and not self._offered() and find_spec(path):
            importlib.import_module(path)

    def names(self) -> list[str]:
        """All known names, sorted."""
        self._load()
        return sorted(self._known)

    def get(self, name: str, place: str = "") -> type[T]:
        """The class of that name.

        Raises
        ------
        ConfigError
            If nothing of that name is registered.

        Notes
        -----
        What lies in the file of its name is taken from there, without a look at all others, unless
        there are other distributions' that may claim the same name.
        """
        if not self._loaded and name not in self._known:
            self._import_one(name)
        if name not in self._known:
            self._load()
        if name not in self._known:
            raise ConfigError(
                Problem(place, f'unknown {self.what} "{name}"', did_you_mean(name, self._known))
            )
        return self._known[name]

    def build(self, name: str, parameters: dict[str, Any], place: str = "") -> T:
        """An instance of that class; parameters are checked by the class itself."""
        return self.get(name, place)(**parameters)
