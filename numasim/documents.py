"""Scenario documents: a shipped or own file, found by name or path, ready for options on top."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numasim import library
from numasim.errors import ConfigError, Problem
from numasim.formats import kdamonds
from numasim.loader import load_scenario
from numasim.policy_data import parse_damo
from numasim.scenario import Scenario

FILES = (*library.SUFFIXES, ".cfg")


@dataclass
class Document:
    """Plain data of a scenario, and the file it came from.

    Parameters
    ----------
    data : dict
        Names of files in it are relative to the working directory.
    path : Path or None
    events_path : Path or None
        File its timed events came from, if not the same.
    """

    data: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None
    events_path: Path | None = None

    def scenario(self, policy: Any = None, overrides: Sequence[str] = ()) -> Scenario:
        """The scenario of one policy; complaints name the file's lines.

        Raises
        ------
        ConfigError
        """
        try:
            return load_scenario(
                self.data, policy=policy, overrides=overrides, source=str(self.path or "")
            )
        except ConfigError as error:
            raise self._with_lines(error) from None

    def _with_lines(self, error: ConfigError) -> ConfigError:
        """Lines for what is in this file or the one of events; other complaints have theirs."""
        return ConfigError([self._placed(p) for p in error.problems], str(self.path or ""))

    def _placed(self, problem: Problem) -> Problem:
        if "(" in problem.place or problem.place.startswith("--"):
            return problem
        elsewhere = self.events_path if problem.place.startswith("events") else None
        path = elsewhere or self.path
        if path is None:
            return problem
        (placed,) = library.with_lines(ConfigError(problem), path).problems
        return replace(placed, place=f"{placed.place} ({elsewhere})") if elsewhere else placed


def read_document(name: str | Path | Mapping[str, Any]) -> Document:
    """A scenario document by name, path or plain data.

    Raises
    ------
    ConfigError
        If there is none, or the file holds something else.
    """
    if isinstance(name, Mapping):
        return Document(dict(name))
    path = library.find("scenarios", str(name))
    data = library.read(path)
    if not isinstance(data, Mapping):
        hint = "see workloads/scenarios/ for examples"
        raise ConfigError(Problem("", "expected a mapping", hint), str(path))
    return Document(_anchored(dict(data), path.parent), path)


def read_events(path: Path) -> list[Any]:
    """Timed events of a file that lists them, as the `events` of a scenario do.

    Raises
    ------
    ConfigError
    """
    data = library.read(path)
    if isinstance(data, Mapping) and set(data) == {"events"}:
        data = data["events"]
    if not isinstance(data, list):
        raise ConfigError(Problem("", "expected a list of events"), str(path))
    found: list[Any] = _anchored({"events": data}, path.parent)["events"]
    return found


def _anchored(data: dict[str, Any], base: Path) -> dict[str, Any]:
    """The data with names of files beside the document made paths from here."""

    def place(value: Any) -> Any:
        if isinstance(value, str) and value.endswith(FILES) and (base / value).is_file():
            return str(base / value)
        if isinstance(value, Mapping) and "file" in value:
            return {**value, "file": place(value["file"])}
        return value

    for key in ("topology", "workload", "policy"):
        if key in data:
            data[key] = place(data[key])
    for key, each in (("policies", place), ("events", _event(place))):
        if isinstance(data.get(key), list):
            data[key] = [each(entry) for entry in data[key]]
    return data


def _event(place: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def anchored(entry: Any) -> Any:
        if isinstance(entry, Mapping) and "kdamonds" in entry:
            return {**entry, "kdamonds": place(entry["kdamonds"])}
        return entry

    return anchored


def warnings_of(scenario: Scenario) -> list[str]:
    """What was surprising in its masim, damo and kdamonds texts, said once each."""
    policy = scenario.document.get("policy", {})
    sources = [policy, *(scenario.document.get("events") or [])]
    found: dict[str, None] = dict.fromkeys(scenario.warnings)
    for source in sources:
        if "damo" in source:
            read = parse_damo(str(source["damo"]), scenario.topology).warnings
        elif "kdamonds" in source:
            read = kdamonds.from_raw(source["kdamonds"]).warnings
        else:
            continue
        found.update(dict.fromkeys(read))
    return list(found)
