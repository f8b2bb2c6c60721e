"""masim configurations: read leniently, written strictly, every mistake at its line."""

from pathlib import Path

import pytest

from numasim.errors import ConfigError
from numasim.formats.masim_config import Access, Config, Phase, Region, dumps, loads, read, write

ROOT = Path(__file__).parents[3]
FILES = sorted([*ROOT.glob("workloads/masim/*.cfg"), *ROOT.glob("tests/data/samples/masim_*.cfg")])

SMALL = """\
a, 4096
b, 8192, none

first
100
a, 0, 64, 1
"""


def complaints(text):
    with pytest.raises(ConfigError) as caught:
        loads(text)
    return [str(problem) for problem in caught.value.problems]


def test_there_are_files():
    assert len(FILES) >= 7


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_are_as_masim_wants_them_and_come_back(path):
    config = read(path)
    assert config.warnings == ()
    again = loads(dumps(config))
    assert again == config
    assert again.warnings == ()


def test_regions_phases_and_patterns():
    config = read(ROOT / "tests/data/samples/masim_two_tier.cfg")
    assert config.regions[0] == Region("hot0", 268435456)
    assert [phase.name for phase in config.phases] == [
        "touch everything", "hot0 is hot", "hot1 is hot",
    ]  # fmt: skip
    assert config.phases[1] == Phase(
        "hot0 is hot",
        10_000,
        (
            Access("hot0", True, 64, 90, "ro"),
            Access("warm", True, 64, 9, "rw"),
            Access("cold", True, 64, 1, "ro"),
        ),
    )


def test_patterns_write_unless_told_otherwise():
    assert loads(SMALL).phases[0].accesses[0].mode == "wo"
    assert loads(SMALL, default_mode="rw").phases[0].accesses[0].mode == "rw"


def test_a_comment_ends_no_paragraph():
    text = SMALL.replace("b, 8192", "# two pages\nb, 8192")
    assert loads(text) == loads(SMALL)
    assert loads(text).warnings == ()


def test_init_file():
    region = loads(SMALL.replace("none", "data.bin")).regions[1]
    assert region.init_file == "data.bin"
    assert "b, 8192, data.bin\n" in dumps(loads(SMALL.replace("none", "data.bin")))


@pytest.mark.parametrize(
    ("before", "after", "warning"),
    [
        ("4096", "4K", 'line 1: "4K": masim ignores the suffix and reads 4 bytes'),
        ("\na, 0", "\n  a, 0", "line 6: blanks before the name"),
        ("\n\nfirst", "\n\n\nfirst", "line 4: one empty line too many"),
        ("\n\nfirst", "\n \nfirst", "line 3: blanks on an empty line"),
        ("a, 4096", "\na, 4096", "line 1: one empty line too many"),
        ("64, 1\n", "64, 1", "line 6: has no newline"),
        ("64, 1\n", "64, 1,\n", "line 6: a comma at the end"),
        ("a, 4096", "  # first\na, 4096", "line 1: blanks before the comment"),
    ],
)
def test_what_masim_would_stumble_over_is_read_with_a_warning(before, after, warning):
    config = loads(SMALL.replace(before, after, 1))
    assert config == loads(SMALL)
    assert len(config.warnings) == 1
    assert config.warnings[0].startswith(warning)


def test_windows_line_ends_are_nothing_special():
    assert loads(SMALL.replace("\n", "\r\n")) == loads(SMALL)


@pytest.mark.parametrize(
    ("text", "size"), [("1b", 1), ("2KiB", 2048), ("3m", 3 << 20), ("1G", 1 << 30)]
)
def test_suffixes_are_binary(text, size):
    assert loads(SMALL.replace("4096", text)).regions[0].nr_bytes == size


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("b, 8192, none", "b", 'line 2: got "b", expected "NAME, BYTES[, FILE]"'),
        ("4096", "0x1000", 'line 1: got "0x1000", expected a number of bytes such as 10485760'),
        ("4096", "0", 'line 1: got "0", expected a number of bytes such as 10485760'),
        ("b, 8192", "a, 8192", 'line 2: "a" is taken by line 1'),
        ("\n100", "\n0", 'line 5: got "0", expected a whole number (milliseconds) of at least 1'),
        ("a, 0, 64", "c, 0, 64", 'line 6: no region "c"; known: a, b'),
        ("a, 0, 64", "a, 2, 64", 'line 6: got "2", expected 1 (random) or 0 (in order)'),
        (
            "64, 1",
            "0, 1",
            'line 6: got "0", expected a whole number (bytes of stride) of at least 1',
        ),
        ("64, 1", "64, -1", 'line 6: got "-1", expected a whole number (weight) of at least 0'),
        ("64, 1", "64, 1, r", 'line 6: got mode "r"; '),
        (
            "a, 0, 64, 1",
            "a, 0, 64",
            'line 6: got "a, 0, 64", expected "REGION, RANDOM(0|1), STRIDE',
        ),
        ("\na, 0, 64, 1", "", 'line 4: the phase "first" ends here'),
    ],
)
def test_every_mistake_has_its_line(before, after, problem):
    found = complaints(SMALL.replace(before, after, 1))
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_all_mistakes_at_once():
    found = complaints("a, x\na, 1\n\np\nsoon\nb, 0, 64, 1\na, 0, 64, 1, read\n")
    assert [problem.split(":")[0] for problem in found] == [
        "line 1", "line 2", "line 5", "line 6", "line 7",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "a, 4096\n"])
def test_nothing_to_do(text):
    assert complaints(text)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "none.cfg")
    (tmp_path / "binary.cfg").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "binary.cfg")


def test_a_mistake_names_the_file(tmp_path):
    path = tmp_path / "wrong.cfg"
    path.write_text("a, 1\n")
    with pytest.raises(ConfigError, match=r"wrong\.cfg: has no phase"):
        read(path)


def test_written_files_end_with_one_newline(tmp_path):
    write(tmp_path / "small.cfg", loads(SMALL))
    text = (tmp_path / "small.cfg").read_text()
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert read(tmp_path / "small.cfg") == loads(SMALL)


@pytest.mark.parametrize("name", ["", " a", "#a", "a\nb", "a,b"])
def test_names_that_cannot_be_written_are_refused(name):
    config = Config((Region(name, 1),), (Phase("p", 1, (Access(name, True, 1, 1),)),))
    with pytest.raises(ConfigError, match="region"):
        dumps(config)


def test_a_phase_name_may_hold_commas():
    config = loads(SMALL.replace("first", "first, slowly"))
    assert config.phases[0].name == "first, slowly"
    assert loads(dumps(config)) == config
