"""Market maps: a GeoJSON FeatureCollection of an outline, zones, stalls, lanes and watch points.

The collection carries a member `market` (see `_MarketMember`); each feature's `properties` hold `kind`, `id`,
`name` ({zh, en}) and what its kind needs. Coordinates are WGS-84 longitude and latitude, as GeoJSON has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar
from zoneinfo import ZoneInfo

import shapely
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from shapely.geometry import LineString, Point, Polygon

from patrol.domain.heights import Amsl
from patrol.domain.positions import LocalText
from patrol.geo.documents import DocumentError, first_fault, read_json
from patrol.geo.frames import LocalFrame
from patrol.geo.ground import Ground, LevelGround
from patrol.geo.terrain import read_terrain

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LARGEST_MARKET_M = 5000.0  # further from the origin means latitude and longitude changed places
_LONGEST_NAME = 80  # four of them and the words around them fit into the station's texts
_OVERLAP_M2 = 1.0  # two zones drawn along one edge may share slivers


class MarketError(DocumentError):
    """A market map cannot be used; the message names the file, the feature, the key and what to do."""


@dataclass(frozen=True)
class GatheringThresholds:
    """So many people within `radius_m` of their common centre for `hold_s` are a gathering."""

    min_people: int
    radius_m: float
    hold_s: float


OPEN_HOURS_GATHERING = GatheringThresholds(min_people=8, radius_m=3.0, hold_s=20.0)
"""Where the public is welcome. Our choice: a queue or a family's table is smaller than eight; who passes at
1.3 m/s (Fruin 1971) has left a circle of 3 m after 5 s, and 20 s is four times that."""

CLOSED_HOURS_GATHERING = GatheringThresholds(min_people=3, radius_m=2.0, hold_s=5.0)
"""Where nobody is expected. Three people are the least that Chinese courts call a crowd (聚众). Within two
metres of a common centre they can talk (Hall 1966: social distance ends at 3.6 m). After 5 s passers-by are
gone."""


@dataclass(frozen=True)
class OpeningHours:
    """Open on some days (0 = Monday), in local time; `closes` not after `opens` means the next day."""

    days: frozenset[int]
    opens: time
    closes: time

    def holds(self, local: datetime) -> bool:
        """Whether a local time falls in these hours; the opening minute does, the closing one does not."""
        now = local.time()
        if self.opens < self.closes:
            return local.weekday() in self.days and self.opens <= now < self.closes
        yesterday = (local - timedelta(days=1)).weekday()
        return (local.weekday() in self.days and now >= self.opens) or (
            yesterday in self.days and now < self.closes
        )


@dataclass(frozen=True, eq=False)
class Zone:
    """A piece of the market with rules of its own.

    Attributes:
        id, name: for machines, for people.
        polygon: in the market's local metres.
        opening: weekly hours; empty = never open to the public.
        gathering, gathering_closed: thresholds in and out of those hours, None for the defaults.
        unit: id of the officers' unit on duty here.
    """

    id: str
    name: LocalText
    polygon: Polygon
    opening: tuple[OpeningHours, ...]
    gathering: GatheringThresholds | None = None
    gathering_closed: GatheringThresholds | None = None
    unit: str | None = None


@dataclass(frozen=True, eq=False)
class Stall:
    """A stall; polygon in local metres. `row` is what people call the row of its zone that it stands in."""

    id: str
    name: LocalText
    polygon: Polygon
    row: LocalText | None = None


@dataclass(frozen=True, eq=False)
class Lane:
    """A lane; centre line in local metres."""

    id: str
    name: LocalText
    line: LineString
    width_m: float


@dataclass(frozen=True)
class WatchPoint:
    """Where a drone holds to look at something. Yaw is true, clockwise from north; pitch is up."""

    id: str
    name: LocalText
    lat_deg: float
    lon_deg: float
    height_above_ground_m: float
    yaw_deg: float
    pitch_deg: float


@dataclass(frozen=True)
class TerrainFile:
    """A height grid and what its heights mean, as `read_terrain` takes them."""

    path: Path
    datum: Literal["amsl", "hae"]
    geoid_m: float
    sigma_m: float


@dataclass(frozen=True, eq=False)
class MarketMap:
    """A market: where its things are, and whose rules hold there. Shapes are in metres of `frame`.

    `timezone` is the IANA name in which opening hours are meant; `geojson` is the file as read.
    `ground_amsl_m` is the one height of level ground, in whose place `terrain` comes where it is named.
    """

    name: LocalText
    id: str
    timezone: str
    ground_amsl_m: float
    frame: LocalFrame
    outline: Polygon
    zones: tuple[Zone, ...]
    stalls: tuple[Stall, ...]
    lanes: tuple[Lane, ...]
    watch_points: tuple[WatchPoint, ...]
    geojson: dict[str, Any]
    ground_sigma_m: float = 0.0
    terrain: TerrainFile | None = None

    @cached_property
    def ground(self) -> Ground:
        """The ground that rays meet; a terrain is read at the first call.

        Raises:
            DocumentError: the terrain cannot be read.
        """
        if self.terrain is None:
            return LevelGround(Amsl(self.ground_amsl_m), self.ground_sigma_m)
        return read_terrain(**vars(self.terrain))

    def zone_at(self, lat_deg: float, lon_deg: float) -> Zone | None:
        """The zone that holds a place, its edge included; None outside every zone."""
        point = self._local(lat_deg, lon_deg)
        return next((zone for zone in self.zones if zone.polygon.covers(point)), None)

    def is_open(self, zone: Zone, at: datetime) -> bool:
        """Whether the public is welcome in a zone at an aware time."""
        if at.tzinfo is None:
            raise ValueError("the time has no zone; pass an aware datetime")
        local = at.astimezone(ZoneInfo(self.timezone))
        return any(hours.holds(local) for hours in zone.opening)

    def gathering_rule(self, zone: Zone | None, at: datetime) -> GatheringThresholds:
        """What is a gathering in a zone at an aware time; outside every zone the open-hours default."""
        if zone is None:
            return OPEN_HOURS_GATHERING
        if self.is_open(zone, at):
            return zone.gathering or OPEN_HOURS_GATHERING
        return zone.gathering_closed or CLOSED_HOURS_GATHERING

    def _local(self, lat_deg: float, lon_deg: float) -> Point:
        east_m, north_m = self.frame.to_enu(lat_deg, lon_deg)
        return Point(float(east_m), float(north_m))


def read_market(path: Path | str) -> MarketMap:
    """Read a market map.

    Raises:
        MarketError: the file cannot be read, or a feature of it is wrong; the message names feature and key.
    """
    path = Path(path)
    try:
        document = read_json(path)
    except DocumentError as error:
        raise MarketError(str(error)) from error
    if document.get("type") != "FeatureCollection":
        raise MarketError(
            f"{path}: type is {document.get('type')!r}, not 'FeatureCollection'; name a market map"
        )
    if document.get("datum", "WGS-84") != "WGS-84":
        raise MarketError(
            f"{path}: datum is {document['datum']!r}; GeoJSON holds WGS-84 only, so convert the coordinates"
        )
    try:
        member = _MarketMember.model_validate(document.get("market"))
    except ValidationError as error:
        raise MarketError(f"{path}: market, {first_fault(error)}; mend the key") from error
    features = document.get("features")
    if not isinstance(features, list):
        raise MarketError(f"{path}: features: is no list; draw the market as a FeatureCollection")
    return _Reader(path, member, features, document).read()


def _text(value: object) -> object:
    """A plain string names a thing in both languages."""
    return {"zh": value, "en": value} if isinstance(value, str) else value


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"no time zone is called {name!r}; write one like Asia/Shanghai") from None
    return name


def _sayable(text: LocalText) -> LocalText:
    if not all(0 < len(words) <= _LONGEST_NAME and words.isprintable() for words in (text.zh, text.en)):
        raise ValueError(f"a name has 1 to {_LONGEST_NAME} printable characters in each language; shorten it")
    return text


_Text = Annotated[LocalText, BeforeValidator(_text), AfterValidator(_sayable)]
_Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
_Longitude = Annotated[float, Field(ge=-180, le=180)]
_Latitude = Annotated[float, Field(ge=-90, le=90)]
_Position = tuple[_Longitude, _Latitude]


class _Strict(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Terrain(_Strict):
    """A GeoTIFF beside the map; `geoid_m` is the geoid's height above the ellipsoid, needed with hae."""

    file: Annotated[str, Field(min_length=1)]
    datum: Literal["amsl", "hae"]
    geoid_m: float | None = Field(default=None, ge=-110, le=90)
    sigma_m: float = Field(ge=0, le=100)

    @model_validator(mode="after")
    def _geoid_is_known(self) -> Self:
        if self.datum == "hae" and self.geoid_m is None:
            raise ValueError("heights above the ellipsoid (hae) need geoid_m; give the geoid's height there")
        return self


