"""Any masim configuration that can be written is read back as it was, and any text is answered."""

from hypothesis import given
from hypothesis import strategies as st

from numasim.errors import ConfigError
from numasim.formats.masim import Access, Config, Phase, Region, dumps, loads, to_workload
from numasim.workload import Workload

WORDS = st.text("abcXYZ019 _.+-%/", min_size=1, max_size=12).map(str.strip).filter(bool)
SIZES = st.integers(1, 1 << 34)


@st.composite
def configs(draw):
    names = draw(st.lists(WORDS, min_size=1, max_size=4, unique=True))
    regions = tuple(Region(name, draw(SIZES), draw(st.none() | WORDS)) for name in names)
    regions = tuple(r if r.init_file != "none" else Region(r.name, r.nr_bytes) for r in regions)
    access = st.builds(
        Access,
        st.sampled_from(names),
        st.booleans(),
        st.integers(1, 1 << 16),
        st.integers(0, 100),
        st.sampled_from(["ro", "wo", "rw"]),
    )
    patterns = st.lists(access, min_size=1, max_size=4).map(tuple)
    phase = st.builds(Phase, WORDS, st.integers(1, 10**6), patterns)
    return Config(regions, tuple(draw(st.lists(phase, min_size=1, max_size=3))))


@given(configs())
def test_what_is_written_is_read_back(config):
    again = loads(dumps(config))
    assert again == config
    assert again.warnings == ()


@given(configs())
def test_every_configuration_is_a_workload(config):
    made = Workload.from_dict(to_workload(config, "w"))
    (actor,) = made.processes[0].actors
    for phase in actor.phases:
        assert not phase.access or abs(sum(phase.chances) - 1) < 1e-9
        # an access turns to at most one page and uses at most one line
        assert sum(p.visits for p in phase.access) <= 1 + 1e-9
        assert sum(p.visits * p.lines for p in phase.access) <= 1 + 1e-9


@given(st.text("a,01 \n#Kro\t", max_size=60))
def test_any_text_is_answered(text):
    try:
        config = loads(text)
    except ConfigError as error:
        assert error.problems
    else:
        assert loads(dumps(config)) == config
