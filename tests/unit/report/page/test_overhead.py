"""What watching and moving cost, whoever paid it."""

import math

import pandas as pd
import pytest

from numasim.overhead import overhead
from numasim.report.page.comparison import comparison_page
from numasim.report.page.numbers import write
from numasim.report.page.overhead import paid, told
from numasim.report.page.run import reasons
from numasim.result import COLUMNS
from numasim.units import format_bytes
from tests.unit.report.made import made
from tests.unit.report.page.sent import comparison


def _in_kernel(result):
    """The same as if the kernel moved pages at faults, in a run of 300 s."""
    paid = [(t, actor, 0.0, t * 2e7) for t in (150.0, 300.0) for actor in ("a", "b")]
    result.tables["tolls"] = pd.DataFrame(paid, columns=COLUMNS["tolls"].split())
    rows = [(t, f"kswapd{n}", name, t * 1e7) for t in (150.0, 300.0) for n in (0, 1)
            for name in ("kswapd_cpu_ns", "pageoutrun")]  # fmt: skip
    rows.append((300.0, "mover", "worker_cpu_ns", 3e9))
    result.tables["vmstat"] = pd.DataFrame(rows, columns=COLUMNS["vmstat"].split())
    result.tables["kdamonds"] = result.kdamonds.iloc[:0]
    return result


def test_each_part_is_a_share_of_one_cpu():
    result = _in_kernel(made())
    found, summary = overhead(result.tables), result.summary()
    assert (found.threads, found.kswapd, found.workers) == (0.04, 0.02, 0.01)
    assert found.total == pytest.approx(0.07) and math.isnan(found.kdamonds)
    assert (summary["thread_cpu"], summary["kswapd_cpu"], summary["worker_cpu"]) == (
        0.04, 0.02, 0.01,
    )  # fmt: skip
    text = "threads' faults, scans and samples 4\u00a0%; kswapd 2\u00a0%; "
    assert told(paid(lambda part: summary[part])) == text + "a policy's own threads 1\u00a0%"


def test_kdamonds_as_the_summary_has_them():
    result = made()
    found = overhead(result.tables)
    assert found.kdamonds == found.total == result.summary()["kdamond_cpu"] > 0


def test_where_nothing_watches_nothing_is_told():
    result = made(policy="no_tiering")
    assert math.isnan(overhead(result.tables).total)
    card = reasons(result)[-1]
    assert (card.title, card.value) == ("Overhead", "–")
    assert write("kdamond_cpu", result.summary()["kdamond_cpu"]) == "–"
    result.tables["actors"] = result.actors.iloc[:0]
    assert math.isnan(overhead(result.tables).total)


def test_the_card_of_a_run_has_all():
    card = reasons(_in_kernel(made()))[-1]
    assert card.value == "7\u00a0%" and "kswapd 2" in card.text and "lost 12 s" in card.text


def test_a_comparison_has_means_over_seeds():
    given = comparison()
    summaries = {**given.summaries}
    for seed in given.seeds:
        in_kernel = {"kdamond_cpu": 0.0, "thread_cpu": 0.02 * seed, "kswapd_cpu": 0.02}
        summaries["tpp", seed] = summaries["tpp", seed] | in_kernel
    page = comparison_page(type(given)(given.scenarios, given.seeds, summaries, given.results))
    side = page.sections[0]
    (table,) = (t for t in side.tables if t.title.startswith("Overhead"))
    cells = {row[0][0]: [text for text, _ in row[1:]] for row in table.rows}
    assert cells["none"] == ["–"] * 5
    assert cells["tpp"] == ["–", "4\u00a0%", "2\u00a0%", "–", "6\u00a0%"]
    (card,) = (r for r in page.reasons if r.title == "Overhead, tpp")
    assert card.value == "6\u00a0%" and card.text.endswith("none: – in all.")
    drawn = [chart.title for chart in side.charts]
    assert "Overhead of kswapd (of one CPU)" in drawn
    assert "Threads' faults, scans, samples (of one CPU)" in drawn
    assert "A policy's own threads (of one CPU)" not in drawn, "nobody has any"


def test_a_comparison_says_how_much_was_moved_for_nothing():
    given = comparison()
    (card,) = (r for r in comparison_page(given).reasons if r.title == "Wasted migration, tpp")
    mean = given.mean("tpp", "both_ways_bytes").mean
    assert card.value == (f"≤ {format_bytes(mean)}" if mean else "none")


def test_a_comparison_says_how_sure_it_is():
    given = comparison()
    (table,) = (t for t in comparison_page(given).sections[0].tables if "sure" in t.title)
    assert [row[0][0] for row in table.rows] == ["tpp", "slow"]
    found = given.differences()
    assert table.rows[0][-1][1] == found["tpp"].p_holm >= found["tpp"].p
