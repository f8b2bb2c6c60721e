"""Plain data → frozen description, with every complaint at once and at its place.

pydantic finds the mistakes of parts; this module gives each one the place a user sees, such as
``nodes[2].capacity``, and a way out (``did you mean "latency"?``). What is wrong with a whole, such
as a name given twice, comes from `wholes.py`. Topologies, workloads and scenarios come this way.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.units import FROM_FILE, BadText
from numasim.wholes import classes_in, join_place, of_wholes

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
        found.update(dict.fromkeys(of_wholes(cls, data, context, place)))
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
    message = f"got {_shown(detail['input'])}, expected {expected}"
    if kind == "literal_error":
        return [Problem(where, message, _meant(detail["input"], expected))]
    field = loc[-1] if loc else ""
    entries = [e for tp in parents for inner in _below(tp, field) for e in _below(inner, 0)]
    return [Problem(where, message, _as_list(kind, detail["input"], entries))]


def _meant(given: Any, expected: str) -> str:
    """Which of the words that are expected is most like what was given, if one is."""
    known = {word.lower(): word for word in re.findall(r"'([^']*)'", expected)}
    close = difflib.get_close_matches(str(given).lower(), known, n=1, cutoff=0.6)
    return f'did you mean "{known[close[0]]}"?' if close else ""


def _as_list(kind: str, value: Any, entries: Sequence[Any]) -> str:
    """How to write a list of one, for somebody who gave just that one plain value."""
    if kind not in ("list_type", "tuple_type") or not isinstance(value, str | int | float):
        return ""
    if not entries or any(map(dataclasses.is_dataclass, entries)):
        return ""
    return f"write [{value}]; on a command line within quotes, '[{value}]'"


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
    path, kinds = "", classes_in(cls)
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
        return classes_in(hints[step]) if step in hints else []
    origin, args = typing.get_origin(tp), typing.get_args(tp)
    if origin in (list, tuple, Sequence) and isinstance(step, int) and args:
        return classes_in(args[0])
    if origin in (dict, Mapping) and len(args) == 2:
        return classes_in(args[1])
    return []


def _field_names(tp: Any) -> list[str]:
    return (
        [f.name for f in dataclasses.fields(tp) if f.init] if dataclasses.is_dataclass(tp) else []
    )


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
            for p in error.problems:
                where, notes = join_place(place, p.place), [error.source] if error.source else []
                if p.place.startswith("line "):
                    where, notes = place, [*notes, p.place]
                elif p.place.startswith("--set"):
                    where = p.place
                source = f" ({', '.join(notes)})" if notes else ""
                self._problems.append(Problem((where + source).strip(), p.message, p.hint))
        except ValueError as error:
            self._problems.append(Problem(place, str(error)))
        return None
