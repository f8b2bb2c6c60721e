"""The same examples every time: a failure seen by one is seen by all."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
    # shrinking a large failing example can take minutes; `--hypothesis-profile=search` does it
    phases=[Phase.explicit, Phase.generate],
)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("suite")
