"""What lies in a folder: a run, a comparison, a sweep or a gate."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from numasim.comparing import folders_of
from numasim.comparison import Comparison, Results
from numasim.errors import ConfigError, Problem
from numasim.loader import load_scenario
from numasim.result import Result
from numasim.sweep.store import RUNS, read_row, read_runs


@dataclass(frozen=True)
class SavedSweep:
    """The dataset of a sweep.

    Parameters
    ----------
    folder : Path
    plan : dict
        What `plan.json` says.
    runs : pandas.DataFrame
        See `numasim.sweep.store.read_runs`.
    ranking : pandas.DataFrame
        Empty if there is nothing to compare.
    failed : list of dict
    """

    folder: Path
    plan: dict[str, Any]
    runs: pd.DataFrame
    ranking: pd.DataFrame
    failed: list[dict[str, Any]]

    def document(self, key: str) -> dict[str, Any]:
        """Scenario and seed of one of its runs.

        Raises
        ------
        ConfigError
            If it has no such run.
        """
        for path in (self.folder / RUNS).rglob(f"{key}.parquet"):
            about, _ = read_row(path)
            found: dict[str, Any] = about["scenario"]
            return found
        raise ConfigError(Problem(str(self.folder), f'has no run "{key}"'))


@dataclass(frozen=True)
class SavedGate:
    """What ``numasim gate --json`` wrote."""

    path: Path
    data: dict[str, Any]


NUMBER = {
    "verdict", "ok", "baseline", "now", "change", "low", "high", "within", "relative", "better",
    "notices", "p", "alpha", "why",
}  # fmt: skip
"""What a gate says of each number."""

Saved = Result | Comparison | SavedSweep | SavedGate


def read_saved(path: str | Path) -> Saved:
    """Whatever is there.

    Parameters
    ----------
    path : str or Path
        Folder of a run, a comparison or a sweep, a gate's JSON file, or the folder it is in.

    Raises
    ------
    ConfigError
        If nothing of these is complete there.
    """
    path = Path(path)
    if path.is_file():
        return _gate(path)
    if (path / "manifest.json").is_file():
        return Result.load(path)
    if (path / "plan.json").is_file():
        return _sweep(path)
    if (path / "comparison.json").is_file():
        return _comparison(path)
    if (path / "runs").is_dir():
        what = "holds a comparison that is not finished"
        raise ConfigError(Problem(str(path), what, "the same command again goes on"))
    gates = [file for file in sorted(path.glob("*.json")) if _is_gate(_json(file))]
    if len(gates) == 1:
        return _gate(gates[0])
    what = "is no folder" if not path.is_dir() else "holds no run, comparison, sweep or gate"
    if gates:
        what = f"holds {len(gates)} gates"
    hint = "expected what --out wrote, or the file of numasim gate --json"
    raise ConfigError(Problem(str(path), what, hint))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return None


def _is_gate(data: Any) -> bool:
    return isinstance(data, dict) and {"suite", "experiments", "exit_code"} <= data.keys()


def _gate(path: Path) -> SavedGate:
    data = _json(path)
    if not _is_gate(data):
        what = "is not what numasim gate --json writes"
        raise ConfigError(Problem(str(path), what, "for the rest, name a folder"))
    if not _is_whole(data):
        what = "lacks what a gate has said since"
        raise ConfigError(Problem(str(path), what, "is it of another version of numasim?"))
    return SavedGate(path, data)


def _is_whole(data: dict[str, Any]) -> bool:
    """Whether a gate has everything that its report tells."""
    try:
        each = [*data["experiments"]]
        found = [number for one in each for number in one["metrics"].values()]
        return (
            {"ok", "false_alarm"} <= data.keys()
            and all({"name", "seeds", "baseline_seeds"} <= one.keys() for one in each)
            and all(number.keys() >= NUMBER for number in found)
        )
    except (TypeError, KeyError, AttributeError):
        return False


def _comparison(folder: Path) -> Comparison:
    data = _json(folder / "comparison.json")
    if not isinstance(data, dict) or not {"policies", "seeds"} <= data.keys():
        raise ConfigError(Problem(str(folder / "comparison.json"), "cannot be read"))
    names, seeds = list(data["policies"]), tuple(int(seed) for seed in data["seeds"])
    where, summaries, scenarios, problems = {}, {}, {}, []
    for name, stem in folders_of(names).items():
        for seed in seeds:
            one = folder / "runs" / stem / f"seed-{seed}"
            manifest = _json(one / "manifest.json")
            if not isinstance(manifest, dict) or not {"summary", "scenario"} <= manifest.keys():
                problems.append(Problem(str(one), "holds no result (no manifest.json)"))
                continue
            where[name, seed], summaries[name, seed] = one, manifest["summary"]
            if name not in scenarios:
                scenarios[name] = load_scenario(manifest["scenario"])
    if problems:
        raise ConfigError(problems)
    return Comparison(scenarios, seeds, summaries, Results(where))


def _sweep(folder: Path) -> SavedSweep:
    ranking = folder / "ranking.csv"
    failed = [_json(path) for path in sorted((folder / "failed").glob("*.json"))]
    plan = _json(folder / "plan.json")
    if not isinstance(plan, dict) or "points" not in plan:
        raise ConfigError(Problem(str(folder / "plan.json"), "cannot be read"))
    try:
        runs = read_runs(folder)
    except ValueError:  # pyarrow's own errors are of that kind
        what = "has a run that is damaged or cut off"
        raise ConfigError(Problem(str(folder / RUNS), what)) from None
    if not len(runs):
        raise ConfigError(Problem(str(folder), "holds a sweep without a finished run"))
    table = pd.read_csv(ranking) if ranking.is_file() else pd.DataFrame()
    return SavedSweep(folder, plan, runs, table, [one for one in failed if isinstance(one, dict)])
