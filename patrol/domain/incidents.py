"""From what one picture shows to what happens in the world."""

from dataclasses import dataclass
from enum import StrEnum

from patrol.domain.positions import Covariance


class Kind(StrEnum):
    """What happens."""

    CROWDING = "crowding"
    GATHERING = "gathering"
    DISPERSAL = "dispersal"
    FIGHT = "fight"


class Severity(StrEnum):
    """How bad it is, in rising order of declaration."""

    WATCH = "watch"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for watch, 1 for warning, 2 for critical."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Observation:
    """One picture's evidence for an incident.

    Attributes:
        at_ns: UTC capture time of the picture.
        kind, severity: what the rule that made it says.
        zone: id of the zone whose rule fired, None for the market's default.
        lat_deg, lon_deg, east_m, north_m: centre, WGS-84 and in the market's local frame.
        covariance_en_m2: (var_e, cov_en, var_n) of the centre.
        track_ids: the people concerned.
        measure: figures by name with their unit in the name, for example people, radius_m, lasted_s.
        confidence: 0..1.
    """

    at_ns: int
    kind: Kind
    severity: Severity
    zone: str | None
    lat_deg: float
    lon_deg: float
    east_m: float
    north_m: float
    covariance_en_m2: Covariance
    track_ids: tuple[int, ...]
    measure: dict[str, float]
    confidence: float


@dataclass(frozen=True)
class Incident:
    """One event in the world, as known so far.

    `incident_id` is a UUIDv7 and becomes the alert's id; `revision` rises with every change worth telling.
    """

    incident_id: str
    revision: int
    opened_at_ns: int
    updated_at_ns: int
    closed_at_ns: int | None
    latest: Observation
    track_ids: tuple[int, ...]
