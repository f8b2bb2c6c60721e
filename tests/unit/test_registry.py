"""Names and the classes behind them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from numasim.errors import ConfigError
from numasim.registry import Registry


@pytest.fixture
def package(tmp_path: Path, monkeypatch) -> str:
    """A package of one module that registers one class."""
    name = f"plugins_{tmp_path.name}".replace("-", "_")
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from numasim.registry import Registry\n"
        f"registry = Registry('gadget', '{name}', '{name}')\n"
    )
    (folder / "one.py").write_text(
        f"from {name} import registry\n@registry.register('one')\nclass One:\n"
        "    def __init__(self, size=1):\n        self.size = size\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    for module in [m for m in sys.modules if m.split(".")[0] == name]:
        del sys.modules[module]


def registry_of(package: str) -> Registry:
    __import__(package)
    return sys.modules[package].registry


def test_modules_register_themselves(package):
    registry = registry_of(package)
    assert registry.names() == ["one"]
    assert registry.get("one").kind == "one"
    assert registry.build("one", {"size": 3}).size == 3


def test_an_unknown_name_is_answered(package):
    with pytest.raises(ConfigError) as caught:
        registry_of(package).get("two", "policy.kind")
    assert str(caught.value) == 'policy.kind: unknown gadget "two"; known: one'


def test_a_second_claim_is_an_error(package):
    registry = registry_of(package)
    registry.names()
    with pytest.raises(ConfigError, match=r'gadget "one" is claimed twice: by .*\.one and'):

        @registry.register("one")
        class Other:
            pass


def test_what_lies_in_its_own_file_is_taken_without_the_others(package):
    registry = registry_of(package)
    folder = Path(sys.modules[package].__file__).parent
    other = (folder / "one.py").read_text().replace("'one'", "'three'").replace("One", "Three")
    (folder / "two.py").write_text(other)
    assert registry.get("one").kind == "one" and f"{package}.two" not in sys.modules
    assert registry.get("three").kind == "three"  # in a file of another name
    assert registry.names() == ["one", "three"]


def test_where_a_plugin_may_claim_a_name_all_are_loaded(package, monkeypatch):
    class Point:
        name, dist = "shiny", None

        def load(self):
            registry_of(package).register("one")(type("Other", (), {}))

    monkeypatch.setattr("numasim.registry.entry_points", lambda group: [Point()])
    with pytest.raises(ConfigError, match=r"plugin shiny .* claimed twice"):
        registry_of(package).get("one")


def test_the_same_class_may_come_again(package):
    registry = registry_of(package)
    registry.names()
    module = sys.modules[f"{package}.one"]
    assert registry.register("one")(module.One) is module.One


def test_a_broken_module_is_told_each_time(package):
    folder = Path(sys.modules[package].__file__).parent if package in sys.modules else None
    registry = registry_of(package)
    folder = folder or Path(sys.modules[package].__file__).parent
    (folder / "broken.py").write_text("raise RuntimeError('broken')\n")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken"):
            registry.names()


def test_a_broken_plugin_is_named(package, monkeypatch):
    class Point:
        name, dist = "shiny", None

        def load(self):
            raise ImportError("no such thing")

    monkeypatch.setattr("numasim.registry.entry_points", lambda group: [Point()])
    with pytest.raises(ConfigError, match="gadget plugin shiny of unknown distribution failed"):
        registry_of(package).names()
