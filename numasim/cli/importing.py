"""numasim import: a topology from what tools print of a machine; a workload from their traces."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from numasim.cli import console, importing_trace

if TYPE_CHECKING:
    from numasim.formats.machines import Complete

app = typer.Typer(
    help="Make a topology from files that describe a machine, every number with where it came "
    "from; or, with trace, a workload from a program's recorded accesses.\n\n"
    "Example: numasim import mlc mlc.log --with numactl.txt -o mine.yaml",
    no_args_is_help=True,
)
Files = Annotated[list[str], typer.Argument(metavar="FILE", help="Files; - is stdin.")]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to; else stdout.")
]
With = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="FILE",
        help="Another file of the same machine, in any of the formats, for what the first leaves "
        "open: what is measured wins, then firmware. Repeatable.",
    ),
]
Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Of the topology.")]


app.command("trace")(importing_trace.trace)


@app.command()
def mlc(files: Files, out: Out = None, others: With = None, name: Name = None) -> None:
    """Intel MLC's log: latency and bandwidth matrices, loaded-latency curve.

    Example: numasim import mlc mlc.log -o mine.yaml
    """
    _import("mlc", files, out, others, name)


@app.command()
def hwloc(files: Files, out: Out = None, others: With = None, name: Name = None) -> None:
    """hwloc's XML with memory attributes (lstopo machine.xml).

    Example: numasim import hwloc machine.xml -o mine.yaml
    """
    _import("hwloc", files, out, others, name)


@app.command()
def sysfs(files: Files, out: Out = None, others: With = None, name: Name = None) -> None:
    """An archive (tar czf node.tgz /sys/devices/system/node), a dump, or a folder of /sys.

    A dump has lines as grep -r . /sys/devices/system/node prints them.

    Example: numasim import sysfs machine.tar.bz2 -o mine.yaml
    """
    _import("sysfs", files, out, others, name)


@app.command()
def numactl(files: Files, out: Out = None, others: With = None, name: Name = None) -> None:
    """What numactl -H prints: CPUs, sizes, distances.

    Example: numactl -H | numasim import numactl - -o mine.yaml
    """
    _import("numactl", files, out, others, name)


@app.command()
def hmat(
    files: Files,
    out: Out = None,
    others: With = None,
    name: Name = None,
    pxm_map: Annotated[
        str | None,
        typer.Option("--pxm-map", metavar="PXM=NODE,...", help="Node of each proximity domain."),
    ] = None,
) -> None:
    """ACPI's HMAT, binary (/sys/firmware/acpi/tables/HMAT).

    Example: numasim import hmat HMAT --with numactl.txt -o mine.yaml
    """
    _import("hmat", files, out, others, name, _pxm_map(pxm_map))


@app.command()
def qemu(files: Files, out: Out = None, others: With = None, name: Name = None) -> None:
    """QEMU's arguments: -numa node, dist and hmat-lb.

    Example: numasim import qemu args.txt -o mine.yaml
    """
    _import("qemu", files, out, others, name)


@app.command()
def host(out: Out = None, others: With = None, name: Name = None) -> None:
    """The machine this runs on.

    Example: numasim import host --with mlc.log -o mine.yaml
    """
    from numasim.formats import machines

    words = ["numasim", "import", "host", *(w for o in others or [] for w in ("--with", o))]
    _write(machines.host(others or []), out, name or "host", words)


def _import(
    kind: str,
    files: list[str],
    out: Path | None,
    others: list[str] | None,
    name: str | None,
    pxm_map: dict[int, int] | None = None,
) -> None:
    from numasim.formats import machines

    made = machines.import_files(files, kind, others or [], pxm_map)
    words = ["numasim", "import", kind, *files, *(w for o in others or [] for w in ("--with", o))]
    _write(made, out, name or _stem(files[0]), words)


def _write(machine: Complete, out: Path | None, name: str, words: list[str]) -> None:
    """Write the topology once it is seen to load; say on stderr what is guessed."""
    from numasim import library
    from numasim.formats import machines
    from numasim.topology import Topology

    text = machines.to_yaml(machine, name, " ".join(words))
    Topology.from_dict(library.read_text(text), f"the topology of {machine.said.source}")
    console.warn(machine.said.doubts)
    guessed = machines.guesses(machine)
    if guessed:
        hint = "--with another file of this machine may know them"
        console.warn([f"{'; '.join(guessed)}; {hint}"])
    if out is None:
        console.text(text.rstrip())
    else:
        out.write_text(text, encoding="utf-8")
        console.files([out])


def _stem(path: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9_.+-]", "_", Path(path).name.split(".")[0])
    return stem if stem.strip("_-") else "machine"


def _pxm_map(text: str | None) -> dict[int, int] | None:
    """Proximity domain → node, of ``0=0,5=2``."""
    from numasim.errors import ConfigError, Problem

    if text is None:
        return None
    found: dict[int, int] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})=(\d{1,4})\s*", part)
        if match is None or int(match[1]) in found:
            message = f'got "{text}", expected pairs such as "0=0,5=2"'
            raise ConfigError(Problem("--pxm-map", message))
        found[int(match[1])] = int(match[2])
    return found
