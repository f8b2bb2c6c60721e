"""Policies as users give them: a name, a damo command, a kdamonds or policy file, plain data."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numasim import library
from numasim.checking import build
from numasim.errors import ConfigError, Problem
from numasim.formats import damo_args, kdamonds
from numasim.formats.damo_tree import Parsed
from numasim.overrides import apply_overrides
from numasim.policies import Policy, registry
from numasim.topology import Topology

STARTING = ("start", "args")
"""damo commands that name kdamonds to start (or would)."""


def policy_data(
    given: Any, overrides: Sequence[str] = (), base: Path = Path(".")
) -> dict[str, Any]:
    """Plain data of a policy: a registered name, a damo command, a file, or a mapping.

    Raises
    ------
    ConfigError
    """
    if isinstance(given, str):
        text = given.strip()
        if text.startswith(("damo ", "--")):
            data: dict[str, Any] = {"kind": "damos", "damo": text}
        elif text.endswith(library.SUFFIXES):
            data = _policy_file(base / text)
        else:
            registry.get(text)
            data = {"kind": text}
    elif isinstance(given, Mapping):
        data = copy.deepcopy(dict(given))
    else:
        raise ConfigError(
            Problem("", f"got {given!r}, expected a name, a damo command, a file or a mapping")
        )
    if "file" in data:
        data = {**_policy_file(base / str(data.pop("file"))), **data}
    return apply_overrides(
        data, [o for o in overrides if o.startswith("policy.") and "=" in o], "policy"
    )


def _policy_file(path: Path) -> dict[str, Any]:
    data = library.read(path)
    if isinstance(data, Mapping) and "kind" in data:
        return dict(data)
    return {"kind": "damos", "kdamonds": data, "name": path.stem.removesuffix(".kdamonds")}


def policy_title(given: Any, data: Mapping[str, Any]) -> str:
    """What tables call it."""
    if "name" in data:
        return str(data["name"])
    if isinstance(given, str) and given == data.get("kind"):
        return given
    return "damo" if "damo" in data else str(data.get("kind", "policy"))


def build_policy(data: Mapping[str, Any], topology: Topology, base: Path = Path(".")) -> Policy:
    """The policy that plain data describe, on that machine.

    Raises
    ------
    ConfigError
    """
    fields = {key: value for key, value in data.items() if key not in ("kind", "name")}
    if "kind" not in data:
        raise ConfigError(Problem("kind", "is missing", "known: " + ", ".join(registry.names())))
    if "damo" in fields:
        parsed = parse_damo(str(fields.pop("damo")), topology, base=base)
        if parsed.verb not in STARTING:
            hint = "use damo start; tune and stop are for timed events"
            raise ConfigError(Problem("damo", f'"damo {parsed.verb}" is no policy', hint))
        fields["threads"] = parsed.kdamonds
    elif "kdamonds" in fields:
        fields["threads"] = kdamonds.from_raw(fields.pop("kdamonds")).kdamonds
    return build(registry.get(str(data["kind"]), "kind"), fields)


def parse_damo(
    command: str, topology: Topology, strict: bool = False, base: Path = Path(".")
) -> Parsed:
    """A damo command on that machine; see `numasim.formats.damo_args.parse`."""

    def node_ranges(nid: int) -> list[tuple[int, int]] | None:
        return topology.node_ranges(nid) if 0 <= nid < len(topology.nodes) else None

    return damo_args.parse(
        command,
        node_ranges=node_ranges,
        default_range=topology.default_range,
        base_dir=base,
        strict=strict,
    )


def self_contained(data: Mapping[str, Any], topology: Topology, base: Path) -> dict[str, Any]:
    """The same policy without need of files: a command that names one becomes its kdamonds."""
    command = str(data.get("damo", ""))
    if not any(word.strip("'\"").endswith(library.SUFFIXES) for word in command.split()):
        return dict(data)
    rest = {key: value for key, value in data.items() if key != "damo"}
    return {**rest, "kdamonds": parse_damo(command, topology, base=base).tree}
