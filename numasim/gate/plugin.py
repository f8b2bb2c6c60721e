"""pytest: ``def test_policy(numasim_gate): numasim_gate("suite.yaml")``.

``pytest --numasim-gate-update`` renews the baselines of the gates that tests use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from numasim.gate.gating import Report

Gate = Callable[..., "Report"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's own option."""
    group = parser.getgroup("numasim")
    group.addoption(
        "--numasim-gate-update", action="store_true",
        help="renew the baselines of numasim gates instead of judging by them",
    )  # fmt: skip


@pytest.fixture
def numasim_gate(request: pytest.FixtureRequest) -> Gate:
    """A function that runs a suite and fails the test if something got worse.

    It takes the suite (a path beside the test's file, the name of a shipped suite, or plain data),
    and as keywords ``baseline`` (a path; beside the suite unless said) and what
    `numasim.gate.gating.gate` takes: ``here=True`` runs in this process, which a policy that is
    registered in the test itself needs.
    """
    update = bool(request.config.getoption("--numasim-gate-update"))

    def run(
        suite: str | Path | Mapping[str, Any], baseline: str | Path | None = None, **more: Any
    ) -> Report | None:
        return run_gate(suite, baseline, request.path.parent, update, **more)

    return run  # type: ignore[return-value]


def run_gate(
    given: str | Path | Mapping[str, Any],
    baseline: str | Path | None,
    base: Path,
    renew: bool,
    **more: Any,
) -> Report | None:
    """What the fixture does.

    Parameters
    ----------
    given : str, Path or mapping
        The suite.
    baseline : str, Path or None
    base : Path
        Where both are looked for first.
    renew : bool
        Make the baseline; the test is skipped then, as it says nothing.

    Notes
    -----
    Everything else is for `numasim.gate.gating.gate`.
    """
    from numasim.errors import NumasimError
    from numasim.gate import baseline as files
    from numasim.gate import gating, reports
    from numasim.gate.suite import read_suite

    def beside(path: str | Path) -> Path:
        return base / path if (base / path).exists() or renew else Path(path)

    try:
        if not isinstance(given, Mapping) and (base / given).is_file():
            given = base / given
        suite = read_suite(given)
        if baseline is not None:
            where = beside(baseline)
        elif suite.path is not None:
            where = files.path_of(suite.path)
        else:
            pytest.fail("numasim gate: a suite given as data needs a baseline", pytrace=False)
        if renew:
            more.pop("first_seed", None)
            made = gating.update(suite, gating.read_old(where)[0], **more)
            files.write_baseline(where, made.baseline)
            pytest.skip(f"renewed {where}: {'; '.join(reports.changes(made))}")
        report = gating.gate(suite, files.read_baseline(where), **more)
    except NumasimError as error:
        pytest.fail(f"numasim gate could not run: {error}", pytrace=False)
    if not report.ok:
        pytest.fail(reports.markdown(report), pytrace=False)
    return report
