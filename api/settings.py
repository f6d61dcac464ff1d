"""Settings of the station, from the environment (NIGHT_PATROL_STATION_*) and from the command line."""

from pathlib import Path
from typing import Annotated, Any, Self

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from api.auth.roles import Role
from patrol.domain.errors import NightPatrolError, UsageError

_ENVIRONMENT_PREFIX = "NIGHT_PATROL_STATION_"


class BootstrapUser(BaseModel):
    """A user to add at start when the station does not know the name yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    username: str
    role: Role
    password: SecretStr | None = None
    name: str = ""


class StationSettings(BaseSettings):
    """Everything the station can be told.

    Attributes:
        data_dir: holds the database and the evidence; made when missing.
        database_url: SQLAlchemy URL; SQLite in `data_dir` when None.
        market: the market map (GeoJSON) to show, None for no map.
        host, port: where to listen.
        tls_certificate, tls_key: PEM files; both or neither.
        session_hours: how long a login lasts; the default is one long shift.
        keep_alive_s: how often a silent stream says that it lives, and checks that its user still may listen.
        users: added at start when missing.
    """

    model_config = SettingsConfigDict(env_prefix=_ENVIRONMENT_PREFIX, extra="ignore", frozen=True)

    data_dir: Path = Field(default_factory=lambda: user_data_path("night-patrol") / "station")
    database_url: str | None = None
    market: Path | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8400
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    session_hours: Annotated[float, Field(gt=0, le=24 * 31)] = 12.0
    keep_alive_s: Annotated[float, Field(gt=0, le=60)] = 15.0
    users: tuple[BootstrapUser, ...] = ()

    @model_validator(mode="after")
    def _tls_has_both_files(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("a TLS certificate needs its key and the other way round; give both or neither")
        return self

    @property
    def effective_database_url(self) -> str:
        """The database's URL, with the default filled in."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'station.sqlite3'}"


def read_settings(**overrides: Any) -> StationSettings:
    """Read the settings from the environment; an override that is None counts as not given.

    Raises:
        UsageError: a value cannot be used; the sentence names it.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return StationSettings(**given)
    except SettingsError as error:
        raise UsageError(
            f"settings of the station ({_ENVIRONMENT_PREFIX}*): {error}; write it as JSON"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        where = f"setting {name} ({_ENVIRONMENT_PREFIX}{name.upper()})" if name else "settings of the station"
        raise UsageError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None


def make_data_dir(data_dir: Path) -> None:
    """Make the data folder; only its owner may look into it.

    Raises:
        NightPatrolError: it cannot be made.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise NightPatrolError(
            f"{data_dir}: the data folder cannot be made ({error.strerror}); choose another with --data"
        ) from error
