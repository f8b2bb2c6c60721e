"""Plain data: what JSON cannot say is said otherwise."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from numasim.plain import plain, to_json


def test_numbers_that_json_lacks() -> None:
    assert plain([math.nan, math.inf, -math.inf, 1.5]) == [None, "inf", "-inf", 1.5]


def test_numpy_and_others() -> None:
    data = {"a": np.float64("nan"), "b": np.int64(3), "c": np.arange(2), "d": Path("x"), 4: (True,)}
    assert plain(data) == {"a": None, "b": 3, "c": [0, 1], "d": "x", "4": [True]}
    assert type(plain(np.int64(3))) is int


def test_one_document() -> None:
    assert json.loads(to_json({"x": math.nan})) == {"x": None}
