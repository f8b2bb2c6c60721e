"""What a gate's report says of its making: parameters, provenance, and how to make it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from numasim.errors import NumasimError
from numasim.loader import load_scenario
from numasim.report.page.content import Section, Table, words
from numasim.report.page.reproduce import as_yaml, here_document
from numasim.report.page.run import parameters_of_scenario

SETTINGS = ("seeds", "baseline_seeds", "false_alarm", "notice")
PLAIN = ("duration", "record", "events", "access_source", "sources", "hot_ratio")
"""What an experiment has beside machine, workload and policy, if it has it."""


def made_of(data: Mapping[str, Any]) -> Section:
    """Machine, workload, policy and parameters of experiments; what the suite promises."""
    suite = data.get("suite_document")
    if not suite:
        return Section("Parameters")
    rows = [words(key, suite[key]) for key in SETTINGS]
    rows += [words(f"limit of a run: {key}", value) for key, value in suite["limits"].items()]
    tables = [_experiments(suite["experiments"]), Table("The suite", ("parameter", "value"), rows)]
    tables += [_policy(one) for one in suite["experiments"]]
    return Section("Parameters", tables=tables, folded=True)


def _experiments(given: list[dict[str, Any]]) -> Table:
    rows = []
    for one in given:
        more = [f"{key} {_short(one[key])}" for key in PLAIN if one.get(key) not in (None, [], {})]
        rows.append(words(one["name"], *(_named(one.get(k)) for k in ("topology", "workload")),
                          _named(one.get("policy"), "kind"), ", ".join(more)))  # fmt: skip
    columns = ("experiment", "topology", "workload", "policy", "and")
    return Table("Experiments", columns, rows)


def _named(part: Any, key: str = "name") -> str:
    if isinstance(part, Mapping):
        return str(part.get("name") or part.get(key) or "unnamed")
    return str(part)


def _policy(one: Mapping[str, Any]) -> Table:
    """Parameters of an experiment's policy; only what was given where the policy is not known."""
    document = {key: value for key, value in one.items() if key not in ("name", "metrics")}
    try:
        found = parameters_of_scenario(load_scenario(document))
    except NumasimError:  # of a plugin that is not installed here
        policy = one.get("policy")
        given = policy if isinstance(policy, Mapping) else {"kind": policy}
        rows = [words(key, _short(value), "given", "") for key, value in given.items()]
        found = Table("", ("parameter", "value", "from", "meaning"), rows)
    return Table(f"Policy of {one['name']}", found.columns, found.rows)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:299]}…"


def again(data: Mapping[str, Any]) -> Section:
    """Provenance, and a command that needs nothing but itself: suite and baseline are in it."""
    first = next(iter(data["experiments"]), None)
    seed = first["seeds"][0] if first and first["seeds"] else 1
    name = shlex.quote(str(data.get("given") or data["suite"]))
    if data.get("baseline"):
        name += f" --baseline {shlex.quote(str(data['baseline']))}"
    short = f"numasim gate {name} --first-seed {seed} --json gate.json\nnumasim report gate.json\n"
    suite = data.get("suite_document")
    if not suite or not data.get("baseline_file"):
        note = "In the folder where it was run: files are named as they were there."
        return Section("Make it again", note, code=short)
    code = here_document(as_yaml(suite), "suite.yaml")
    code += here_document(str(data["baseline_file"]), "suite.baseline.json")
    code += f"numasim gate suite.yaml --first-seed {seed} --json gate.json\n"
    code += "numasim report gate.json\n"
    note = "Paste into a shell: the suite and its baseline are in it. "
    note += f"Where it was run, “{short.splitlines()[0]}” did it."
    return Section("Make it again", note, code=code, tables=[_provenance(data, first)])


def _provenance(data: Mapping[str, Any], first: Mapping[str, Any] | None) -> Table:
    made = data.get("made", {})
    rows = [words("hash of the simulator's source", made.get("code", ""))]
    if first is not None:
        seeds = first["seeds"]
        rows.append(words("seeds", f"{seeds[0]} to {seeds[-1]}" if seeds else "none"))
        rows.append(words("seeds of the baseline", first["baseline_seeds"]))
    rows.append(words("numasim that made the baseline", data.get("baseline_numasim", "")))
    rows += [words(key, value) for key, value in made.get("versions", {}).items()]
    rows += [words(key, value) for key, value in made.get("platform", {}).items()]
    rows.append(words("seconds it took", f"{float(data.get('seconds') or 0):.0f}"))
    return Table("Provenance", ("what", "value"), rows)
