"""Search a policy's parameters for a suite: Optuna proposes, sweeps answer, a file remembers."""

from numasim.tune.reading import Search, read_search
from numasim.tune.searching import Trial, tune

__all__ = ["Search", "Trial", "read_search", "tune"]
