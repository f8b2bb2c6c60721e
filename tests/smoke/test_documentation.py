"""What the documentation shows is done: its commands and its code run, in order, page by page.

A block of a page is a fenced block of Markdown. A comment above it may say more:

``<!-- file: NAME -->``
    Its text is written to that file, in the folder where the page's commands run.
``<!-- slow -->``
    It takes more than a few seconds: only the slow tests run it.
``<!-- not run: WHY -->``
    It needs something that a test does not have. Its commands and options have to exist.
``<!-- numbers vary -->``
    Its output is held against what is printed with all numbers taken for equal.

In a ``console`` block a line that begins with ``$`` is a command, ending a line with a backslash
continues it, and other lines are what it prints: they have to occur in that order. ``…`` stands for
anything, lines or a part of one.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner

from numasim import patterns, policies, sources
from numasim.cli import app
from tests.unit.test_reference import reference

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/data"
EARLIER = {"README.md", "docs/policies.md", "docs/sweeps.md"}  # tested by what they are about
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    if ROOT / "docs/reference" not in path.parents
)
RUN = [page for page in PAGES if page not in EARLIER]
BLOCK = re.compile(r"((?:^<!-- [^\n]* -->\n)*)^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INPUTS = {
    "mlc.log": "samples/machines/mlc_3node.txt",
    "numactl.txt": "samples/machines/numactl_H_3node.txt",
    "machine.xml": "samples/machines/hwloc_3node.xml",
    "node.tgz": "samples/machines/sysfs_numa_3node.tar.gz",
    "HMAT": "samples/machines/hmat_example.aml",
    "program.cfg": "samples/masim_two_tier.cfg",
    "kdamonds.yaml": "samples/tpp_two_context.kdamonds.yaml",
    "recording.json": "traces/tiny.json",
    "recording.npz": "traces/tiny.npz",
    "faults.txt": "samples/traces/perf_page_faults.txt",
    "lackey.txt": "samples/traces/lackey_gups.txt",
    "requests.csv": "samples/traces/libcachesim_pages.csv",
    "damon.data": "samples/traces/tiny.damon.data",
}
"""What a reader brings along, by the names that the pages give it."""


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    language: str
    text: str
    marks: tuple[str, ...]
    line: int

    def marked(self, mark: str) -> str | None:
        """What a mark says; None without it."""
        for own in self.marks:
            if own == mark or own.startswith(f"{mark}:"):
                return own.removeprefix(mark).removeprefix(":").strip()
        return None


@dataclass
class Command:
    """A command of a console block and what it is said to print."""

    words: str
    shown: list[str] = field(default_factory=list)


def blocks(page: str) -> Iterator[Block]:
    """Fenced blocks of a page with what is said about them."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        marks = tuple(re.findall(r"<!-- (.*?) -->", found[1]))
        yield Block(found[2], found[3], marks, text[: found.start()].count("\n") + 1)


def commands(text: str) -> list[Command]:
    """Commands of a console block."""
    found: list[Command] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif line.strip() and found:
            found[-1].shown.append(line)
    return found


def words_of(command: str) -> list[str]:
    """The words of one command, without a comment behind it."""
    return shlex.split(command, comments=True)


def numasim(command: str) -> str:
    """Run a numasim command in place and give all that it printed."""
    words = words_of(command)[1:]
    done = CliRunner().invoke(app, words, env={"COLUMNS": "100", "NO_COLOR": "1"})
    assert done.exit_code == 0, f"$ {command}\n{done.output}\n{done.exception!r}"
    return done.output


def compare(shown: list[str], printed: str, masked: bool) -> None:
    """Hold lines of a page against what was printed."""
    lines = iter([normal(line, masked) for line in printed.splitlines()])
    for line in shown:
        if line.strip() == "…":
            continue
        wanted = ".*".join(map(re.escape, normal(line, masked).split("…")))
        found = any(re.fullmatch(wanted, one) for one in lines)
        assert found, f"the page shows {line!r}, not in\n{printed}"


