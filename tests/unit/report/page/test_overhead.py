"""What watching and moving cost, whoever paid it."""

import math

import pandas as pd

from numasim.report.page.comparison import comparison_page
from numasim.report.page.numbers import write
from numasim.report.page.overhead import overhead
from numasim.report.page.run import reasons
from numasim.result import COLUMNS
from tests.unit.report.made import made
from tests.unit.report.page.sent import comparison


def _in_kernel(result):
    """The same as if the kernel moved pages at faults, in a run of 300 s."""
    paid = [(t, actor, 0.0, t * 2e7) for t in (150.0, 300.0) for actor in ("a", "b")]
    result.tables["tolls"] = pd.DataFrame(paid, columns=COLUMNS["tolls"].split())
    rows = [(t, f"kswapd{n}", name, t * 1e7) for t in (150.0, 300.0) for n in (0, 1)
            for name in ("kswapd_cpu_ns", "pageoutrun")]  # fmt: skip
    result.tables["vmstat"] = pd.DataFrame(rows, columns=COLUMNS["vmstat"].split())
    result.tables["kdamonds"] = result.kdamonds.iloc[:0]
    return result


def test_each_part_is_a_share_of_one_cpu():
    found = overhead(_in_kernel(made()))
    assert (found.threads, found.kswapd, found.total) == (0.04, 0.02, 0.06)
    assert math.isnan(found.kdamonds)
    assert found.told() == "kdamonds –; threads' faults and scans 4\u00a0%; kswapd 2\u00a0%"


def test_kdamonds_as_the_summary_has_them():
    result = made()
    found = overhead(result)
    assert found.kdamonds == found.total == result.summary()["kdamond_cpu"] > 0


def test_where_nothing_watches_nothing_is_told():
    result = made(policy="no_tiering")
    assert math.isnan(overhead(result).total)
    card = reasons(result)[-1]
    assert (card.title, card.value) == ("Overhead", "–")
    assert write("kdamond_cpu", result.summary()["kdamond_cpu"]) == "–"
    result.tables["actors"] = result.actors.iloc[:0]
    assert math.isnan(overhead(result).total)


def test_the_card_of_a_run_has_all():
    card = reasons(_in_kernel(made()))[-1]
    assert card.value == "6\u00a0%" and "kswapd 2" in card.text and "lost 12 s" in card.text


def test_a_comparison_has_a_row_for_each_policy():
    given = comparison()
    results = {**given.results}
    results["tpp", 1] = _in_kernel(made(rows=21))
    page = comparison_page(type(given)(given.scenarios, given.seeds, given.summaries, results))
    side = page.sections[0]
    (table,) = (t for t in side.tables if t.title.startswith("Overhead"))
    cells = {row[0][0]: [text for text, _ in row[1:]] for row in table.rows}
    assert cells["none"] == ["–"] * 4
    assert cells["tpp"] == ["–", "4\u00a0%", "2\u00a0%", "6\u00a0%"]
    (card,) = (r for r in page.reasons if r.title == "Overhead, tpp")
    assert card.value == "6\u00a0%" and card.text.endswith("none: – in all.")
    drawn = [chart.title for chart in side.charts]
    assert "Overhead of kswapd (of one CPU), first seed" in drawn
    assert "Threads' faults and scans (of one CPU), first seed" in drawn
