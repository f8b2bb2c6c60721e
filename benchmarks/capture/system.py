"""The machine at hand through /proc and /sys: what it is, what it counts, whether it will do."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from typing import Any

from benchmarks.capture.texts import (
    PAGE_BYTES,
    counters,
    node_meminfo,
    numa_pages,
    page_map,
    ram_lines,
    zone_lines,
)

TRACING = ("sys/kernel/tracing", "sys/kernel/debug/tracing")
DAMON = "sys/kernel/mm/damon/admin/kdamonds"
EVENTS = (
    "damon_aggregated",
    "damon_monitor_intervals_tune",
    "damos_esz",
    "damos_stat_after_apply_interval",
    "damos_before_apply",
)
NEEDED_EVENTS = EVENTS[:1]  # the others came with later kernels
MEMINFO = (
    "MemFree", "MemUsed", "AnonPages", "FilePages", "Active(anon)", "Inactive(anon)", "Slab",
)  # fmt: skip
NUMASTAT = ("numa_hit", "numa_miss", "numa_foreign", "other_node")
VMSTAT = (
    "pgmigrate_success", "pgmigrate_fail", "pgscan_kswapd", "pgsteal_kswapd", "pgpromote_success",
    "pgdemote_kswapd", "pgdemote_direct", "numa_pte_updates", "numa_hint_faults",
    "numa_pages_migrated",
)  # fmt: skip
THREADS = re.compile(r"^(kdamond\.|kswapd|kcompactd)")


class System:
    """A machine, or a folder that looks like one.

    Parameters
    ----------
    root : Path
        ``/``, or another folder for tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """A file or folder below the root."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str:
        """A file's text, nothing if it cannot be read."""
        try:
            return self.path(name).read_text(errors="replace")
        except OSError:
            return ""

    def value(self, name: str) -> str:
        """A file's text on one line."""
        return self.text(name).strip()

    # -- whether it will do ------------------------------------------------------------------------

    @property
    def tracing(self) -> Path | None:
        """Where trace events are, None if nowhere."""
        found = (self.path(name) for name in TRACING)
        return next((path for path in found if (path / "events").is_dir()), None)

    def refusals(self, uid: int) -> list[str]:
        """Why this machine cannot be recorded, each with what to do; none if it can."""
        found = []
        if uid != 0:
            found.append("not root: page frames and trace events are hidden; run it with sudo")
        if not self.path(DAMON).is_dir():
            found.append(
                f"no /{DAMON}: this kernel has no DAMON user interface; "
                "it needs CONFIG_DAMON, CONFIG_DAMON_PADDR or _VADDR, and CONFIG_DAMON_SYSFS"
            )
        tracing = self.tracing
        if tracing is None:
            found.append(
                "no trace events; mount tracefs: mount -t tracefs none /sys/kernel/tracing"
            )
        else:
            missing = [e for e in NEEDED_EVENTS if not (tracing / "events/damon" / e).is_dir()]
            found += [f"no trace event damon:{event}: this kernel is too old" for event in missing]
        if not self.nodes():
            found.append("no /sys/devices/system/node: this kernel is built without NUMA")
        return found

    # -- what it is --------------------------------------------------------------------------------

    def nodes(self) -> list[int]:
        """Memory nodes, ascending."""
        found = self.path("sys/devices/system/node").glob("node[0-9]*")
        return sorted(int(path.name[4:]) for path in found)

    def describe(self) -> dict[str, Any]:
        """The part of ``config.json`` that tells of the machine."""
        nodes = {f"node{n}": self._node(n) for n in self.nodes()}
        memory = [node_meminfo("\n".join(one["meminfo"])) for one in nodes.values()]
        mib = [one.get("MemTotal", 0) >> 10 for one in memory]
        cpulists = [one["cpulist"] for one in nodes.values()]
        tiers = self.path("sys/devices/virtual/memory_tiering").glob("memory_tier*/nodelist")
        return {
            "kernel": self.value("proc/version"),
            "guest_kernel_cmdline": self.value("proc/cmdline"),
            "topology": {
                "mem": mib,
                "cpus": os.cpu_count() or 1,
                "node_cpus": [text or None for text in cpulists],
                "dist": [[int(x) for x in one["distance"].split()] for one in nodes.values()],
                "hmat": self._hmat(),
            },
            "mem_mib_per_node": mib,
            "guest_nodes": nodes,
            "memory_tiers_nodelist": {p.parent.name: p.read_text().strip() for p in sorted(tiers)},
            "zoneinfo_pages": zone_lines(self.text("proc/zoneinfo")),
            "iomem_ram": ram_lines(self.text("proc/iomem")),
            "transparent_hugepage": self.value("sys/kernel/mm/transparent_hugepage/enabled"),
            "lru_gen": self.value("sys/kernel/mm/lru_gen/enabled"),
            "demotion_enabled": self.value("sys/kernel/mm/numa/demotion_enabled") or "false",
            "numa_balancing": self.value("proc/sys/kernel/numa_balancing") or "0",
            "hz": self.hz(),
        }

    def _node(self, n: int) -> dict[str, Any]:
        folder = f"sys/devices/system/node/node{n}"
        keys = ("MemTotal", "MemFree", "MemUsed")
        lines = [line.strip() for line in self.text(f"{folder}/meminfo").splitlines()]
        access = {
            name: self.value(f"{folder}/access0/initiators/{name}")
            for name in ("read_bandwidth", "read_latency", "write_bandwidth", "write_latency")
        }
        return {
            "cpulist": self.value(f"{folder}/cpulist"),
            "distance": self.value(f"{folder}/distance"),
            "meminfo": [line for line in lines if any(f" {key}:" in line for key in keys)],
            "access0": {name: value for name, value in access.items() if value},
        }

    def _hmat(self) -> list[list[int]]:
        """``[initiator, node, ns, MB/s]`` as the firmware declares, nearest initiators only."""
        found = []
        for n in self.nodes():
            folder = f"sys/devices/system/node/node{n}/access0/initiators"
            latency, bandwidth = (
                self.value(f"{folder}/read_{what}") for what in ("latency", "bandwidth")
            )
            near = [int(p.name[4:]) for p in self.path(folder).glob("node[0-9]*") if latency]
            found += [[who, n, int(latency), int(bandwidth or 0)] for who in sorted(near)]
        return found

    def hz(self) -> int:
        """Timer ticks a second, from the kernel's build options; 250 if those are not there."""
        text = self.text("boot/config-" + os.uname().release)
        packed = self.path("proc/config.gz")
        if not text and packed.exists():
            text = gzip.decompress(packed.read_bytes()).decode()
        match = re.search(r"^CONFIG_HZ=(\d+)$", text, re.MULTILINE)
        return int(match[1]) if match else 250

    # -- what it counts ----------------------------------------------------------------------------

    def row(self, programs: list[dict[str, Any]]) -> dict[str, int]:
        """One sample of the timeline, without its time.

        Parameters
        ----------
        programs : list of dict
            With ``pid`` and ``regions``, as in ``config.json``.
        """
        row: dict[str, int] = {}
        for n in self.nodes():
            folder = f"sys/devices/system/node/node{n}"
            memory = node_meminfo(self.text(f"{folder}/meminfo"))
            row |= {f"n{n}.{key}_kB": memory[key] for key in MEMINFO if key in memory}
            stat = counters(self.text(f"{folder}/numastat"))
            row |= {f"n{n}.{key}": stat[key] for key in NUMASTAT if key in stat}
        stat = counters(self.text("proc/vmstat"))
        row |= {f"vm.{key}": stat[key] for key in VMSTAT if key in stat}
        row |= self._threads()
        row |= self._kdamonds()
        for number, program in enumerate(programs):
            row |= self._program(number, program)
        return row

    def _threads(self) -> dict[str, int]:
        found = {}
        for path in self.path("proc").glob("[0-9]*/comm"):
            try:
                name, pid = path.read_text().strip(), path.parent.name
            except OSError:
                continue  # gone meanwhile
            if THREADS.match(name):
                used = self._cpu_ns(pid)
                found |= {} if used is None else {f"cpu_ns.{name}:{pid}": used}
        return found

    def _cpu_ns(self, pid: str | int) -> int | None:
        words = self.text(f"proc/{pid}/schedstat").split()
        return int(words[0]) if words else None

    def _kdamonds(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for path in sorted(self.path(DAMON).glob("[0-9]*")):
            context = f"{DAMON}/{path.name}/contexts/0"
            for key in ("sample_us", "aggr_us"):
                text = self.value(f"{context}/monitoring_attrs/intervals/{key}")
                found |= {f"kd{path.name}.{key}": int(text)} if text else {}
            for scheme in sorted(self.path(f"{context}/schemes").glob("[0-9]*")):
                name = f"kd{path.name}.s{scheme.name}"
                files = [*sorted(scheme.glob("stats/*")), scheme / "quotas/effective_bytes"]
                for file in files:
                    key = "esz" if file.name == "effective_bytes" else file.name
                    text = self.value(str(file.relative_to(self.root)))
                    found |= {f"{name}.{key}": int(text)} if text.isdigit() else {}
        return found

    def _program(self, number: int, program: dict[str, Any]) -> dict[str, int]:
        used = self._cpu_ns(program["pid"])
        found = {} if used is None else {f"cpu_ns.wl{number}": used}
        maps = self.text(f"proc/{program['pid']}/numa_maps")
        for region in program["regions"] if maps else ():
            pages = numa_pages(maps, region["start"], region["end"])
            found |= {f"pages.{region['name']}.N{node}": n for node, n in pages.items()}
        return found

    def page_maps(self, programs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Where the pages of every region are."""
        found = []
        for number, program in enumerate(programs):
            try:
                with self.path(f"proc/{program['pid']}/pagemap").open("rb") as entries:
                    for region in program["regions"]:
                        entries.seek(region["start"] // PAGE_BYTES * 8)
                        data = entries.read(region["pages"] * 8)
                        found.append(page_map(number, region["name"], data))
            except OSError:
                continue
        return found

    def damon_files(self) -> str:
        """All settings and statistics of DAMON, a line each."""
        base = self.path(DAMON).parent
        lines = []
        for path in sorted(base.glob("kdamonds/**/*")):
            if path.is_file() and "tried_regions" not in path.parts:
                text = self.value(str(path.relative_to(self.root)))
                lines += [f"{path.relative_to(base)}:{text}\n"] if text else []
        return "".join(lines)
