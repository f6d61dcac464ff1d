"""Building blocks of what goes over the wire: strict, finite, bounded, with the zone in every time."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

# Well inside what datetime can convert between zones, well outside what a drone's clock shows.
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_MAX_INT32 = 2**31 - 1
_MAX_INT64 = 2**63 - 1


class StrictModel(BaseModel):
    """Unknown fields, NaN and infinities are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


def _written_out(value: Any) -> Any:
    if not isinstance(value, str | datetime):
        raise ValueError("a time is written out (ISO 8601) with its zone, for example 2026-05-01T12:00:00Z")  # noqa: TRY004  pydantic reads ValueError
    return value


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs its zone, for example 2026-05-01T12:00:00Z")
    if not _EARLIEST <= value <= _LATEST:
        raise ValueError("a time lies between the years 2000 and 2200")
    return value.astimezone(UTC)


UtcTime = Annotated[datetime, BeforeValidator(_written_out), AfterValidator(_in_utc)]
Number = Annotated[float, Field(strict=True)]
Latitude = Annotated[float, Field(strict=True, ge=-90, le=90)]
Longitude = Annotated[float, Field(strict=True, ge=-180, le=180)]
Heading = Annotated[float, Field(strict=True, ge=0, le=360)]
Metres = Annotated[float, Field(strict=True, ge=0)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Count = Annotated[int, Field(strict=True, ge=0, le=_MAX_INT64)]
Nanoseconds = Annotated[int, Field(strict=True, ge=0, le=_MAX_INT64)]
Revision = Annotated[int, Field(strict=True, ge=1, le=_MAX_INT32)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# PostgreSQL cannot keep a zero character in a text.
Text = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]
Name = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]
