"""Policies that stand on another one: what `on` may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numasim.checking import build
from numasim.errors import ConfigError, Problem
from numasim.policies import Policy, registry


def chosen_policy(value: Any) -> Policy:
    """The policy that a field names: made already, a registered name, or a mapping with ``kind``.

    Parameters
    ----------
    value : Policy or str or mapping

    Raises
    ------
    ConfigError
    """
    if isinstance(value, Policy):
        return value
    fields = {"kind": value} if isinstance(value, str) else value
    if not isinstance(fields, Mapping) or "kind" not in fields:
        hint = "a registered name, or a mapping with kind"
        raise ConfigError(Problem("", f"got {value!r}, expected a policy", hint))
    rest = {key: given for key, given in fields.items() if key not in ("kind", "name")}
    return build(registry.get(str(fields["kind"]), "kind"), rest)
