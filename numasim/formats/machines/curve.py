"""Fitting the model's loaded-latency curve to measured points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.formats.machines.description import Loaded
from numasim.hardware import Curve

FEWEST_POINTS = 4
SCALES = np.linspace(0.05, 0.995, 190)
MOST_RATIO = 100.0


@dataclass(frozen=True)
class Fit:
    """Parameters of `numasim.hardware.Curve`, and how well they fit.

    Parameters
    ----------
    service_ratio, scale : float
    nr_points : int
    error : float
        Root mean square of the relative error over the points.
    where : str
    """

    service_ratio: float
    scale: float
    nr_points: int
    error: float
    where: str


def fit(loaded: Loaded, peak: float) -> Fit | None:
    """The curve nearest to measured points, by relative error of the latency.

    Parameters
    ----------
    loaded : Loaded
        Points of (bytes/ns, ns).
    peak : float
        Bandwidth at which memory is full, bytes/ns.

    Returns
    -------
    Fit or None
        None where there are too few points, or they do not rise with load.

    Notes
    -----
    Latency is ``idle + S * f(rho)`` with ``f`` of one more parameter (the scale m): idle latency
    and S follow from least squares for each m of a grid.
    """
    points = np.array(sorted(loaded.points))
    if len(points) < FEWEST_POINTS:
        return None
    rho, latency = np.minimum(points[:, 0] / peak, 0.999), points[:, 1]
    best: Fit | None = None
    for scale in SCALES:
        shape = scale * rho / (2 * (1 - scale * rho)) + Curve.saturation * rho / (1 - rho)
        terms = np.stack([np.ones_like(shape), shape], axis=1) / latency[:, None]
        idle, service = np.linalg.lstsq(terms, np.ones_like(latency))[0].tolist()
        error = float(np.sqrt(np.mean((terms @ [idle, service] - 1) ** 2)))
        good = idle > 0 and 0 < service <= MOST_RATIO * idle
        if good and (best is None or error < best.error):
            ratio = round(service / idle, 3)
            best = Fit(ratio, round(float(scale), 3), len(points), error, loaded.where)
    return best
