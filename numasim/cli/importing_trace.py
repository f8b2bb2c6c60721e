"""numasim import trace: a workload of what other tools recorded of a program's accesses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from numasim.cli import console

if TYPE_CHECKING:
    from numasim.errors import Problem


def trace(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A trace; - is stdin.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="NAME", help="Writes NAME.yaml, and NAME.json with NAME.npz."
        ),
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT",
            help="perf (perf script), lackey, csv or oracle (libCacheSim), damo (its JSON record), "
            "damon (damon_aggregated text) or page (a recording); else told by the contents.",
        ),
    ] = None,
    interval: Annotated[
        str | None,
        typer.Option(
            "--interval", metavar="TIME",
            help="Length of an interval of the recording: accesses within one have no order. "
            "1 ms by default; a guess where the trace has no clock.",
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            "--every", metavar="N",
            help="Without a clock: instructions (lackey) or requests (libCacheSim) an interval.",
        ),
    ] = None,
    pid: Annotated[
        list[int] | None,
        typer.Option("--pid", metavar="PID", help="Only this process. Repeatable."),
    ] = None,
    cache: Annotated[
        str | None,
        typer.Option(
            "--cache", metavar="SIZE",
            help="lackey: a cache (16 ways, least recently used) that references go through; what "
            "it misses is traffic.",
        ),
    ] = None,
    lines: Annotated[
        float | None,
        typer.Option(
            "--lines", metavar="N",
            help="Lines of a request to a page (libCacheSim) or of a visit (DAMON); 1 by default.",
        ),
    ] = None,
    objects: Annotated[
        str | None,
        typer.Option(
            "--objects", metavar="pages|packed",
            help="libCacheSim: ids are page numbers, or objects lie side by side; by default as "
            "the first object's size tells.",
        ),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option("--sample", metavar="TIME", help="DAMON text: its sampling interval."),
    ] = None,
    aggr: Annotated[
        str | None,
        typer.Option("--aggr", metavar="TIME", help="DAMON text: its aggregation interval."),
    ] = None,
    miss: Annotated[
        float, typer.Option("--miss", metavar="SHARE", help="DAMON: lines that miss the caches.")
    ] = 1.0,
    write: Annotated[
        float, typer.Option("--write", metavar="SHARE", help="DAMON: visits that write.")
    ] = 0.0,
    blocks: Annotated[
        int, typer.Option("--blocks", metavar="N", help="DAMON: blocks with rates of their own.")
    ] = 256,
    phases: Annotated[
        int, typer.Option("--phases", metavar="N", help="DAMON: phases at most.")
    ] = 24,
    copies: Annotated[
        int, typer.Option("--copies", metavar="N", help="Processes, out of step.")
    ] = 1,
    slower: Annotated[
        float, typer.Option("--slower", metavar="X", help="Play intervals so many times longer.")
    ] = 1.0,
    stretch: Annotated[
        int, typer.Option("--stretch", metavar="N", help="Pages for each recorded page.")
    ] = 1,
    page: Annotated[
        str, typer.Option("--page", metavar="SIZE", help="4 KiB, 64 KiB or 2 MiB.")
    ] = "4 KiB",
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on", metavar="ACCESSOR=THREAD,...",
            help="Play threads of the recording on an accessor, such as CPU[1]=2,3. Repeatable.",
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="When the processes begin.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Do not begin again at the end.")
    ] = False,
    mapped: Annotated[
        bool,
        typer.Option("--mapped", help="Do not deflate NAME.npz: large ones open sooner."),
    ] = False,
) -> None:  # fmt: skip
    """A workload from accesses recorded by perf, valgrind, libCacheSim or DAMON.

    numasim run -w NAME.yaml plays it. A recording is also played, with its times and threads
    changed, by importing it again.

    Example: numasim import trace faults.txt --interval "10 ms" -o mine
    """
    from numasim.formats.traces import Playing, Reading, Wanted, import_trace

    numbers = _Numbers()
    nr_lines = 1.0 if lines is None else numbers.least("--lines", lines, 0)
    page_bytes = numbers.size("--page", page) or 4096
    playing = Playing(
        copies=int(numbers.least("--copies", copies)), slower=numbers.least("--slower", slower, 0),
        stretch=int(numbers.least("--stretch", stretch)), page_bytes=page_bytes,
        accessors=_accessors(on or [], numbers), loop=not once,
        start_ns=numbers.time("--start", start) or 0,
    )  # fmt: skip
    reading = Reading(
        sample_ns=numbers.time("--sample", sample) or 0, aggr_ns=numbers.time("--aggr", aggr) or 0,
        blocks=int(numbers.least("--blocks", blocks)),
        phases=int(numbers.least("--phases", phases)),
        lines=nr_lines, miss=numbers.share("--miss", miss), write=numbers.share("--write", write),
        page_bytes=page_bytes,
    )  # fmt: skip
    wanted = Wanted(
        interval_ns=numbers.time("--interval", interval),
        every=None if every is None else int(numbers.least("--every", every)),
        pids=tuple(pid or ()),
        cache_bytes=numbers.size("--cache", cache) or 0,
        lines=max(1, round(nr_lines)),
        objects=numbers.word("--objects", objects, ("pages", "packed")),
        packed=not mapped,
        playing=playing,
        reading=reading,
    )
    chosen = numbers.word("--format", kind, FORMATS)
    numbers.done()
    made = import_trace(file, out, chosen, wanted)
    console.warn(made.remarks)
    console.files([made.workload, *(made.recordings if made.kind != "page" else [])])


FORMATS = ("perf", "lackey", "csv", "oracle", "page", "damo", "damon")


class _Numbers:
    """Reads options; what is wrong is told together."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def least(self, name: str, value: float, least: float = 1) -> float:
        """A number that is at least 1, or above 0."""
        if not (value >= least if least else value > 0) or value > 1e15:
            wanted = f"at least {least:g}" if least else "more than 0"
            self._add(name, f"got {value:g}, expected {wanted}")
            return 1.0
        return value

    def share(self, name: str, value: float) -> float:
        """A number of 0 to 1."""
        if not 0 <= value <= 1:
            self._add(name, f"got {value:g}, expected 0 to 1")
            return 0.0
        return value

    def time(self, name: str, text: str | None) -> int | None:
        """A duration above 0, ns."""
        from numasim.units import parse_duration_ns

        found = self._parsed(name, text, parse_duration_ns)
        if found is not None and found <= 0:
            self._add(name, f'got "{text}", expected more than 0')
        return found

    def size(self, name: str, text: str | None) -> int | None:
        """Bytes."""
        from numasim.units import parse_bytes

        return self._parsed(name, text, parse_bytes)

    def word(self, name: str, text: str | None, known: tuple[str, ...]) -> Any:
        """One of some words."""
        from numasim.errors import did_you_mean

        if text is not None and text not in known:
            self._add(name, f'got "{text}"', did_you_mean(text, known))
        return text

    def _parsed(self, name: str, text: str | None, parse: Callable[[str], int]) -> int | None:
        from numasim.units import BadText

        if text is None:
            return None
        try:
            return parse(text)
        except BadText as error:
            said = error.message
            self._add(name, said if said.startswith("got") else f'got "{text}", {said}', error.hint)
            return None

    def _add(self, name: str, message: str, hint: str = "") -> None:
        from numasim.errors import Problem

        self.problems.append(Problem(name, message, hint))

    def done(self) -> None:
        """Tell."""
        from numasim.errors import ConfigError

        if self.problems:
            raise ConfigError(self.problems)


def _accessors(given: list[str], numbers: _Numbers) -> dict[str, tuple[int, ...]] | None:
    """Accessor → threads, of ``CPU[1]=2,3``."""
    found: dict[str, tuple[int, ...]] = {}
    for text in given:
        name, _, threads = text.partition("=")
        words = threads.split(",")
        if not name or name in found or not all(w.isdigit() and len(w) < 6 for w in words):
            numbers._add("--on", f'got "{text}", expected each accessor once, such as CPU[1]=2,3')
            continue
        found[name] = tuple(int(word) for word in words)
    return found or None
