"""Do the kernel's costs follow their tables?"""

import pytest
from pydantic import TypeAdapter, ValidationError

from numasim.kernel import CostSettings


def test_migration_of_one_folio_is_the_published_table():
    costs = CostSettings()
    assert costs.migrate_ns(0) == 1100
    assert 4096 / costs.migrate_ns(0) == pytest.approx(3.73, rel=0.01)  # GB/s
    assert (2 << 20) / costs.migrate_ns(9) == pytest.approx(10.67, rel=0.01)


def test_orders_between_and_beyond():
    costs = CostSettings(migrate_folio={0: 1000, 2: 4000}, copy_share={0: 0.5})
    assert [costs.migrate_ns(order) for order in range(5)] == [1000, 2000, 4000, 8000, 16000]


def test_threads_and_slow_memory_change_only_the_copying():
    costs = CostSettings(migrate_folio={0: 1000}, copy_share={0: 0.4}, copy_threads=4)
    assert costs.migrate_ns(0) == 700
    assert costs.migrate_ns(0, stretch=2.0) == 800


def test_copy_share_between_orders():
    costs = CostSettings(
        migrate_folio={0: 1000, 9: 512_000}, copy_share={0: 0.0, 9: 0.9}, copy_threads=2
    )
    assert costs.migrate_ns(0) == 1000
    assert costs.migrate_ns(9) == 512_000 * 0.55
    assert costs.migrate_ns(3) == pytest.approx(8000 * (1 - 0.3 / 2), abs=1)


@pytest.mark.parametrize("bad", [{"migrate_folio": {9: 5}}, {"copy_share": {0: 2.0}}])
def test_nonsense_is_refused(bad):
    with pytest.raises(ValidationError):
        TypeAdapter(CostSettings).validate_python(bad)
