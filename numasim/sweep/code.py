"""Which code a run was made with: a saved run counts only for the code that would make it again."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import numasim
from numasim import patterns, policies, sources
from numasim.provenance import PACKAGES

PLAN_MODULE = "numasim_plan"
"""Name of the module that a plan in Python is."""
LAYOUT = 1
"""Of the files that a run leaves; another number makes earlier ones useless."""
BESIDE = frozenset((
    "cli", "report", "validate", "sweep", "gate", "tune", "explain.py", "documents.py", "pool.py",
    "comparing.py", "comparison.py", "statistics.py", "plain.py", "__main__.py",
))  # fmt: skip
"""Rooms that look at runs and change none."""


def run_plan(text: str, path: str) -> dict[str, Any]:
    """Run a plan in Python, for what it defines and registers; the driver and all workers do.

    It finds modules beside it, as a script does. What runs is the text, whatever the file holds by
    now, so that a worker that starts late does as the others do.

    Parameters
    ----------
    text : str
    path : str
        Where it lay; the file need not be on this machine.
    """
    module = ModuleType(PLAN_MODULE)
    module.__file__ = path
    folder = str(Path(path).parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    sys.modules[PLAN_MODULE] = module  # where annotations of its classes are looked up
    exec(compile(text, path, "exec"), module.__dict__)
    return module.__dict__


def fingerprint(source: str = "") -> str:
    """Hash of the simulator's source, of plugins' modules, and of the packages they stand on.

    Versions alone would not do: whoever works on a policy does not raise one with every edit.

    Parameters
    ----------
    source : str
        Text of a plan in Python; it counts if it registers something, all but its ``PLAN``, so
        that more seeds there are no other code.
    """
    found = hashlib.sha256(own_code().encode())
    for module in sorted(plugin_modules(), key=lambda m: m.__name__):
        file = getattr(module, "__file__", None)
        found.update(module.__name__.encode())
        if file and Path(file).is_file():
            found.update(Path(file).read_bytes())
    found.update(_registering(source).encode())
    return found.hexdigest()[:16]


def _registering(source: str) -> str:
    """What a plan in Python brings to its runs; nothing if it registers nothing."""
    tree = ast.parse(source)
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    if not any(ast.unparse(call).split(".")[-1] == "register" for call in calls):
        return ""
    tree.body = [node for node in tree.body if not _names_plan(node)]
    return ast.unparse(tree)


def _names_plan(node: ast.stmt) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(isinstance(target, ast.Name) and target.id == "PLAN" for target in targets)


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


def plugin_modules() -> list[ModuleType]:
    """Modules outside numasim that registered a policy, a source or a pattern."""
    found: dict[str, ModuleType] = {}
    for registry in (policies.registry, sources.registry, patterns.registry):
        for name in registry.names():
            module = registry.get(name).__module__
            own = module.split(".")[0] == "numasim" or module == PLAN_MODULE
            if not own and module in sys.modules:
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
