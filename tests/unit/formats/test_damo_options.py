"""A command line split into occurrences of options."""

from numasim.formats.damo_options import OPTIONS, split


def test_every_option_has_one_name():
    names = [option.name for option in OPTIONS] + [o.also for o in OPTIONS if o.also]
    assert len(names) == len(set(names))


def test_occurrences_in_order():
    line = split("damo start --ops paddr --damos_action migrate_hot 0 3 1 1 --ops=vaddr 4242")
    assert [given.words for given in line.all("--ops")] == [("paddr",), ("vaddr",)]
    assert [given.place for given in line.all("--ops")] == ["--ops #1", "--ops #2"]
    assert line.all("--damos_action")[0].words == ("migrate_hot", "0", "3", "1", "1")
    assert line.positional == ["4242"] and not line.problems


def test_options_of_fixed_length_leave_the_rest():
    line = split("--monitoring_intervals 1 2 3 paddr")
    assert line.positional == ["paddr"] and line.verb == "start"


def test_comments_and_continued_lines():
    line = split("# memory tiering\nsudo damo tune \\\n  --ops paddr # physical\n")
    assert (line.verb, line.all("--ops")[0].words) == ("tune", ("paddr",))


def test_negative_numbers_are_values():
    assert split("--damos_age -5 max").all("--damos_age")[0].words == ("-5", "max")
