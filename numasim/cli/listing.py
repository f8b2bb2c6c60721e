"""numasim list: what comes with numasim, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import typer

from numasim.cli import console

Kind = Literal["topologies", "workloads", "scenarios", "policies", "patterns", "sources"]
KINDS: tuple[Kind, ...] = (
    "scenarios", "topologies", "workloads", "policies", "patterns", "sources"
)  # fmt: skip


def list_(
    kind: Annotated[Kind | None, typer.Argument(help="Only this kind.")] = None,
    features: Annotated[
        bool, typer.Option("--features", help="What each policy observes, and by what it moves.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The features as a table in Markdown.")
    ] = False,
) -> None:
    """List topologies, workloads, scenarios, policies, patterns and access sources.

    Example: numasim list policies --features
    """
    if features or markdown:
        _features(kind, markdown)
        return
    for each in KINDS if kind is None else (kind,):
        console.table((each, ""), DESCRIBED[each]())


def _features(kind: Kind | None, markdown: bool) -> None:
    from numasim import features
    from numasim.errors import ConfigError, Problem

    if kind not in (None, "policies"):
        message = f"{kind} have none"
        raise ConfigError(Problem("--features", message, "numasim list policies --features"))
    if markdown:
        console.text(features.markdown())
        return
    for row in features.features():
        name = row.pop("policy")
        console.table((name, ""), list(row.items()))


def _files(kind: str) -> Callable[[], list[tuple[str, str]]]:
    def described() -> list[tuple[str, str]]:
        from numasim import library

        return [(name, _of_file(kind, name)) for name in library.names(kind)]

    return described


def _of_file(kind: str, name: str) -> str:
    from numasim import library

    data = library.read(library.find(kind, name))
    return str(data.get("description", "")) if isinstance(data, dict) else ""


def _registered(package: str) -> Callable[[], list[tuple[str, str]]]:
    def described() -> list[tuple[str, str]]:
        import importlib

        registry = importlib.import_module(package).registry
        return [(name, first_line(registry.get(name))) for name in registry.names()]

    return described


def first_line(thing: object) -> str:
    """The first line of its docstring."""
    return (thing.__doc__ or "").strip().split("\n")[0]


DESCRIBED: dict[str, Callable[[], list[tuple[str, str]]]] = {
    "scenarios": _files("scenarios"),
    "topologies": _files("topologies"),
    "workloads": _files("workloads"),
    "policies": _registered("numasim.policies"),
    "patterns": _registered("numasim.patterns"),
    "sources": _registered("numasim.sources"),
}
