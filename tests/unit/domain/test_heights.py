import operator

import pytest

from patrol.domain.heights import Agl, Amsl, Hae


def test_heights_of_one_datum_differ_by_metres() -> None:
    assert Amsl(34.5) - Amsl(4.0) == 30.5
    assert Amsl(4.0) + 30.5 == Amsl(34.5)
    assert Amsl(3.0) < Amsl(4.0)


def test_the_ellipsoid_is_reached_by_the_geoid() -> None:
    suzhou_geoid_m = 8.2
    assert Amsl(4.0).to_hae(suzhou_geoid_m) == Hae(12.2)
    assert Hae(12.2).to_amsl(suzhou_geoid_m) == Amsl(4.0)


def test_above_ground_needs_the_grounds_height() -> None:
    assert Agl(30.0).over(Amsl(4.0)) == Amsl(34.0)
    with pytest.raises(TypeError, match="must be Amsl"):
        Agl(30.0).over(Hae(4.0))  # type: ignore[arg-type]


@pytest.mark.parametrize("other", [Hae(4.0), Agl(4.0), 4.0])
@pytest.mark.parametrize("operation", [operator.sub, operator.lt])
def test_mixing_datums_is_an_error(other: object, operation: object) -> None:
    with pytest.raises(TypeError):
        operation(Amsl(34.5), other)  # type: ignore[operator]


def test_equal_figures_of_two_datums_are_not_the_same_height() -> None:
    assert Amsl(4.0) != Hae(4.0)
