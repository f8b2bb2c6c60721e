"""A warm worker: ``python -m numasim.sweep.worker`` does one task after another.

Tasks come on standard input and answers go to standard output, as pickles after their length.
When the input ends, whoever started the worker is gone, and so is the worker, even inside a run.
"""

from __future__ import annotations

import gc
import importlib
import os
import queue
import resource
import signal
import sys
import threading
from typing import Any

from numasim.sweep.code import fingerprint, run_plan
from numasim.sweep.messages import Prepare, receive, send
from numasim.sweep.task import perform


def prepare(wanted: Prepare) -> None:
    """Import what runs need, and what the plan brings; see that it is the driver's code."""
    sys.path[:] = [*wanted.paths, *(p for p in sys.path if p not in wanted.paths)]
    for module in wanted.modules:
        importlib.import_module(module)
    if wanted.source:
        run_plan(wanted.source, wanted.source_path)
    if wanted.code and wanted.code != fingerprint(wanted.source):
        sys.exit("it has other code or packages than the sweep began with; begin it again")
    if wanted.memory_bytes:
        bound_memory(wanted.memory_bytes)


def bound_memory(more_bytes: int) -> None:
    """Let this process hold so much more than now; beyond that, Python raises `MemoryError`.

    Notes
    -----
    ``RLIMIT_DATA`` counts private writable memory (Linux 4.7 and later), not what is only mapped.
    """
    with open("/proc/self/status", encoding="ascii") as file:
        held = next(int(line.split()[1]) for line in file if line.startswith("VmData:"))
    limit = (held << 10) + more_bytes
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most == resource.RLIM_INFINITY or limit < most:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for whoever started this process
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a run prints is no answer
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while True:
                tasks.put(receive(sys.stdin.buffer))
        except EOFError:
            os._exit(1)

    prepare(receive(sys.stdin.buffer))
    threading.Thread(target=listen, daemon=True).start()
    gc.collect()
    gc.freeze()  # what is there now stays, and need not be looked through after every run
    send(answers, os.getpid())
    while True:
        send(answers, perform(tasks.get()))
        gc.collect()  # a world is full of circles: left to itself, it would lie beside the next


if __name__ == "__main__":
    main()
