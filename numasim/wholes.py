"""What is wrong with a whole, such as a name given twice, told even where some parts are wrong.

A class lists in `checks` functions of one object that yield problems and do not depend on each
other. pydantic makes no whole of wrong parts; here one is made of the good ones, and each check
runs on it as far as it gets.
"""

from __future__ import annotations

import contextlib
import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn, TypeVar

from pydantic import TypeAdapter, ValidationError

from numasim.errors import ConfigError, Problem

T = TypeVar("T")


class Unknown(Exception):
    """A check asked for a part that is itself wrong."""


class _Wrong:
    """Stands where a list has an entry of which nothing can be made."""

    def __getattr__(self, name: str) -> NoReturn:
        raise Unknown(name)


@dataclasses.dataclass(frozen=True)
class Chosen:
    """Metadata of a type whose class depends on the data, such as a pattern's on its name.

    `pick` gives the class and its fields, or raises `ConfigError`.
    """

    pick: Callable[[Any], tuple[Any, Any]]


def checked(made: T) -> T:
    """The object, if none of the `checks` of its class complains.

    Raises
    ------
    ConfigError
        With every complaint.
    """
    wrong = [problem for check in _checks(made) for problem in check(made)]
    if wrong:
        raise ConfigError(wrong)
    return made


def known(of: Any, name: str) -> Any:
    """An attribute; None where it is wrong, so that a check can go on without it."""
    try:
        return getattr(of, name)
    except Unknown:
        return None


def _checks(made: Any) -> Iterable[Callable[[Any], Iterable[Problem]]]:
    found: Iterable[Callable[[Any], Iterable[Problem]]] = getattr(made, "checks", ())
    return found


def _complaints(made: Any) -> Iterator[Problem]:
    """What the checks find in a whole with wrong parts, each as far as it gets."""
    for check in _checks(made):
        try:
            yield from check(made)
        except (Unknown, ArithmeticError, LookupError, TypeError, ValueError):
            continue  # it stumbled over a wrong part, which is complained about itself


def of_wholes(tp: Any, data: Any, context: Mapping[str, Any] | None, place: str) -> list[Problem]:
    """Complaints of wholes anywhere in data of which some part is wrong."""
    found: list[Problem] = []
    with contextlib.suppress(Unknown):
        _partly(tp, data, context, place, found)
    return found


def _partly(
    tp: Any, data: Any, context: Mapping[str, Any] | None, place: str, found: list[Problem]
) -> Any:
    """What can be made of the data; `found` gets what wholes in it complain about.

    Raises
    ------
    Unknown
        If that is nothing.
    """
    try:
        return TypeAdapter(tp).validate_python(data, context=context)
    except (ValidationError, ConfigError):
        pass
    while typing.get_origin(tp) is typing.Annotated:
        tp, *metadata = typing.get_args(tp)
        for chosen in (m for m in metadata if isinstance(m, Chosen)):
            try:
                tp, data = chosen.pick(data)
            except ConfigError:
                raise Unknown(place) from None
    arms = [arm for arm in classes_in(tp) if dataclasses.is_dataclass(arm)]
    if arms and isinstance(data, Mapping):
        return _part(arms[0], data, context, place, found)
    if typing.get_origin(tp) not in (list, tuple) or not isinstance(data, list | tuple):
        raise Unknown(place)
    entries: list[Any] = []
    for i, entry in enumerate(data):
        try:
            inner = typing.get_args(tp)[0]
            entries.append(_partly(inner, entry, context, f"{place}[{i}]", found))
        except Unknown:
            entries.append(_Wrong())
    return tuple(entries)


def _part(
    cls: Any,
    data: Mapping[str, Any],
    context: Mapping[str, Any] | None,
    place: str,
    found: list[Problem],
) -> Any:
    """An object with the good fields of the data; the others raise `Unknown`."""
    hints = typing.get_type_hints(cls, include_extras=True)
    good: dict[str, Any] = {}
    for name, field in cls.__pydantic_fields__.items():
        if name in data:
            with contextlib.suppress(Unknown):
                inside = join_place(place, name)
                good[name] = _partly(hints[name], data[name], context, inside, found)
        elif not field.is_required():
            good[name] = field.get_default(call_default_factory=True)
    wrong = {name: property(_raise) for name in cls.__pydantic_fields__ if name not in good}
    made: Any = object.__new__(type(cls.__name__, (cls,), wrong))
    made.__dict__.update(good)
    found += [
        dataclasses.replace(problem, place=join_place(place, problem.place))
        for problem in _complaints(made)
    ]
    return made


def _raise(made: Any) -> NoReturn:
    raise Unknown(type(made).__name__)


def join_place(*parts: str) -> str:
    """Places put one inside the other: ``("nodes[2]", "zones[0].start")`` → one path."""
    path = ""
    for part in parts:
        path += part if not path or not part or part.startswith("[") else f".{part}"
    return path


def classes_in(tp: Any) -> list[Any]:
    """A type, or the arms of a union of types."""
    if typing.get_origin(tp) is typing.Annotated:
        return classes_in(typing.get_args(tp)[0])
    if typing.get_origin(tp) in (typing.Union, types.UnionType):
        return [inner for arm in typing.get_args(tp) for inner in classes_in(arm)]
    return [tp]
