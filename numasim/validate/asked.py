"""What the experimenter asked of DAMON: the damo commands of a recorded run, by kdamond."""

from __future__ import annotations

import re

from numasim.damon.spec import Context
from numasim.errors import ConfigError
from numasim.formats import damo_args
from numasim.validate.recording import KdamondRecord, Recording
from numasim.validate.setup import Setup

PAGE = 4096


def asked(recording: Recording) -> list[Context | None]:
    """The context that each recorded kdamond was started with.

    Returns
    -------
    list of Context or None
        In the order of ``recording.kdamonds``; None where no command tells, or where one changed
        it later.
    """
    starts: list[tuple[float, tuple[Context, ...] | None]] = []
    tuned_s: list[float] = []
    for command in recording.setup.commands:
        words = command.text.split()
        if command.value is not None or words[:1] != ["damo"] or len(words) < 2:
            continue
        if words[1] == "start":
            starts.append((command.start_s, _contexts(command.text, recording.setup)))
        elif words[1] in ("tune", "write"):
            tuned_s.append(command.start_s)
    return [_of(one, starts, tuned_s) for one in recording.kdamonds]


def _of(
    record: KdamondRecord, starts: list[tuple[float, tuple[Context, ...] | None]],
    tuned_s: list[float],
) -> Context | None:  # fmt: skip
    first_s, last_s = record.snapshots[0].t_s, record.snapshots[-1].t_s
    earlier = [(at, contexts) for at, contexts in starts if at <= first_s]
    number = int(match[1]) if (match := re.search(r"(\d+)$", record.name)) else 0
    if not earlier or earlier[-1][1] is None or number >= len(earlier[-1][1]):
        return None
    began_s = earlier[-1][0]
    return None if any(began_s <= t <= last_s for t in tuned_s) else earlier[-1][1][number]


def _contexts(command: str, setup: Setup) -> tuple[Context, ...] | None:
    ram = setup.ram

    def node_ranges(nid: int) -> list[tuple[int, int]] | None:
        zones = [z for z in setup.zones if z.node == nid]
        spans = [(z.start_pfn * PAGE, (z.start_pfn + z.spanned) * PAGE) for z in zones]
        cut = [(max(a, s), min(b, e)) for a, b in ram for s, e in spans]
        return [(s, e) for s, e in cut if s < e]

    try:
        parsed = damo_args.parse(
            command, node_ranges=node_ranges, default_range=lambda: (ram[0][0], ram[-1][1])
        )
    except ConfigError:
        return None
    return tuple(context for kdamond in parsed.kdamonds for context in kdamond.contexts)
