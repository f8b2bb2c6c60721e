"""Record a run of this machine's DAMON for ``numasim validate``.

    sudo python3 -m benchmarks.capture --out DIR --workload touch.cfg --seconds 120 \\
        --before 'damo start --numa_node 0 ...' --end 'damo stop'

See README.md beside this file. Standard library only.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.capture import touch
from benchmarks.capture.system import DAMON, System
from benchmarks.capture.texts import sort_events
from benchmarks.capture.tracing import Tracing

REPOSITORY = Path(__file__).parents[2]
TOUCH = f"{shlex.quote(sys.executable)} -m benchmarks.capture.touch"
REFRESH_MS = 1000
READY_S = 3600  # a workload may populate for so long


class Recorder:
    """One run: what was done when, the samples, the program.

    Parameters
    ----------
    system : System
    options : argparse.Namespace
    """

    def __init__(self, system: System, options: argparse.Namespace) -> None:
        self.system, self.options, self.out = system, options, options.out
        self.zero_s = 0.0
        self.done: list[dict[str, Any]] = []
        self.rows: list[tuple[float, dict[str, int]]] = []
        self.programs: list[dict[str, Any]] = []

    # -- what the experimenter does ----------------------------------------------------------------

    def do(self, command: str) -> None:
        """A shell command, or ``PATH=VALUE`` to write; ``{pid}`` is the workload's."""
        pid = self.programs[0]["pid"] if self.programs else ""
        command = command.replace("{pid}", str(pid))
        path, is_write, value = command.partition("=")
        begin = time.monotonic()
        if is_write and path.startswith("/") and " " not in path:
            self.system.path(path).write_text(value)
            now = self.system.value(path)
            entry = {"path": path, "val": _number(value), "now": now, "ev": "write"}
            self.done.append({**entry, "t_end": time.monotonic()})
            return
        ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        end = time.monotonic()
        entry = {"cmd": command, "rc": ran.returncode, "out": ran.stdout + ran.stderr}
        self.done.append(entry | {"dur": end - begin, "ev": "sh", "t_end": end, "t_start": begin})
        if ran.returncode:
            print(f"warning: {command!r} failed ({ran.returncode}): {ran.stderr.strip()}")

    def note(self, event: str, **more: Any) -> None:
        """Something that happened now."""
        self.done.append({**more, "ev": event, "t_end": time.monotonic()})

    def page_maps(self, tag: str) -> None:
        """Where pages are, into a file."""
        begin = time.monotonic()
        lines = self.system.page_maps(self.programs)
        if lines:
            _write_lines(self.out / f"pagemap_{tag}.jsonl.gz", lines)
        end = time.monotonic()
        self.done.append(
            {"tag": tag, "dur": end - begin, "ev": "pagemap", "t_end": end, "t_start": begin}
        )

    def sample(self) -> None:
        """A row of the timeline."""
        for path in self.system.path(DAMON).glob("[0-9]*/refresh_ms"):
            if path.read_text().strip() != str(REFRESH_MS):
                path.write_text(str(REFRESH_MS))
        self.rows.append((time.monotonic(), self.system.row(self.programs)))

    # -- the run -----------------------------------------------------------------------------------

    def run(self) -> None:
        """From an idle machine to a folder."""
        options = self.options
        self.out.mkdir(parents=True, exist_ok=True)
        machine = self.system.describe()
        tracing = self.system.tracing
        assert tracing is not None
        trace = Tracing(tracing, self.out / "trace.txt")
        try:
            trace.start()
            for command in options.before:
                self.do(command)
                self.sample()
            lost = self._workload(options, trace)
        finally:
            trace.remove()
        self._write(machine, trace, lost)

    def _workload(self, options: argparse.Namespace, trace: Tracing) -> list[str]:
        command = options.command or f"{TOUCH} {{config}} {{truth}}"
        config = str(options.workload.resolve()) if options.workload else ""
        truth = shlex.quote(str((self.out / "truth.csv").resolve()))
        command = command.replace("{config}", shlex.quote(config)).replace("{truth}", truth)
        paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        with subprocess.Popen(
            shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment,
        ) as program:  # fmt: skip
            assert program.stdin and program.stdout
            begin = time.monotonic()
            told = program.stdout.readline()
            try:
                self.programs.append(json.loads(told))
            except ValueError:
                program.kill()
                sys.exit(f"the workload said {told!r}, expected its regions as JSON (README.md)")
            ready = self.programs[0].setdefault("populate_s", time.monotonic() - begin)
            self.note("wl_ready", wl=0, pid=self.programs[0]["pid"], populate_s=ready)
            self.page_maps("populated")
            for command in options.ready:
                self.do(command)
            self.zero_s = time.monotonic()
            program.stdin.write("go\n")
            program.stdin.flush()
            self.note("go")
            self._watch(options, program)
            files = self.system.damon_files()
            (self.out / "damon_sysfs_end.txt").write_text(files)
            self.page_maps("end")
            for command in options.end:
                self.do(command)
            lost = trace.stop()
            self.note("trace_stats", overrun=lost)
            try:
                program.wait(options.seconds)
            except subprocess.TimeoutExpired:
                program.kill()
        return lost

    def _watch(self, options: argparse.Namespace, program: subprocess.Popen[str]) -> None:
        """Sample, and do what was planned at its time, until the end."""
        planned = sorted(options.at, key=lambda pair: pair[0])
        k = 0
        while (now := time.monotonic() - self.zero_s) < options.seconds:
            while planned and planned[0][0] <= now:
                self.do(planned.pop(0)[1])
            self.sample()
            k += 1
            if program.poll() is not None and now > 1:
                break
            due = self.zero_s + k * options.every
            nearest = min([due, *(self.zero_s + t for t, _ in planned[:1])])
            time.sleep(max(0.0, min(nearest, self.zero_s + options.seconds) - time.monotonic()))

    # -- files -------------------------------------------------------------------------------------

    def _write(self, machine: dict[str, Any], trace: Tracing, lost: list[str]) -> None:
        with (self.out / "trace.txt").open(errors="replace") as lines:
            found = sort_events(lines, self.zero_s)
        (self.out / "trace.txt").unlink()
        for name, part in (
            ("snapshots", found.snapshots), ("damon_events", found.events),
            ("applied", found.applied),
        ):  # fmt: skip
            _write_lines(self.out / f"{name}.jsonl.gz", part)
        self._write_timeline()
        for entry in self.done:
            entry |= {
                key: round(entry[key] - self.zero_s, 3)
                for key in ("t_start", "t_end")
                if key in entry
            }
        config = {
            "experiment": self.options.experiment or self.out.resolve().parent.name,
            "run": self.out.resolve().name,
            "time_zero": f"CLOCK_MONOTONIC {self.zero_s:.6f} s = the workload starts phase 0",
            **machine, "workloads": self.programs, "commands_and_events": self.done,
            "trace_events": trace.events, "snapshot_kept_every": 1,
        }  # fmt: skip
        (self.out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        print(
            f"{self.out}: {len(found.snapshots)} snapshots, {len(found.events)} events, "
            f"{len(self.rows)} rows; {found.incomplete} incomplete snapshots left out"
        )
        if any(not one.endswith(" 0") for one in lost):
            print(
                "warning: events were lost; sample less or raise BUFFER_KB in tracing.py: "
                + ", ".join(lost)
            )

    def _write_timeline(self) -> None:
        names = list(dict.fromkeys(name for _, row in self.rows for name in row))
        kept = [name for name in names if any(row.get(name) for _, row in self.rows)]
        with (self.out / "timeline.csv").open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["t_s", *kept])
            for t, row in self.rows:
                out.writerow([round(t - self.zero_s, 3), *(row.get(name, "") for name in kept)])


