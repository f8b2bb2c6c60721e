"""What a run leaves: tidy tables, a summary, and how to make it again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from numasim.errors import ConfigError, Problem
from numasim.loader import load_scenario
from numasim.overhead import overhead, waste
from numasim.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd

Recorded = Mapping[str, Mapping[str, list[Any]]]
"""Lists of columns: ``{table: {column: values}}``."""

COLUMNS: dict[str, str] = {
    "actors": "t_s actor state phase operations ops_per_s op_mean_ns op_p50_ns op_p99_ns lines "
    "local_lines line_wait_ns local_share best_local_share",
    "phases": "actor phase began_s ended_s operations",
    "nodes": "t_s node free_bytes managed_bytes workload_bytes read_bytes written_bytes "
    "loaded_latency_ns",
    "links": "t_s link forward_bytes backward_bytes",
    "residency": "t_s process mapping node bytes",
    "moves": "t_s cause process mapping source target direction bytes",
    "failed_moves": "t_s cause bytes",
    "moves_by_frame": "t_s cause source target direction node start end bytes",
    "moves_by_page": "t_s cause source target direction process mapping start end bytes",
    "kdamonds": "t_s kdamond sample_us aggr_us nr_regions passed_sample_intervals cpu_ns",
    "schemes": "t_s kdamond scheme action nr_tried sz_tried nr_applied sz_applied "
    "sz_ops_filter_passed qt_exceeds nr_snapshots esz goal goal_current goal_target",
    "tried": "t_s kdamond scheme target start end nr_accesses age applied_bytes",
    "snapshots": "t_s seen_s kdamond target start end nr_accesses max_nr_accesses age",
    "tunings": "t_s kdamond sample_us",
    "applies": "t_s kdamond scheme esz nr_tried sz_tried nr_applied sz_applied "
    "sz_ops_filter_passed qt_exceeds nr_snapshots",
    "acts": "t_s kdamond scheme target start end nr_accesses age passed_bytes",
    "truth": "t_s node bin visits_per_s",
    "monitoring": "t_s kdamond emd f1 heat_bytes hot_bytes seen_hot_bytes both_bytes",
    "sources": "t_s source kdamond events reports lost stall_ns",
    "vmstat": "t_s agent counter value",
    "tolls": "t_s actor owed_ns paid_ns",
    "accessor_truth": "t_s accessor node bin visits_per_s",
    "accessor_errors": "t_s kdamond source accessor own emd f1 heat_bytes hot_bytes seen_hot_bytes "
    "both_bytes",
    "events": "t_s who what detail",
}
"""Tables and their columns. Bytes and counts are cumulative where the name is a total of traffic
(read_bytes, lines, operations, cpu_ns, nr_tried …); `moves.bytes` is what moved since the last row;
`actors.ops_per_s` and `op_…_ns` are means since the last row, shares and latencies of the instant;
`phases.operations` what was done in that phase. `snapshots` are a sample unless the scenario says
``snapshots: all``; `tunings` (of intervals), `applies` (each time a scheme was applied) and `acts`
(on which regions, and how much of them passed page filters) are kept only then. `vmstat` are
counters of the kernel's agents, cumulative.
`moves_by_frame` says where in a node's frames pages lay (`node` is the source) and came to (it is
the target), `moves_by_page` where in a mapping: bytes of a part ``[start, end)`` that moved since
the last such row; offsets are bytes from the first frame or page, holes of a node left out.
`sources` (what each source did and took; without a kdamond: hardware that all share), `tolls`
(thread time that observing took from actors), `accessor_truth` and `accessor_errors` (of each
kdamond against the truth of each accessor, `own` where its filters let it pass) are kept when a
source knows accessors, or with ``accessor_truth: true``."""

MANIFEST = "manifest.json"
NEEDED = ("scenario", "policy_name", "versions")
"""What provenance always has."""

CONVERGED = 0.9
"""A shift counts as followed once the local share is this part of the best possible one."""


class Result:
    """Tables of one run.

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        See `COLUMNS`.
    provenance : dict
        See `numasim.provenance`.
    """

    _columns: Recorded  # until tables are made of them

    def __init__(self, tables: dict[str, pd.DataFrame], provenance: dict[str, Any]) -> None:
        self.tables, self.provenance = tables, provenance

    @classmethod
    def of(cls, columns: Recorded, provenance: dict[str, Any]) -> Result:
        """A result from recorded columns."""
        result = cls.__new__(cls)
        result._columns, result.provenance = columns, provenance
        return result

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Tables by name, see `COLUMNS`; of what was recorded they are made at the first look."""
        columns = self._columns
        del self._columns
        tables = {
            name: _pandas().DataFrame(columns.get(name, {}), columns=wanted.split())
            for name, wanted in COLUMNS.items()
        }
        tables["events"] = tables["events"].sort_values("t_s", kind="stable", ignore_index=True)
        return tables

    def has_rows(self, table: str) -> bool:
        """Whether a table has any rows; tables that were not looked at need not be made for it."""
        if "tables" in vars(self):
            return len(self.tables[table]) > 0
        return any(len(values) for values in self._columns.get(table, {}).values())

    def __getattr__(self, name: str) -> pd.DataFrame:
        if name in COLUMNS:
            return self.tables[name]
        raise AttributeError(name)

    @property
    def policy(self) -> str:
        """Name of the policy that ran."""
        return str(self.provenance["policy_name"])

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.provenance["scenario"]["seed"])

    def scenario(self) -> Scenario:
        """The scenario it came from; running it gives identical tables."""
        return load_scenario(self.provenance["scenario"])

    # -- summary -----------------------------------------------------------------------------------

    def summary(self) -> dict[str, float]:
        """Numbers of the run by name, over the time since every actor's first phase began.

        Returns
        -------
        dict of str to float
            ``throughput_ops_per_s`` (geometric mean over actors), ``local_share`` and
            ``loaded_latency_ns`` (means over missing lines), ``promoted_bytes``,
            ``demoted_bytes`` (up or down the tiers of the process's first actor),
            ``both_ways_bytes`` (at most so much of a mapping went both ways within a phase),
            ``refused_bytes`` (tried, and found no room), ``kdamond_cpu`` (CPUs),
            ``thread_cpu`` (what faults, scans and samples took from the workload's threads, CPUs),
            ``kswapd_cpu``, ``worker_cpu`` (a policy's own threads that move; CPUs),
            ``emd`` (mean over snapshots, weighted by true heat), ``f1`` (of all snapshots
            together), ``shifts_followed`` (share of changes of phase after which accesses became
            local), ``convergence_s`` (how long that took, mean over those), ``op_p99_ns`` (of a
            stretch of constant speed, mean over operations). NaN where a run has nothing of a kind.
        """
        found: dict[str, float] = {}
        speeds, local, lines, wait, p99 = [], 0.0, 0.0, 0.0, []
        phases = self.phases.groupby("actor")
        began, ended = phases.began_s.min(), phases.ended_s.max()
        for actor, rows in self.actors.groupby("actor", sort=False):
            last = rows.iloc[-1]
            if actor not in began or ended[actor] <= began[actor]:
                continue
            speeds.append(last.operations / (ended[actor] - began[actor]))
            local, lines = local + last.local_lines, lines + last.lines
            wait += last.line_wait_ns
            weights = rows.operations.diff().fillna(0.0)
            if weights.sum() > 0:
                p99.append(float((rows.op_p99_ns * weights).sum() / weights.sum()))
        speeds = [s for s in speeds if s > 0]
        found["throughput_ops_per_s"] = (
            float(np.exp(np.mean(np.log(speeds)))) if speeds else math.nan
        )
        found["local_share"] = float(local / lines) if lines else math.nan
        found["loaded_latency_ns"] = float(wait / lines) if lines else math.nan
        found["op_p99_ns"] = float(np.mean(p99)) if p99 else math.nan
        found |= self._moved()
        found |= self._spent()
        found["emd"], found["f1"] = self._monitoring_error()
        shifts = self.convergence()
        shifts = shifts[shifts.groupby("actor").cumcount() > 0]  # its first phase shifts nothing
        followed = shifts[np.isfinite(shifts.converged_s)]
        found["shifts_followed"] = len(followed) / len(shifts) if len(shifts) else math.nan
        found["convergence_s"] = float(followed.converged_s.mean()) if len(followed) else math.nan
        return found

    def _monitoring_error(self) -> tuple[float, float]:
        seen = self.monitoring[self.monitoring.heat_bytes > 0]
        heat, called = seen.heat_bytes.sum(), (seen.hot_bytes + seen.seen_hot_bytes).sum()
        emd = (seen.emd * seen.heat_bytes).sum() / heat if heat > 0 else math.nan
        return float(emd), float(2 * seen.both_bytes.sum() / called) if called > 0 else math.nan

    def _moved(self) -> dict[str, float]:
        up = self.moves.direction == "promotion"
        return {
            "promoted_bytes": float(self.moves.bytes[up].sum()),
            "demoted_bytes": float(self.moves.bytes[~up].sum()),
        }

    def _spent(self) -> dict[str, float]:
        """Moves that were for nothing, and CPU time of whoever watched and moved."""
        lost, took = waste(self.tables), overhead(self.tables)
        return {
            "both_ways_bytes": lost.both_ways_bytes,
            "refused_bytes": lost.refused_bytes,
            "kdamond_cpu": took.kdamonds if len(self.kdamonds) else 0.0,
            "thread_cpu": took.threads,
            "kswapd_cpu": took.kswapd,
            "worker_cpu": took.workers,
        }

    def convergence(self) -> pd.DataFrame:
        """Time from each phase's beginning until its actor's accesses were local.

        Returns
        -------
        pandas.DataFrame
            ``actor, phase, began_s, converged_s``: seconds until `local_share` first reached
            `CONVERGED` of the best share that any placement gives; infinite if it never did.
            Phases that miss no line are left out: nothing can be followed there.
        """
        rows = []
        for actor, series in self.actors[self.actors.state == "running"].groupby(
            "actor", sort=False
        ):
            turn = (series.phase != series.phase.shift()).cumsum()
            for _, phase in series.groupby(turn, sort=False):
                if phase.best_local_share.isna().all():
                    continue
                good = phase[phase.local_share >= CONVERGED * phase.best_local_share]
                began = float(phase.t_s.iloc[0])
                took = float(good.t_s.iloc[0]) - began if len(good) else math.inf
                rows.append((actor, phase.phase.iloc[0], began, took))
        found: pd.DataFrame = _pandas().DataFrame(
            rows, columns=["actor", "phase", "began_s", "converged_s"]
        )
        return found.astype({"began_s": float, "converged_s": float})

    def working_set(self) -> pd.DataFrame:
        """Working set as DAMON saw it: bytes of regions with at least one access.

        Returns
        -------
        pandas.DataFrame
            ``seen_s, kdamond, target, bytes``, a row for each snapshot recorded.

        Notes
        -----
        Source: damo 3.4.3, ``report wss``, which leaves out the first 20 snapshots.
        """
        rows = self.snapshots
        size = (rows.end - rows.start).where(rows.nr_accesses > 0, 0)
        keys = ["seen_s", "kdamond", "target"]
        return rows[keys].assign(bytes=size).groupby(keys, as_index=False, sort=False).sum()

    # -- disk --------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> Path:
        """Write tables as Parquet files and the provenance beside them; complete or not at all."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)  # what is there is incomplete from now on
        for name, table in self.tables.items():
            _replace(
                folder / f"{name}.parquet", lambda path, t=table: t.to_parquet(path, index=False)
            )
        text = json.dumps({**self.provenance, "summary": self.summary()}, indent=1, default=str)
        _replace(folder / MANIFEST, lambda path: path.write_text(text))
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Result:
        """Read what `save` wrote.

        Raises
        ------
        ConfigError
            If the folder holds no complete result, or one that is damaged or of another version.
        """
        folder = Path(folder)
        if not (folder / MANIFEST).is_file():
            one = next(folder.glob(f"runs/*/*/{MANIFEST}"), None)
            hint = "" if one is None else f"it holds several; take one, such as {one.parent}"
            raise ConfigError(Problem(str(folder), f"holds no result (no {MANIFEST})", hint))
        provenance = _manifest(folder)
        provenance.pop("summary", None)
        return cls({name: _table(folder / f"{name}.parquet") for name in COLUMNS}, provenance)


def _manifest(folder: Path) -> dict[str, Any]:
    """How a saved run was made.

    Raises
    ------
    ConfigError
    """
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except ValueError as error:
        problem = Problem(MANIFEST, f"is no JSON: {error}", "is it cut off?")
        raise ConfigError(problem, str(folder)) from None
    missing = [k for k in NEEDED if not isinstance(found, dict) or k not in found]
    if missing:
        problem = Problem(MANIFEST, f'has no "{missing[0]}"', "expected what numasim run wrote")
        raise ConfigError(problem, str(folder))
    assert isinstance(found, dict)
    return found


def _table(path: Path) -> pd.DataFrame:
    """One table of a saved run.

    Raises
    ------
    ConfigError
    """
    if not path.is_file():
        hint = "the folder is incomplete, or of another version of numasim"
        raise ConfigError(Problem(path.name, "is not there", hint), str(path.parent))
    try:
        return _pandas().read_parquet(path)  # type: ignore[no-any-return]
    except ValueError:  # pyarrow's own errors are of that kind
        raise ConfigError(Problem(path.name, "is damaged or cut off"), str(path.parent)) from None


def _pandas() -> Any:
    """pandas, which takes as long to come up as a small run: only whoever looks at tables waits."""
    return import_module("pandas")


def _replace(path: Path, write: Any) -> None:
    """Write beside and rename, so that a kill leaves the old file or the new one."""
    beside = path.with_name(f".{path.name}.part")
    write(beside)
    beside.replace(path)
