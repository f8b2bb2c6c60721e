"""Plain data → frozen description, with every complaint at once and at its place.

pydantic finds the mistakes of parts; this module gives each one the place a user sees, such as
``nodes[2].capacity``, and a way out (``did you mean "latency"?``). What is wrong with a whole, such
as a name given twice, is told by its `checks`; where some parts are wrong, they run on the good
ones. Topologies, workloads and scenarios all come this way.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import TypeAdapter, ValidationError

from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.units import FROM_FILE, BadText

T = TypeVar("T")

_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")
_MISSING = ("missing", "missing_argument", "missing_keyword_only_argument")
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "dataclass_type": "a mapping",
    "dataclass_exact_type": "a mapping",
    "model_type": "a mapping",
}


def build(
    cls: type[T],
    data: Any,
    source: str = "",
    place: str = "",
    context: Mapping[str, Any] | None = FROM_FILE,
) -> T:
    """One description made of plain data.

    Parameters
    ----------
    cls : type
        A pydantic dataclass (or any type pydantic can check).
    data : Any
        Mappings, lists and scalars, as a YAML file gives them.
    source : str
        File the data came from; printed above the complaints.
    place : str
        Where in the file the data stood, such as ``"topology"``.

    context : mapping or None
        Handed to pydantic. By default bare numbers are refused where a unit is wanted; with None
        they are taken as already converted.

    Returns
    -------
    T

    Raises
    ------
    ConfigError
        With every mistake found.
    """
    try:
        return TypeAdapter(cls).validate_python(data, context=context)
    except ValidationError as error:
        found = dict.fromkeys(problems(cls, data, error, place))
        found.update(dict.fromkeys(_of_wholes(cls, data, context, place)))
        raise ConfigError(list(found), source) from None
    except ConfigError as error:
        raise ConfigError([_inside(p, place) for p in error.problems], source) from None


def problems(cls: Any, data: Any, error: ValidationError, place: str = "") -> list[Problem]:
    """What pydantic found, in our words.

    Parameters
    ----------
    cls : type
        The type that was to be built.
    data : Any
        The data it was to be built from.
    error : ValidationError
    place : str
        Prefix of every place.

    Returns
    -------
    list of Problem
        Without doubles; in pydantic's order.
    """
    found: dict[Problem, None] = {}
    details = error.errors(include_url=False)
    for detail in details:
        if detail["type"] == "too_short" and _has_wrong_entry(detail["loc"], details):
            continue  # it only lacks the entries that are complained about themselves
        for problem in _translate(cls, data, dict(detail), place):
            found.setdefault(problem)
    return list(found)


def plain(made: Any) -> Any:
    """The plain data that `build` made a description of.

    Raises
    ------
    ConfigError
        If it was made otherwise.
    """
    data = getattr(made, "_plain", None)
    if data is None:
        raise ConfigError("was not made from a file or plain data", type(made).__name__)
    return copy.deepcopy(data)


def join_place(*parts: str) -> str:
    """Places put one inside the other: ``("nodes[2]", "zones[0].start")`` → one path."""
    path = ""
    for part in parts:
        path += part if not path or not part or part.startswith("[") else f".{part}"
    return path


def _translate(cls: Any, data: Any, detail: dict[str, Any], place: str) -> list[Problem]:
    kind, loc = detail["type"], tuple(detail["loc"])
    path, parents = _walk(cls, data, loc, keep_last=kind in _UNKNOWN + _MISSING)
    where = join_place(place, path)
    if kind == "too_short" and not detail["input"]:
        return [Problem(where, "is empty", f"expected at least {detail['ctx']['min_length']}")]
    if kind in _UNKNOWN:
        known = {name for tp in parents for name in _field_names(tp)}
        return [Problem(where, "unknown key", did_you_mean(str(loc[-1]), known))]
    if kind in _MISSING:
        return [Problem(where, "is missing")]
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, ConfigError):
        return [_inside(_with_value(p, detail["input"]), where) for p in cause.problems]
    if isinstance(cause, BadText):
        return [_with_value(Problem(where, cause.message, cause.hint), detail["input"])]
    if isinstance(cause, Exception):
        return [_with_value(Problem(where, str(cause)), detail["input"])]
    expected = _EXPECTED.get(kind)
    if expected is None:
        expected = detail["msg"].removeprefix("Input should be ").removeprefix("Input ")
    return [Problem(where, f"got {_shown(detail['input'])}, expected {expected}")]


def _has_wrong_entry(loc: tuple[Any, ...], details: Sequence[Mapping[str, Any]]) -> bool:
    return any(len(d["loc"]) > len(loc) and d["loc"][: len(loc)] == loc for d in details)


def _with_value(problem: Problem, value: Any) -> Problem:
    """Say what was found, unless the check already did or it would be a whole section."""
    if _is_section(value):
        return problem
    if problem.message.startswith(("got ", "unknown ", "no ")):
        return problem
    return Problem(problem.place, f"got {_shown(value)}, {problem.message}", problem.hint)


def _inside(problem: Problem, place: str) -> Problem:
    return dataclasses.replace(problem, place=join_place(place, problem.place))


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple) and (len(value) > 4 or any(map(_is_section, value))):
        return "a list"
    if dataclasses.is_dataclass(value):
        return f"a {type(value).__name__}"
    if value is None:
        return "nothing"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _is_section(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple) or dataclasses.is_dataclass(value)


def _walk(cls: Any, data: Any, loc: Sequence[Any], keep_last: bool) -> tuple[str, list[Any]]:
    """Path of an error as the user wrote it, and the types that hold its last key.

    pydantic's locations also name union arms and parts that a validator made up; whatever the data
    does not have is left out.
    """
    path, kinds = "", _dataclasses_in(cls)
    parents = kinds
    for i, step in enumerate(loc):
        if _has(data, step):
            data = data[step]
        elif not (keep_last and i == len(loc) - 1):
            continue
        path = join_place(path, f"[{step}]" if isinstance(step, int) else str(step))
        parents, kinds = kinds, [inner for tp in kinds for inner in _below(tp, step)]
    return path, parents


def _has(data: Any, step: Any) -> bool:
    if isinstance(data, Mapping):
        return step in data
    return isinstance(data, list | tuple) and isinstance(step, int) and step < len(data)


def _below(tp: Any, step: Any) -> list[Any]:
    """Types found one step further down."""
    if dataclasses.is_dataclass(tp):
        hints = typing.get_type_hints(tp, include_extras=False)
        return _dataclasses_in(hints[step]) if step in hints else []
    origin, args = typing.get_origin(tp), typing.get_args(tp)
    if origin in (list, tuple, Sequence) and isinstance(step, int) and args:
        return _dataclasses_in(args[0])
    if origin in (dict, Mapping) and len(args) == 2:
        return _dataclasses_in(args[1])
    return []


def _dataclasses_in(tp: Any) -> list[Any]:
    """A type, or the arms of a union of types."""
    if typing.get_origin(tp) is typing.Annotated:
        return _dataclasses_in(typing.get_args(tp)[0])
    if typing.get_origin(tp) in (typing.Union, types.UnionType):
        return [inner for arm in typing.get_args(tp) for inner in _dataclasses_in(arm)]
    return [tp]


def _field_names(tp: Any) -> list[str]:
    return (
        [f.name for f in dataclasses.fields(tp) if f.init] if dataclasses.is_dataclass(tp) else []
    )


# ---------------------------------------------------------------------------- checks of wholes


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

    A class lists in `checks` functions of one object that yield problems. They must not depend on
    each other: each is run, as far as it gets.

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


def _of_wholes(tp: Any, data: Any, context: Mapping[str, Any] | None, place: str) -> list[Problem]:
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
    arms = [arm for arm in _dataclasses_in(tp) if dataclasses.is_dataclass(arm)]
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
    made = object.__new__(type(cls.__name__, (cls,), wrong))
    made.__dict__.update(good)
    found += [_inside(problem, place) for problem in _complaints(made)]
    return made


def _raise(made: Any) -> NoReturn:
    raise Unknown(type(made).__name__)


class Collector:
    """Runs steps and gathers what they complain about, each under the step's place.

    Parameters
    ----------
    problems : list of Problem
        Where complaints are appended.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems

    def __call__(self, place: str, step: Callable[[], T]) -> T | None:
        try:
            return step()
        except ConfigError as error:
            source = f" ({error.source})" if error.source else ""
            for p in error.problems:
                joint = "." if place and not p.place.startswith("[") else ""
                own = f"{place}{joint}{p.place}" if p.place else place
                where = p.place if p.place.startswith("--set") else own
                self._problems.append(Problem(where + source, p.message, p.hint))
        except ValueError as error:
            self._problems.append(Problem(place, str(error)))
        return None
