"""What goes over the wire about drones that are flying now. The words are those of patrol.domain.live."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.wire import Count, Heading, Latitude, Longitude, Metres, Nanoseconds, Number, StrictModel, Text
from patrol.domain.sorties import SortieState

# Part of an address, hence the narrow alphabet.
DroneId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]

# A picture holds hundreds of people at most; ten times that still fits into the limit of a body.
_MAX_TRACKS = 1000
# The border of a picture in small steps, and an arc where it is cut off at the horizon.
_MAX_FOOTPRINT_CORNERS = 256


class GeoPoint(StrictModel):
    """A point on the ground."""

    lat_deg: Latitude
    lon_deg: Longitude


class FlightStatus(StrictModel):
    """The aircraft and its sortie; null means not known yet."""

    at_ns: Nanoseconds
    sortie: Text
    state: SortieState
    reason: Text
    lat_deg: Latitude | None
    lon_deg: Longitude | None
    height_above_home_m: Number | None
    heading_deg: Heading | None
    speed_mps: Number | None
    battery_percent: Number | None
    mode: Text
    armed: Annotated[bool, Field(strict=True)]


class TrackDot(StrictModel):
    """One tracked person on the map."""

    track_id: Count
    lat_deg: Latitude
    lon_deg: Longitude
    radius_m_90: Metres


class EyesStatus(StrictModel):
    """What the camera sees."""

    at_ns: Nanoseconds
    camera: Literal["pending", "ready", "degraded", "failed"]
    camera_reason: Text
    footprint: Annotated[tuple[GeoPoint, ...], Field(max_length=_MAX_FOOTPRINT_CORNERS)]
    tracks: Annotated[tuple[TrackDot, ...], Field(max_length=_MAX_TRACKS)]
    frames_analysed: Count
    frames_dropped: Count
    people_tracked: Count
    incidents_open: Count


class LiveReport(StrictModel):
    """What an edge posts about twice a second. Positions are WGS-84."""

    drone: DroneId
    flight: FlightStatus | None
    eyes: EyesStatus | None


class LiveState(LiveReport):
    """The newest report of a drone, and how old it was when this answer was made.

    `datum` is that of every position in it: hundreds of people need no label each, twice a second.
    """

    datum: Literal["WGS-84"]
    received_at: datetime
    age_s: float


class LiveStates(StrictModel):
    """Every drone that has reported."""

    drones: list[LiveState]
