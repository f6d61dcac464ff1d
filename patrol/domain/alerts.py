"""What people see of an incident. The edge reports revisions; the station keeps state and verification."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from patrol.domain.incidents import Kind, Severity
from patrol.domain.positions import ErrorEllipse, LocalText, Place


class AlertState(StrEnum):
    """How far people have got with an alert."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    ACCEPTED = "accepted"
    ON_SCENE = "on_scene"
    CLOSED = "closed"


class Verification(StrEnum):
    """What people found the alert to be worth, apart from its state."""

    UNVERIFIED = "unverified"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"


@dataclass(frozen=True)
class AlertPosition:
    """WGS-84 position with the radius and the ellipse that hold the truth with 90 % probability."""

    lat: float
    lon: float
    radius_m_90: float
    ellipse_90: ErrorEllipse


@dataclass(frozen=True)
class EvidenceReference:
    """A picture or clip that goes with an alert, named by its content."""

    kind: str
    sha256: str
    media_type: str
    captured_at: datetime
    redacted: bool


@dataclass(frozen=True)
class AlertSource:
    """Which drone, flight and model an alert comes from."""

    drone: str
    sortie: str
    model: str
    model_sha256: str


@dataclass(frozen=True)
class AlertReport:
    """One revision of an alert as the edge reports it; JSON body of the station's intake. Times are UTC.

    `measure` holds figures by name with the unit in the name. `ended_at` is set once the incident is over or
    nobody watches it any more; the alert's state is for people to close.
    """

    id: str
    revision: int
    kind: Kind
    severity: Severity
    raised_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    position: AlertPosition
    place: Place
    instruction: LocalText
    measure: dict[str, float]
    confidence: float
    evidence: tuple[EvidenceReference, ...]
    source: AlertSource
