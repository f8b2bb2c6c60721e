"""Recordings as models of rates, and what DAMON sees of the one and of the other."""

from numasim.fitting.comparing import Comparison, Settings, compare
from numasim.fitting.model import Model, fitted

__all__ = ["Comparison", "Model", "Settings", "compare", "fitted"]
