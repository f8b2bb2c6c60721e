"""What a damo command of kdamonds says on a real machine, and what it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numasim.damon.spec import Kdamond
    from numasim.topology import Topology


def portable(
    threads: tuple[Kdamond, ...], machine: Topology
) -> tuple[tuple[Kdamond, ...], list[str]]:
    """Kdamonds that a damo command can name on a machine, and notes on it.

    Parameters
    ----------
    threads : tuple of Kdamond
    machine : Topology

    Returns
    -------
    tuple of Kdamond
        Without those that watch devices: in a list of CPUs these have numbers that are ours.
    list of str
        What is left out, what needs a patched kernel, and what damo does otherwise.
    """
    from numasim.damon.spec import EXTENSIONS
    from numasim.threads import device_cpus

    names = {
        cpu: accessor.name
        for cpu, accessor in zip(device_cpus(machine), machine.accessors, strict=True)
        if cpu >= 0
    }
    watched = [_devices(kdamond, names) for kdamond in threads]
    kept = tuple(k for k, found in zip(threads, watched, strict=True) if not found)
    notes = []
    if left := [str(k) for k, found in enumerate(watched) if found]:
        who = ", ".join(dict.fromkeys(name for found in watched for name in found))
        notes.append(
            f"kdamonds {', '.join(left)} are left out: they watch {who}, and no CPU number of a "
            "real machine names a device; the file has them, with numbers of ours"
        )
    controls = [context.sample_control for kdamond in kept for context in kdamond.contexts]
    used = {control.source("page_table") for control in controls}
    if ours := [name for name in EXTENSIONS if name in used]:
        notes.append(f"--sample_primitives {', '.join(ours)}: ours, no damo and no kernel knows it")
    if "page_fault" in used or any(control.filters for control in controls):
        notes.append("sampling options need the RFC's kernel; Linux 7.3.4 has none of them")
    if any(control != controls[0] for control in controls):
        notes.append(
            "damo 3.4.3 lets sampling options of one context leak into others, so this line does "
            "not set up what is meant; the file says it"
        )
    return kept, notes


def _devices(kdamond: Kdamond, names: dict[int, str]) -> list[str]:
    """Names of devices in the CPU lists of a kdamond's sample filters."""
    from numasim.units import parse_cpulist

    cpus = {
        cpu
        for context in kdamond.contexts
        for one in context.sample_control.filters
        if one.cpumask
        for cpu in parse_cpulist(one.cpumask)
    }
    return [name for cpu, name in names.items() if cpu in cpus]
