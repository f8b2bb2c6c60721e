"""Options that several commands share, and how they lie over a scenario file."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

import typer

from numasim.cli import console

if TYPE_CHECKING:
    from numasim.documents import Document
    from numasim.scenario import Scenario

ScenarioName = Annotated[
    str | None,
    typer.Argument(metavar="[SCENARIO]", help="A shipped scenario or a YAML file."),
]
TopologyName = Annotated[
    str | None,
    typer.Option("--topology", "-t", metavar="NAME", help="A shipped topology or a YAML file."),
]
WorkloadName = Annotated[
    str | None,
    typer.Option(
        "--workload", "-w", metavar="NAME", help="A shipped workload, a YAML file or a masim *.cfg."
    ),
]
Duration = Annotated[
    str | None,
    typer.Option("--duration", "-d", metavar="TIME", help='Simulated time, such as "300 s".'),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one value: workload.hot='8 GiB', policy.used=0.98, "
        "topology.nodes.dram0.capacity='8 GiB', scenario.record='500 ms'. The first word may be "
        "left out where only one of workload, policy and scenario has the key: source=pebs. "
        "Repeatable.",
    ),
]
Events = Annotated[
    Path | None,
    typer.Option("--events", metavar="FILE", help="A YAML list of timed events."),
]
Json = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write one JSON document; - is stdout."),
]
ExactTicks = Annotated[
    bool,
    typer.Option(
        "--exact-ticks",
        help="Draw the page of every sample, the slow twin of the default: switches off hits "
        "drawn for whole regions from counts of pages of a kind.",
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Take warnings about damo options for mistakes.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print neither progress nor tables.")]


def document(
    scenario: str | None,
    topology: str | None,
    workload: str | None,
    duration: str | None,
    events: Path | None,
    exact_ticks: bool,
) -> Document:
    """The scenario that was named, with the options over it.

    Raises
    ------
    ConfigError
    """
    from numasim.documents import Document, read_document, read_events

    found = read_document(scenario) if scenario else Document()
    given: dict[str, Any] = {
        "topology": topology,
        "workload": workload,
        "duration": duration,
        "events": read_events(events) if events else None,
        "exact_ticks": exact_ticks or None,
    }
    found.data.update({key: value for key, value in given.items() if value is not None})
    found.events_path = events
    return found


def damo_command(text: str) -> str:
    """A damo command as policies take it: ``--numa_node 0 …`` alone gets its ``damo start``.

    Raises
    ------
    ConfigError
        If there is none.
    """
    from numasim.errors import ConfigError, Problem

    words = text.split()
    while words and words[0] in ("$", "sudo"):
        text, words = text.split(words[0], 1)[1], words[1:]
    if not words or words == ["damo"]:
        hint = 'expected a command such as "damo start --numa_node 0"'
        raise ConfigError(Problem("--damo", "is empty", hint))
    first = words[0]
    if first == "damo":
        return text.strip()
    target = first[0] == "-" or first.isdigit() or first == "paddr"
    target = target or first.endswith((".json", ".yaml", ".yml"))
    return f"damo start {text.strip()}" if target else f"damo {text.strip()}"


def check_outputs(out: Path | None, json: str | None) -> None:
    """Make the folder of --out, and see that it and the file of --json can be written.

    Raises
    ------
    ConfigError
        If not: better now than after the run.
    """
    from numasim.errors import ConfigError, Problem

    problems = []
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=out):
                pass
        except OSError as error:
            problems.append(Problem("--out", f"{out} cannot be written to: {error.strerror}"))
    if json is not None and json != console.STDOUT:
        path = Path(json)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=path.parent):
                pass
            if path.exists():
                path.open("a").close()
        except OSError as error:
            problems.append(Problem("--json", f"{path} cannot be written: {error.strerror}"))
    if problems:
        raise ConfigError(problems)


def tell_warnings(scenarios: list[Scenario], strict: bool) -> None:
    """Print what reading damo commands made surprising.

    Raises
    ------
    ConfigError
        If `strict` and there is something.
    """
    from numasim.documents import warnings_of
    from numasim.errors import ConfigError

    found = dict.fromkeys(line for scenario in scenarios for line in warnings_of(scenario))
    if found and strict:
        raise ConfigError(list(found))
    console.warn(found)
