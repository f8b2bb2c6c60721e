"""E3, E3d and E3e: numasim beside the real kernel's own recordings, as pictures and a table.

The recordings (tests/data/ground_truth) are those of a Linux 7.3.4 guest; every run is simulated on
the same machine with the same kdamonds, in ``--seeds`` seeds. Nothing is fitted per experiment.

    python benchmarks/first_look.py --seeds 5 --out results/first_look
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from numasim import library
from numasim.loader import load_scenario
from numasim.running import run_scenario

DATA = Path(__file__).parent.parent / "tests" / "data" / "ground_truth"
ZERO_S = 50.0  # the scenarios begin this long before the recordings' phase 0
EXPERIMENTS = {"E3": "kernel_e3", "E3d": "kernel_e3d", "E3e": "kernel_e3e"}
PANELS = {
    "free": "free memory of node 0 [MiB]",
    "hotA": "hotA in node 0 [share]",
    "hotB": "hotB in node 0 [share]",
    "demoted": "demoted [MiB]",
    "promoted": "promoted [MiB]",
    "esz_demote": "effective quota, demotion [bytes]",
    "esz_promote": "effective quota, promotion [bytes]",
    "sample_slow": "sampling interval, node 1 [ms]",
}
HOT_PAGES = 98_304
COLOURS = ("#D55E00", "#0072B2", "#009E73")
Runs = dict[str, pd.DataFrame]


def simulate(task: tuple[str, int]) -> pd.DataFrame:
    """One seed of one experiment as a table of the panels, indexed by seconds since phase 0."""
    scenario, seed = task
    document = library.read(library.find("scenarios", scenario))
    result = run_scenario(load_scenario({**document, "seed": seed}))
    node = result.nodes[result.nodes.node == "node0"].set_index("t_s")
    here = result.residency[result.residency.node == "node0"]
    pages = here.pivot_table(index="t_s", columns="mapping", values="bytes") / 4096
    out = pd.DataFrame({"free": node.free_bytes / 2**20})
    out["hotA"], out["hotB"] = pages.hotA / HOT_PAGES, pages.hotB / HOT_PAGES
    for name, kdamond in (("demote", "kdamond.0"), ("promote", "kdamond.1")):
        rows = result.schemes[result.schemes.kdamond == kdamond].set_index("t_s")
        out[f"{name}d"] = rows.sz_applied / 2**20
        out[f"esz_{name}"] = rows.esz.astype(float)
    threads = result.kdamonds[result.kdamonds.kdamond == "kdamond.1"].set_index("t_s")
    out["sample_slow"] = threads.sample_us / 1000
    out.index = out.index - ZERO_S
    return out


def recording(folder: Path) -> pd.DataFrame:
    """The same table from a recording."""
    rows = pd.read_csv(folder / "timeline.csv").set_index("t_s")
    out = pd.DataFrame({"free": rows["n0.MemFree_kB"] / 1024})
    for name in ("hotA", "hotB"):
        column = f"pages.{name}.N0"
        out[name] = rows[column] / HOT_PAGES if column in rows else np.nan
    empty = pd.Series(np.nan, rows.index)
    for name, kd in (("demote", "kd0"), ("promote", "kd1")):
        out[f"{name}d"] = rows.get(f"{kd}.s0.sz_applied", empty) / 2**20
        out[f"esz_{name}"] = rows.get(f"{kd}.s0.esz", empty)
    out["sample_slow"] = rows.get("kd1.sample_us", empty) / 1000
    return out


def draw(name: str, seeds: list[pd.DataFrame], kernel: Runs) -> Figure:
    """Every panel: our seeds in grey, the kernel's runs in colour."""
    figure = Figure(figsize=(12, 10), layout="constrained")
    axes = figure.subplots(4, 2, sharex=True)
    for ax, (column, title) in zip(axes.flat, PANELS.items(), strict=True):
        for i, seed in enumerate(seeds):
            label = f"numasim, {len(seeds)} seeds" if not i else None
            ax.plot(seed.index, seed[column], color="0.6", lw=1, label=label)
        for (run, table), colour in zip(kernel.items(), COLOURS, strict=False):
            series = table[column].dropna()
            ax.plot(series.index, series, color=colour, lw=1.6, label=f"kernel {run}")
        ax.set_title(title, loc="left", fontsize=10)
        ax.grid(alpha=0.3)
        if column.startswith("esz"):
            ax.set_yscale("log")
    axes[0, 0].legend(frameon=False, fontsize=9)
    for ax in axes[-1]:
        ax.set_xlabel("time since phase 0 [s]")
    figure.suptitle(f"{name}: simulated and recorded", fontsize=13)
    return figure


def distances(name: str, seeds: list[pd.DataFrame], kernel: Runs) -> pd.DataFrame:
    """Totals at the end and times until half of a hot set is in node 0."""
    rows = []
    for run, table in [*((f"seed {i + 1}", t) for i, t in enumerate(seeds)), *kernel.items()]:
        last = table[table.index <= 178].ffill().iloc[-1]
        row = {"experiment": name, "run": run}
        row |= {k: round(float(last[k]), 1) for k in ("free", "demoted", "promoted")}
        for hot in ("hotA", "hotB"):
            series = table[hot].dropna()
            reached = series[series >= 0.5]
            row[f"half_of_{hot}_s"] = round(float(reached.index[0]), 1) if len(reached) else np.inf
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    """Simulate, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("results/first_look"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    tables = []
    with ProcessPoolExecutor() as pool:
        for name, scenario in EXPERIMENTS.items():
            tasks = [(scenario, seed) for seed in range(1, options.seeds + 1)]
            seeds = list(pool.map(simulate, tasks))
            kernel = {f"{name} {p.name}": recording(p) for p in sorted((DATA / name).iterdir())}
            draw(name, seeds, kernel).savefig(options.out / f"{name}.png", dpi=110)
            tables.append(distances(name, seeds, kernel))
    table = pd.concat(tables, ignore_index=True)
    table.to_csv(options.out / "distances.csv", index=False)
    print(table.to_string(index=False))
    print(f"pictures in {options.out}")


if __name__ == "__main__":
    main()
