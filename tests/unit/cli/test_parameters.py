"""Parameters of a policy as `numasim show policy` tells them."""

from numasim.cli.parameters import parameters_of
from numasim.policies import registry
from numasim.policies.colloid import Colloid


def written(made):
    return {p.name: p.value for p in parameters_of(made)}


def test_values_have_their_units_with_bounds_or_without():
    values = written(registry.get("hemem", "kind")())
    assert values["unit_size"] == "2 MiB"
    assert values["interval"] == "10 ms"
    assert values["rate"] == "10 GB/s"
    assert written(Colloid())["most"] == "100 MiB"


def test_a_policy_on_which_it_stands_is_named_with_what_differs():
    assert written(Colloid())["on"] == "hemem"
    assert (
        written(Colloid(on={"kind": "hemem", "cooling": 18}))["on"] == "{kind: hemem, cooling: 18}"
    )


def test_nothing_is_nothing():
    assert written(Colloid())["weight"] == "None"


def test_every_policy_says_what_each_of_its_parameters_is():
    for name in registry.names():
        if name == "damos":
            continue
        for parameter in parameters_of(registry.get(name, "kind")()):
            assert parameter.text, f"{name}.{parameter.name}"
