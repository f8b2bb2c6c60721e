"""The damo command line: published commands verbatim, every mistake at its option, no silence."""

import json
from pathlib import Path

import pytest

from numasim.damon.spec import UINT_MAX, Dest, IntervalsGoal, Probe, ProbeFilter, SampleFilter
from numasim.errors import ConfigError
from numasim.formats import kdamonds
from numasim.formats.damo_args import parse

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
GIB = 1 << 30
RANGES = {
    0: [(0x1000, 0x9F000), (0x100000, 3 * GIB), (4 * GIB, 17 * GIB)],
    1: [(17 * GIB, 81 * GIB)],
    2: [],
}
TPP = (SAMPLES / "tpp_two_context.args.txt").read_text()


def told_by(command, **more):
    """All problems of a command, as place → message and hint."""
    with pytest.raises(ConfigError) as error:
        parse(command, node_ranges=RANGES.get, **more)
    return [str(problem) for problem in error.value.problems]


def one_context(command, **more):
    (kdamond,) = parse(command, node_ranges=RANGES.get, **more).kdamonds
    (context,) = kdamond.contexts
    return context


def one_scheme(command):
    (scheme,) = one_context(command).schemes
    return scheme


# ---------------------------------------------------------------------------- published commands


@pytest.mark.parametrize("name", ["tpp_two_context", "weighted_dests"])
def test_published_commands_give_the_trees_that_damo_writes(name):
    command = (SAMPLES / f"{name}.args.txt").read_text()
    parsed = parse(command, node_ranges=RANGES.get)
    of_file = kdamonds.read(SAMPLES / f"{name}.kdamonds.json")
    assert parsed.tree == of_file.tree
    assert parsed.kdamonds == of_file.kdamonds
    assert parsed.warnings == ()


def test_start_markers_give_the_same_tree():
    marked = parse(
        (SAMPLES / "tpp_two_context.markers.args.txt").read_text(), node_ranges=RANGES.get
    )
    assert marked == parse(TPP, node_ranges=RANGES.get)


@pytest.mark.parametrize(
    ("before", "verb"),
    [
        ("", "start"),
        ("damo start ", "start"),
        ("$ sudo damo tune \\\n", "tune"),
        ("./damo args damon ", "args"),
        ("start ", "start"),
        ("/usr/bin/damo record ", "record"),
    ],
)
def test_words_before_the_options(before, verb):
    parsed = parse(before + TPP, node_ranges=RANGES.get)
    assert parsed.verb == verb
    assert parsed.tree == parse(TPP, node_ranges=RANGES.get).tree


def test_a_list_of_words_needs_no_shell():
    parsed = parse(
        ["damo", "start", "--regions", "4 G-8 G".replace(" ", ""), "--damos_action", "stat"]
    )
    assert parsed.kdamonds[0].contexts[0].targets[0].regions == ((4 * GIB, 8 * GIB),)


def test_stop():
    assert parse("sudo damo stop").verb == "stop"
    assert parse("damo stop").kdamonds == ()
    assert told_by("damo stop --ops paddr") == ["--ops: damo stop takes no options"]


# ---------------------------------------------------------------------------- contexts, targets


def test_defaults():
    context = one_context("damo start", default_range=lambda: (4096, 8 * GIB))
    assert context.ops == "paddr" and context.schemes == ()
    assert context.targets[0].regions == ((4096, 8 * GIB),)
    attrs = context.attrs
    assert (attrs.sample_us, attrs.aggr_us, attrs.ops_update_us) == (5000, 100_000, 1_000_000)
    assert (attrs.min_nr_regions, attrs.max_nr_regions) == (10, 1000)
    assert attrs.intervals_goal == IntervalsGoal()
    assert one_context("damo start").targets[0].regions == ()


@pytest.mark.parametrize("command", ["damo start 4242", "--target_pid 4242", "--ops vaddr 4242"])
def test_a_process_is_watched_by_its_virtual_addresses(command):
    context = one_context(command)
    assert context.ops == "vaddr"
    assert context.targets[0].pid == 4242 and context.targets[0].regions == ()


def test_bare_targets():
    assert one_context("damo start paddr").ops == "paddr"
    assert "next to --ops" in told_by("paddr --ops paddr")[0]
    assert "programs are not started" in told_by("damo start redis-server --port 1")[1]
    told = told_by("4242 --ops vaddr --ops vaddr --nr_targets 1 1")
    assert "4242: a bare target goes with a single context only" in told


