"""Small plans for tests of sweeps; all numbers are made up."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.worlds import document, tiering


def plan(**more: Any) -> dict[str, Any]:
    """A plan of two policies, of runs that take some tens of milliseconds."""
    shared = document()
    return {
        "topology": shared["topology"],
        "workload": shared["workload"],
        "policies": {"stay": "no_tiering", "tier": tiering(interval="20 ms")},  # its seeds differ
        "duration": shared["duration"],
        "record": shared["record"],
        "seeds": 2,
        **more,
    }


POLICIES = '''
"""Policies that misbehave, each in its way."""
import gc, os, signal, time
from pathlib import Path
from typing import ClassVar
from pydantic.dataclasses import dataclass
from numasim.policies import STRICT, Policy, register


@register("raises")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Raises(Policy):
    """Cannot be carried out."""
    has_agents: ClassVar[bool] = True

    def agents(self, stage, now_ns):
        raise ZeroDivisionError("on purpose")


@register("hangs")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Hangs(Policy):
    """Never comes to an end."""
    has_agents: ClassVar[bool] = True

    def agents(self, stage, now_ns):
        while True:
            time.sleep(0.01)


@register("eats")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Eats(Policy):
    """Takes more and more memory."""
    has_agents: ClassVar[bool] = True

    def agents(self, stage, now_ns):
        held = []
        while True:
            held.append(bytearray(1 << 22))


@register("litters")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Litters(Policy):
    """Leaves much behind, in a circle."""
    has_agents: ClassVar[bool] = True

    def agents(self, stage, now_ns):
        gc.disable()  # or chance decides when it looks for circles
        circle = [bytearray(64 << 20)]
        circle.append(circle)
        return ()


@register("dies")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Dies(Policy):
    """Is killed, the first time or always."""
    flag: str = ""

    has_agents: ClassVar[bool] = True

    def agents(self, stage, now_ns):
        if not self.flag or not Path(self.flag).exists():
            if self.flag:
                Path(self.flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return ()
'''


def write_python(folder: Path, **more: Any) -> Path:
    """A plan in Python that brings misbehaving policies."""
    path = folder / "bad_policies.py"
    path.write_text(dedent(POLICIES) + f"\n\nPLAN = {plan(**more)!r}\n", encoding="utf-8")
    return path


def write_yaml(folder: Path, **more: Any) -> Path:
    """The plan as a file (JSON is YAML)."""
    path = folder / "plan.yaml"
    path.write_text(json.dumps(plan(**more), indent=1), encoding="utf-8")
    return path


def told(metrics: dict[str, dict[str, float]]) -> dict[str, str]:
    """Numbers of runs so that two that do not exist are equal."""
    return {key: repr(numbers) for key, numbers in metrics.items()}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of the dataset and its bytes."""
    files = [*(folder / "runs").rglob("*.parquet"), *(folder / "tables").rglob("*.parquet")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(files)}
