"""Draws a flight plan on its market, north up, so that a person sees at a glance what will be flown."""

import calendar
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from shapely.geometry import LineString, Point, Polygon, box
from shapely.geometry.base import BaseGeometry

from patrol.domain.errors import NightPatrolError
from patrol.domain.heights import Amsl
from patrol.domain.positions import LocalText
from patrol.domain.telemetry import CameraPose
from patrol.geo.camera import CameraModel
from patrol.geo.frames import LocalFrame
from patrol.geo.projection import footprint
from patrol.plan import qgc
from patrol.plan.market import MarketMap, OpeningHours, WatchPoint
from patrol.plan.qgc import FlightPlan, MissionItem

_CHINESE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "PingFang SC", "Microsoft YaHei", "SimHei",
)  # fmt: skip

_SIZE_IN = (13.0, 10.4)
_DPI = 150
_MARGIN_M = 7.0
_FOOTPRINT_RANGE_M = 60.0  # further away than this a person is a few pixels high in a small picture
_LABEL_M = (30.0, 4.5)  # about what a zone's name covers

_PAPER = "#f6f5f1"
_GROUND = "#e9e7df"
_PUBLIC = "#f8e3c3"
_PRIVATE = "#cdd5dc"
_LANE = "#ffffff"
_STALL = "#d99a5b"
_INK = "#22303c"
_QUIET_INK = "#6b7680"
_FENCE = "#c0392b"
_ROUTE = "#1f5fbf"
_VIEW = "#f2c200"
_SAFE = "#1b8a4c"
_HALO = [withStroke(linewidth=3, foreground="white")]

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
    installed = set(fontManager.get_font_names())
    chinese = next((name for name in _CHINESE_FONTS if name in installed), None)
    families = [chinese, "DejaVu Sans"] if chinese else ["DejaVu Sans"]
    with mpl.rc_context({"font.family": families, "axes.unicode_minus": False}):
        figure = _Drawing(plan, market, camera, in_chinese=chinese is not None).figure()
        try:
            figure.savefig(path_png, format="png")
        except OSError as error:
            raise NightPatrolError(
                f"{path_png}: cannot be written ({error.strerror}); name another file"
            ) from error


