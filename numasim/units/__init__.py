"""Text ↔ numbers, in two dialects: ours (``64 GiB``, ``200 GB/s``) and damo's (``64G``, binary).

Text becomes a number here and nowhere else. In *ours* a unit is always written, so a bare ``64G``
is refused and answered with what may have been meant. In *damo's* every size suffix is a power of
1024 and a bare number is in the option's native unit; those readers are called ``damo_*``. Both are
exact: what is written in decimal is read as a fraction, never through a float.
"""

from numasim.units.damos import (
    ULONG_MAX,
    damo_bool,
    damo_bp,
    damo_bytes,
    damo_count,
    damo_number,
    damo_percent,
    damo_permil,
    damo_ratio,
    damo_time_ms,
    damo_time_ns,
    damo_time_us,
    format_damo_share,
    format_damo_time,
    format_decimal,
)
from numasim.units.numbers import BadText
from numasim.units.ours import (
    FROM_FILE,
    LAST_CPU,
    Bandwidth,
    Bytes,
    DurationNs,
    RatePerS,
    Ratio,
    format_bandwidth,
    format_bytes,
    format_cpulist,
    format_duration,
    parse_bandwidth,
    parse_bytes,
    parse_cpulist,
    parse_duration_ns,
    parse_rate_per_s,
    parse_ratio,
)

__all__ = [
    "FROM_FILE",
    "LAST_CPU",
    "ULONG_MAX",
    "BadText",
    "Bandwidth",
    "Bytes",
    "DurationNs",
    "RatePerS",
    "Ratio",
    "damo_bool",
    "damo_bp",
    "damo_bytes",
    "damo_count",
    "damo_number",
    "damo_percent",
    "damo_permil",
    "damo_ratio",
    "damo_time_ms",
    "damo_time_ns",
    "damo_time_us",
    "format_bandwidth",
    "format_bytes",
    "format_cpulist",
    "format_damo_share",
    "format_damo_time",
    "format_decimal",
    "format_duration",
    "parse_bandwidth",
    "parse_bytes",
    "parse_cpulist",
    "parse_duration_ns",
    "parse_rate_per_s",
    "parse_ratio",
]
