"""Kernels come in two arithmetics, which tests of twins go through both."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

from numasim.damon.compiled import KERNELS, SWITCH

without_numba = pytest.mark.skipif(find_spec("numba") is None, reason="Numba is not installed")


@pytest.fixture(params=["numpy", pytest.param("compiled", marks=without_numba)], scope="module")
def arithmetic(request):
    """Kernels of numpy, then compiled ones."""
    KERNELS.decide("1" if request.param == "compiled" else "0")
    yield request.param
    KERNELS.decide(os.environ.get(SWITCH))
