"""Held against a real kernel: recorded runs, the same runs simulated, and a verdict.

`recording` reads a recorded folder, `guest` describes the same run as a scenario, `observed` brings
both into one shape, `metrics` measures them, `judge` decides.
"""
