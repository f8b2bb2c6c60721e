"""Whatever a user writes is either read or refused with a `ConfigError`; nothing else escapes."""

import contextlib
import copy
import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from numasim.errors import ConfigError
from numasim.formats import kdamonds
from numasim.formats.damo_args import parse
from numasim.formats.damo_options import OPTIONS

SAMPLES = Path(__file__).parents[1] / "data" / "samples"
TREE = json.loads((SAMPLES / "tpp_two_context.kdamonds.json").read_text())

values = st.sampled_from(
    ["0", "1", "2", "max", "min", "5%", "10ms", "1 s", "4K", "4k", "-1", "1.5", "x", "", "none",
     "allow", "reject", "non", "young", "memcg", "/a", "cpu", "addr", "paddr", "vaddr", "stat",
     "migrate_hot", "page_fault", "user_input", "active_mem_bp", "node_mem_used_bp", "complement",
     "consist", "free_mem_rate", "0-4", "4096-8192", "Y", "N", "[]", "[{}]", "[5]", "{}"]
)  # fmt: skip


@st.composite
def commands(draw):
    words = []
    for option in draw(st.lists(st.sampled_from(OPTIONS), max_size=12)):
        words.append(draw(st.sampled_from([option.name, option.also or option.name])))
        most = min(option.most, option.least + 3)
        words += draw(st.lists(values, min_size=option.least, max_size=most))
    return words


@settings(deadline=None, max_examples=300)
@given(commands(), st.booleans())
def test_any_command_is_read_or_refused(words, strict):
    with contextlib.suppress(ConfigError):
        parsed = parse(words, node_ranges={0: [(0, 4096)], 1: []}.get, strict=strict)
        assert kdamonds.from_raw(parsed.tree).kdamonds == parsed.kdamonds
        assert not (strict and parsed.warnings)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | values
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            values | st.sampled_from(["min", "max", "id", "goals"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)


def spots(node, path=()):
    """Every place of a tree."""
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node)
    if isinstance(node, dict | list):
        for key, child in children:
            yield from (
                spots(child, (*path, key)) if isinstance(child, dict | list) else [(*path, key)]
            )


SPOTS = [path for path in spots(TREE) if path]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(SPOTS), anything), min_size=1, max_size=3))
def test_any_tree_is_read_or_refused(changes):
    tree = copy.deepcopy(TREE)
    for path, value in changes:
        node = tree
        with contextlib.suppress(KeyError, IndexError, TypeError):
            for step in path[:-1]:
                node = node[step]
            if isinstance(node, dict | list):
                node[path[-1]] = value
    with contextlib.suppress(ConfigError):
        parsed = kdamonds.from_raw(tree)
        assert kdamonds.from_raw(parsed.tree).tree == parsed.tree


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=40), st.sampled_from(["json", "yaml"]))
def test_any_text_is_read_or_refused(text, kind):
    with contextlib.suppress(ConfigError):
        kdamonds.loads(text, kind)
