"""Reports of results made by hand, and names that try to break out of them."""

from __future__ import annotations

import json
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd

from numasim.comparison import Comparison, Results
from numasim.report.page.reading import SavedGate, SavedSweep
from numasim.result import Result
from tests.unit.report.made import made

EVIL = (
    "</script><script>window.owned = 1</script><img src=x onerror=owned=1>'\"&amp;$\\frac{x$%{y}😀"
)


def nasty(result: Result) -> Result:
    """The same with hostile names wherever a scenario lets them be."""
    for table in result.tables.values():
        for column in ("actor", "process", "mapping", "phase", "detail", "cause"):
            if column in table:
                table[column] = table[column].astype(str) + EVIL
    result.tables["events"]["what"] = result.events.what + EVIL
    result.provenance["policy_name"] += EVIL
    for part in ("topology", "workload"):
        result.provenance["scenario"][part]["name"] += EVIL
    result.provenance["scenario"]["description"] = EVIL
    return result


@cache
def comparison(hostile: bool = False, nr_seeds: int = 3, gain: float = 1.2) -> Comparison:
    """Three policies on some seeds."""
    end = EVIL if hostile else ""
    kinds = {f"none{end}": "no_tiering", f"tpp{end}": "tpp_damon", f"slow{end}": "tpp_damon"}
    factors = dict(zip(kinds, (1.0, gain, 0.9), strict=True))
    results = {
        (name, seed): made(policy=kind, seed=seed, speed=factors[name], rows=21)
        for name, kind in kinds.items()
        for seed in range(1, nr_seeds + 1)
    }
    if hostile:
        results = {key: nasty(result) for key, result in results.items()}
    scenarios = {
        name: made(policy=kind, speed=factors[name], rows=21).scenario()
        for name, kind in kinds.items()
    }
    summaries = {key: result.summary() for key, result in results.items()}
    seeds = tuple(range(1, nr_seeds + 1))
    return Comparison(scenarios, seeds, summaries, Results(results))


class Swept(SavedSweep):
    """A sweep without files."""

    def document(self, key: str) -> dict[str, Any]:
        return {**made().provenance["scenario"], "description": EVIL}


def sweep(hostile: bool = False, folder: Path = Path("data set")) -> SavedSweep:
    """Two values of a parameter, two seeds, one failure."""
    end = EVIL if hostile else ""
    points, runs = [], []
    for used, speed in ((None, 1.0), (0.9, 1.5), (0.99, 1.1)):
        point = {"topology": "t" + end, "workload": "w", "policy": "tpp" + end if used else "none"}
        points.append(point | ({"policy.used": used} if used else {}))
        for seed in (1, 2):
            summary = {"throughput_ops_per_s": speed * seed, "local_share": speed / 2, "emd": 0.1}
            runs.append({"run": f"{used}-{seed}", "seed": seed, "policy.used": used, **summary,
                         **point})  # fmt: skip
    ranking = pd.DataFrame(
        [
            ("t" + end, "w", "none", 3, 1.5, 1.0, 1.0, 1.0, 2, 0.0, 0.0, float("nan")),
            ("t" + end, "w", f"tpp{end} (used=0.9)", 1, 2.25, 1.5, 1.4, 1.6, 2, 3.0, 1.0, 0.01),
            ("t" + end, "w", f"tpp{end} (used=0.99)", 2, 1.65, 1.1, 0.9, 1.3, 2, 1.0, 1.0, 0.2),
        ],
        columns=[
            "topology",
            "workload",
            "policy",
            "rank",
            "mean",
            "ratio",
            "low",
            "high",
            "seeds",
            "effect",
            "better",
            "p_holm",
        ],
    )
    plan = {"name": "s" + end, "points": points, "seeds": [1, 2],
            "parameters": {"policy.used": [0.9, 0.99]}, "numasim": "0", "code": "c"}  # fmt: skip
    failed = [{**points[0], "seed": 3, "how": "error", "error": f"oh{end}"}]
    return Swept(folder, plan, pd.DataFrame(runs), ranking, failed)


def gate(ok: bool = False, hostile: bool = False) -> SavedGate:
    """Two numbers, of which one got worse."""
    end = EVIL if hostile else ""
    number = {"verdict": "unchanged", "ok": True, "baseline": 1e6, "now": 1e6, "change": 0.0,
              "low": 0.0, "high": 0.0, "within": 0.02, "relative": True, "better": "higher",
              "notices": 0.03, "p": 1.0, "alpha": 1e-4, "why": ""}  # fmt: skip
    shut = {**number, "verdict": "worse", "ok": False, "change": -0.05, "low": -0.06, "high": -0.04,
            "now": 9.5e5, "p": 1e-9}  # fmt: skip
    lost = {**number, "verdict": "undefined", "ok": False, "change": None, "low": None,
            "high": None, "now": None, "p": None, "alpha": None,
            "why": f"no number{end}"}  # fmt: skip
    metrics = {"throughput_ops_per_s": number if ok else shut, "local_share": number}
    if not ok:
        metrics[f"own{end}"] = lost
    others = {"loaded_latency_ns": {"now": 150.0, "baseline": 120.0},
              f"mine{end}": {"now": 1.0, "baseline": None}}  # fmt: skip
    each = {"name": f"tpp{end}", "seeds": [5, 6], "baseline_seeds": 8, "metrics": metrics,
            "others": others}  # fmt: skip
    scenario = {k: v for k, v in made().provenance["scenario"].items() if k != "seed"}
    plugin = {"name": f"own{end}", "metrics": {}, "topology": f"t{end}",
              "policy": {"kind": f"own{end}", "k": [1]}}  # fmt: skip
    suite = {"name": f"it's{end}", "seeds": 2, "baseline_seeds": 8, "false_alarm": 0.001,
             "notice": 0.02, "limits": {"time": "1 h"},
             "experiments": [{**scenario, "name": f"tpp{end}", "metrics": {}}, plugin]}  # fmt: skip
    data = {"suite": f"it's{end}", "ok": ok, "exit_code": int(not ok), "false_alarm": 0.001,
            "seconds": 1.0, "experiments": [each], "gone": [f"old{end}"], "suite_document": suite,
            "baseline_numasim": "0", "baseline_file": f'{{"layout": 1}}{end}\n',
            "made": {"code": "c", "versions": {"numpy": "2"}, "platform": {}}}  # fmt: skip
    return SavedGate(Path("gate.json"), json.loads(json.dumps(data)))


class Elements(HTMLParser):
    """Every element of a page with its attributes, texts outside of scripts, scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._in = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._in = ""

    def handle_data(self, data):
        if self._in == "script":
            self.scripts[-1] += data
        else:
            self.texts.append(data)