def test_nodes_become_their_ranges():
    assert one_context("--numa_node 1").targets[0].regions == ((17 * GIB, 81 * GIB),)
    both = one_context("--numa_node 1 0").targets[0].regions
    assert both == ((0x1000, 0x9F000), (0x100000, 3 * GIB), (4 * GIB, 81 * GIB))
    in_pages = one_context("--numa_node 1 --damon_addr_unit 4K")
    assert in_pages.targets[0].regions == ((17 * GIB // 4096, 81 * GIB // 4096),)
    assert in_pages.addr_unit == 4096
    told = told_by("--numa_node 0 7 fast")
    assert told[0] == '--numa_node: got "7", expected a node; known nodes: 0, 1, 2'
    assert told[1].startswith('--numa_node: got "fast"')
    empty = parse("--numa_node 2", node_ranges=RANGES.get)
    assert "node 2 has no memory" in empty.warnings[0]
    with pytest.raises(ConfigError, match="needs a machine"):
        parse("--numa_node 0")


def test_regions_win_over_nodes():
    context = one_context("--numa_node 1 --regions '4,096-8192 1M-2M'")
    assert context.targets[0].regions == ((4096, 8192), (1 << 20, 2 << 20))
    told = told_by("-r '0x10-0x20 5'")
    assert told == ['-r: got "5", expected a region such as "4G-8G"']
    assert "there is no hexadecimal: write 16" in told_by("--regions 0x10-0x20")[0]
    assert "ascending order" in told_by("--regions '8G-12G 4G-6G'")[0]


def test_an_empty_region_list_is_none():
    parsed = parse("--regions ''", default_range=lambda: (0, 4096))
    assert parsed.kdamonds[0].contexts[0].targets[0].regions == ((0, 4096),)


def test_monitoring_options():
    context = one_context(
        "--monitoring_intervals 10ms 200000 '1 m 30 s' -s 20ms --minr 100 -m 10,000 "
        "--monitoring_intervals_autotune --pause_ctx 0"
    )
    attrs = context.attrs
    assert (attrs.sample_us, attrs.aggr_us, attrs.ops_update_us) == (20_000, 200_000, 90_000_000)
    assert (attrs.min_nr_regions, attrs.max_nr_regions) == (100, 10_000)
    assert attrs.intervals_goal == IntervalsGoal(400, 3, 5000, 10_000_000)
    assert context.pause
    told = told_by("--pause_ctx 1 --obsolete_targets 3")
    assert len(told) == 2 and "the index of one of 1 contexts" in told[0]
    assert parse("--refresh_stat 100").kdamonds[0].refresh_ms == 100


def test_targets_are_shared_out():
    parsed = parse(
        "--target_pid 1 --target_pid 2 --target_pid 3 --obsolete_targets 1 "
        "--ops vaddr --ops fvaddr --nr_targets 2 1 --nr_ctxs 1 1 "
        "--regions '' --regions '' --regions 4K-8K"
    )
    first, second = (kdamond.contexts[0] for kdamond in parsed.kdamonds)
    assert [target.pid for target in first.targets] == [1, 2]
    assert [target.obsolete for target in first.targets] == [False, True]
    assert (second.ops, second.targets[0].regions) == ("fvaddr", ((4096, 8192),))


def test_what_paddr_and_vaddr_do_not_take():
    parsed = parse("--ops paddr --target_pid 5")
    assert parsed.kdamonds[0].contexts[0].targets[0].pid is None
    assert "the pid is dropped" in parsed.warnings[0]
    assert "is ignored, as ops is vaddr" in parse("--target_pid 5 --numa_node 0").warnings[0]
    assert told_by("--ops vaddr") == ["--ops: ops vaddr needs the pid of a process"]
    assert "--damon_addr_unit: an address unit" in told_by("4242 --damon_addr_unit 2")[0]


# ---------------------------------------------------------------------------- sampling, probes


def test_proposed_sampling_options():
    control = one_context(
        "--sample_primitives page_fault --sample_filter allow cpu 0-4 "
        "--sample_filter allow threads 777,888 --sample_filter reject write"
    ).sample_control
    assert (control.page_table, control.page_fault) == (False, True)
    assert control.filters == (
        SampleFilter("cpumask", True, True, cpumask="0-4"),
        SampleFilter("threads", True, True, threads=(777, 888)),
        SampleFilter("write", True, False),
    )
    assert one_context("--sample_filter reject non cpu 0 allow write").sample_control.filters == (
        SampleFilter("cpumask", False, False, cpumask="0"),
        SampleFilter("write", True, True),
    )


def test_experimental_sampling_options():
    control = one_context(
        "--exp_ops_use_reports Y --exp_ops_tids 12,13 --exp_ops_write_only yes --exp_ops_cpus 0-4"
    ).sample_control
    assert control.page_fault and [f.type for f in control.filters] == [
        "write",
        "cpumask",
        "threads",
    ]
    assert not one_context("--exp_ops_write_only N").sample_control.filters


def test_sampling_options_of_several_contexts_stay_apart():
    parsed = parse(
        "--ops paddr --ops paddr --nr_targets 1 1 --nr_ctxs 1 1 --sample_primitives page_fault "
        "--sample_primitives page_table --sample_filter none "
        "--sample_filter allow cpu 0 allow write"
    )
    first, second = (kdamond.contexts[0].sample_control for kdamond in parsed.kdamonds)
    assert (first.page_fault, first.filters) == (True, ())
    assert [found.type for found in second.filters] == ["cpumask", "write"]
    assert "leak into others" in parsed.warnings[0]


def test_sampling_mistakes():
    told = told_by(
        "--sample_primitives page_table page_fault --exp_ops_use_reports Y "
        "--exp_ops_write_only maybe --exp_ops_cpus 4-0 --exp_ops_tids x --sample_filter allow gpu"
    )
    assert "--sample_primitives: excludes --exp_ops_use_reports" in told
    assert any("expected page_table or page_fault" in text for text in told)
    assert any(text.startswith('--exp_ops_write_only: got "maybe"') for text in told)
    assert any(text.startswith('--exp_ops_cpus: got "4-0"') for text in told)
    assert any(text.startswith('--exp_ops_tids: got "x"') for text in told)
    assert any(text.startswith('--sample_filter: got "gpu"') for text in told)


def test_probes():
    context = one_context(
        "--nr_probes 2 --nr_probe_filters 1 2 --nr_probe_preps 0 1 --probe_weight 1 2 "
        "--probe_filter allow anon --probe_filter reject non memcg /a "
        "--probe_filter allow hugepage_size 2M 1G --probe_prep set_pgidle"
    )
    assert context.probes == (
        Probe((ProbeFilter("anon", True, True),), weight=1),
        Probe(
            (
                ProbeFilter("memcg", False, False, path="/a"),
                ProbeFilter("hugepage_size", True, True, range_min=2 << 20, range_max=GIB),
            ),
            weight=2,
            preps=("set_pgidle",),
        ),
    )
    marked = one_context(
        "--kdamond --damon_ctx --damon_target --probe --probe_filter allow anon --probe_weight 1"
    )
    assert marked.probes == context.probes[:1]
    assert one_context("--probe_filter allow anon --probe_weight 1").probes == context.probes[:1]


# ---------------------------------------------------------------------------- schemes


def test_access_patterns():
    pattern = one_scheme(
        "--monitoring_intervals 100ms 2s 20s --damos_action migrate_cold 1 "
        "--damos_sz_region 4KB max --damos_access_rate 5% 9.9 --damos_age 30s max"
    ).pattern
    assert (pattern.min_sz, pattern.min_nr_accesses, pattern.max_nr_accesses) == (4096, 1, 1)
    assert (pattern.min_age, pattern.max_age) == (15, UINT_MAX)


def test_actions():
    assert one_scheme("--damos_action migrate_hot 1").target_nid == 1
    scheme = one_scheme("--damos_action migrate_hot 0 3 1 1")
    assert (scheme.target_nid, scheme.dests) == (-1, (Dest(0, 3), Dest(1, 1)))
    assert "no destination" in parse("--damos_action migrate_cold").warnings[0]
    assert "NODE WEIGHT" in told_by("--damos_action migrate_hot 0 3 1")[0]
    assert "only migrations take a node" in told_by("--damos_action pageout 1")[0]
    assert 'did you mean "pageout"' in told_by("--damos_action page_out")[0]


def test_whole_quotas():
    quota = one_scheme("--damos_action stat --damos_quotas 1s 50G 20s 0 0 1%").quota
    assert (quota.ms, quota.sz, quota.reset_interval_ms) == (1000, 50 * GIB, 20_000)
    assert (quota.weight_sz, quota.weight_nr_accesses, quota.weight_age) == (0, 0, 10)
    short = one_scheme("--damos_action stat --damos_quotas 10").quota
    assert (short.ms, short.sz, short.weight_age) == (10, 0, 0)


def test_other_scheme_options():
    scheme = one_scheme(
        "--damos_action pageout --damos_apply_interval 1s --damos_quota_fail_charge_ratio 1 1,000 "
        "--damos_wmarks free_mem_rate 5s 50% 400 20% --damos_max_nr_snapshots 7 "
        "--damos_quota_goal_tuner temporal"
    )
    assert scheme.apply_interval_us == 1_000_000 and scheme.max_nr_snapshots == 7
    assert (scheme.quota.fail_charge_num, scheme.quota.fail_charge_denom) == (1, 1000)
    wmarks = scheme.wmarks
    assert (wmarks.interval_us, wmarks.high, wmarks.mid, wmarks.low) == (5_000_000, 500, 400, 200)
    assert scheme.quota.goal_tuner == "temporal"


@pytest.mark.parametrize(
    ("words", "value", "rest"),
    [
        ("user_input 10,000 5", 10_000, {"current_value": 5}),
        ("some_mem_psi_us 10ms", 10_000, {}),
        ("node_mem_used_bp 0.29% 0", 29, {"nid": 0}),
        ("node_mem_free_bp 50 1", 50, {"nid": 1}),
        ("node_memcg_used_bp 50% 1 /a", 5000, {"nid": 1, "memcg_path": "/a"}),
        ("active_mem_bp 70%", 7000, {}),
        ("inactive_mem_bp 30% complement", 3000, {"complement": True}),
        ("node_eligible_mem_bp 50% 1", 5000, {"nid": 1}),
        ("node_eligible_mem_bp 5000", 5000, {}),
        ("node_mem_used_bp 99.7% complement 0", 9970, {"complement": True, "nid": 0}),
    ],
)
def test_quota_goals(words, value, rest):
    command = f"--damos_action stat --damos_quota_interval 1s --damos_quota_goal {words}"
    (goal,) = one_scheme(command).quota.goals
    assert (goal.metric, goal.target_value) == (words.split()[0], value)
    assert {name: getattr(goal, name) for name in rest} == rest


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("node_mem_used_bp 99.7%", "expected node_mem_used_bp TARGET [complement] NID"),
        ("user_input 5", "expected user_input TARGET [complement] CURRENT_VALUE"),
        ("active_mem_bp 5% 1", "expected active_mem_bp TARGET [complement]"),
        ("node_memcg_free_bp 5% 1", "NID MEMCG_PATH"),
        ("node_mem_usd_bp 5% 0", 'did you mean "node_mem_used_bp"?'),
        ("node_mem_used_bp five 0", "expected a share"),
    ],
)
def test_quota_goal_mistakes(words, told):
    command = f"--damos_action stat --damos_quota_interval 1s --damos_quota_goal {words}"
    (problem,) = told_by(command)
    assert problem.startswith("--damos_quota_goal: ") and told in problem


