"""Zone watermarks."""

from numasim.watermarks import Watermark, zone_watermarks


def test_share_of_a_half_zone():
    assert zone_watermarks(67584, 30127333, 60254666) == Watermark(8448, 38575, 68702, 98829)


def test_movable_zone_keeps_its_own_minimum_but_the_step_of_its_share():
    marks = zone_watermarks(45056, 37005797, 74011594, movable=True)
    assert marks == Watermark(128, 37133, 74138, 111143)


def test_small_movable_zone_keeps_at_least_32_pages():
    assert zone_watermarks(1024, 100, 1000, movable=True).min == 32


def test_quarter_of_the_minimum_is_the_least_step():
    marks = zone_watermarks(400_000, 100_000, 100_000)
    assert (marks.min, marks.low - marks.min) == (100_000, 25_000)
