"""numasim import: what it writes, where, and what it says of its guesses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from numasim.cli import app

SAMPLES = Path(__file__).parents[2] / "data" / "samples" / "machines"
FILES = {
    "mlc": "mlc_3node.txt", "hwloc": "hwloc_3node.xml", "sysfs": "sysfs_numa_3node.tar.gz",
    "numactl": "numactl_H_3node.txt", "hmat": "hmat_example.aml", "qemu": "qemu_numa_hmat.args.txt",
}  # fmt: skip


def numasim(*words: str, code: int = 0, stdin: bytes = b"") -> Any:
    result = CliRunner().invoke(app, list(words), input=stdin, env={"COLUMNS": "80"})
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


@pytest.mark.parametrize("kind", FILES)
def test_an_import_can_be_shown_and_run(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "mine.yaml"
    found = numasim("import", kind, str(SAMPLES / FILES[kind]), "-o", str(out))
    assert found.stdout == f"wrote {out}\n"
    assert "tiers of cpu0" in numasim("show", "topology", str(out)).stdout
    small = ["--set", "workload.cold='64 MiB'", "--set", "workload.hot='64 MiB'"]
    words = ["run", "-t", str(out), "-w", "cold_first", "-d", "2 s", *small]
    assert "throughput" in numasim(*words, "--set", "workload.start='0 s'").stdout


def test_this_machine_can_be_imported(tmp_path: Path) -> None:
    out = tmp_path / "host.yaml"
    numasim("import", "host", "-o", str(out))
    assert "tiers of cpu" in numasim("show", "topology", str(out)).stdout


def test_without_a_file_it_goes_to_stdout_and_guesses_to_stderr() -> None:
    data = (SAMPLES / FILES["numactl"]).read_bytes()
    found = numasim("import", "numactl", "-", "--name", "mine", stdin=data)
    assert 'name: "mine"' in found.stdout and "Imported from stdin by" in found.stdout
    assert "warning" not in found.stdout
    assert "latency: 6 of 6 guessed" in found.stderr


def test_other_files_fill_the_gaps(tmp_path: Path) -> None:
    words = ["import", "mlc", str(SAMPLES / FILES["mlc"])]
    found = numasim(*words, "--with", str(SAMPLES / FILES["numactl"]))
    assert found.stderr == "" and "128 GiB" in found.stdout


def test_a_log_that_seems_cut_off_is_told_of(tmp_path: Path) -> None:
    text = (SAMPLES / FILES["mlc"]).read_text()
    (tmp_path / "cut.log").write_text(text[: text.index("Peak Injection") + 20])
    found = numasim("import", "mlc", str(tmp_path / "cut.log"))
    assert "cut.log ends within a section (line 8); is it cut off?" in found.stderr


def test_a_folder_without_a_name_is_still_named() -> None:
    assert "Imported from / by:" in numasim("import", "sysfs", "/").stdout


def test_mistakes_are_messages() -> None:
    found = numasim("import", "mlc", str(SAMPLES / FILES["hwloc"]), code=2)
    assert "looks like hwloc" in found.stderr and not found.stdout
    found = numasim("import", "hmat", str(SAMPLES / FILES["hmat"]), "--pxm-map", "0:1", code=2)
    assert '--pxm-map: got "0:1"' in found.stderr


@pytest.mark.parametrize(
    "command",
    [*(["import", kind] for kind in (*FILES, "host")), ["export", "damo"], ["view", "access"],
     ["view", "vmstat"]],
)  # fmt: skip
def test_every_command_gives_an_example(command: list[str]) -> None:
    assert "Example: num" in numasim(*command, "--help").output
