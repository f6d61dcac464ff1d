"""The simulation file (`*.sim.yaml`): where the drone stands, wind, battery, sensor errors, footage."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from patrol.geo.documents import DocumentError, first_fault, read_yaml
from patrol.sim.body import Wind

Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Home(_Model):
    """Where the drone stands at the start. The simulated ground is flat at this height."""

    lat_deg: Latitude
    lon_deg: Longitude
    height_amsl_m: float
    heading_deg: float = 0.0


class WindSettings(_Model):
    """A steady wind from `from_deg`; gusts (one sigma) only lean the airframe."""

    speed_mps: NotNegative = 0.0
    from_deg: float = 0.0
    gust_mps: NotNegative = 0.0

    @property
    def wind(self) -> Wind:
        """The steady part."""
        return Wind(self.speed_mps, self.from_deg)


class BatterySettings(_Model):
    """A three-cell lithium pack."""

    capacity_mah: Positive = 5200.0
    start_percent: Annotated[float, Field(ge=0, le=100)] = 100.0
    hover_current_a: Positive = 18.0


class ErrorModel(_Model):
    """A Gauss-Markov error: its standard deviation, and the time after which 1/e of it is left."""

    sigma: NotNegative
    correlation_s: Positive


class NoiseSettings(_Model):
    """Declared errors of what the vehicle reports; the unit of each sigma is in its name.

    `horizontal_m` is per axis, north and east alike; `roll_pitch_deg` likewise.
    """

    horizontal_m: ErrorModel
    height_m: ErrorModel
    yaw_deg: ErrorModel
    roll_pitch_deg: ErrorModel


class Footage(_Model):
    """Real footage for a watch point of the market map; `file` lies beside the simulation file."""

    watch_point: str
    file: Path
    fps: Positive = 10.0
    position_tolerance_m: Positive = 1.5
    angle_tolerance_deg: Positive = 2.0


class SimSettings(_Model):
    """One simulation file."""

    home: Home
    wind: WindSettings = WindSettings()
    battery: BatterySettings = BatterySettings()
    noise: NoiseSettings | None = None
    footage: tuple[Footage, ...] = ()


def read_sim_settings(path: Path) -> SimSettings:
    """Read a simulation file.

    Raises:
        DocumentError: the file cannot be read, lacks a key, has one too many or a value out of range.
    """
    try:
        return SimSettings.model_validate(read_yaml(path))
    except ValidationError as error:
        raise DocumentError(f"{path}: {first_fault(error)}; see flightplans/night-market.sim.yaml") from error
