"""What the aircraft says of itself. Angles: yaw clockwise from true north, pitch up, roll right."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PositionSample:
    """Where the aircraft was. `at_ns` is UTC; heights carry their datum."""

    at_ns: int
    lat_deg: float
    lon_deg: float
    height_amsl_m: float
    height_above_home_m: float
    velocity_north_mps: float
    velocity_east_mps: float
    velocity_down_mps: float


@dataclass(frozen=True)
class AttitudeSample:
    """How the airframe was turned."""

    at_ns: int
    roll_rad: float
    pitch_rad: float
    yaw_ned_rad: float


@dataclass(frozen=True)
class GimbalSample:
    """How the gimbal was turned: roll and pitch against the horizon, yaw against the airframe's nose."""

    at_ns: int
    roll_rad: float
    pitch_rad: float
    yaw_vehicle_rad: float


@dataclass(frozen=True)
class VehicleStatus:
    """The slow facts of the aircraft. None means the aircraft has not said."""

    at_ns: int
    armed: bool
    mode: str
    landed: bool | None
    battery_percent: float | None
    battery_volt: float | None
    mission_item: int | None
    gps_satellites: int | None


@dataclass(frozen=True)
class CameraPose:
    """Where the camera was and where it looked at one instant.

    Position is WGS-84 with height above mean sea level; angles are those of the gimbal in the local
    north-east-down frame, before the camera's own mounting offset.
    """

    at_ns: int
    lat_deg: float
    lon_deg: float
    height_amsl_m: float
    roll_rad: float
    pitch_rad: float
    yaw_ned_rad: float