class _MarketMember(_Strict):
    """The collection's member `market`. `origin` (longitude, latitude) is the local frame's."""

    id: _Id
    name: _Text
    timezone: Annotated[str, AfterValidator(_known_timezone)]
    ground_amsl_m: float = Field(ge=-500, le=6000)
    ground_sigma_m: float = Field(default=0.0, ge=0, le=100)
    origin: _Position
    terrain: _Terrain | None = None


class _Hours(_Strict):
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(min_length=1)
    opens: time
    closes: time


class _Thresholds(_Strict):
    min_people: int = Field(ge=2)
    radius_m: float = Field(gt=0, le=50)
    hold_s: float = Field(ge=0, le=3600)


class _Named(_Strict):
    kind: str
    id: _Id
    name: _Text


class _ZoneProperties(_Named):
    opening: tuple[_Hours, ...]
    gathering: _Thresholds | None = None
    gathering_closed: _Thresholds | None = None
    unit: str | None = None


class _StallProperties(_Named):
    row: _Text | None = None


class _LaneProperties(_Named):
    width_m: float = Field(gt=0, le=100)


class _WatchPointProperties(_Named):
    height_above_ground_m: float = Field(gt=0, le=500)
    yaw_deg: float = Field(ge=-360, le=360)
    pitch_deg: float = Field(ge=-90, le=30)


