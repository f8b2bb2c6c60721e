"""The facts about damo that matter most, one test each. Source: damo 3.3.0 and 3.4.3, executed."""

from pathlib import Path

import pytest

from numasim.errors import ConfigError
from numasim.formats import kdamonds
from numasim.formats.damo_args import parse
from numasim.formats.damo_command import to_damo_args
from numasim.units import damo_bytes

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
MAP = {0: [(4 << 30, 20 << 30)], 1: [(20 << 30, 84 << 30)]}
TPP = (SAMPLES / "tpp_two_context.args.txt").read_text()


def scheme(command):
    return parse(command).kdamonds[0].contexts[0].schemes[0]


def test_1_the_published_command_gives_two_kdamonds_with_one_context_each():
    parsed = parse(TPP, node_ranges=MAP.get, strict=True)
    assert [len(kdamond.contexts) for kdamond in parsed.kdamonds] == [1, 1]
    regions = [kdamond.contexts[0].targets[0].regions for kdamond in parsed.kdamonds]
    assert regions == [tuple(MAP[0]), tuple(MAP[1])]


def test_2_options_bind_by_occurrence_also_between_markers():
    marked = (
        "--damon_target --damos_scheme --damos_action stat "
        "--damos_scheme --damos_action cold --damos_age 1s max"
    )
    parsed = parse(marked)
    ages = [found.pattern.min_age for found in parsed.kdamonds[0].contexts[0].schemes]
    assert ages == [10, 0]
    assert any(warning.startswith("--damos_age: ") for warning in parsed.warnings)


def test_3_all_size_units_are_binary_and_case_matters():
    assert damo_bytes("200MB") == damo_bytes("200MiB") == damo_bytes("200M") == 209_715_200
    for wrong in ("4k", "0x1000"):
        with pytest.raises(ConfigError, match="--damos_sz_region"):
            parse(f"--damos_action stat --damos_sz_region {wrong} max")


def test_4_a_bare_number_is_in_the_native_unit():
    found = scheme(
        "--monitoring_intervals 5000 100000 1000000 --damos_action stat --damos_age 1000000 max "
        "--damos_apply_interval 1000000 --damos_access_rate 5 max --damos_quotas 10 0 1000 1 2 3 "
        "--damos_wmarks free_mem_rate 5000000 500 400 200 --damos_quota_goal active_mem_bp 5000"
    )
    assert (found.pattern.min_age, found.pattern.min_nr_accesses) == (10, 1)
    assert found.apply_interval_us == 1_000_000
    assert (found.quota.ms, found.quota.reset_interval_ms) == (10, 1000)
    assert (found.quota.weight_sz, found.quota.weight_age) == (1, 3)
    assert (found.wmarks.interval_us, found.wmarks.high) == (5_000_000, 500)
    assert found.quota.goals[0].target_value == 5000
    fraction = parse("--damos_action stat --damos_access_rate 0.05 max")
    assert fraction.tree["kdamonds"][0]["contexts"][0]["schemes"][0]["access_pattern"][
        "nr_accesses"
    ] == {"min": "0.05 %", "max": "max"}
    assert "0.05 percent" in fraction.warnings[0]


@pytest.mark.parametrize("option", ["time 10", "space 200M", "weights 1 2 3"])
def test_5_quota_options_without_an_interval_are_dropped(option):
    parsed = parse(f"--damos_action stat --damos_quota_{option}")
    quota = parsed.kdamonds[0].contexts[0].schemes[0].quota
    assert quota == scheme("--damos_action stat").quota
    assert "is dropped" in parsed.warnings[0]


def test_6_weights_depend_on_how_the_quota_is_given():
    def weights(command):
        quota = scheme(f"--damos_action stat {command}").quota
        return quota.weight_sz, quota.weight_nr_accesses, quota.weight_age

    assert weights("--damos_quota_interval 1s") == (1, 1, 1)
    assert weights("--damos_quotas 0 1G 1s") == (0, 0, 0)
    assert weights("") == (0, 0, 0)


@pytest.mark.parametrize(("percent", "bp"), [("0.29%", 29), ("0.5%", 50), ("99.7%", 9970)])
def test_7_percent_goals_are_rounded_not_cut(percent, bp):
    goal = (
        f"--damos_action stat --damos_quota_interval 1s --damos_quota_goal active_mem_bp {percent}"
    )
    found = scheme(goal)
    assert found.quota.goals[0].target_value == bp
    command = to_damo_args(parse(goal).kdamonds)
    assert f"active_mem_bp {29 if bp == 29 else percent}" in command


def test_8_written_sizes_are_exact():
    asked = parse("--regions 0-1234567890").kdamonds
    assert '"end": "1234567890"' in kdamonds.dumps(asked)
    assert damo_bytes("1.150 GiB") == 1_234_803_097


def test_12_several_filters_per_scheme_are_accepted():
    found = scheme(
        "--damos_action stat --damos_filter reject none memcg /hmsdk --damos_filter reject young"
    )
    assert [found.type for found in found.filters] == ["memcg", "young"]
    inline = scheme("--damos_action stat --damos_filter reject none memcg /hmsdk reject young")
    assert inline.filters == found.filters


def test_tuner_names_are_checked_and_eligible_goals_take_percent_and_node():
    with pytest.raises(ConfigError, match='did you mean "consist"'):
        parse("--damos_action stat --damos_quota_goal_tuner consistent")
    found = scheme(
        "--damos_action stat --damos_quota_interval 1s "
        "--damos_quota_goal node_eligible_mem_bp 50% 1"
    )
    assert (found.quota.goals[0].target_value, found.quota.goals[0].nid) == (5000, 1)
