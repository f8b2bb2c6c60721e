"""DAMON's trace events, read while they happen into a file, from a trace buffer of our own."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

from benchmarks.capture.system import EVENTS

INSTANCE = "numasim_capture"
BUFFER_KB = 16_384  # of each CPU
PAUSE_S = 0.05


class Tracing:
    """A trace instance; events are on from `start` to `stop`.

    Parameters
    ----------
    tracing : Path
        Where tracefs is mounted.
    out : Path
        File that gets the lines.
    """

    def __init__(self, tracing: Path, out: Path) -> None:
        self.folder, self._out = tracing / "instances" / INSTANCE, out
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self.events: list[str] = []

    def start(self) -> None:
        """Switch events on; their clock is CLOCK_MONOTONIC."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "trace_clock").write_text("mono")
        (self.folder / "buffer_size_kb").write_text(str(BUFFER_KB))
        for event in EVENTS:
            switch = self.folder / "events/damon" / event / "enable"
            if switch.parent.is_dir():
                switch.write_text("1")
                self.events.append(f"damon:{event}")
        self._thread.start()

    def stop(self) -> list[str]:
        """Switch events off; what the kernel says of lost ones."""
        self._silence()
        lost = []
        for path in sorted(self.folder.glob("per_cpu/cpu*/stats")):
            lost += re.findall(r"^(?:commit )?overrun: \d+|^dropped events: \d+",
                               path.read_text(), re.MULTILINE)  # fmt: skip
        return lost

    def remove(self) -> None:
        """Give the trace buffer back, whatever happened since it was taken."""
        self._silence()
        try:
            self.folder.rmdir()  # tracefs removes what is in it
        except OSError as error:
            print(f"cannot remove {self.folder}: {error}")

    def _silence(self) -> None:
        for event in self.events:
            path = self.folder / "events/damon" / event.partition(":")[2] / "enable"
            path.write_text("0")
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _read(self) -> None:
        pipe = os.open(self.folder / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        with self._out.open("wb") as out:
            while True:
                last = self._over.is_set()  # looked at first: what came before it is read
                try:
                    data = os.read(pipe, 1 << 16)
                except BlockingIOError:
                    data = b""
                out.write(data)
                if not data and last:
                    break
                if not data:
                    self._over.wait(PAUSE_S)
        os.close(pipe)