_PROPERTIES: dict[str, type[_Named]] = {
    "outline": _Named,
    "zone": _ZoneProperties,
    "stall": _StallProperties,
    "lane": _LaneProperties,
    "watch_point": _WatchPointProperties,
}


class _Feature(BaseModel):
    """Foreign members and whatever else GeoJSON allows are let through."""

    type: Literal["Feature"]
    properties: dict[str, Any]
    geometry: dict[str, Any]


class _PolygonGeometry(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(allow_inf_nan=False)
    type: Literal["Polygon"]
    coordinates: list[Annotated[list[_Position], Field(min_length=4)]] = Field(min_length=1)


class _LineGeometry(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(allow_inf_nan=False)
    type: Literal["LineString"]
    coordinates: list[_Position] = Field(min_length=2)


class _PointGeometry(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(allow_inf_nan=False)
    type: Literal["Point"]
    coordinates: _Position


_Model = TypeVar("_Model", bound=BaseModel)


class _Reader:
    """Turns features into shapes and keeps the name of the one at hand for messages."""

    def __init__(
        self, path: Path, member: _MarketMember, features: list[Any], document: dict[str, Any]
    ) -> None:
        self._path = path
        self._member = member
        self._features = features
        self._document = document
        self._frame = LocalFrame(member.origin[1], member.origin[0])
        self._at = "market"

    def read(self) -> MarketMap:
        outlines: list[Polygon] = []
        zones: list[Zone] = []
        stalls: list[Stall] = []
        lanes: list[Lane] = []
        watch_points: list[WatchPoint] = []
        seen: set[tuple[str, str]] = set()
        for number, written in enumerate(self._features, start=1):
            self._at = _label(written, number)
            feature = self._validate(_Feature, written)
            properties = self._properties(feature)
            if (properties.kind, properties.id) in seen:
                raise self._error("id: another feature of this kind has it; give each its own")
            seen.add((properties.kind, properties.id))
            if isinstance(properties, _ZoneProperties):
                zones.append(_zone(properties, self._polygon(feature)))
            elif isinstance(properties, _LaneProperties):
                lanes.append(Lane(properties.id, properties.name, self._line(feature), properties.width_m))
            elif isinstance(properties, _WatchPointProperties):
                watch_points.append(self._watch_point(feature, properties))
            elif isinstance(properties, _StallProperties):
                stalls.append(Stall(properties.id, properties.name, self._polygon(feature), properties.row))
            else:
                outlines.append(self._polygon(feature))
        if len(outlines) != 1:
            raise MarketError(f"{self._path}: holds {len(outlines)} outlines; draw exactly one")
        self._check_zones(outlines[0], zones)
        return MarketMap(
            name=self._member.name,
            id=self._member.id,
            timezone=self._member.timezone,
            ground_amsl_m=self._member.ground_amsl_m,
            frame=self._frame,
            outline=outlines[0],
            zones=tuple(zones),
            stalls=tuple(stalls),
            lanes=tuple(lanes),
            watch_points=tuple(watch_points),
            geojson=self._document,
            ground_sigma_m=self._member.ground_sigma_m,
            terrain=self._terrain(),
        )

    def _terrain(self) -> TerrainFile | None:
        written = self._member.terrain
        if written is None:
            return None
        return TerrainFile(
            self._path.parent / written.file, written.datum, written.geoid_m or 0.0, written.sigma_m
        )

    def _error(self, what: str) -> MarketError:
        return MarketError(f"{self._path}: {self._at}, {what}")

    def _validate(self, model: type[_Model], written: object, *, prefix: str = "") -> _Model:
        try:
            return model.model_validate(written)
        except ValidationError as error:
            raise self._error(f"{prefix}{first_fault(error)}; mend the key") from error

    def _properties(self, feature: _Feature) -> _Named:
        kind = feature.properties.get("kind")
        model = _PROPERTIES.get(kind) if isinstance(kind, str) else None
        if model is None:
            raise self._error(f"kind: is {kind!r}, none of {', '.join(_PROPERTIES)}; mend the key")
        return self._validate(model, feature.properties)

    def _points(self, positions: Sequence[_Position]) -> list[tuple[float, float]]:
        east_m, north_m = self._frame.to_enu([lat for _, lat in positions], [lon for lon, _ in positions])
        points = [(float(e), float(n)) for e, n in zip(east_m, north_m, strict=True)]
        if max(max(abs(e), abs(n)) for e, n in points) > _LARGEST_MARKET_M:
            raise self._error(
                "geometry: lies more than 5 km from market.origin; GeoJSON has longitude first, then latitude"
            )
        return points

    def _polygon(self, feature: _Feature) -> Polygon:
        geometry = self._validate(_PolygonGeometry, feature.geometry, prefix="geometry.")
        for ring in geometry.coordinates:
            if ring[0] != ring[-1]:
                raise self._error(
                    "geometry.coordinates: the ring is not closed; repeat its first point at the end"
                )
        shell, *holes = map(self._points, geometry.coordinates)
        polygon = Polygon(shell, holes)
        if not polygon.is_valid or polygon.area == 0:
            why = shapely.is_valid_reason(polygon).split("[")[0].lower() if polygon.area else "no area"
            raise self._error(
                f"geometry.coordinates: is no proper polygon ({why}); draw it without crossings"
            )
        return polygon

    def _line(self, feature: _Feature) -> LineString:
        geometry = self._validate(_LineGeometry, feature.geometry, prefix="geometry.")
        return LineString(self._points(geometry.coordinates))

    def _watch_point(self, feature: _Feature, properties: _WatchPointProperties) -> WatchPoint:
        geometry = self._validate(_PointGeometry, feature.geometry, prefix="geometry.")
        self._points([geometry.coordinates])
        lon_deg, lat_deg = geometry.coordinates
        return WatchPoint(
            properties.id, properties.name, lat_deg, lon_deg,
            properties.height_above_ground_m, properties.yaw_deg, properties.pitch_deg,
        )  # fmt: skip

    def _check_zones(self, outline: Polygon, zones: Sequence[Zone]) -> None:
        for i, zone in enumerate(zones):
            outside_m2 = float(zone.polygon.difference(outline).area)
            if outside_m2 > _OVERLAP_M2:
                raise MarketError(
                    f'{self._path}: zone "{zone.id}" lies {outside_m2:.0f} m² outside the outline; widen that'
                )
            for other in zones[:i]:
                shared_m2 = float(zone.polygon.intersection(other.polygon).area)
                if shared_m2 > _OVERLAP_M2:
                    raise MarketError(
                        f'{self._path}: zones "{other.id}" and "{zone.id}" overlap by {shared_m2:.0f} m²; '
                        "draw them apart so that one rule holds at each place"
                    )


def _label(written: object, number: int) -> str:
    """How messages call a feature: its kind and id when it has them, else its number."""
    properties = written.get("properties") if isinstance(written, dict) else None
    if (
        isinstance(properties, dict)
        and isinstance(properties.get("kind"), str)
        and isinstance(properties.get("id"), str)
    ):
        return f'{properties["kind"].replace("_", " ")} "{properties["id"]}"'
    return f"feature {number}"


def _zone(properties: _ZoneProperties, polygon: Polygon) -> Zone:
    return Zone(
        id=properties.id,
        name=properties.name,
        polygon=polygon,
        opening=tuple(
            OpeningHours(frozenset(map(_DAYS.index, hours.days)), hours.opens, hours.closes)
            for hours in properties.opening
        ),
        gathering=_thresholds(properties.gathering),
        gathering_closed=_thresholds(properties.gathering_closed),
        unit=properties.unit,
    )


def _thresholds(written: _Thresholds | None) -> GatheringThresholds | None:
    return GatheringThresholds(**written.model_dump()) if written else None
