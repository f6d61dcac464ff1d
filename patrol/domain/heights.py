"""Heights, each with its vertical datum in its type: mixing two of them is an error, not a wrong number.

`Amsl` counts from mean sea level (the geoid), as autopilots and maps do; `Hae` from the WGS-84 ellipsoid, as
satellite navigation does; `Agl` from the ground below. Sea level and ellipsoid lie up to 106 m apart.
"""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, order=True)
class _Height:
    """Metres above a datum. Two of one datum differ by metres, and metres can be added."""

    metres: float

    def __sub__(self, other: Self) -> float:
        if type(other) is not type(self):
            raise TypeError(f"{type(self).__name__} - {type(other).__name__}: heights of different datums")
        return self.metres - other.metres

    def __add__(self, metres: float) -> Self:
        return type(self)(self.metres + metres)


class Amsl(_Height):
    """Above mean sea level."""

    def to_hae(self, geoid_m: float) -> "Hae":
        """The same height above the ellipsoid, where the geoid lies `geoid_m` above it."""
        return Hae(self.metres + geoid_m)


class Hae(_Height):
    """Above the WGS-84 ellipsoid."""

    def to_amsl(self, geoid_m: float) -> Amsl:
        """The same height above mean sea level, where the geoid lies `geoid_m` above the ellipsoid."""
        return Amsl(self.metres - geoid_m)


class Agl(_Height):
    """Above the ground below."""

    def over(self, ground: Amsl) -> Amsl:
        """The same height above mean sea level, over ground at `ground`."""
        if not isinstance(ground, Amsl):
            raise TypeError(f"Agl over {type(ground).__name__}: the ground's height must be Amsl")
        return ground + self.metres
