"""Held against a real kernel: recorded runs, the same runs simulated, and a verdict.

`recording` reads a recorded folder, `guest` describes the same run as a scenario, `observed` brings
both into one shape, `metrics` measures them, `judge` decides; `validate` does it all.
"""

from numasim.validate.metrics.case import case
from numasim.validate.model import Model
from numasim.validate.recording import Recording, find_runs, read
from numasim.validate.validating import Plan, carry_out, plan, validate
from numasim.validate.verdict import Verdict

__all__ = [
    "Model",
    "Plan",
    "Recording",
    "Verdict",
    "carry_out",
    "case",
    "find_runs",
    "plan",
    "read",
    "validate",
]