def test_a_goal_needs_a_reset_interval():
    goal = "--damos_action stat --damos_quota_goal active_mem_bp 50%"
    assert "has no quota reset interval" in told_by(goal)[0]
    assert "has no quota reset interval" in told_by(goal + " --damos_quotas 1s 1G")[0]
    assert one_scheme(goal + " --damos_quotas 1s 1G 1s").quota.goals


@pytest.mark.parametrize(
    ("words", "filters"),
    [
        ("allow young", [("young", True, True)]),
        ("reject none young", [("young", False, False)]),
        ("deny anon", [("anon", True, False)]),
        ("block non active", [("active", False, False)]),
        (
            "reject none memcg /hmsdk reject young",
            [("memcg", False, False), ("young", True, False)],
        ),
        ("young matching", [("young", True, False)]),
        ("memcg nomatching /a allow", [("memcg", False, True)]),
        ("allow unmapped", [("unmapped", True, True)]),
    ],
)
def test_filters(words, filters):
    found = one_scheme(f"--damos_action stat --damos_filter {words}").filters
    assert [(f.type, f.matching, f.allow) for f in found] == filters


def test_arguments_of_filters():
    found = one_scheme(
        "--damos_action stat --damos_filter allow memcg /a --damos_filter allow addr 4K 1G "
        "--damos_filter reject target 2 --damos_filter allow hugepage_size 2M max "
        "--damos_filter reject probe_hits_wsum 1 5"
    ).filters
    memcg, addr, target, huge, hits = found
    assert memcg.memcg_path == "/a" and (addr.start, addr.end) == (4096, GIB)
    assert target.target_idx == 2 and (huge.min_sz, huge.max_sz) == (2 << 20, 2**64 - 1)
    assert (hits.min_hits, hits.max_hits) == (1, 5)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("rejct young", 'did you mean "reject"?'),
        ("allow file", "expected a kind of filter"),
        ("allow none", 'got nothing after "allow"'),
        ("allow addr 4K", "got 1 words after addr, expected 2"),
        ("memcg matching", "expected allow|reject [none] memcg and its arguments"),
        ("young matching maybe", "expected allow or reject"),
        ("allow hugepage_size 4k 8K", 'did you mean "4K"?'),
    ],
)
def test_filter_mistakes(words, told):
    (problem,) = told_by(f"--damos_action stat --damos_filter {words}")
    assert problem.startswith("--damos_filter: ") and told in problem


