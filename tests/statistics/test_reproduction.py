"""What the front page says was reproduced still is: a change that makes it a miss fails here."""

from __future__ import annotations

from pathlib import Path

import pytest

from numasim.reproduce.cases import find
from numasim.reproduce.reproducing import carry_out, plan
from numasim.reproduce.verdict import FAILED, MISSED
from numasim.reproduce.written import verdicts_on

PAGE = Path(__file__).parents[2] / "README.md"
SAID = verdicts_on(PAGE.read_text(encoding="utf-8"))
CASES = [case for case, _ in find([])]


def still(name: str, title: str) -> None:
    (found,) = carry_out(plan([name]), workers=1)
    said = SAID.get(title, "")
    print(f"{title}: {said} before, {found.word} now")
    assert found.word != FAILED, found.error
    if said and said != MISSED:
        assert found.word != MISSED, [(a.value.name, a.ours) for a in found.answers]


def test_the_front_page_knows_the_cases():
    known = {case.title for case in CASES}
    assert SAID, "the table is there"
    assert set(SAID) <= known, "numasim reproduce --readme README.md renews it"


@pytest.mark.parametrize("name", ["micron_interleave", "loaded_latency_skx", "mlp_consistency"])
def test_reproduced_in_seconds(name):
    still(name, next(case.title for case in CASES if case.name == name))


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.title in SAID and not case.long],  # `make reproduce-long`
    ids=lambda case: case.name,
)
def test_what_was_reproduced_still_is(case):
    still(case.name, case.title)
