"""What goes over the wire about alerts. The words are those of patrol.domain.alerts."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from api.alerts.models import Action
from api.wire import (
    Latitude,
    Longitude,
    Metres,
    Name,
    Number,
    Revision,
    Sha256,
    Share,
    StrictModel,
    Text,
    UtcTime,
)
from patrol.domain.alerts import AlertState, Verification
from patrol.domain.incidents import Kind, Severity

_MAX_FIGURES = 64
_MAX_EVIDENCE = 32


def _canonical_uuid7(value: str) -> str:
    try:
        parsed = UUID(value)
    except ValueError:
        raise ValueError("should be a UUID of version 7") from None
    if parsed.version != 7:
        raise ValueError(f"should be a UUID of version 7, not {parsed.version}")
    return str(parsed)


AlertId = Annotated[
    str, AfterValidator(_canonical_uuid7), Field(description="UUIDv7, given by the edge.", max_length=45)
]
FigureName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
MediaType = Annotated[str, Field(pattern=r"^[a-z]+/[a-z0-9.+-]{1,64}$")]


class ErrorEllipse(StrictModel):
    """Holds the true position with 90 % probability. The bearing of its long axis is clockwise from north."""

    semi_major_m: Metres
    semi_minor_m: Metres
    bearing_deg: Annotated[float, Field(strict=True, ge=0, le=360)]


class ReportedPosition(StrictModel):
    """Where it happens, WGS-84: edges report in no other datum."""

    lat: Latitude
    lon: Longitude
    radius_m_90: Metres
    ellipse_90: ErrorEllipse


class AlertPosition(ReportedPosition):
    """Where it happens."""

    datum: Literal["WGS-84"]


class LocalText(StrictModel):
    """The same words in Chinese and English."""

    zh: Text
    en: Text


class Place(StrictModel):
    """A named piece of the market; `zone` is null outside every zone."""

    market: Name
    zone: Name | None
    name: LocalText


class AlertSource(StrictModel):
    """Which drone, flight and model saw it."""

    drone: Name
    sortie: Name
    model: Name
    model_sha256: Sha256


class EvidenceReference(StrictModel):
    """A picture or clip named by its content; it is sent after the alert."""

    kind: Name
    sha256: Sha256
    media_type: MediaType
    captured_at: UtcTime
    redacted: Annotated[bool, Field(strict=True)]


class AlertContent(StrictModel):
    """What the edge says of an alert, and the station hands on unchanged."""

    id: AlertId
    kind: Kind
    severity: Severity
    raised_at: UtcTime
    updated_at: UtcTime
    ended_at: UtcTime | None
    place: Place
    instruction: LocalText
    measure: Annotated[dict[FigureName, Number], Field(max_length=_MAX_FIGURES)]
    confidence: Share
    source: AlertSource


class AlertReport(AlertContent):
    """One revision of an alert as the edge reports it. A report is complete: it replaces those before."""

    revision: Revision
    position: ReportedPosition
    evidence: Annotated[tuple[EvidenceReference, ...], Field(max_length=_MAX_EVIDENCE)]


class Gcj02Position(StrictModel):
    """The same place for Amap, Tencent and most other Chinese map applications."""

    datum: Literal["GCJ-02"]
    lat: float
    lon: float


class Bd09Position(StrictModel):
    """The same place for Baidu's map applications."""

    datum: Literal["BD-09"]
    lat: float
    lon: float


class Evidence(StrictModel):
    """A picture of an alert; `available` is false until the station has it."""

    kind: str
    url: str
    sha256: Sha256
    media_type: str
    captured_at: datetime
    redacted: bool
    available: bool


class HistoryEntry(StrictModel):
    """One step in an alert's life and the revision that it made."""

    at: datetime
    actor: str
    action: Action
    note: str | None
    revision: int


class Alert(AlertContent):
    """An alert as people see it.

    `revision` is the station's and rises with every change; `report_revision` is the edge's.
    """

    revision: int
    report_revision: int
    state: AlertState
    verification: Verification
    position: AlertPosition
    position_gcj02: Gcj02Position
    position_bd09: Bd09Position
    received_at: datetime
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    evidence: list[Evidence]
    history: list[HistoryEntry]


class AlertPage(StrictModel):
    """Alerts in the order of their latest change; `cursor` is the next `after`, `more` says to go on now."""

    items: list[Alert]
    cursor: str
    more: bool


class Acknowledgement(StrictModel):
    """An officer or operator takes note of an alert."""

    note: Text | None = None