def test_schemes_as_json(tmp_path):
    schemes = json.dumps([{"action": "migrate_hot", "target_nid": 0}, {"action": "stat"}])
    (tmp_path / "schemes.json").write_text(schemes)
    for command in (["-c", schemes], ["--schemes", "schemes.json"]):
        context = one_context(command, base_dir=tmp_path)
        assert [scheme.action for scheme in context.schemes] == ["migrate_hot", "stat"]
    both = parse(["-c", schemes, "--damos_action", "cold"])
    assert both.warnings == ("--schemes: is ignored next to --damos_action",)
    assert told_by(["-c", schemes, "--damos_age", "1s", "max"]) == [
        "--damos_age: cannot go with --schemes"
    ]
    assert (
        "cannot be read" in told_by("-c nowhere")[0] or "No such file" in told_by("-c nowhere")[0]
    )
    assert "this is no JSON" in told_by(["-c", "[{]"])[0]


def test_kdamonds_files():
    name = "hmsdk_global.kdamonds.yaml"
    of_file = kdamonds.read(SAMPLES / name)
    parsed = parse(f"damo tune {name} --damos_action stat", base_dir=SAMPLES)
    assert parsed.kdamonds == of_file.kdamonds and parsed.verb == "tune"
    assert parsed.warnings == ("--damos_action: is ignored next to a kdamonds file",)
    text = (SAMPLES / "minimal.kdamonds.json").read_text()
    minimal = kdamonds.loads(text).kdamonds
    assert parse(["--kdamonds", text]).kdamonds == minimal
    assert parse("--kdamonds minimal.kdamonds.json", base_dir=SAMPLES).kdamonds == minimal
    with pytest.raises(ConfigError, match="reads only JSON"):
        parse(f"--kdamonds {name}", base_dir=SAMPLES)


