"""The live picture of a patrol: what the console shows between alerts. Never stored, newest wins."""

from dataclasses import dataclass

from patrol.domain.positions import GeoPoint
from patrol.domain.sorties import SortieState


@dataclass(frozen=True)
class FlightStatus:
    """The aircraft and its sortie now; None means not known. `heading_deg` is clockwise from true north."""

    at_ns: int
    sortie: str
    state: SortieState
    reason: str
    lat_deg: float | None
    lon_deg: float | None
    height_above_home_m: float | None
    heading_deg: float | None
    speed_mps: float | None
    battery_percent: float | None
    mode: str
    armed: bool


@dataclass(frozen=True)
class TrackDot:
    """One tracked person on the map."""

    track_id: int
    lat_deg: float
    lon_deg: float
    radius_m_90: float


@dataclass(frozen=True)
class EyesStatus:
    """What the camera sees now; `camera` is one of pending, ready, degraded, failed, with a sentence why."""

    at_ns: int
    camera: str
    camera_reason: str
    footprint: tuple[GeoPoint, ...]
    tracks: tuple[TrackDot, ...]
    frames_analysed: int
    frames_dropped: int
    people_tracked: int
    incidents_open: int


@dataclass(frozen=True)
class LiveReport:
    """JSON body that the edge posts to the station about twice a second."""

    drone: str
    flight: FlightStatus | None
    eyes: EyesStatus | None
