"""numasim show: one topology, workload, policy, source or scenario in full."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from numasim.cli import console

if TYPE_CHECKING:
    from numasim.damon.spec import Kdamond
    from numasim.patterns import Pattern
    from numasim.topology import Topology
    from numasim.workload import Phase, Process

app = typer.Typer(
    help="Show one topology, workload, policy, source or scenario.\n\n"
    "Example: numasim show topology gh200",
    no_args_is_help=True,
)
FILE_WIDTH = 44
Name = Annotated[str, typer.Argument(help="A shipped one or a YAML file.")]


class Form(StrEnum):
    """What to print of a policy, alone and ready for a file or a shell."""

    KDAMONDS = "kdamonds"
    DAMO = "damo"


@app.command()
def topology(name: Name) -> None:
    """Tiers of every accessor, distances, physical layout.

    Example: numasim show topology two_socket_four_node
    """
    from numasim.loader import load_topology

    found = load_topology(name)
    _head(found.name, found.description)
    for a in range(len(found.accessors)):
        _tiers(found, a)
    names = [node.name for node in found.nodes]
    distances = found.node_distances.tolist()
    title = "distances (derived)" if found.distances_derived else "distances"
    rows = [(name, *row) for name, row in zip(names, distances, strict=True)]
    console.table(("", *names), rows, title, numbers=len(names))
    _layout(found)


def _tiers(found: Topology, a: int) -> None:
    from numasim.units import format_bandwidth, format_bytes

    accessor = found.accessors[a]
    rows = []
    for rank, n in enumerate(found.tiers(a)):
        node = found.nodes[n]
        latency = found.idle_latency_ns[a, n]
        speed = format_bandwidth(found.peak_bandwidth_bytes_per_ns[a, n])
        size = format_bytes(node.capacity)
        rows.append((rank, f"{n} {node.name}", node.kind, f"{latency:.4g}", speed, size))
    title = f"tiers of {accessor.name} ({accessor.kind}, {accessor.nr_cores} cores)"
    columns = ("rank", "node", "kind", "idle latency (ns)", "bandwidth", "capacity")
    console.table(columns, rows, title, numbers=3)


def _layout(found: Topology) -> None:
    from numasim.units import format_bytes

    rows = []
    for n, node in enumerate(found.nodes):
        zones = ", ".join(zone.name for zone in found.zones[n])
        managed = format_bytes(found.managed_pages(n) * 4096)
        for start, end in found.node_ranges(n):
            rows.append((f"{n} {node.name}", f"{start:#x}", f"{end:#x}", zones, managed))
            zones = managed = ""
    console.table(("node", "start", "end", "zones", "managed"), rows, "physical ranges", numbers=1)


@app.command()
def workload(name: Name) -> None:
    """Processes, mappings, phases, and who accesses what.

    Example: numasim show workload cold_first
    """
    from numasim.loader import load_workload
    from numasim.units import format_bytes

    found = load_workload(name)
    _head(found.name, found.description)
    console.say(f"footprint {format_bytes(found.footprint_bytes)}")
    for p, process in enumerate(found.processes):
        _process(process, found.pid(p))


def _process(process: Process, pid: int) -> None:
    from numasim.units import format_bytes, format_duration

    stop = "" if process.stop is None else f", stops at {format_duration(process.stop)}"
    start = format_duration(process.start)
    title = f"process {process.name} (pid {pid}, cgroup {process.cgroup}), starts at {start}{stop}"
    rows = []
    for m, at in zip(process.mappings, process.addresses(), strict=True):
        size, page = format_bytes(m.size), format_bytes(m.page)
        rows.append((m.name, size, m.kind, page, _mempolicy(m.policy), f"{at:#x}"))
    console.table(("mapping", "size", "kind", "page", "policy", "address"), rows, title)
    for actor in process.actors:
        again = ", then again" if actor.repeat else ""
        title = f"actor {actor.name}: {actor.threads} threads on {actor.on}{again}"
        visits = [
            (phase.name or str(f), *_access(access))
            for f, phase in enumerate(actor.phases)
            for access in phase.access
        ]
        console.heading(title)
        for f, phase in enumerate(actor.phases):
            console.say(f"  phase {phase.name or f}: {_phase(phase)}")
        columns = ("phase", "access", "visits", "lines", "miss", "write", "parallel")
        console.table(columns, visits, numbers=5)


def _mempolicy(policy: Any) -> str:
    nodes = " ".join(map(str, policy.nodes))
    weights = ":".join(map(str, policy.weights))
    return " ".join(part for part in (policy.mode, nodes, weights) if part)


def _phase(phase: Phase) -> str:
    from numasim.units import format_duration

    length = "to the end"
    if phase.duration is not None:
        length = format_duration(phase.duration)
    elif phase.operations is not None:
        length = f"{phase.operations:g} operations"
    pace = "" if phase.pace is None else f", {phase.pace:g}/s asked for"
    return f"{length}, {format_duration(phase.compute)} of computing per operation{pace}"


def _access(access: Pattern) -> tuple[str, ...]:
    numbers = (access.visits, access.lines, access.miss, access.write, access.parallelism)
    return f"{access.kind} {access.mapping}", *(f"{number:g}" for number in numbers)


@app.command()
def policy(
    name: Annotated[
        str, typer.Argument(help="A registered name, a policy or kdamonds file, or a damo command.")
    ],
    on: Annotated[
        str, typer.Option("--topology", "-t", help="The machine it is set up on.")
    ] = "dram_cxl",
    only: Annotated[
        Form | None, typer.Option("--only", help="Print just this, ready for a file or a shell.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a parameter. Repeatable."),
    ] = None,
) -> None:
    """Parameters, and its kdamonds as a file and as a damo command for a real machine.

    Example: numasim show policy tpp_damon -t gh200 --only damo
    """
    from numasim.formats import kdamonds
    from numasim.loader import load_topology
    from numasim.policies import registry
    from numasim.policy_data import build_policy, policy_data

    machine = load_topology(on)
    data = policy_data(name, [f"policy.{text.removeprefix('policy.')}" for text in changes or ()])
    made = build_policy(data, machine)
    threads = made.kdamonds(machine)
    if only is None:
        cls = registry.get(str(data["kind"]))
        _head(str(data["kind"]), (cls.__doc__ or "").strip().split("\n")[0])
        console.say(f"observes {made.observes}")
        console.say(f"moves    {made.moves}")
        if remark := made.remark(machine):
            console.say(f"note     {remark}")
        _parameters(made)
    if only != Form.KDAMONDS and (threads or only):
        _only_or_under("the same on a real machine", only, _damo(threads, machine, only))
    if only != Form.DAMO and (threads or only):
        text = kdamonds.dumps(threads, "yaml").rstrip()
        _only_or_under(f"kdamonds on {machine.name}", only, text)


def _only_or_under(title: str, only: Form | None, text: str) -> None:
    if only is None:
        console.heading(f"\n{title}")
    console.text(text)


def _damo(threads: tuple[Kdamond, ...], machine: Topology, only: Form | None) -> str:
    from numasim.cli.real_machine import portable
    from numasim.errors import ConfigError
    from numasim.formats.damo_command import to_damo_args

    kept, notes = portable(threads, machine)
    if only is not None:
        console.warn(notes)
    try:
        if threads and not kept:
            raise ConfigError("every kdamond watches a device, which no damo option names")
        command = to_damo_args(kept, node_of=machine.node_of_ranges)
    except ConfigError as error:
        if only is not None:
            raise
        return f"(no damo options say this: {error})"
    return command if only is not None else "\n".join([command, *(f"# {n}" for n in notes)])


def _parameters(made: Any) -> None:
    from numasim.cli.parameters import parameters_of

    rows = [(p.name, p.value, p.text) for p in parameters_of(made) if len(p.value) < FILE_WIDTH]
    console.table(("parameter", "value", "meaning"), rows)


@app.command()
def source(name: Annotated[str, typer.Argument(help="A registered access source.")]) -> None:
    """What an access source sees, what it is blind to, its cost and its parameters.

    Example: numasim show source page_fault
    """
    import inspect
    import sys

    from numasim import sources
    from numasim.cli.parameters import parameters_of

    cls = sources.registry.get(name)
    for paragraph in inspect.cleandoc(sys.modules[cls.__module__].__doc__ or "").split("\n\n"):
        console.say(" ".join(paragraph.split()))
    if not sources.knows_accessors(cls):
        console.say(f"\nwithout parameters; --set scenario.access_source={name}")
        return
    rows = [(p.name, p.value, p.text) for p in parameters_of(sources.default_settings(cls))]
    console.table(("parameter", "value", "meaning"), rows)
    console.say(f"--set scenario.access_source={name}")
    if rows:
        given = f"{{{name}: {{{rows[0][0]}: {rows[0][1]}}}}}"
        console.say(f"--set scenario.sources='{given}'")


@app.command()
def scenario(name: Name) -> None:
    """What a scenario runs, and what the experimenter does when.

    Example: numasim show scenario late_start
    """
    from numasim.documents import read_document
    from numasim.units import format_duration

    document = read_document(name)
    found = document.scenario()
    data = document.data
    _head(str(data.get("name", name)), str(data.get("description", "")))
    policies = data.get("policies") or [data.get("policy", found.policy_name)]
    rows = [
        ("topology", found.topology.name),
        ("workload", found.workload.name),
        ("policies", ", ".join(map(_inline, policies))),
        ("duration", format_duration(found.duration_ns)),
        ("seeds", data.get("seeds", data.get("seed", 1))),
        ("recorded every", format_duration(found.record_ns)),
    ]
    console.table(("", ""), rows)
    events = [(format_duration(e.at_ns), e.action, e.text) for e in found.events]
    if events:
        console.table(("at", "event", "what"), events)


def _inline(policy: Any) -> str:
    if not isinstance(policy, dict):
        return str(policy)
    rest = ", ".join(f"{key} {value}" for key, value in policy.items() if key != "kind")
    return f"{policy.get('kind', policy.get('file'))} ({rest})" if rest else str(policy.get("kind"))


def _head(name: str, description: str) -> None:
    console.heading(f"{name}: {description}" if description else name)
