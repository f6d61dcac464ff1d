import copy
import json
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from patrol.domain.errors import UsageError
from patrol.domain.positions import LocalText
from patrol.geo.frames import LocalFrame
from patrol.plan.market import (
    CLOSED_HOURS_GATHERING,
    OPEN_HOURS_GATHERING,
    GatheringThresholds,
    MarketError,
    MarketMap,
    OpeningHours,
    read_market,
)

FRAME = LocalFrame(31.3, 120.62)
SHANGHAI = ZoneInfo("Asia/Shanghai")


def square(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    places = [FRAME.to_geodetic(x, y) for x, y in corners]
    return {"type": "Polygon", "coordinates": [[[float(lon), float(lat)] for lat, lon in places]]}


def feature(kind: str, name: str, geometry: dict[str, Any], **properties: Any) -> dict[str, Any]:
    text = {"zh": f"{name}中", "en": name.title()}
    return {
        "type": "Feature",
        "properties": {"kind": kind, "id": name, "name": text, **properties},
        "geometry": geometry,
    }


EVENINGS = [{"days": ["fri", "sat"], "opens": "18:00", "closes": "02:00"}]
DOCUMENT: dict[str, Any] = {
    "type": "FeatureCollection",
    "market": {
        "id": "test",
        "name": {"zh": "测试夜市", "en": "Test market"},
        "timezone": "Asia/Shanghai",
        "ground_amsl_m": 4.0,
        "origin": [120.62, 31.3],
    },
    "features": [
        feature("outline", "whole", square(-50, -50, 50, 50)),
        feature(
            "zone",
            "row",
            square(-40, 0, 40, 40),
            opening=EVENINGS,
            gathering={"min_people": 12, "radius_m": 4, "hold_s": 60},
            unit="unit-1",
        ),
        feature("zone", "yard", square(-40, -40, 40, -10), opening=[]),
        feature("stall", "grill", square(-30, 20, -26, 24)),
        feature(
            "lane",
            "walk",
            {"type": "LineString", "coordinates": [[120.62, 31.3], [120.6201, 31.3]]},
            width_m=5,
        ),
        feature(
            "watch_point",
            "post",
            {"type": "Point", "coordinates": [120.62, 31.3]},
            height_above_ground_m=7,
            yaw_deg=54,
            pitch_deg=-16,
        ),
    ],
}


def read(tmp_path: Path, document: Any = DOCUMENT) -> MarketMap:
    path = tmp_path / "a.market.geojson"
    path.write_text(json.dumps(document))
    return read_market(path)


def at(east_m: float, north_m: float) -> tuple[float, float]:
    lat_deg, lon_deg = FRAME.to_geodetic(east_m, north_m)
    return float(lat_deg), float(lon_deg)


def test_everything_is_read(tmp_path: Path) -> None:
    market = read(tmp_path)
    assert market.name == LocalText("测试夜市", "Test market")
    assert (market.id, market.timezone, market.ground_amsl_m) == ("test", "Asia/Shanghai", 4.0)
    assert market.outline.area == pytest.approx(10_000, rel=1e-4)
    assert [zone.id for zone in market.zones] == ["row", "yard"]
    assert market.zones[0].opening == (OpeningHours(frozenset({4, 5}), time(18), time(2)),)
    assert market.zones[0].gathering == GatheringThresholds(12, 4.0, 60.0)
    assert market.zones[0].unit == "unit-1"
    assert market.zones[1].opening == ()
    assert market.stalls[0].polygon.bounds == pytest.approx((-30, 20, -26, 24), abs=1e-3)
    assert market.lanes[0].width_m == 5.0
    assert (market.watch_points[0].yaw_deg, market.watch_points[0].height_above_ground_m) == (54.0, 7.0)
    assert market.geojson == DOCUMENT


def test_zone_at_holds_its_edge_and_nothing_beyond(tmp_path: Path) -> None:
    market = read(tmp_path)
    zones = [market.zone_at(*at(x, y)) for x, y in ((0, 20), (0, -20), (0, -5), (-39.99, 0.01), (-40.01, 5))]
    assert [zone.id if zone else None for zone in zones] == ["row", "yard", None, "row", None]


@pytest.mark.parametrize(
    ("local", "is_open"),
    [  # 2026-01-09 is a Friday
        (datetime(2026, 1, 9, 17, 59, tzinfo=SHANGHAI), False),
        (datetime(2026, 1, 9, 18, 0, tzinfo=SHANGHAI), True),
        (datetime(2026, 1, 10, 1, 59, tzinfo=SHANGHAI), True),
        (datetime(2026, 1, 10, 2, 0, tzinfo=SHANGHAI), False),
        (datetime(2026, 1, 11, 1, 59, tzinfo=SHANGHAI), True),
        (datetime(2026, 1, 11, 18, 0, tzinfo=SHANGHAI), False),
        (datetime(2026, 1, 9, 1, 0, tzinfo=SHANGHAI), False),  # the night before was a Thursday
        (datetime(2026, 1, 9, 10, 0, tzinfo=UTC), True),  # 18:00 in Shanghai
        (datetime(2026, 1, 9, 9, 59, tzinfo=UTC), False),
    ],
)
def test_opening_hours_run_past_midnight_in_local_time(
    tmp_path: Path, local: datetime, is_open: bool
) -> None:
    market = read(tmp_path)
    assert market.is_open(market.zones[0], local) is is_open
    assert market.is_open(market.zones[1], local) is False


def test_hours_within_one_day() -> None:
    hours = OpeningHours(frozenset({0}), time(9), time(17))
    assert hours.holds(datetime(2026, 1, 5, 9, 0, tzinfo=UTC))
    assert not hours.holds(datetime(2026, 1, 5, 17, 0, tzinfo=UTC))
    assert not hours.holds(datetime(2026, 1, 6, 10, 0, tzinfo=UTC))


def test_gathering_rule_by_zone_and_hour(tmp_path: Path) -> None:
    market = read(tmp_path)
    row, yard = market.zones
    friday_night = datetime(2026, 1, 9, 20, 0, tzinfo=SHANGHAI)
    monday = datetime(2026, 1, 5, 20, 0, tzinfo=SHANGHAI)
    assert market.gathering_rule(row, friday_night) == GatheringThresholds(12, 4.0, 60.0)
    assert market.gathering_rule(row, monday) == CLOSED_HOURS_GATHERING == GatheringThresholds(3, 2.0, 5.0)
    assert market.gathering_rule(yard, friday_night) == CLOSED_HOURS_GATHERING
    assert market.gathering_rule(None, monday) == OPEN_HOURS_GATHERING == GatheringThresholds(8, 3.0, 20.0)


def test_time_without_a_zone_is_refused(tmp_path: Path) -> None:
    market = read(tmp_path)
    with pytest.raises(ValueError, match="has no zone"):
        market.is_open(market.zones[0], datetime(2026, 1, 9, 20, 0))  # noqa: DTZ001


def test_plain_string_names_in_both_languages(tmp_path: Path) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["features"][3]["properties"]["name"] = "Grill"
    assert read(tmp_path, document).stalls[0].name == LocalText("Grill", "Grill")


def test_a_stall_may_stand_in_a_row(tmp_path: Path) -> None:
    document = copy.deepcopy(DOCUMENT)
    assert read(tmp_path, document).stalls[0].row is None
    document["features"][3]["properties"]["row"] = {"zh": "西排", "en": "west row"}
    assert read(tmp_path, document).stalls[0].row == LocalText("西排", "west row")


def broken(where: str, value: Any) -> dict[str, Any]:
    """The document with one value changed; `where` is a path of keys and indices."""
    document = copy.deepcopy(DOCUMENT)
    *steps, last = [int(step) if step.isdigit() else step for step in where.split(".")]
    target: Any = document
    for step in steps:
        target = target[step]
    target[last] = value
    return document


CROSSED = {
    "type": "Polygon",
    "coordinates": [
        [[120.62, 31.3], [120.6201, 31.3001], [120.6201, 31.3], [120.62, 31.3001], [120.62, 31.3]]
    ],
}


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({}, "type is None, not 'FeatureCollection'; name a market map"),
        ({"type": "FeatureCollection"}, "market, input should be a valid dictionary"),
        (
            broken("market.timezone", "Mars/Olympus"),
            "market, timezone: no time zone is called 'Mars/Olympus'",
        ),
        (broken("market.timezone", "../../etc/passwd"), "market, timezone: no time zone is called"),
        (
            broken("market.origin", [120.62, 91]),
            "market, origin[1]: input should be less than or equal to 90",
        ),
        (broken("features", {}), "features: is no list"),
        (broken("features.2", 7), "feature 3, input should be a valid dictionary"),
        (
            broken("features.2.properties.kind", "tent"),
            "tent \"yard\", kind: is 'tent', none of outline, zone",
        ),
        (
            broken("features.2.properties.opening", None),
            'zone "yard", opening: input should be a valid tuple',
        ),
        (broken("features.1.properties.opening.0.opens", "25:00"), 'zone "row", opening[0].opens: '),
        (broken("features.1.properties.opening.0.days", ["fry"]), 'zone "row", opening[0].days[0]: '),
        (broken("features.1.properties.gathering.min_people", 1), 'zone "row", gathering.min_people: '),
        (broken("features.1.properties.colour", "red"), 'zone "row", colour: extra inputs are not permitted'),
        (broken("features.1.properties.name", {"zh": "x"}), 'zone "row", name.en: field required'),
        (broken("features.3.properties.row", {"zh": "西排"}), 'stall "grill", row.en: field required'),
        (broken("features.1.properties.row", "west"), 'zone "row", row: extra inputs are not permitted'),
        (broken("features.3.properties.name.en", ""), 'stall "grill", name: a name has 1 to 80 printable'),
        (broken("market.name.zh", "长" * 81), "market, name: a name has 1 to 80 printable characters"),
        (
            broken("features.2.properties.name.en", "a\x00b"),
            'zone "yard", name: a name has 1 to 80 printable',
        ),
        ({**DOCUMENT, "datum": "GCJ-02"}, "datum is 'GCJ-02'; GeoJSON holds WGS-84 only"),
        (broken("features.2.properties.id", "row"), 'zone "row", id: another feature of this kind has it'),
        (broken("features.1.properties.id", "Row 1"), 'zone "Row 1", id: '),
        (broken("features.3.geometry.type", "Point"), 'stall "grill", geometry.type: '),
        (
            broken("features.3.geometry.coordinates.0.2", [500, 3]),
            'stall "grill", geometry.coordinates[0][2][0]: ',
        ),
        (
            broken("features.3.geometry.coordinates.0.4", [120.62, 31.3]),
            'stall "grill", geometry.coordinates: the ring is not closed',
        ),
        (
            broken("features.3.geometry", CROSSED),
            'stall "grill", geometry.coordinates: is no proper polygon (self-intersection)',
        ),
        (
            broken("features.5.geometry.coordinates", [31.3, 20.62]),
            'watch point "post", geometry: lies more than 5 km',
        ),
        (broken("features.0.properties.kind", "stall"), "holds 0 outlines; draw exactly one"),
        (broken("features.2.geometry", square(-40, -40, 40, 2)), 'zones "row" and "yard" overlap by 160 m²'),
        (
            broken("features.2.geometry", square(-40, -60, 40, -10)),
            'zone "yard" lies 800 m² outside the outline',
        ),
    ],
)
def test_faults_name_feature_and_key(tmp_path: Path, document: Any, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, document)
    assert isinstance(caught.value, MarketError)
    assert str(caught.value).startswith(f"{tmp_path / 'a.market.geojson'}: {sentence}")
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MarketError, match="no such file"):
        read_market(tmp_path / "none.geojson")
