"""Which code a run was made with: a saved run counts only for the code that would make it again."""

from __future__ import annotations

import hashlib
import importlib.util
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import numasim
from numasim import patterns, policies, sources
from numasim.provenance import PACKAGES

PLAN_MODULE = "<run_path>"
"""What `runpy` calls the module of a plan in Python."""
LAYOUT = 1
"""Of the files that a run leaves; another number makes earlier ones useless."""
BESIDE = frozenset((
    "cli", "report", "validate", "sweep", "gate", "tune", "explain.py", "documents.py", "pool.py",
    "comparing.py", "comparison.py", "statistics.py", "plain.py", "__main__.py",
))  # fmt: skip
"""Rooms that look at runs and change none."""


def fingerprint(source: str = "") -> str:
    """Hash of the simulator's source, of plugins' modules, and of the packages they stand on.

    Versions alone would not do: whoever works on a policy does not raise one with every edit.

    Parameters
    ----------
    source : str
        Text of a plan that registers policies itself.
    """
    found = hashlib.sha256(own_code().encode())
    for module in sorted(plugin_modules(), key=lambda m: m.__name__):
        file = getattr(module, "__file__", None)
        found.update(module.__name__.encode())
        if file and Path(file).is_file():
            found.update(Path(file).read_bytes())
    if registered_by(PLAN_MODULE):
        found.update(source.encode())
    return found.hexdigest()[:16]


def own_code() -> str:
    """Hash of what changes a run without plugins."""
    found = hashlib.sha256(f"{LAYOUT} {platform.machine()} {sys.version_info[:2]}".encode())
    for name in PACKAGES:
        found.update(f"{name} {_version(name)}\n".encode())
    root = Path(numasim.__file__).parent
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if inside.parts[0] not in BESIDE:
            found.update(f"{inside.as_posix()}\n".encode() + path.read_bytes())
    return found.hexdigest()


def registered_by(module: str) -> list[str]:
    """Names of policies, sources and patterns that a module registered."""
    return [
        name
        for registry in (policies.registry, sources.registry, patterns.registry)
        for name in registry.names()
        if registry.get(name).__module__ == module
    ]


def plugin_modules() -> list[ModuleType]:
    """Modules outside numasim that registered a policy, a source or a pattern."""
    found: dict[str, ModuleType] = {}
    for registry in (policies.registry, sources.registry, patterns.registry):
        for name in registry.names():
            module = registry.get(name).__module__
            if module.split(".")[0] != "numasim" and module in sys.modules:
                found[module] = sys.modules[module]
    return list(found.values())


def importable(module: ModuleType) -> bool:
    """Whether another process can import it by its name."""
    if module.__name__ == "__main__":
        return False
    try:
        return importlib.util.find_spec(module.__name__) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
