"""Intel Memory Latency Checker's log: latency and bandwidth matrices, loaded latency, peaks.

Sections are found by their titles; whatever else the log holds is passed over. A matrix has rows
for nodes with CPUs and columns for nodes with memory. Latencies are in ns, bandwidths in MB/s of
10^6 bytes. Source: layout of MLC 3.x logs.
"""

from __future__ import annotations

import re

from numasim.errors import ConfigError, Problem
from numasim.formats.machines.description import Description, Loaded, Number, Origin, Pair
from numasim.formats.machines.reading import BANDWIDTH, LATENCY_NS, Complaints, text_of

TITLES = {
    "latency": r"^\s*Measuring idle latencies\b",
    "bandwidth": r"^\s*Measuring Memory Bandwidths between nodes",
    "peaks": r"^\s*Measuring (?:Peak|Maximum) .*Memory Bandwidths",
    "loaded": r"^\s*Measuring Loaded Latencies",
    "other": r"^\s*Measuring ",
}
MB_PER_S = 1e-3  # bytes/ns
PROMPT = r"[$#>%]\s*$"
"""How a line ends that a shell waits at, after the log of a session."""
LONGEST_LINE = 200  # of those that are no row of a matrix
MIXES = {"all reads": "read", "1:1 reads-writes": "1:1"}
Lines = list[tuple[int, str]]


def read(data: bytes, source: str) -> Description:
    """A machine from a log, or from the output of one measurement such as ``--latency_matrix``.

    Parameters
    ----------
    data : bytes
    source : str
        Name of the file.

    Returns
    -------
    Description

    Raises
    ------
    ConfigError
        If it holds neither matrix, or with every number that cannot be.
    """
    text = text_of(data, source)
    sections, complaints, found = _sections(text), Complaints(source), Description(source)
    rows: dict[str, list[int]] = {}
    for key, table, bounds, scale in (
        ("latency", found.latency, LATENCY_NS, 1.0),
        ("bandwidth", found.read_bandwidth, BANDWIDTH, MB_PER_S),
    ):
        if key in sections:
            rows[key] = _matrix(sections[key], found, table, bounds, scale, complaints)
            _not_cut(sections[key], text.count("\n") + 1, complaints)
    _same_rows(rows, complaints)
    if not found.latency and not found.read_bandwidth and not complaints.problems:
        hint = "expected the output of mlc, mlc --latency_matrix or mlc --bandwidth_matrix"
        raise ConfigError(Problem("", "holds no latency or bandwidth matrix", hint), source)
    if "peaks" in sections:
        _peaks(sections["peaks"], found, complaints)
    if "loaded" in sections:
        _loaded(sections["loaded"], found, complaints)
    complaints.done()
    found.doubts += _ending(text, source)
    return found


def _sections(text: str) -> dict[str, Lines]:
    """Numbered lines of every section, without its title; the first of each kind counts."""
    sections: dict[str, Lines] = {}
    current: Lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        key = next((key for key, title in TITLES.items() if re.search(title, line, re.I)), None)
        if key is None:
            current.append((number, line))
        else:
            current = []
            sections.setdefault(key, current)
    return sections


def _matrix(
    lines: Lines,
    found: Description,
    table: dict[Pair, Number],
    bounds: tuple[float, float],
    scale: float,
    complaints: Complaints,
) -> list[int]:
    """Values of a matrix; rows are nodes with CPUs, columns nodes with memory. Gives its rows."""
    rest = iter(lines)
    for _, line in rest:
        if re.fullmatch(r"\s*(Numa|Memory) node\s*", line, re.I):
            break
    number, header = next(rest, (lines[-1][0] if lines else 0, ""))
    match = re.fullmatch(r"\s*(?:Numa node|Socket)((?:\s+\d+)+)\s*", header, re.I)
    if match is None:
        complaints.add(f"line {number}", 'expected a line "Numa node  0  1 …" with the columns')
        return []
    columns = [complaints.node(word, f"line {number}") for word in match[1].split()]
    rows: set[int] = set()
    for number, line in rest:
        first, *values = line.split() or [""]
        if not first[:1].isdigit():  # an empty line, or a shell's prompt
            break
        row = complaints.node(first, f"line {number}")
        if row in rows or len(values) != len(columns):
            message = "a second row of this node" if row in rows else f"got {len(values)} values"
            complaints.add(f"line {number}", f"{message}, expected {len(columns)}, one per node")
            continue
        if row is None:
            continue
        rows.add(row)
        for column, text in zip(columns, values, strict=True):
            if column is None or text == "-":
                continue
            value = complaints.number(text, bounds, f"line {number}", "a value", scale)
            if value is not None:
                where = f"{found.source} line {number}, {text}"
                table[row, column] = Number(value, Origin.MEASURED, where)
    if not rows:
        complaints.add(f"line {number}", "the matrix has no rows")
    for nid in [c for c in columns if c is not None] + sorted(rows):
        said = found.node(nid)
        said.has_cpus, said.where = nid in rows, found.source
    return sorted(rows)


def _not_cut(lines: Lines, unfinished: int, complaints: Complaints) -> None:
    """A complaint if the last line of a matrix has no end: its last number may lack digits."""
    if lines and lines[-1][0] == unfinished and re.match(r"\s*\d", lines[-1][1]):
        hint = "is it cut off? If it is whole, end it with a newline"
        complaints.add(f"line {unfinished}", "the file ends in the middle of a matrix", hint)


def _ending(text: str, source: str) -> list[str]:
    """A doubt if the last section has no numbers, or the last line no end."""
    lines = text.splitlines() or [""]
    title = max(i for i, line in enumerate(lines) if re.search(TITLES["other"], line, re.I))
    empty = not any(re.search(r"\d\s*$", line[-LONGEST_LINE:]) for line in lines[title + 1 :])
    unfinished = not text.endswith("\n") and not re.search(PROMPT, lines[-1][-LONGEST_LINE:])
    if not (empty or unfinished):
        return []
    return [f"{source} ends within a section (line {len(lines)}); is it cut off?"]


def _same_rows(rows: dict[str, list[int]], complaints: Complaints) -> None:
    """A complaint if one matrix has rows that another lacks: both have the nodes with CPUs."""
    if len({tuple(own) for own in rows.values() if own}) > 1:
        told = ", ".join(f"{what}: {' '.join(map(str, own))}" for what, own in rows.items())
        complaints.add("", f"the matrices have different rows ({told})", "is it cut off?")


def _peaks(lines: Lines, found: Description, complaints: Complaints) -> None:
    for number, line in lines:
        match = re.fullmatch(r"\s*(\S.*?)\s*:\s*([\d.]+)\s*", line[:LONGEST_LINE])
        mix = MIXES.get(match[1].lower()) if match else None
        if match and mix:
            place = f"line {number}"
            value = complaints.number(match[2], BANDWIDTH, place, "a bandwidth", MB_PER_S)
            if value is not None:
                found.peaks[mix] = value


def _loaded(lines: Lines, found: Description, complaints: Complaints) -> None:
    points = []
    for number, line in lines:
        match = re.fullmatch(r"\s*(\d+)\s+([\d.]+)\s+([\d.]+)\s*", line[:LONGEST_LINE])
        if match:
            place = f"line {number}"
            latency = complaints.number(match[2], LATENCY_NS, place, "a latency")
            speed = complaints.number(match[3], BANDWIDTH, place, "a bandwidth", MB_PER_S)
            if latency is not None and speed is not None:
                points.append((speed, latency))
    if points:
        found.loaded = Loaded(points, f"{found.source} line {lines[0][0]}")
