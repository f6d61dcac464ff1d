"""The settings of an edge box, composed of the rooms' own parameters and checked before anything starts.

They come from the environment (names begin with NIGHT_PATROL_EDGE_, nested names are joined by two
underscores) and from the command line, which wins.
"""

from pathlib import Path
from typing import Annotated, Any

from platformdirs import user_data_path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from patrol.domain.errors import UsageError


def _existing_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{path} is not a file")
    return path.resolve()


ExistingFile = Annotated[Path, AfterValidator(_existing_file)]


class SensorSettings(BaseModel):
    """One-sigma errors of the aircraft's sensors, as its maker or a calibration states them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    horizontal_m: float = Field(default=1.5, gt=0)
    height_m: float = Field(default=1.5, gt=0)
    roll_deg: float = Field(default=0.5, gt=0)
    pitch_deg: float = Field(default=0.5, gt=0)
    yaw_deg: float = Field(default=2.0, gt=0)
    time_s: float = Field(default=0.05, ge=0)


class EyesSettings(BaseModel):
    """How pictures are analysed.

    The foot of a person is where the box ends, known to a share of the box's height: `foot_sigma_share`, at
    least `foot_sigma_min_px`. The share is what `patrol eval detect` prints as sigma / height for the drone's
    pictures in tiles (VisDrone), rounded.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = "night-patrol-nano"
    threads: int | None = Field(default=None, ge=1, description="of the model run; none: as many as cores")
    tile_px: int | None = Field(default=None, ge=64, description="side of square tiles; none: whole picture")
    foot_sigma_share: float = Field(default=0.05, gt=0)
    foot_sigma_min_px: float = Field(default=1.0, gt=0)
    pose_wait_s: float = Field(default=0.5, ge=0, description="how long a picture waits for its telemetry")
    live_hz: float = Field(default=5.0, gt=0, le=25)
    live_width_px: int = Field(default=960, ge=160, le=1920)


class EdgeSettings(BaseSettings):
    """Everything one sortie needs to know."""

    model_config = SettingsConfigDict(
        env_prefix="NIGHT_PATROL_EDGE_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    data_dir: Path = Field(default_factory=lambda: user_data_path("night-patrol") / "edge")
    drone: str = Field(default="drone-1", pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    plan: ExistingFile
    market: ExistingFile
    camera_model: ExistingFile
    link: str
    camera: str
    station: str | None = None
    token_file: Path | None = None
    speed_up: float = Field(default=1.0, ge=1.0, le=50.0)
    record_tracks: bool = Field(
        default=False, description="write every track and all telemetry to the sortie's folder"
    )
    camera_wait_s: float = Field(default=20.0, gt=0, description="how long to wait for a first picture")
    sensors: SensorSettings = SensorSettings()
    eyes: EyesSettings = EyesSettings()

    @property
    def outbox_path(self) -> Path:
        """The durable queue of alerts of this drone."""
        return self.data_dir / "outbox" / f"{self.drone}.sqlite3"

    @property
    def sortie_record_path(self) -> Path:
        """What a restarted process must know of this drone's sortie; one drone flies one sortie at a time."""
        return self.data_dir / "sorties" / f"{self.drone}.json"

    def sortie_dir(self, sortie: str) -> Path:
        """The folder that holds all of one sortie."""
        return self.data_dir / "sorties" / sortie


def beside_plan(plan: Path, suffix: str) -> Path:
    """The file that stands beside a plan: `night-market.plan` and ".market.geojson" give its market map."""
    return plan.with_name(plan.stem + suffix)


def load_settings(**given: Any) -> EdgeSettings:
    """Compose the settings; what is None in `given` is left to the environment and the defaults.

    Raises:
        UsageError: a setting is missing or wrong; the sentence names it.
    """
    try:
        return EdgeSettings(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        raise UsageError(describe(error)) from error


def describe(error: ValidationError) -> str:
    """Say in one sentence a fault what is wrong with the settings."""
    faults = [
        (".".join(str(part) for part in fault["loc"]) or "(all)", fault["msg"].removeprefix("Value error, "))
        for fault in error.errors(include_url=False)
    ]
    return "; ".join(f"setting {name}: {what}" for name, what in faults)
