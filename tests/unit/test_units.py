"""Text ↔ numbers, in our dialect and in damo's."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from numasim import units
from numasim.units import FROM_FILE, ULONG_MAX, BadText


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64 GiB", 64 << 30),
        ("64GiB", 64 << 30),
        ("64 GB", 64 * 10**9),
        ("1.5 KiB", 1536),
        ("512 B", 512),
        ("7 kB", 7000),
        ("0", 0),
        (0, 0),
    ],
)
def test_parse_bytes(text, size):
    assert units.parse_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("64G", 'did you mean "64 GiB" or "64 GB"?'),
        ("64 gib", 'did you mean "64 GiB"?'),
        ("64 gigs", "known units: B, kB"),
        ("64", "a bare number has no unit"),
        (64, "a bare number has no unit"),
        ("0.3 B", "no whole number of bytes"),
        ("-1 GiB", "expected a size"),
        ("GiB", "expected a size"),
        (True, "expected a size"),
        (float("nan"), "expected a size"),
        (None, "expected a size"),
    ],
)
def test_parse_bytes_refuses(text, told):
    with pytest.raises(BadText, match=r"got .*, expected a size such as") as error:
        units.parse_bytes(text)
    assert told in str(error.value)


def test_durations_are_whole_nanoseconds():
    assert units.parse_duration_ns("5 ms") == 5_000_000
    assert units.parse_duration_ns("0.1 us") == 100
    assert units.parse_duration_ns("2 min") == 120 * 10**9
    with pytest.raises(BadText, match='did you mean "5 min" or "5 ms"'):
        units.parse_duration_ns("5 m")
    with pytest.raises(BadText, match="whole number of ns"):
        units.parse_duration_ns("0.5 ns")


def test_one_byte_per_ns_is_one_gb_per_s():
    assert units.parse_bandwidth("200 GB/s") == 200.0
    assert units.parse_bandwidth("1 GiB/s") == pytest.approx(1.073741824)
    with pytest.raises(BadText, match='did you mean "200 GiB/s" or "200 GB/s"'):
        units.parse_bandwidth("200 G/s")
    with pytest.raises(BadText, match="expected a bandwidth"):
        units.parse_bandwidth("200 GB")


def test_ratios_and_rates():
    assert units.parse_ratio("5 %") == 0.05 == units.parse_ratio(0.05)
    assert units.parse_rate_per_s("8 /s") == 8.0
    assert units.parse_rate_per_s("30 /min") == 0.5
    for wrong in ("5", "101 %", 1.5, "x"):
        with pytest.raises(BadText, match="expected a share"):
            units.parse_ratio(wrong)
    with pytest.raises(BadText, match="expected a rate"):
        units.parse_rate_per_s("8 Hz")


def test_cpulists():
    assert units.parse_cpulist("8, 0-3") == (0, 1, 2, 3, 8)
    assert units.parse_cpulist("") == ()
    assert units.parse_cpulist(5) == (5,)
    for wrong in ("3-0", "0,0", "0-", "a", True):
        with pytest.raises(BadText, match="expected CPUs"):
            units.parse_cpulist(wrong)


@pytest.mark.parametrize(
    "absurd", ["0-99999999999", "1048576", 1 << 20, "9" * 5000, ",".join(["0-1048575"] * 1000)]
)
def test_cpulists_of_absurd_size_are_refused_at_the_door(absurd):
    with pytest.raises(BadText, match="expected CPUs"):
        units.parse_cpulist(absurd)
    assert units.parse_cpulist("1048575") == (units.LAST_CPU,)


def test_formats_for_people():
    assert units.format_bytes(3 << 29) == "1.5 GiB"
    assert units.format_bytes(0) == "0 B"
    assert units.format_bytes(1000) == "1000 B"
    assert units.format_duration(5e6) == "5 ms"
    assert units.format_duration(90 * 10**9) == "1.5 min"
    assert units.format_bandwidth(200) == "200 GB/s"
    assert units.format_bandwidth(0.0275) == "27.5 MB/s"


@given(st.integers(0, 2**62))
def test_formatted_sizes_come_back_nearly(size):
    number, unit = units.format_bytes(size).split()
    back = float(number) * units.parse_bytes(f"1 {unit}")
    assert abs(back - size) <= size / 1000


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Described:
    capacity: units.Bytes
    latency: units.DurationNs
    bandwidth: units.Bandwidth
    share: units.Ratio = 0.5
    rate: units.RatePerS = 0.0


def test_annotated_types_take_text_and_numbers():
    told = Described("64 GiB", "80 ns", "200 GB/s", "5 %", "8 /s")
    assert told == Described(64 << 30, 80, 200.0, 0.05, 8)
    assert isinstance(told.capacity, int) and isinstance(told.bandwidth, float)
    for wrong in ({"capacity": -1}, {"capacity": 1.5}, {"capacity": True}, {"share": 2}):
        with pytest.raises(ValidationError):
            Described(**{"capacity": 0, "latency": 0, "bandwidth": 0.0, **wrong})


def test_a_file_may_not_leave_out_units():
    adapter = TypeAdapter(Described)
    told = {"capacity": 64, "latency": "80", "bandwidth": 200, "share": 0.5}
    with pytest.raises(ValidationError) as error:
        adapter.validate_python(told, context=FROM_FILE)
    assert [e["loc"] for e in error.value.errors()] == [("capacity",), ("latency",), ("bandwidth",)]
    assert "expected a size such as" in error.value.errors()[0]["msg"]
    zero = {"capacity": 0, "latency": 0, "bandwidth": 0}
    assert adapter.validate_python(zero, context=FROM_FILE) == Described(0, 0, 0.0)


# ---------------------------------------------------------------------------- damo's dialect


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("1,024", 1024),
        ("4K", 4096),
        ("4KB", 4096),
        ("4KiB", 4096),
        ("200MB", 209_715_200),
        ("1.5G", 3 << 29),
        ("2 MiB", 2 << 20),
        ("1E", 1 << 60),
        ("min", 0),
        ("max", ULONG_MAX),
        ("999999E", ULONG_MAX),
        ("1.150 GiB", 1_234_803_097),
        (4096, 4096),
        (0.5, 0),
    ],
)
def test_damo_bytes(text, size):
    assert units.damo_bytes(text) == size


@pytest.mark.parametrize("text", ["4k", "0x1000", "4 gib", "-4", "", "4K4K", "1e3", "five", None])
def test_damo_bytes_refuses(text):
    with pytest.raises(BadText, match="expected a size"):
        units.damo_bytes(text)


def test_damo_says_how_to_write_it():
    with pytest.raises(BadText, match='did you mean "4K"'):
        units.damo_bytes("4k")
    with pytest.raises(BadText, match="write 4096"):
        units.damo_bytes("0x1000")


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("5ms", 5000),
        ("5 s", 5_000_000),
        ("1 m 30 s", 90_000_000),
        ("1m 30s", 90_000_000),
        ("1 d", 86_400_000_000),
        ("100", 100),
        ("1,000", 1000),
        ("1500 ns", 1),
        ("min", 0),
        ("max", ULONG_MAX),
        (7, 7),
    ],
)
def test_damo_times(text, us):
    assert units.damo_time_us(text) == us


def test_damo_times_have_native_units():
    assert units.damo_time_ms("1000") == 1000
    assert units.damo_time_ms("1s") == 1000
    assert units.damo_time_ns("1.5", "us") == 1500
    assert units.damo_time_ns("0.5 ns") == Fraction(1, 2)
    assert units.damo_time_ms("max") == ULONG_MAX
    for wrong in ("5 min", "5 k", "1 m 30", "1 m x 30 s", "99999999999999 d", "5MS"):
        with pytest.raises(BadText, match="expected a time"):
            units.damo_time_us(wrong)


def test_damo_shares():
    assert units.damo_percent("5%") == units.damo_percent("5 %") == units.damo_percent("5") == 5
    assert units.damo_percent("0.05") == Fraction(1, 20)
    assert units.damo_percent("max") == ULONG_MAX
    assert units.damo_permil("50%") == units.damo_permil("500") == 500
    assert units.damo_bp("4%") == units.damo_bp("400") == 400
    assert [units.damo_bp(text) for text in ("0.29%", "0.5%", "99.7%")] == [29, 50, 9970]
    with pytest.raises(BadText, match="expected a share"):
        units.damo_bp("5 percent")


def test_damo_counts_and_truth():
    assert units.damo_count("1,000") == 1000
    assert units.damo_count("10.7") == 10
    assert units.damo_count("max") == ULONG_MAX
    assert [units.damo_bool(w) for w in ("Y", "yes", "TRUE", True)] == [True] * 4
    assert [units.damo_bool(w) for w in ("n", "No", "false", False)] == [False] * 4
    for wrong in ("on", "", 1, None):
        with pytest.raises(BadText, match="expected Y or N"):
            units.damo_bool(wrong)
    with pytest.raises(BadText, match="expected a number"):
        units.damo_count("5 s")


def test_damo_formats():
    assert units.format_damo_time(100 * 10**6) == "100 ms"
    assert units.format_damo_time(0) == "0 ns"
    assert units.format_damo_time(90 * 10**9, "") == "90s"
    assert units.format_damo_share(1, 1000) == "0.1 %"
    assert units.format_damo_share(9970, 10_000) == "99.7 %"
    assert units.format_damo_share(29, 10_000) == "29"
    assert units.format_decimal(Fraction(1, 8)) == "0.125"


@given(st.integers(0, ULONG_MAX * 1000))
def test_damo_times_come_back(time_ns):
    assert units.damo_time_ns(units.format_damo_time(time_ns)) == time_ns


@given(st.integers(0, 20_000), st.sampled_from([1000, 10_000]))
def test_damo_shares_come_back_also_to_damo(parts, per):
    text = units.format_damo_share(parts, per)
    assert units.damo_ratio(text, per) == parts
    if text.endswith("%"):
        assert int(float(text[:-1]) * (per // 100)) == parts
