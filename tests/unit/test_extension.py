"""One new file each: a policy, a source, a pattern, a topology and a workload, run end to end."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import numasim as ns
from numasim import patterns, policies, sources
from numasim.errors import ConfigError

TOPOLOGY = """
# One node for each kind of memory; all numbers are made up.
name: toy
description: a toy machine
nodes:
  - {name: hbm, kind: HBM, capacity: 8 MiB, latency: 80 ns, bandwidth: 500 GB/s, at: board}
  - {name: ddr, kind: DRAM, capacity: 32 MiB, latency: 120 ns, bandwidth: 100 GB/s, at: board}
accessors:
  - {name: gpu, kind: GPU, cores: 8, in_flight_bytes: 1 MiB, at: board}
kernel: {min_free_kbytes: 256, transparent_hugepage: never}
"""
WORKLOAD = """
# A program of one mapping that visits its ends; all numbers are made up.
name: toy
description: a toy program
parameters: {size: 16 MiB}
processes:
  - name: app
    mappings: [{name: data, size: $size}]
    actors:
      - name: kernel
        "on": GPU
        threads: 4
        phases:
          - compute: 1 us
            access: [{pattern: toy_ends, mapping: data, part: 10 %}]
"""
PATTERN = '''
"""Both ends of a mapping and nothing between."""
from __future__ import annotations

import numpy as np
from pydantic.dataclasses import dataclass

from numasim.patterns import STRICT, Extent, Pattern, register
from numasim.units import Ratio


@register("toy_ends")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class ToyEnds(Pattern):
    """Visits to the first and the last pages.

    Parameters
    ----------
    part : float
        Share of the mapping at each end.
    """

    part: Ratio = 0.25

    def extents(self, nr_pages: int) -> list[Extent]:
        nr = max(1, round(self.part * nr_pages))
        return [Extent(0, nr), Extent(nr_pages - nr, nr_pages)]

    def shares(self, work: float, nr_pages: int) -> np.ndarray:
        return np.array([0.5, 0.5])
'''
SOURCE = '''
"""An eye that finds accessed whatever lies in the first half of what it is shown."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from numasim.sources import register


@register("toy_eye")
@dataclass
class ToyEye:
    """Sees the first half."""

    views: list
    law: Any
    rng: np.random.Generator
    check_cost_ns: int
    addr_unit: int = 1
    exact_ticks: bool = False

    def check_ns(self, nr_regions: int) -> int:
        return nr_regions

    def hits(self, start, end, target, window) -> np.ndarray:
        middle = (start.min() + end.max()) / 2
        return np.where(end <= middle, len(window.starts_ns), 0)
'''
POLICY = '''
"""Promote what was seen at all, without quota."""
from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.damon.spec import AccessPattern, Attrs, Context, Kdamond, Scheme, Target
from numasim.policies import STRICT, Policy, register
from numasim.topology import Topology


@register("toy_promote")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class ToyPromote(Policy):
    """One kdamond that moves every region with enough hits to the nearest node.

    Parameters
    ----------
    least : int
        Samples found accessed.
    """

    least: Annotated[int, Field(ge=1)] = 1

    def kdamonds(self, topology: Topology) -> tuple[Kdamond, ...]:
        near, *far = topology.tiers(0)
        regions = tuple(r for nid in far for r in topology.node_ranges(nid))
        scheme = Scheme(
            action="migrate_hot",
            pattern=AccessPattern(min_nr_accesses=self.least),
            apply_interval_us=100_000,
            target_nid=near,
        )
        context = Context("paddr", (Target(regions=regions),), Attrs(), (scheme,))
        return (Kdamond((context,)),)
'''


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch) -> Path:
    """A folder with the five files; the three classes lie where their packages look."""
    (tmp_path / "toy.yaml").write_text(dedent(TOPOLOGY))
    (tmp_path / "program.yaml").write_text(dedent(WORKLOAD))
    for package, name, text in (
        (patterns, "toy_ends", PATTERN),
        (sources, "toy_eye", SOURCE),
        (policies, "toy_promote", POLICY),
    ):
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / f"{name}.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        registry = package.registry
        monkeypatch.setattr(registry, "_known", dict(registry._known))
        monkeypatch.setattr(registry, "_loaded", False)
        monkeypatch.setitem(sys.modules, f"{package.__name__}.{name}", None)
        del sys.modules[f"{package.__name__}.{name}"]
    importlib.invalidate_caches()
    yield tmp_path
    for module in [m for m in sys.modules if m.rpartition(".")[2].startswith("toy_")]:
        del sys.modules[module]


def run(folder: Path, policy="toy_promote", **more) -> ns.Result:
    return ns.run(
        str(folder / "toy.yaml"),
        str(folder / "program.yaml"),
        policy,
        duration="1 s",
        record="100 ms",
        **more,
    )


def test_five_new_files_make_a_run(plugged):
    found = run(plugged)
    assert found.policy == "toy_promote"
    assert found.summary()["throughput_ops_per_s"] > 0
    assert found.snapshots.nr_accesses.max() > 0
    state = found.actors.iloc[-1]
    assert (state.actor, state.state) == ("app/kernel", "running")


def test_their_fields_are_checked_as_all_others(plugged):
    with pytest.raises(ConfigError, match=r"policy\.least: got 0"):
        run(plugged, {"kind": "toy_promote", "least": 0})
    with pytest.raises(ConfigError, match=r'policy.leest: unknown key; did you mean "least"'):
        run(plugged, {"kind": "toy_promote", "leest": 1})
    with pytest.raises(ConfigError, match=r"workload\..*part"):
        run(plugged, set=["workload.processes[0].actors[0].phases[0].access[0].part=200 %"])


def test_another_eye_sees_other_things(plugged):
    seen = run(plugged, access_source="toy_eye").snapshots
    middle = (seen.start.min() + seen.end.max()) / 2
    assert (seen[seen.end <= middle].nr_accesses > 0).mean() > 0.9
    assert (seen[seen.start >= middle].nr_accesses == 0).all()


def test_the_result_says_how_to_make_it_again(plugged):
    found = run(plugged, access_source="toy_eye")
    again = ns.run_scenario(found.scenario())
    assert again.snapshots.equals(found.snapshots)


def test_what_was_plugged_in_is_gone_afterwards():
    with pytest.raises(ConfigError, match='unknown policy "toy_promote"'):
        policies.registry.get("toy_promote")