def normal(line: str, masked: bool) -> str:
    """A line without its spacing, and with one sign for every number if they vary."""
    line = re.sub(r"─+", "─", line)
    if masked:
        line = re.sub(r"[\d][\d.,]*( [KMGT]iB| B)?|nan|\binf\b|(?<= )-(?= |$)", "#", line)
        line = re.sub(r"(# )?\[#, #\]", "#", line)
    return " ".join(line.split())


def perform(page: str, slow: bool) -> None:
    """Do what a page does; blocks after a slow one belong to it."""
    module = types.ModuleType("a_page_of_the_documentation")
    sys.modules[module.__name__] = module  # classes are looked up where they say they are from
    for block in blocks(page):
        if block.marked("slow") is not None and not slow:
            break
        if (name := block.marked("file")) is not None:
            Path(name).write_text(block.text, encoding="utf-8")
        elif block.marked("not run") is not None:
            continue
        elif block.language == "console":
            masked = block.marked("numbers vary") is not None
            for command in commands(block.text):
                if command.words.startswith("numasim "):
                    compare(command.shown, numasim(command.words), masked)
                else:
                    subprocess.run(command.words, shell=True, check=True, capture_output=True)
        elif block.language == "python":
            exec(
                compile(block.text, f"{page}:{block.line}", "exec"), vars(module)
            )  # as the reader does


@pytest.fixture
def beside_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what readers bring along."""
    for name, sample in INPUTS.items():
        shutil.copy(DATA / sample, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for registry in (patterns.registry, policies.registry, sources.registry):
        registry.names()  # all that is there, before a page adds to it
        monkeypatch.setattr(registry, "_known", dict(registry._known))
    return tmp_path


@pytest.mark.parametrize("page", RUN)
def test_what_it_shows_works(
    page: str, beside_inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures, most of the time of a short run, are left to their own tests and the slow one."""
    for drawing in ("write_run", "write_comparison"):
        monkeypatch.setattr(f"numasim.report.{drawing}", lambda *_: [])
    perform(page, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in RUN if any(b.marked("slow") == "" for b in blocks(p))])
def test_and_to_its_end(page: str, beside_inputs: Path) -> None:
    perform(page, slow=True)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_exists(page: str) -> None:
    known = dict(reference.commands())
    for block in blocks(page):
        for command in commands(block.text) if block.language == "console" else ():
            words = words_of(command.words)
            if words[:1] != ["numasim"]:
                continue
            path = next((p for p in known if tuple(words[1 : 1 + len(p)]) == p), None)
            group = len(words) > 2 and words[2] == "--help"
            assert path or group or words[1].startswith("-"), command.words
            options = [o for p in known[path].params for o in p.opts] if path else ["--help"]
            for word in words:
                if re.fullmatch(r"-\w|--[\w-]+", word) and not inside(words, word, known, path):
                    assert word in (*options, "--help", "-h", "--version"), f"{word}: {command}"


def inside(words: list[str], word: str, known: dict, path: tuple[str, ...] | None) -> bool:
    """Whether a word is the value of an option, as a damo command's options are."""
    before = words[words.index(word) - 1]
    takers = [p for p in known[path].params if before in p.opts] if path else []
    return any(p.param_type_name == "option" and not p.is_flag for p in takers)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", text)):
        if "://" not in target and "/reference/" not in f"/{target}":
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_reached(page: str) -> None:
    """Every page of the site is in a table of contents."""
    name = page.removeprefix("docs/").removesuffix(".md")
    if page.startswith("docs/") and name != "index":
        contents = "\n".join(b.text for p in PAGES for b in blocks(p) if b.language == "toctree")
        contents += (ROOT / "docs/index.md").read_text(encoding="utf-8")
        assert re.search(rf"^{re.escape(name)}$", contents, re.MULTILINE)