# ---------------------------------------------------------------------------- sharing, warnings


def test_every_mistake_at_once():
    told = told_by(
        "damo start --numa_nod 0 --damos_action migrate_hott 0 --damos_age 4k 3s "
        "--damos_filter rejct young --damos_quota_goal node_mem_used_bp 99.7% "
        "--damos_access_rate 5% --monitoring_intervals 200ms 100ms 1s --numa_node 7 "
        "--damos_sz_region 1 2 --damos_sz_region 3 4 --raw"
    )
    assert sorted(text.split(":")[0] for text in told) == sorted(
        ["--numa_nod", "--damos_action", "--damos_age", "--damos_filter", "--damos_access_rate"]
        + ["--damos_quota_goal"] * 2  # a word is missing, and so is a reset interval
        + ["--monitoring_intervals", "--numa_node", "--damos_sz_region", "--raw"]
    )
    assert '--numa_nod: unknown option; did you mean "--numa_node"?' in told
    assert "--damos_access_rate: got 1 word, expected MIN MAX" in told
    assert "--damos_sz_region: is given 2 times, but there is 1 scheme" in told


def test_shares_must_add_up():
    told = told_by(
        "--ops paddr --ops paddr --damos_action stat --damos_action stat --damos_filter allow anon"
    )
    assert told == [
        '--nr_targets: is needed to share targets among 2 contexts; such as "--nr_targets 1 1"',
        '--nr_schemes: is needed to share schemes among 2 contexts; such as "--nr_schemes 1 1"',
        "--damos_nr_filters: is needed to share filters among 2 schemes; "
        'such as "--damos_nr_filters 1 1"',
    ]
    told = told_by("--ops paddr --ops paddr --nr_targets 2 1 --nr_ctxs 1 2 --damos_action stat "
                   "--nr_schemes 1")  # fmt: skip
    assert told == [
        "--nr_ctxs: shares out 3 (1 2), but there are 2 contexts",
        "--nr_targets: shares out 3 (2 1), but there are 2 targets",
        "--nr_schemes: shares schemes out to 1 (1), but there are 2 contexts",
    ]
    assert told_by("--damos_filter allow anon --damos_age 1s 2s") == [
        "--damos_age: is given once, but there are 0 schemes",
        "--damos_filter: there is no scheme for it",
    ]
    assert "expected a number" in told_by("--nr_ctxs one")[0]
    assert "expected at most 10000" in told_by("--nr_probes max")[0]