class _Drawing:
    """One picture in the making: layers from the ground up."""

    def __init__(
        self, plan: FlightPlan, market: MarketMap | None, camera: CameraModel | None, *, in_chinese: bool
    ) -> None:
        self._plan = plan
        self._market = market
        self._camera = camera
        self._in_chinese = in_chinese
        self._frame = market.frame if market else LocalFrame(plan.home.lat_deg, plan.home.lon_deg)
        self._figure = Figure(figsize=_SIZE_IN, dpi=_DPI, facecolor=_PAPER)
        FigureCanvasAgg(self._figure)
        self._axes: Axes = self._figure.add_axes((0.02, 0.06, 0.96, 0.885))
        self._axes.set_aspect("equal")
        self._axes.set_axis_off()
        self._legend: list[Patch | Line2D] = []

    def figure(self) -> Figure:
        """Draw everything, in the order of what lies upon what."""
        title = self._plan.path.name
        if self._market:
            title += f"  ·  {self._name(self._market.name, joint=' ')}"
            self._draw_market(self._market)
            self._draw_footprints(self._market)
        self._draw_fence()
        self._draw_route()
        self._draw_rally_and_home()
        self._set_view()
        self._draw_scale_and_north()
        self._figure.text(0.03, 0.955, title, fontsize=15, color=_INK, weight="bold")
        self._axes.legend(
            handles=self._legend, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=len(self._legend),
            frameon=False, fontsize=9, labelcolor=_INK, handlelength=1.6, columnspacing=1.4,
        )  # fmt: skip
        return self._figure

    def _name(self, text: LocalText, *, joint: str = "\n") -> str:
        if not self._in_chinese or text.zh == text.en:
            return text.en
        return f"{text.zh}{joint}{text.en}"

    def _xy(self, lat_deg: float, lon_deg: float) -> _Xy:
        east_m, north_m = self._frame.to_enu(lat_deg, lon_deg)
        return float(east_m), float(north_m)

    def _fill(self, shape: BaseGeometry, **style: Any) -> None:
        for part in getattr(shape, "geoms", [shape]):
            if isinstance(part, Polygon) and not part.is_empty:
                self._axes.fill(*np.asarray(part.exterior.coords).T, **style)

    def _text(self, at: _Xy, text: str, size: float, colour: str, **style: Any) -> None:
        self._axes.text(*at, text, fontsize=size, color=colour, path_effects=_HALO, **style)

    def _draw_market(self, market: MarketMap) -> None:
        self._fill(market.outline, facecolor=_GROUND, edgecolor=_QUIET_INK, linewidth=1.0, zorder=1)
        for zone in market.zones:
            style = {"facecolor": _PUBLIC} if zone.opening else {"facecolor": _PRIVATE, "hatch": "//"}
            self._fill(zone.polygon, **style, edgecolor="#b7b2a5", linewidth=0.8, zorder=2)
        for lane in market.lanes:
            self._fill(lane.line.buffer(lane.width_m / 2, cap_style="flat"), facecolor=_LANE, zorder=3)
        for stall in market.stalls:
            self._fill(stall.polygon, facecolor=_STALL, edgecolor="white", linewidth=0.6, zorder=4)
            if self._in_chinese:
                centre = stall.polygon.centroid
                self._axes.text(
                    centre.x,
                    centre.y,
                    stall.name.zh[:4],
                    fontsize=4.5,
                    color=_INK,
                    ha="center",
                    va="center",
                    zorder=5,
                )
        self._draw_names(market)
        self._legend += [
            Patch(facecolor=_PUBLIC, edgecolor="#b7b2a5", label="open to the public"),
            Patch(facecolor=_PRIVATE, edgecolor="#b7b2a5", hatch="//", label="never open"),
            Patch(facecolor=_STALL, label="stall"),
        ]

    def _draw_names(self, market: MarketMap) -> None:
        taken: list[BaseGeometry] = [stall.polygon for stall in market.stalls]
        stops = [xy for _, _, xy in self._stops()]
        taken += [Point(xy).buffer(6.0) for xy in stops]
        if len(stops) > 1:
            taken.append(LineString(stops).buffer(1.5))
        for zone in market.zones:
            west, south, east, north = zone.polygon.bounds
            width, height = min(_LABEL_M[0], east - west - 2), _LABEL_M[1]
            tops = np.arange(north - height - 0.5, south, -1.0)

            def covered(at: _Xy, width: float = width, height: float = height) -> float:
                label = box(at[0], at[1], at[0] + width, at[1] + height)
                return float(sum(label.intersection(shape).area for shape in taken))

            at = min(((west + 1, float(top)) for top in tops), key=covered, default=(west, south))
            name = self._name(zone.name, joint=" ")
            self._text((at[0], at[1] + 1.8), name, 9.5, _INK, va="bottom", zorder=12, weight="bold")
            hours = "; ".join(map(_hours_text, zone.opening)) or "closed to the public"
            self._text((at[0], at[1] + 1.7), hours, 7, _QUIET_INK, va="top", zorder=12)

    def _draw_footprints(self, market: MarketMap) -> None:
        if self._camera is None:
            return
        for watch_point in market.watch_points:
            pose = _watching(watch_point, market.ground_amsl_m)
            ring = footprint(
                self._camera, pose, ground_amsl_m=market.ground_amsl_m, max_range_m=_FOOTPRINT_RANGE_M
            )
            if not ring:
                continue
            xs, ys = zip(*(self._xy(p.lat_deg, p.lon_deg) for p in ring), strict=True)
            self._axes.fill(xs, ys, facecolor=_VIEW, alpha=0.22, zorder=6)
            self._axes.plot([*xs, xs[0]], [*ys, ys[0]], color=_VIEW, linewidth=1.6, zorder=6)
        if market.watch_points:
            label = f"seen from the watch point, {_FOOTPRINT_RANGE_M:g} m at most"
            self._legend.append(Patch(facecolor=_VIEW, alpha=0.5, label=label))

    def _draw_fence(self) -> None:
        rings = [
            ([self._xy(*vertex) for vertex in fence.vertices], fence.inclusion) for fence in self._plan.fence
        ]
        for circle in self._plan.fence_circles:
            east_m, north_m = self._xy(circle.lat_deg, circle.lon_deg)
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
            self._legend.append(
                Line2D([], [], color=_FENCE, linewidth=2, linestyle=(0, (4, 2)), label="fence")
            )

    def _stops(self) -> Sequence[tuple[int, MissionItem, _Xy]]:
        """Number, item and place of every item that is flown to and has one."""
        home = self._xy(self._plan.home.lat_deg, self._plan.home.lon_deg)
        stops = []
        for number, item in enumerate(self._plan.items, start=1):
            if item.command == qgc.NAV_TAKEOFF:
                stops.append((number, item, home))
            elif item.is_flown_to and item.lat_deg is not None and item.lon_deg is not None:
                stops.append((number, item, self._xy(item.lat_deg, item.lon_deg)))
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
            home = self._xy(self._plan.home.lat_deg, self._plan.home.lon_deg)
            self._axes.plot(
                *zip(route[-1], home, strict=True), color=_ROUTE, linewidth=1.6, linestyle=":", zorder=9
            )
            self._legend.append(Line2D([], [], color=_ROUTE, linewidth=1.6, linestyle=":", label="return"))
        for number, item, (east_m, north_m) in stops:
            self._axes.plot(
                east_m, north_m, "o", markersize=15, color=_ROUTE, markeredgecolor="white", zorder=10
            )
            self._axes.text(
                east_m, north_m, str(number), color="white", fontsize=8.5, weight="bold",
                ha="center", va="center_baseline", zorder=11,
            )  # fmt: skip
            label = "" if item.height_m is None else f"{item.height_m:.3g} m"
            if item.hold_s:
                label += " without end" if math.isinf(item.hold_s) else f", holds {item.hold_s:g} s"
            self._text((east_m + 2.0, north_m - 1.6), label, 8.5, _ROUTE, va="top", zorder=11, weight="bold")
        self._legend.insert(0, Line2D([], [], color=_ROUTE, linewidth=2.4, label="route, item and height"))

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
        home = self._xy(self._plan.home.lat_deg, self._plan.home.lon_deg)
        self._axes.plot(
            *home, "s", markersize=25, color=_SAFE, markeredgecolor="white", markeredgewidth=1.5, zorder=9.5
        )
        self._text(
            (home[0] - 2.2, home[1] - 1.6), "home", 8.5, _SAFE, ha="right", va="top", zorder=11, weight="bold"
        )
        for number, rally in enumerate(self._plan.rally, start=1):
            at = self._xy(rally.lat_deg, rally.lon_deg)
            self._axes.plot(*at, "^", markersize=13, color=_SAFE, markeredgecolor="white", zorder=10)
            label = f"rally {number}, {rally.height_above_home_m:g} m"
            self._text((at[0] + 1.8, at[1]), label, 8.5, _SAFE, va="center", zorder=11, weight="bold")

    def _set_view(self) -> None:
        places = [xy for _, _, xy in self._stops()]
        places.append(self._xy(self._plan.home.lat_deg, self._plan.home.lon_deg))
        places += [self._xy(*vertex) for fence in self._plan.fence for vertex in fence.vertices]
        places += [self._xy(rally.lat_deg, rally.lon_deg) for rally in self._plan.rally]
        for circle in self._plan.fence_circles:
            east_m, north_m = self._xy(circle.lat_deg, circle.lon_deg)
            places += [(east_m - circle.radius_m, north_m - circle.radius_m)]
            places += [(east_m + circle.radius_m, north_m + circle.radius_m)]
        if self._market:
            west, south, east, north = self._market.outline.bounds
            places += [(west, south), (east, north)]
        xs, ys = np.asarray(places).T
        self._axes.set_xlim(xs.min() - _MARGIN_M, xs.max() + _MARGIN_M)
        self._axes.set_ylim(ys.min() - _MARGIN_M, ys.max() + _MARGIN_M)

    def _draw_scale_and_north(self) -> None:
        (west, east), (south, north) = self._axes.get_xlim(), self._axes.get_ylim()
        length_m = _round_length_m((east - west) / 6)
        x0, y0 = west + 0.02 * (east - west), south + 0.02 * (north - south)
        self._axes.plot(
            [x0, x0 + length_m], [y0, y0], color=_INK, linewidth=3, solid_capstyle="butt", zorder=13
        )
        self._text(
            (x0 + length_m / 2, y0 + 0.006 * (north - south)),
            f"{length_m:g} m",
            9,
            _INK,
            ha="center",
            zorder=13,
        )
        x, y = east - 0.03 * (east - west), north - 0.02 * (north - south)
        style = {"arrowstyle": "-|>", "color": _INK, "linewidth": 2.5, "mutation_scale": 22}
        self._axes.annotate(
            "", xy=(x, y), xytext=(x, y - 0.06 * (north - south)), arrowprops=style, zorder=13
        )
        self._text(
            (x, y - 0.065 * (north - south)), "N", 13, _INK, ha="center", va="top", zorder=13, weight="bold"
        )


def _watching(watch_point: WatchPoint, ground_amsl_m: float) -> CameraPose:
    return CameraPose(
        at_ns=0,
        lat_deg=watch_point.lat_deg,
        lon_deg=watch_point.lon_deg,
        height=Amsl(ground_amsl_m + watch_point.height_above_ground_m),
        roll_rad=0.0,
        pitch_rad=math.radians(watch_point.pitch_deg),
        yaw_ned_rad=math.radians(watch_point.yaw_deg),
    )


def _hours_text(hours: OpeningHours) -> str:
    days = "daily" if len(hours.days) == 7 else " ".join(calendar.day_abbr[day] for day in sorted(hours.days))
    return f"{days} {hours.opens:%H:%M}-{hours.closes:%H:%M}"


def _round_length_m(wanted_m: float) -> float:
    """The largest of 1, 2, 5, 10, 20, 50 ... that is not above what is wanted."""
    decade = 10.0 ** math.floor(math.log10(wanted_m))
    return max(step * decade for step in (1, 2, 5) if step * decade <= wanted_m)
