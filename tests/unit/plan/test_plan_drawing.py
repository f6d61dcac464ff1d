import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from patrol.domain.errors import NightPatrolError
from patrol.domain.resources import data_path
from patrol.geo.camera import read_camera
from patrol.plan import picture as map_pictures
from patrol.plan.drawing import draw_plan
from patrol.plan.market import read_market
from patrol.plan.qgc import FenceCircle, FlightPlan, read_plan

SHIPPED = data_path("flightplans")


@pytest.fixture(scope="module")
def plan() -> FlightPlan:
    return read_plan(SHIPPED / "night-market.plan")


def shades(picture: np.ndarray, bgr: tuple[int, int, int]) -> int:
    """How many pixels are (nearly) of a colour."""
    return int(np.all(np.abs(picture.astype(int) - bgr) < 12, axis=2).sum())


def test_market_route_fence_and_view_are_on_the_picture(tmp_path: Path, plan: FlightPlan) -> None:
    market = read_market(SHIPPED / "night-market.market.geojson")
    camera = read_camera(SHIPPED / "night-market.camera.yaml")
    draw_plan(plan, market, tmp_path / "with.png", camera=camera)
    picture = cv2.imread(str(tmp_path / "with.png"))
    assert picture.shape == (1560, 1950, 3)
    assert shades(picture, (191, 95, 31)) > 3000  # the route
    assert shades(picture, (43, 57, 192)) > 3000  # the fence
    assert shades(picture, (91, 154, 217)) > 20_000  # stalls
    draw_plan(plan, market, tmp_path / "without.png")
    blind = cv2.imread(str(tmp_path / "without.png"))
    assert np.count_nonzero(np.any(blind != picture, axis=2)) > 50_000  # the ground in view


def test_plan_alone_and_without_a_chinese_font(
    tmp_path: Path, plan: FlightPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_pictures, "_CHINESE_FONTS", ())
    draw_plan(plan, None, tmp_path / "bare.png")
    draw_plan(plan, read_market(SHIPPED / "night-market.market.geojson"), tmp_path / "english.png")
    bare, english = (cv2.imread(str(tmp_path / name)) for name in ("bare.png", "english.png"))
    assert shades(bare, (91, 154, 217)) < 100
    assert shades(english, (91, 154, 217)) > 20_000


def test_unfinished_plans_can_be_looked_at(tmp_path: Path, plan: FlightPlan) -> None:
    circle = FenceCircle(plan.home.lat_deg, plan.home.lon_deg, 30.0, inclusion=False)
    empty = dataclasses.replace(plan, items=(), fence=(), rally=(), fence_circles=(circle,))
    draw_plan(empty, None, tmp_path / "empty.png")
    assert shades(cv2.imread(str(tmp_path / "empty.png")), (43, 57, 192)) > 1000
    draw_plan(dataclasses.replace(empty, fence_circles=()), None, tmp_path / "nothing.png")
    assert (tmp_path / "nothing.png").stat().st_size > 1000


def test_place_that_cannot_be_written(tmp_path: Path, plan: FlightPlan) -> None:
    with pytest.raises(NightPatrolError, match="cannot be written"):
        draw_plan(plan, None, tmp_path / "no" / "such" / "folder.png")


def test_stops_at_one_place_share_a_mark_and_long_routes_name_a_height_once(
    tmp_path: Path, plan: FlightPlan
) -> None:
    waypoint = next(item for item in plan.items if item.command == 16)
    there = dataclasses.replace(waypoint, lat_deg=(waypoint.lat_deg or 0.0) + 2e-4)
    route = [waypoint, there] * 6
    draw_plan(dataclasses.replace(plan, items=(*plan.items[:1], *route)), None, tmp_path / "twice.png")
    one_mark = draw_marks(tmp_path / "twice.png")
    draw_plan(dataclasses.replace(plan, items=(*plan.items[:1], *route[:2])), None, tmp_path / "once.png")
    assert one_mark < 3 * draw_marks(tmp_path / "once.png")


def draw_marks(path: Path) -> int:
    """How many pixels the route, its marks and its labels take."""
    return shades(cv2.imread(str(path)), (191, 95, 31))