@pytest.mark.parametrize(
    "marked",
    [
        "--damos_scheme --damos_action stat --damos_scheme --damos_action cold",
        "--damon_target --numa_node 0 --damos_action stat --damos_action cold",
        "--damon_ctx --damon_target --damos_action stat --damos_action cold",
        "--kdamond --damon_ctx --damon_target --damos_action stat --damos_action cold",
    ],
)
def test_levels_that_are_not_marked_have_a_single_owner(marked):
    parsed = parse(marked, node_ranges=RANGES.get)
    (kdamond,) = parsed.kdamonds
    assert [scheme.action for scheme in kdamond.contexts[0].schemes] == ["stat", "cold"]


def test_marker_mistakes():
    assert told_by("--damon_ctx --numa_node 0")[0] == "--damon_ctx: needs --damon_target after it"
    told = told_by("--damon_target --kdamond --damon_ctx --nr_schemes 1")
    assert any("cannot go with start markers" in text for text in told)
    assert "--damon_target: stands at a wrong position: no --damon_ctx before it" in told
    told = told_by(
        "--kdamond --damon_ctx --damon_target --damon_ctx --damon_target --damos_action stat"
    )
    assert told == ["--damos_scheme: is needed to share schemes among 2 contexts"]
    told = told_by("--kdamond --damon_ctx --damon_ctx --damon_target")
    assert told == ["--damon_target: shares out 1 (0 1), but there are 2 targets"]


def test_one_context_per_kdamond_is_what_linux_runs():
    parsed = parse("--ops paddr --ops paddr --nr_targets 1 1")
    assert len(parsed.kdamonds) == 1 and len(parsed.kdamonds[0].contexts) == 2
    assert "one context per kdamond" in parsed.warnings[0]


def test_an_option_for_the_second_scheme_lands_on_the_first():
    command = (
        "--kdamond --damon_ctx --damon_target --damos_scheme --damos_action migrate_cold 1 "
        "--damos_scheme --damos_action migrate_hot 0 --damos_age 10s max"
    )
    parsed = parse(command)
    first, second = parsed.kdamonds[0].contexts[0].schemes
    assert (first.pattern.min_age, second.pattern.min_age) == (100, 0)
    assert "binds by order of occurrence" in parsed.warnings[0]
    with pytest.raises(ConfigError, match="binds by order of occurrence"):
        parse(command, strict=True)


def test_repeated_options_say_which_one():
    told = told_by("--damos_action stat --damos_action stat --damos_age 1s 2s --damos_age 1s 2k")
    assert told[0].startswith('--damos_age #2: got "2k"')


def test_argument_output_options_mean_nothing():
    parsed = parse("damo args damon --format json --raw --ops paddr")
    assert parsed.warnings == ("--format: is ignored", "--raw: is ignored")
    assert "damo args damon only" in told_by("damo start --raw")[0]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("damo strat", 'unknown damo command "strat"; did you mean "start"?'),
        ("damo start --regions 'x", "a quote is not closed"),
        ("--ops", "--ops: got 0 words, expected vaddr|paddr|fvaddr"),
        ("--monitoring_intervals_autotune=1", "takes no value"),
        ("--damos_quotas 1 2 3 4 5 6 7", "got 7 words"),
    ],
)
def test_broken_lines(command, told):
    assert told in told_by(command)[0]
