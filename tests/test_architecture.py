"""The house has floors: imports point down, never up, in a circle, or out of a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "numasim"
FLOORS = {
    0: "errors registry seeds units watermarks checking wholes timer",
    1: "hardware kernel layout topology queueing fronts plumbing free_frames zones memory traffic "
    "counts addresses bursts tlb tape reels interleaving other_memory segmenting",
    2: "mapping workload patterns pages law view sources damon policies cost migration populate "
    "actors rates load blockwise blockwise_jitted threads actor_truth tolls observing arming "
    "sampling counting contention agents alarm demands balancing hotness reclaim ledger swapped "
    "walks placing copies huge",
    3: "machine monitors profiles kdamond recorded_clock scenario library overrides policy_data "
    "settings experimenter timed_events blindness feasible loader columns accessor_record "
    "moves_record overhead recorder result provenance formats features",
    4: "engine running",
    5: "documents pool comparing comparison statistics plain explain validate sweep gate tune "
    "views reproduce fitting",
    6: "cli report __main__ numasim",
}
"""Rooms (modules and packages of numasim) by floor. `numasim` is the front door itself."""
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms.split()}
ALONE = {
    "simpy": {"engine"}, "matplotlib": {"report"}, "jinja2": {"report"}, "typer": {"cli"},
    "rich": {"cli"},
}  # fmt: skip
"""Who alone may import what."""
PANDAS_FLOOR = 3
LAZY = {
    ("cli", "*"): "start-up: `numasim --help` and completion load no simulator",
    ("sweep", "scipy.stats"): "the same: few plans sample",
    ("sweep", "numasim.sweep.cluster"): "Dask is an extra",
    ("tune", "optuna"): "an extra",
    ("gate", "*"): "its pytest plugin loads no simulator in test runs that have no gate",
    ("statistics", "scipy.stats"): "most of a second, and few comparisons get there",
}
"""Who may import what inside functions, and why."""
LONGEST = 400


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def room(module: str) -> str:
    """The room a module belongs to."""
    return module.split(".")[1] if "." in module else module


def imports(node: ast.AST, typing_only: bool = False, inside: bool = False) -> Iterator[tuple]:
    """Every import below a node: (name, only for types, inside a function, line)."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield alias.name, typing_only, inside, child.lineno
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative imports hide where they lead"
            for alias in child.names:
                full = f"{child.module}.{alias.name}"
                yield full if full in MODULES else child.module, typing_only, inside, child.lineno
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.body:
                yield from imports(ast.Module([statement], []), True, inside)
        else:
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(child, typing_only, inside or function)


def own(module: str) -> Iterator[tuple]:
    """Imports of our own modules."""
    for name, *rest in imports(TREES[module]):
        if name.split(".")[0] == "numasim" and name in MODULES:
            yield name, *rest


def test_every_room_has_a_floor():
    rooms = {room(module) for module in MODULES}
    assert rooms == set(FLOOR)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    here = FLOOR[room(module)]
    for name, _, _, line in own(module):
        if name == "numasim":  # version and public names; the front door imports nobody by itself
            assert here >= 5, f"{module}:{line} imports the front door"
            continue
        assert FLOOR[room(name)] <= here, f"{module}:{line} (floor {here}) imports {name}, above it"


def test_there_is_no_circle():
    graph = {
        module: {n for n, typing_only, inside, _ in own(module) if not typing_only and not inside}
        - {module, "numasim"}
        for module in MODULES
        if module != "numasim"
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("imports go round: " + " → ".join(error.args[1]))


@pytest.mark.parametrize("module", MODULES)
def test_no_import_hides_in_a_function(module):
    where = room(module)
    hidden = [
        (name, line)
        for name, _, inside, line in imports(TREES[module])
        if inside and not {(where, "*"), (where, name)} & set(LAZY)
    ]
    assert not hidden, f"{module} imports inside functions: {hidden}"


@pytest.mark.parametrize("module", MODULES)
def test_heavy_things_have_one_home(module):
    for name, typing_only, _, line in imports(TREES[module]):
        package = name.split(".")[0]
        if package in ALONE:
            assert room(module) in ALONE[package], f"{module}:{line} imports {package}"
        if package == "pandas" and not typing_only:
            assert FLOOR[room(module)] >= PANDAS_FLOOR, f"{module}:{line} imports pandas"


@pytest.mark.parametrize("module", MODULES)
def test_nobody_uses_the_global_generators(module):
    for name, _, _, line in imports(TREES[module]):
        assert name.split(".")[0] != "random", f"{module}:{line} imports random"
    seeded = ("Generator", "SeedSequence", "PCG64DXSM", "default_rng")
    for node in ast.walk(TREES[module]):
        where = f"{module}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "np.random":
            assert node.attr in seeded, f"{where} uses np.random.{node.attr}"
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.random.default_rng":
            assert node.args, f"{where} draws without a seed"


@pytest.mark.parametrize("module", MODULES)
def test_modules_hold_one_idea(module):
    lines = len(MODULES[module].read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{lines} lines"


def test_the_front_door_opens_quickly():
    """Public names are imported on first use only."""
    names = [name for name, typing_only, _, _ in imports(TREES["numasim"]) if not typing_only]
    assert all(name.split(".")[0] in ("importlib", "typing", "__future__") for name in names), names
