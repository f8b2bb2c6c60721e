"""What runs of several policies say together: means and ratios over seeds, with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from numasim import __version__
from numasim.plain import plain, to_json
from numasim.policies.oracle import Oracle
from numasim.result import Result
from numasim.scenario import Scenario
from numasim.statistics import (
    LEVEL,
    Interval,
    hedges_g,
    holm,
    mean_interval,
    method,
    paired_p,
    ratio_interval,
)

HEADLINE = "throughput_ops_per_s"


class Results(Mapping[tuple[str, int], Result]):
    """Finished runs by ``(policy, seed)``; those on disk are read when they are asked for."""

    def __init__(self, where: Mapping[tuple[str, int], Result | Path]) -> None:
        self._where = dict(where)

    def __getitem__(self, key: tuple[str, int]) -> Result:
        found = self._where[key]
        return Result.load(found) if isinstance(found, Path) else found

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)


@dataclass(frozen=True)
class Difference:
    """How sure it is that a policy differs from the first one, in pairs of seeds.

    Parameters
    ----------
    effect : float
        Mean log ratio over its spread between seeds (Hedges' g); NaN with fewer than three seeds.
    p : float
        That there is no difference; NaN with one seed.
    p_holm : float
        The same, corrected for all policies that are compared (Holm).
    """

    effect: float
    p: float
    p_holm: float


@dataclass(frozen=True)
class Comparison:
    """Runs of several policies on the same machine, workload and seeds.

    Parameters
    ----------
    scenarios : dict of str to Scenario
        By policy, the first being the one others are compared to; with the first seed.
    seeds : tuple of int
    summaries : dict of (str, int) to dict of str to float
        `Result.summary` by policy and seed.
    results : Results
    """

    scenarios: dict[str, Scenario]
    seeds: tuple[int, ...]
    summaries: dict[tuple[str, int], dict[str, float]]
    results: Results

    @property
    def policies(self) -> tuple[str, ...]:
        """Names, in the order given."""
        return tuple(self.scenarios)

    @property
    def baseline(self) -> str:
        """The policy that ratios are relative to."""
        return self.policies[0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the numbers that are compared."""
        return tuple(self.summaries[self.baseline, self.seeds[0]])

    def per_seed(self, policy: str, metric: str) -> list[float]:
        """One value per seed, in the order of `seeds`."""
        return [float(self.summaries[policy, seed].get(metric, math.nan)) for seed in self.seeds]

    def mean(self, policy: str, metric: str) -> Interval:
        """Arithmetic mean over seeds; see `numasim.statistics.mean_interval`."""
        return mean_interval(self.per_seed(policy, metric))

    def ratio(self, policy: str, metric: str) -> Interval:
        """Geometric mean over seeds of the ratio to the baseline, paired by seed."""
        return ratio_interval(self.per_seed(policy, metric), self.per_seed(self.baseline, metric))

    @property
    def oracle(self) -> str | None:
        """The policy that knows the truth, if there is one; of several one that moves for free."""
        found = [(s.policy.cost, n) for n, s in self.scenarios.items() if type(s.policy) is Oracle]
        return min(found)[1] if found else None

    def distance(self, policy: str) -> Interval:
        """Share of the oracle's throughput that a policy leaves, paired by seed; NaN without one.

        Parameters
        ----------
        policy : str

        Notes
        -----
        One less the geometric mean of ratios. Below zero if it is faster than the oracle, which
        looks at the present phases only and searches where load counts.
        """
        if self.oracle is None:
            return Interval(math.nan, math.nan, math.nan, 0)
        bound = self.per_seed(self.oracle, HEADLINE)
        found = ratio_interval(self.per_seed(policy, HEADLINE), bound)
        return Interval(1 - found.mean, 1 - found.high, 1 - found.low, found.n)

    def differences(self, metric: str = HEADLINE) -> dict[str, Difference]:
        """How sure it is that policies differ from the first one, by policy.

        Parameters
        ----------
        metric : str
        """
        base = self.per_seed(self.baseline, metric)
        values = {p: self.per_seed(p, metric) for p in self.policies if p != self.baseline}
        raised = holm([paired_p(each, base) for each in values.values()])
        return {
            policy: Difference(hedges_g(each, base), paired_p(each, base), p)
            for (policy, each), p in zip(values.items(), raised, strict=True)
        }

    # -- tables --------------------------------------------------------------------------------

    def distances(self) -> pd.DataFrame:
        """Distance of every policy to the oracle: ``policy, distance, low, high, n``."""
        rows = []
        for policy in self.policies if self.oracle else ():
            found = self.distance(policy)
            rows.append((policy, found.mean, found.low, found.high, found.n))
        return pd.DataFrame(rows, columns=["policy", "distance", "low", "high", "n"])

    def values(self) -> pd.DataFrame:
        """Every number of every run: ``policy, seed, metric, value``."""
        rows = [
            (policy, seed, metric, value)
            for policy in self.policies
            for metric in self.metrics
            for seed, value in zip(self.seeds, self.per_seed(policy, metric), strict=True)
        ]
        return pd.DataFrame(rows, columns=["policy", "seed", "metric", "value"])

    def table(self) -> pd.DataFrame:
        """Means over seeds: ``policy, metric, mean, low, high, n``."""
        return self._tidy("mean", self.mean)

    def ratios(self) -> pd.DataFrame:
        """Ratios to the first policy: ``policy, metric, ratio, low, high, n``."""
        return self._tidy("ratio", self.ratio)

    def _tidy(self, name: str, of: Callable[[str, str], Interval]) -> pd.DataFrame:
        rows = []
        for policy in self.policies:
            for metric in self.metrics:
                found = of(policy, metric)
                rows.append((policy, metric, found.mean, found.low, found.high, found.n))
        return pd.DataFrame(rows, columns=["policy", "metric", name, "low", "high", "n"])

    # -- disk --------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data.

        Returns
        -------
        dict
            ``policies.<name>.metrics.<metric>`` holds mean, low, high, n and per-seed `values` in
            the order of `seeds`; ``policies.<name>.ratios.<metric>`` ratio, low, high, n; of all
            but the first ``policies.<name>.difference`` metric, effect, p, p_holm; with an
            oracle ``policies.<name>.distance_to_oracle`` share, low, high, n. Numbers that do not
            exist are null, infinite ones (a shift never followed) ``"inf"``.
        """
        first = self.scenarios[self.baseline]
        document = {
            "numasim": __version__,
            "topology": first.topology.name,
            "workload": first.workload.name,
            "duration_s": first.duration_ns / 1e9,
            "seeds": list(self.seeds),
            "baseline": self.baseline,
            "interval": {"level": LEVEL, "method": method(len(self.seeds))},
            "policies": {policy: self._policy_json(policy) for policy in self.policies},
        }
        found: dict[str, Any] = plain(document)
        return found

    def _policy_json(self, policy: str) -> dict[str, Any]:
        metrics, ratios = {}, {}
        for metric in self.metrics:
            mean, ratio = self.mean(policy, metric), self.ratio(policy, metric)
            metrics[metric] = {
                "mean": mean.mean, "low": mean.low, "high": mean.high, "n": mean.n,
                "values": self.per_seed(policy, metric),
            }  # fmt: skip
            ratios[metric] = {
                "ratio": ratio.mean, "low": ratio.low, "high": ratio.high, "n": ratio.n
            }  # fmt: skip
        found: dict[str, Any] = {"metrics": metrics, "ratios": ratios}
        if policy != self.baseline:
            found["difference"] = {"metric": HEADLINE, **asdict(self.differences()[policy])}
        if self.oracle is not None:
            far = self.distance(policy)
            distance = {"share": far.mean, "low": far.low, "high": far.high, "n": far.n}
            found["distance_to_oracle"] = distance
        return found

    def save(self, folder: str | Path) -> list[Path]:
        """Write the tables and `to_json`; the files written."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        ratios = self.ratios().rename(columns={"low": "ratio_low", "high": "ratio_high"})
        table = self.table().merge(ratios.drop(columns="n"), on=["policy", "metric"], sort=False)
        files = [folder / f"comparison.{kind}" for kind in ("parquet", "csv", "json")]
        table.to_parquet(files[0], index=False)
        table.to_csv(files[1], index=False)
        files[2].write_text(to_json(self.to_json()), encoding="utf-8")
        files.append(folder / "seeds.csv")
        self.values().to_csv(files[-1], index=False)
        return files