def _number(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def _write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    with gzip.open(path, "wt") as out:
        out.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


def _timed(text: str) -> tuple[float, str]:
    seconds, _, command = text.partition(" ")
    return float(seconds), command


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.capture", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder of this run, such as mine/E1/r1")
    add("--experiment", default="", help="name; the folder above --out if not given")
    add("--workload", type=Path, help="configuration for the workload that comes with this")
    add("--command", default="", help="another workload that speaks the same protocol")
    add("--seconds", type=float, default=120, help="length of the run")
    add("--every", type=float, default=1.0, help="seconds between samples")
    actions = "shell command, or PATH=VALUE; {pid} is the workload's; repeatable"
    for name, when in (
        ("before", "before the workload starts"),
        ("ready", "when it is populated"),
        ("end", "at the end"),
    ):
        add(f"--{name}", action="append", default=[], metavar="ACTION", help=f"{when}: {actions}")
    at = "SECONDS ACTION during the run; repeatable"
    add("--at", action="append", default=[], type=_timed, metavar="'SECONDS ACTION'", help=at)
    add("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not options.workload and not options.command:
        parser.error("give --workload (a configuration) or --command (a program)")
    if options.workload and not options.command:
        try:
            touch.parse(options.workload.read_text())
        except (OSError, ValueError) as error:
            parser.error(f"{options.workload}: {error}")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Check, record."""
    options = parse(arguments)
    system = System(options.root)
    if refusals := system.refusals(os.geteuid()):
        sys.exit("\n".join(["this machine cannot be recorded:", *(f"  {r}" for r in refusals)]))
    Recorder(system, options).run()


if __name__ == "__main__":
    main()
