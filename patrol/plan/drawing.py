"""Draws a flight plan on its market, north up, so that a person sees at a glance what will be flown."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from shapely.geometry import LineString, Point
from shapely.geometry.base import BaseGeometry

from patrol.domain.heights import Amsl
from patrol.domain.telemetry import CameraPose
from patrol.geo.camera import CameraModel
from patrol.geo.frames import LocalFrame
from patrol.geo.projection import footprint
from patrol.plan import qgc
from patrol.plan.market import MarketMap, WatchPoint
from patrol.plan.picture import MapPicture, map_picture
from patrol.plan.qgc import FlightPlan, MissionItem

_FOOTPRINT_RANGE_M = 60.0  # further away than this a person is a few pixels high in a small picture

_FEW_STOPS = 8

_FENCE = "#c0392b"
_ROUTE = "#1f5fbf"
_VIEW = "#f2c200"
_SAFE = "#1b8a4c"

_Xy = tuple[float, float]


def draw_plan(
    plan: FlightPlan, market: MarketMap | None, path_png: Path | str, *, camera: CameraModel | None = None
) -> None:
    """Draw a plan as a PNG of about 1900 by 1500 pixels.

    Args:
        plan: what is flown.
        market: what lies below, None for bare ground.
        path_png: the file to write.
        camera: with it, the ground seen from each watch point of the market is drawn.

    Raises:
        NightPatrolError: the picture cannot be written.
    """
    frame = market.frame if market else LocalFrame(plan.home.lat_deg, plan.home.lon_deg)
    title = (plan.path.name, market.name) if market else (plan.path.name,)
    with map_picture(path_png, *title, frame=frame) as picture:
        _Drawing(picture, plan, market, camera).draw()


class _Drawing:
    """One plan upon its market: layers from the ground up."""

    def __init__(
        self, picture: MapPicture, plan: FlightPlan, market: MarketMap | None, camera: CameraModel | None
    ) -> None:
        self._picture = picture
        self._axes = picture.axes
        self._plan = plan
        self._market = market
        self._camera = camera
        self._home = picture.xy(plan.home.lat_deg, plan.home.lon_deg)

    def draw(self) -> None:
        """Draw everything, in the order of what lies upon what."""
        if self._market:
            self._picture.draw_market(self._market, clear=self._route_shapes())
            self._draw_footprints(self._market)
        self._draw_fence()
        self._draw_route()
        self._draw_rally_and_home()
        self._set_view()

    def _route_shapes(self) -> list[BaseGeometry]:
        """What the route covers of the picture."""
        stops = [xy for _, _, xy in self._stops()]
        shapes: list[BaseGeometry] = [Point(xy).buffer(6.0) for xy in stops]
        return shapes + ([LineString(stops).buffer(1.5)] if len(stops) > 1 else [])

    def _draw_footprints(self, market: MarketMap) -> None:
        if self._camera is None:
            return
        for watch_point in market.watch_points:
            pose = _watching(watch_point, market)
            ring = footprint(self._camera, pose, ground=market.ground, max_range_m=_FOOTPRINT_RANGE_M)
            self._picture.ring(ring, _VIEW)
        if market.watch_points:
            label = f"seen from the watch point, {_FOOTPRINT_RANGE_M:g} m at most"
            self._picture.legend.append(Patch(facecolor=_VIEW, alpha=0.5, label=label))

    def _draw_fence(self) -> None:
        rings = [
            ([self._picture.xy(*vertex) for vertex in fence.vertices], fence.inclusion)
            for fence in self._plan.fence
        ]
        for circle in self._plan.fence_circles:
            east_m, north_m = self._picture.xy(circle.lat_deg, circle.lon_deg)
            turn = np.linspace(0, 2 * np.pi, 72)
            xs, ys = east_m + circle.radius_m * np.cos(turn), north_m + circle.radius_m * np.sin(turn)
            rings.append((list(zip(xs.tolist(), ys.tolist(), strict=True)), circle.inclusion))
        for ring, inclusion in rings:
            if not ring:
                continue
            xs, ys = np.asarray([*ring, ring[0]]).T
            self._axes.plot(xs, ys, color=_FENCE, linewidth=2.0, linestyle=(0, (6, 3)), zorder=8)
            if not inclusion:
                self._axes.fill(xs, ys, facecolor=_FENCE, alpha=0.15, zorder=7)
        if rings:
            self._picture.legend.append(
                Line2D([], [], color=_FENCE, linewidth=2, linestyle=(0, (4, 2)), label="fence")
            )

    def _stops(self) -> Sequence[tuple[int, MissionItem, _Xy]]:
        """Number, item and place of every item that is flown to and has one."""
        stops = []
        for number, item in enumerate(self._plan.items, start=1):
            if item.command == qgc.NAV_TAKEOFF:
                stops.append((number, item, self._home))
            elif item.is_flown_to and item.lat_deg is not None and item.lon_deg is not None:
                stops.append((number, item, self._picture.xy(item.lat_deg, item.lon_deg)))
        return stops

    def _draw_route(self) -> None:
        stops = self._stops()
        if not stops:
            return
        route = [xy for _, _, xy in stops]
        xs, ys = np.asarray(route).T
        self._axes.plot(xs, ys, color="white", linewidth=5, zorder=9, solid_capstyle="round")
        self._axes.plot(xs, ys, color=_ROUTE, linewidth=2.4, zorder=9, solid_capstyle="round")
        for start, end in itertools.pairwise(route):
            self._draw_arrow(start, end)
        if self._plan.items[-1].command == qgc.NAV_RETURN_TO_LAUNCH:
            back = zip(route[-1], self._home, strict=True)
            self._axes.plot(*back, color=_ROUTE, linewidth=1.6, linestyle=":", zorder=9)
            self._picture.legend.append(
                Line2D([], [], color=_ROUTE, linewidth=1.6, linestyle=":", label="return")
            )
        self._draw_stops(stops)
        self._picture.legend.insert(
            0, Line2D([], [], color=_ROUTE, linewidth=2.4, label="route, item and height")
        )

    def _draw_stops(self, stops: Sequence[tuple[int, MissionItem, _Xy]]) -> None:
        """Number the stops; of long routes only a height that is new, or a hold, is written beside them."""
        places: dict[_Xy, list[tuple[_Xy, str, str]]] = {}
        height_m: float | None = None
        for number, item, xy in stops:
            is_news = item.hold_s or item.height_m != height_m or len(stops) <= _FEW_STOPS
            height_m = item.height_m
            here = places.setdefault((round(xy[0]), round(xy[1])), [])
            here.append((xy, str(number), _stop_text(item) if is_news else ""))
        for here in places.values():
            ((east_m, north_m), *_), numbers, labels = zip(*here, strict=True)
            size = 15 if len(here) == 1 else 21
            self._axes.plot(
                east_m, north_m, "o", markersize=size, color=_ROUTE, markeredgecolor="white", zorder=10
            )
            self._axes.text(
                east_m, north_m, "/".join(numbers), color="white", fontsize=8.5 if len(here) == 1 else 6,
                weight="bold", ha="center", va="center_baseline", zorder=11,
            )  # fmt: skip
            label = "\n".join(dict.fromkeys(filter(None, labels)))
            beside = (east_m + 2.0, north_m - 1.6)
            self._picture.text(beside, label, 8.5, _ROUTE, va="top", zorder=11, weight="bold")

    def _draw_arrow(self, start: _Xy, end: _Xy) -> None:
        length_m = math.dist(start, end)
        if length_m < 6:
            return
        along = [
            (s + (e - s) * 0.55, s + (e - s) * (0.55 + 1.5 / length_m))
            for s, e in zip(start, end, strict=True)
        ]
        (x0, x1), (y0, y1) = along
        style = {"arrowstyle": "-|>", "color": _ROUTE, "mutation_scale": 16, "linewidth": 0}
        self._axes.annotate("", xy=(x1, y1), xytext=(x0, y0), arrowprops=style, zorder=10)

    def _draw_rally_and_home(self) -> None:
        self._axes.plot(
            *self._home, "s", markersize=25, color=_SAFE, markeredgecolor="white", markeredgewidth=1.5,
            zorder=9.5,
        )  # fmt: skip
        beside = (self._home[0] - 2.2, self._home[1] - 1.6)
        self._picture.text(beside, "home", 8.5, _SAFE, ha="right", va="top", zorder=11, weight="bold")
        for number, rally in enumerate(self._plan.rally, start=1):
            at = self._picture.xy(rally.lat_deg, rally.lon_deg)
            self._axes.plot(*at, "^", markersize=13, color=_SAFE, markeredgecolor="white", zorder=10)
            label = f"rally {number}, {rally.height_above_home_m:g} m"
            towards = 1 if at[0] <= self._home[0] else -1
            style = {"ha": "left" if towards > 0 else "right", "va": "center", "weight": "bold", "zorder": 11}
            self._picture.text((at[0] + towards * 1.8, at[1]), label, 8.5, _SAFE, **style)

    def _set_view(self) -> None:
        places = [xy for _, _, xy in self._stops()]
        places.append(self._home)
        places += [self._picture.xy(*vertex) for fence in self._plan.fence for vertex in fence.vertices]
        places += [self._picture.xy(rally.lat_deg, rally.lon_deg) for rally in self._plan.rally]
        for circle in self._plan.fence_circles:
            east_m, north_m = self._picture.xy(circle.lat_deg, circle.lon_deg)
            places += [(east_m - circle.radius_m, north_m - circle.radius_m)]
            places += [(east_m + circle.radius_m, north_m + circle.radius_m)]
        if self._market:
            west, south, east, north = self._market.outline.bounds
            places += [(west, south), (east, north)]
        xs, ys = np.asarray(places).T
        self._picture.show(xs.min(), ys.min(), xs.max(), ys.max())


def _stop_text(item: MissionItem) -> str:
    label = "" if item.height_m is None else f"{item.height_m:.3g} m"
    if item.hold_s:
        label += " without end" if math.isinf(item.hold_s) else f", holds {item.hold_s:g} s"
    return label


def _watching(watch_point: WatchPoint, market: MarketMap) -> CameraPose:
    below_m = market.ground.height_amsl_m_at(watch_point.lat_deg, watch_point.lon_deg)
    return CameraPose(
        at_ns=0,
        lat_deg=watch_point.lat_deg,
        lon_deg=watch_point.lon_deg,
        height=Amsl(float(below_m[0]) + watch_point.height_above_ground_m),
        roll_rad=0.0,
        pitch_rad=math.radians(watch_point.pitch_deg),
        yaw_ned_rad=math.radians(watch_point.yaw_deg),
    )
