"""The walk over a tree: every mistake is kept with the place where a user finds it."""

from numasim.formats.damo_schema import INTERVALS, KDAMONDS
from numasim.formats.damo_tree import Reader, Word, locate


def test_words_remember_their_option():
    reader = Reader()
    told = {
        "sample_us": Word("2 s", "--monitoring_intervals #2"),
        "aggr_us": Word("1 s", "--monitoring_intervals #2"),
        "ops_update_us": Word("never", "--monitoring_intervals #2"),
    }
    reader.read(INTERVALS, told, "here")
    assert [problem.place for problem in reader.problems] == ["--monitoring_intervals #2"]
    reader = Reader()
    reader.read(INTERVALS, {**told, "ops_update_us": "0"}, "here")
    assert reader.problems[0].place == "--monitoring_intervals #2"
    assert "longer than the aggregation interval" in reader.problems[0].message


def test_paths_without_words_and_lines():
    assert locate({"a": [{"b": 1}]}, "top", ("a", 0, "b")) == ("top.a[0].b", False)
    assert locate({}, "", ("a", 3)) == ("a[3]", False)
    assert locate([[Word("x", "--here")]], "", (0,)) == ("--here", True)


def test_canonical_values_hold_no_foreign_types():
    reader = Reader()
    tree = reader.read(
        KDAMONDS,
        {"kdamonds": [{"contexts": [{"ops": Word("paddr", "--ops"), "targets": []}]}]},
    )
    context = tree["kdamonds"][0]["contexts"][0]
    assert not reader.problems and type(context["ops"]) is str
    assert context["intervals"]["aggr_us"] == "100 ms"
    assert context["nr_regions"] == {"min": 10, "max": 1000}


def test_the_input_is_not_changed():
    raw = {"kdamonds": [{"contexts": [{"ops": "paddr", "targets": [{"pid": 3, "regions": []}]}]}]}
    reader = Reader()
    tree = reader.read(KDAMONDS, raw)
    assert raw["kdamonds"][0]["contexts"][0]["targets"][0]["pid"] == 3
    assert tree["kdamonds"][0]["contexts"][0]["targets"][0]["pid"] is None
    assert reader.warnings == [
        "kdamonds[0].contexts[0].targets[0].pid: ops paddr watches no process; the pid is dropped"
    ]
