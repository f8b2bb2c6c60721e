"""The scheme, goal, filter and probe options of a damo command, as the tree of a kdamonds file.

Values stay words here; `damo_schema` reads them. Source: damo 3.4.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numasim.damon import spec
from numasim.errors import Problem, did_you_mean
from numasim.formats.damo_options import CommandLine, Given, per_object
from numasim.formats.damo_tree import Word
from numasim.units import BadText

VERDICTS = {"allow": True, "pass": True, "reject": False, "deny": False, "block": False}
DAMOS_FILTERS = {
    "anon": 0, "active": 0, "young": 0, "unmapped": 0, "memcg": 1, "hugepage_size": 2,
    "addr": 2, "target": 1, "probe_hits_wsum": 2,
}  # fmt: skip
SAMPLE_FILTERS = {"cpu": 1, "cpus": 1, "cpumask": 1, "threads": 1, "write": 0}
PROBE_FILTERS = {"anon": 0, "memcg": 1, "pgidle_unset": 0, "pgidle_set": 0, "hugepage_size": 2}
NO_WEIGHTS = {"sz_permil": 0, "nr_accesses_permil": 0, "age_permil": 0}
EQUAL_WEIGHTS = {"sz_permil": 1, "nr_accesses_permil": 1, "age_permil": 1}

Raw = dict[str, Any]
_Found = tuple[Word, bool, bool, Sequence[Word]]  # kind, matching, allow, arguments


def schemes(line: CommandLine, warnings: list[str]) -> list[Raw]:
    """The schemes of a command, one for each ``--damos_action``, without goals and filters."""
    count = len(line.all("--damos_action"))

    def each(name: str) -> list[Given | None]:
        return per_object(line, name, count, "scheme", warnings)

    quotas = _quotas(line, each, warnings)
    built: list[Raw] = []
    for i, action in enumerate(line.all("--damos_action")):
        try:
            built.append({**_action(action), "quotas": quotas[i], "filters": []})
        except BadText as error:
            line.problems.append(Problem(action.place, error.message, error.hint))
            built.append({"quotas": quotas[i], "filters": []})
    bounds = {"sz_region": "sz_bytes", "access_rate": "nr_accesses", "age": "age"}
    for i in range(count):
        built[i]["access_pattern"] = {key: {"min": "min", "max": "max"} for key in bounds.values()}
    for option, key in bounds.items():
        for scheme, given in zip(built, each(f"--damos_{option}"), strict=True):
            if given:
                scheme["access_pattern"][key] = dict(zip(("min", "max"), given.words, strict=True))
    wmark_keys = ("metric", "interval_us", "high_permil", "mid_permil", "low_permil")
    for scheme, given in zip(built, each("--damos_wmarks"), strict=True):
        if given:
            scheme["watermarks"] = dict(zip(wmark_keys, given.words, strict=True))
    singles = {
        "--damos_apply_interval": "apply_interval_us",
        "--damos_max_nr_snapshots": "max_nr_snapshots",
    }
    for option, key in singles.items():
        for scheme, given in zip(built, each(option), strict=True):
            if given:
                scheme[key] = given.words[0]
    return built


def goal(given: Given) -> Raw:
    """One quota goal: ``METRIC TARGET [complement] [ARGS]``.

    Raises
    ------
    BadText
        If words are missing or left over.
    """
    metric, target, *rest = given.words
    complement = bool(rest) and rest[0] == "complement"
    rest = rest[1:] if complement else rest
    names = {"user_input": ["current_value"], **{m: ["nid"] for m in spec.ELIGIBLE_METRICS}}
    takes = names.get(metric, [])
    if metric.startswith("node_mem_"):
        takes = ["nid"]
    elif metric.startswith("node_memcg_"):
        takes = ["nid", "memcg_path"]
    optional = metric in spec.ELIGIBLE_METRICS
    if metric in spec.GOAL_METRICS and len(rest) != len(takes) and not (optional and not rest):
        wanted = " ".join([metric, "TARGET", "[complement]", *(name.upper() for name in takes)])
        raise BadText(f'got "{" ".join(given.words)}", expected {wanted}')
    values = dict(zip(takes, rest, strict=False))
    return {
        "metric": metric,
        "complement": complement,
        "target_value": target,
        "current_value": 0,
        **values,
    }


def damos_filters(given: Given) -> list[Raw]:
    """The DAMOS filters of one option, in the present grammar or the old one.

    Raises
    ------
    BadText
        If words are unknown, missing or left over.
    """
    built = []
    for kind, matching, allow, args in _filters(given.words, DAMOS_FILTERS):
        found: Raw = {"filter_type": kind, "matching": matching, "allow": allow}
        if kind == "memcg":
            found["memcg_path"] = args[0]
        elif kind == "addr":
            found["address_range"] = {"start": args[0], "end": args[1]}
        elif kind == "target":
            found["damon_target_idx"] = args[0]
        elif kind == "hugepage_size":
            found["hugepage_size"] = list(args)
        elif kind == "probe_hits_wsum":
            found["probe_hits_wsum_range"] = list(args)
        built.append(found)
    return built


def sample_filters(given: Given) -> list[Raw]:
    """The sample filters of one option (proposed): ``allow cpu 0-4 reject write``, or ``none``.

    Raises
    ------
    BadText
        If words are unknown, missing or left over.
    """
    built: list[Raw] = []
    if list(given.words) == ["none"]:
        return built
    for kind, matching, allow, args in _filters(given.words, SAMPLE_FILTERS):
        name = "cpumask" if kind.startswith("cpu") else kind
        found: Raw = {"filter_type": Word(name, given.place), "matching": matching, "allow": allow}
        if args:
            found["cpumask" if name == "cpumask" else "tid_arr"] = args[0]
        built.append(found)
    return built


def probe_filters(given: Given) -> list[Raw]:
    """The filters of one ``--probe_filter``.

    Raises
    ------
    BadText
        If words are unknown, missing or left over.
    """
    built = []
    for kind, matching, allow, args in _filters(given.words, PROBE_FILTERS):
        found: Raw = {"filter_type": kind, "matching": matching, "allow": allow}
        names = ["path"] if kind == "memcg" else ["range_min", "range_max"]
        built.append({**found, **dict(zip(names, args, strict=False))})
    return built


def _action(given: Given) -> Raw:
    action, *args = given.words
    if not args:
        return {"action": action}
    if not action.startswith("migrate_"):
        raise BadText(f'got "{" ".join(given.words)}", but only migrations take a node')
    if len(args) == 1:
        return {"action": action, "target_nid": args[0]}
    if len(args) % 2:
        wanted = f"{action} NODE or {action} NODE WEIGHT NODE WEIGHT..."
        raise BadText(f'got "{" ".join(given.words)}", expected {wanted}')
    dests = [{"id": n, "weight": w} for n, w in zip(args[::2], args[1::2], strict=True)]
    return {"action": action, "dests": dests}


def _quotas(line: CommandLine, each: Any, warnings: list[str]) -> list[Raw]:
    """Quotas, from ``--damos_quotas`` or from ``--damos_quota_interval`` and its companions."""
    whole, interval = each("--damos_quotas"), each("--damos_quota_interval")
    if line.all("--damos_quotas") and line.all("--damos_quota_interval"):
        message = "excludes --damos_quota_interval; RESET is its third word"
        line.problems.append(Problem("--damos_quotas", message))
    parts = {name: each(f"--damos_quota_{name}") for name in ("time", "space", "weights")}
    tuners, ratios = each("--damos_quota_goal_tuner"), each("--damos_quota_fail_charge_ratio")
    built = []
    for i in range(len(whole)):
        quota: Raw = {"time_ms": 0, "sz_bytes": 0, "reset_interval_ms": "max"}
        quota["weights"] = dict(NO_WEIGHTS)
        quota["goals"] = []
        if whole[i]:
            names = ("time_ms", "sz_bytes", "reset_interval_ms")
            quota.update(zip(names, whole[i].words[:3], strict=False))
            quota["weights"].update(zip(NO_WEIGHTS, whole[i].words[3:], strict=False))
        elif interval[i]:
            quota["reset_interval_ms"] = interval[i].words[0]
            quota["time_ms"] = parts["time"][i].words[0] if parts["time"][i] else 0
            quota["sz_bytes"] = parts["space"][i].words[0] if parts["space"][i] else 0
            weights = parts["weights"][i].words if parts["weights"][i] else ()
            quota["weights"] = {**EQUAL_WEIGHTS, **dict(zip(NO_WEIGHTS, weights, strict=False))}
        if not interval[i]:
            warnings += [
                f"{found[i].place}: is dropped, as scheme {i} has no --damos_quota_interval"
                for found in parts.values()
                if found[i]
            ]
        if tuners[i]:
            quota["goal_tuner"] = tuners[i].words[0]
        if ratios[i]:
            quota["fail_charge_num"], quota["fail_charge_denom"] = ratios[i].words
        built.append(quota)
    return built


def _filters(words: Sequence[Word], arity: Mapping[str, int]) -> list[_Found]:
    """Each filter in a run of words."""
    if words[0] in arity and words[0] not in VERDICTS:
        return [_old_filter(words, arity)]
    found: list[_Found] = []
    rest = list(words)
    while rest:
        verdict = rest.pop(0)
        if verdict not in VERDICTS:
            raise BadText(f'got "{verdict}", expected allow or reject', _near(verdict, arity))
        matching = not (rest and rest[0] in ("none", "non"))
        rest = rest if matching else rest[1:]
        if not rest or rest[0] not in arity:
            kind = f'"{rest[0]}"' if rest else f'nothing after "{verdict}"'
            hint = did_you_mean(rest[0], arity) if rest else "known: " + ", ".join(sorted(arity))
            raise BadText(f"got {kind}, expected a kind of filter", hint)
        kind, count = rest[0], arity[rest[0]]
        args, rest = rest[1 : 1 + count], rest[1 + count :]
        if len(args) < count:
            raise BadText(f"got {len(args)} words after {kind}, expected {count}")
        found.append((kind, matching, VERDICTS[verdict], args))
    return found


def _old_filter(words: Sequence[Word], arity: Mapping[str, int]) -> _Found:
    """``TYPE matching|nomatching [ARGS] [allow|reject]``, the grammar before 'allow TYPE'."""
    kind, match, rest = words[0], "".join(words[1:2]), words[2:]
    count = arity[kind]
    if match not in ("matching", "nomatching") or not count <= len(rest) <= count + 1:
        wanted = f"allow|reject [none] {kind}" + (" and its arguments" if count else "")
        raise BadText(f'got "{" ".join(words)}", expected {wanted}')
    allow = False
    if len(rest) > count:
        if rest[-1] not in VERDICTS:
            raise BadText(f'got "{rest[-1]}", expected allow or reject')
        allow = VERDICTS[rest[-1]]
    return kind, match == "matching", allow, rest[:count]


def _near(word: str, arity: Mapping[str, int]) -> str:
    return did_you_mean(word, [*VERDICTS, *arity])
