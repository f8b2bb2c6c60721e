"""What commands print: tables on stdout, the rest on stderr, mistakes without a traceback."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from numasim.errors import ConfigError, NumasimError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

BAD_INPUT, FAILED = 2, 1
ESTIMATE_S = 3600.0  # the rest is estimated from what was done in this time; runs may take minutes
STDOUT = "-"
MANY = 6  # files of one folder that are still named one by one
WIDE = 160  # columns of a table that nobody watches: what is piped is not folded at 80


class Group(TyperGroup):
    """Commands whose mistakes are messages; ``--debug`` shows where they come from."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; exit 2 for bad input, 1 for a run that failed."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (NumasimError, OSError) as error:
            if ctx.params.get("debug"):
                raise
            print(f"numasim: {message(error)}", file=sys.stderr)
            raise typer.Exit(BAD_INPUT if isinstance(error, ConfigError) else FAILED) from None


def message(error: Exception) -> str:
    """What went wrong, as it is told: every mistake on a line of its own."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    text = str(error)
    if isinstance(error, ConfigError) and len(error.problems) > 1:
        first = error.source or "the input"
        lines = "".join(f"\n  {problem}" for problem in error.problems)
        return f"{len(error.problems)} mistakes in {first}{lines}"
    return text


def stdout() -> Console:
    """For tables; plain text where it is no terminal."""
    from rich.console import Console

    return Console(highlight=False)


def warn(lines: Iterable[str]) -> None:
    """Say on stderr what is surprising but goes on."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "", numbers: int = 0
) -> None:
    """Print a table; its last `numbers` columns are set to the right."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, show_header=any(columns))
    for i, name in enumerate(columns):
        right = i >= len(columns) - numbers
        made.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    if title:
        heading(title)
    screen = stdout()
    if not (screen.is_terminal or os.environ.get("COLUMNS")):
        screen.width = WIDE
    screen.print(made)
    print()


def heading(text: str) -> None:
    """Print a line that stands out."""
    from rich.text import Text

    stdout().print(Text(text, style="bold"))


def say(text: str) -> None:
    """Print a sentence, wrapped."""
    from rich.text import Text

    stdout().print(Text(text))


def text(line: str = "") -> None:
    """Print a line as it is: neither wrapped nor coloured, to be copied."""
    print(line)


def write_json(document: Any, where: str) -> None:
    """Write one JSON document to a file, or to stdout for ``-``."""
    from numasim.plain import to_json

    if where == STDOUT:
        sys.stdout.write(to_json(document))
    else:
        Path(where).write_text(to_json(document), encoding="utf-8")


def files(paths: Iterable[Path]) -> None:
    """Say which files were written; of a folder with many, how many of each kind."""
    by_folder: dict[Path, list[Path]] = {}
    for path in paths:
        by_folder.setdefault(path.parent, []).append(path)
    for folder, own in by_folder.items():
        if len(own) <= MANY:
            for path in own:
                print(f"wrote {path}")
            continue
        kinds = Counter(path.suffix.lstrip(".") or "other" for path in own)
        told = ", ".join(f"{nr} {kind}" for kind, nr in sorted(kinds.items()))
        print(f"wrote {len(own)} files in {folder}: {told}")


@contextmanager
def progress(what: str, quiet: bool = False) -> Iterator[tuple[Progress, Any]]:
    """A progress bar on stderr, if that is a terminal; with the task to update (of total 1)."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    shown = console.is_terminal and not quiet
    bar = Progress(
        console=console, disable=not shown, transient=True, speed_estimate_period=ESTIMATE_S
    )
    with bar:
        yield bar, bar.add_task(what, total=1.0)
