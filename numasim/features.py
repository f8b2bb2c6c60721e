"""What every policy says of itself, side by side: signal, unit, criteria, rate control."""

from __future__ import annotations

from numasim.policies import registry

COLUMNS = {
    "signal": "observes",
    "unit": "unit",
    "hot": "hot_criterion",
    "cold": "cold_criterion",
    "rate control": "rate_control",
    "bandwidth": "bandwidth_aware",
    "accessors": "multi_accessor",
}
"""Column → the class attribute of a policy that fills it."""


def features() -> list[dict[str, str]]:
    """One row for each registered policy, others' included.

    Returns
    -------
    list of dict of str to str
        ``policy`` and the columns of `COLUMNS`.
    """
    rows = []
    for name in registry.names():
        cls = registry.get(name)
        own = {column: str(getattr(cls, attribute)) for column, attribute in COLUMNS.items()}
        rows.append({"policy": name, **own})
    return rows


def markdown() -> str:
    """The same as a table in Markdown."""
    columns = ["policy", *COLUMNS]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in features():
        cells = [f"`{row['policy']}`", *(row[column].replace("|", "\\|") for column in COLUMNS)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def renewed(page: str) -> str:
    """A page with its table of features, between two comments, as it is now."""
    before, mark, rest = page.partition("<!-- features -->\n")
    _, end, after = rest.partition("<!-- end of features -->")
    return f"{before}{mark}{markdown()}\n{end}{after}"
