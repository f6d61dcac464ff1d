"""What the aircraft says of itself. Angles: yaw clockwise from true north, pitch up, roll right."""

from dataclasses import dataclass

from patrol.domain.heights import Amsl


@dataclass(frozen=True)
class PositionSample:
    """Where the aircraft was. `at_ns` is UTC."""

    at_ns: int
    lat_deg: float
    lon_deg: float
    height: Amsl
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

    Position is WGS-84; angles are those of the gimbal in the local north-east-down frame, before the camera's
    own mounting offset. `hfov_rad` is the horizontal field of view that a zoom lens had, None for the lens as
    calibrated.
    """

    at_ns: int
    lat_deg: float
    lon_deg: float
    height: Amsl
    roll_rad: float
    pitch_rad: float
    yaw_ned_rad: float
    hfov_rad: float | None = None


@dataclass(frozen=True)
class CameraMotion:
    """How a camera moved and turned at an instant, in the local north-east-down frame.

    `turn_rate_ned_radps` is the vector of its rotation: axis and speed, by the right-hand rule.
    """

    velocity_ned_mps: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn_rate_ned_radps: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class LensSample:
    """What a zoom lens was set to: its horizontal field of view."""

    at_ns: int
    hfov_rad: float


@dataclass(frozen=True)
class ClockSample:
    """By how much the edge box's clock was ahead of the aircraft's UTC, with one sigma.

    `at_ns` is on the aircraft's clock, like the time of every other sample.
    """

    at_ns: int
    edge_ahead_ns: int
    sigma_ns: int
