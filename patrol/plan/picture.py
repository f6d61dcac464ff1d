"""A picture of a market, north up, in metres: what routes, coverage and error ellipses are drawn upon.

    with map_picture("out.png", "two tracks", market.name, frame=market.frame) as picture:
        picture.draw_market(market)
        picture.axes.plot(east_m, north_m, zorder=9)
        picture.show(*market.outline.bounds)

Layers by zorder: outline 1, zones 2, lanes 3, stalls 4, their names 5; what is drawn upon them 6 to 11; names
of zones 12, scale and north 13.
"""

import calendar
import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry

from patrol.domain.errors import NightPatrolError
from patrol.domain.positions import GeoPoint, LocalText
from patrol.geo.frames import LocalFrame
from patrol.plan.market import MarketMap, OpeningHours

_CHINESE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "PingFang SC", "Microsoft YaHei", "SimHei",
)  # fmt: skip

_SIZE_IN = (13.0, 10.4)
_DPI = 150
_MARGIN_M = 7.0
_LABEL_M = (30.0, 4.5)  # about what a zone's name covers

INK = "#22303c"
QUIET_INK = "#6b7680"
_PAPER = "#f6f5f1"
_GROUND = "#e9e7df"
_PUBLIC = "#f8e3c3"
_PRIVATE = "#cdd5dc"
_LANE = "#ffffff"
_STALL = "#d99a5b"
_ZONE_EDGE = "#b7b2a5"
_HALO = [withStroke(linewidth=3, foreground="white")]


class MapPicture:
    """A picture in the making. `axes` are in metres east and north of `frame`; `legend` is shown below."""

    def __init__(self, frame: LocalFrame, *, in_chinese: bool) -> None:
        self.frame = frame
        self.in_chinese = in_chinese
        self.figure = Figure(figsize=_SIZE_IN, dpi=_DPI, facecolor=_PAPER)
        FigureCanvasAgg(self.figure)
        self.axes: Axes = self.figure.add_axes((0.02, 0.06, 0.96, 0.885))
        self.axes.set_aspect("equal")
        self.axes.set_axis_off()
        self.legend: list[Patch | Line2D] = []

    def xy(self, lat_deg: float, lon_deg: float) -> tuple[float, float]:
        """Metres east and north of a place in degrees."""
        east_m, north_m = self.frame.to_enu(lat_deg, lon_deg)
        return float(east_m), float(north_m)

    def name(self, text: LocalText | str) -> str:
        """A name in both languages, or in English alone where no font has Chinese."""
        if isinstance(text, str):
            return text
        return f"{text.zh} {text.en}" if self.in_chinese and text.zh != text.en else text.en

    def text(self, at: tuple[float, float], text: str, size: float, colour: str, **style: Any) -> None:
        """Write words with a white rim, so that they are read upon anything."""
        self.axes.text(*at, text, fontsize=size, color=colour, path_effects=_HALO, **style)

    def fill(self, shape: BaseGeometry, **style: Any) -> None:
        """Fill the polygons of a shape that is in metres of the frame."""
        for part in getattr(shape, "geoms", [shape]):
            if not isinstance(part, Polygon) or part.is_empty:
                continue
            if part.interiors:
                rings = [
                    Path(np.asarray(ring.coords), closed=True) for ring in (part.exterior, *part.interiors)
                ]
                self.axes.add_patch(PathPatch(Path.make_compound_path(*rings), **style))
            else:
                self.axes.fill(*np.asarray(part.exterior.coords).T, **style)

    def ring(self, points: Sequence[GeoPoint], colour: str) -> None:
        """Draw a ring on the ground, such as a `footprint`: its line and a faint filling."""
        if not points:
            return
        xs, ys = zip(*(self.xy(p.lat_deg, p.lon_deg) for p in points), strict=True)
        self.axes.fill(xs, ys, facecolor=colour, alpha=0.22, zorder=6)
        self.axes.plot([*xs, xs[0]], [*ys, ys[0]], color=colour, linewidth=1.6, zorder=6)

    def draw_market(self, market: MarketMap, *, clear: Iterable[BaseGeometry] = ()) -> None:
        """Draw outline, zones, lanes, stalls and names; the zones' names keep off the shapes of `clear`.

        The picture's frame is the market's. Under a zone's name stands when it is open.
        """
        self.fill(market.outline, facecolor=_GROUND, edgecolor=QUIET_INK, linewidth=1.0, zorder=1)
        for zone in market.zones:
            style = {"facecolor": _PUBLIC} if zone.opening else {"facecolor": _PRIVATE, "hatch": "//"}
            self.fill(zone.polygon, **style, edgecolor=_ZONE_EDGE, linewidth=0.8, zorder=2)
        for lane in market.lanes:
            self.fill(lane.line.buffer(lane.width_m / 2, cap_style="flat"), facecolor=_LANE, zorder=3)
        for stall in market.stalls:
            self.fill(stall.polygon, facecolor=_STALL, edgecolor="white", linewidth=0.6, zorder=4)
            if self.in_chinese:
                centre = stall.polygon.centroid
                self.axes.text(
                    centre.x, centre.y, stall.name.zh[:4],
                    fontsize=4.5, color=INK, ha="center", va="center", zorder=5,
                )  # fmt: skip
        notes = {
            zone.id: "; ".join(map(_hours_text, zone.opening)) or "closed to the public"
            for zone in market.zones
        }
        self.draw_zone_names(market, notes, [*(stall.polygon for stall in market.stalls), *clear])
        self.legend += [
            Patch(facecolor=_PUBLIC, edgecolor=_ZONE_EDGE, label="open to the public"),
            Patch(facecolor=_PRIVATE, edgecolor=_ZONE_EDGE, hatch="//", label="never open"),
            Patch(facecolor=_STALL, label="stall"),
        ]

    def draw_market_lines(self, market: MarketMap) -> None:
        """Draw only the edges of outline, zones, lanes and stalls, upon what is coloured beneath them."""
        edges = [(market.outline, 1.6, "-", 4.0)]
        edges += [(zone.polygon, 1.2, "-", 4.0) for zone in market.zones]
        edges += [
            (lane.line.buffer(lane.width_m / 2, cap_style="flat"), 0.7, ":", 3.5) for lane in market.lanes
        ]
        edges += [(stall.polygon, 0.6, "-", 4.0) for stall in market.stalls]
        for shape, width, dashes, zorder in edges:
            self.fill(
                shape, facecolor="none", edgecolor=INK, linewidth=width, linestyle=dashes, zorder=zorder
            )

    def show(self, west_m: float, south_m: float, east_m: float, north_m: float) -> None:
        """Show these bounds and a margin around them."""
        self.axes.set_xlim(west_m - _MARGIN_M, east_m + _MARGIN_M)
        self.axes.set_ylim(south_m - _MARGIN_M, north_m + _MARGIN_M)

    def draw_zone_names(
        self,
        market: MarketMap,
        notes: Mapping[str, str],
        taken: Sequence[BaseGeometry] = (),
        *,
        note_size: float = 7,
        note_colour: str = QUIET_INK,
    ) -> None:
        """Write each zone's name where it covers least of the shapes of `taken`, its note (by id) below."""
        for zone in market.zones:
            west, south, east, north = zone.polygon.bounds
            width, height = min(_LABEL_M[0], east - west - 2), _LABEL_M[1]
            tops = np.arange(north - height - 0.5, south, -1.0)

            def covered(at: tuple[float, float], width: float = width, height: float = height) -> float:
                label = box(at[0], at[1], at[0] + width, at[1] + height)
                return float(sum(label.intersection(shape).area for shape in taken))

            at = min(((west + 1, float(top)) for top in tops), key=covered, default=(west, south))
            name = self.name(zone.name)
            self.text((at[0], at[1] + 1.8), name, 9.5, INK, va="bottom", zorder=12, weight="bold")
            below = (at[0], at[1] + 1.7)
            self.text(below, notes[zone.id], note_size, note_colour, va="top", zorder=12)

    def _finish(self, title: str) -> None:
        self._draw_scale_and_north()
        self.figure.text(0.03, 0.955, title, fontsize=15, color=INK, weight="bold")
        self.axes.legend(
            handles=self.legend, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=len(self.legend),
            frameon=False, fontsize=9, labelcolor=INK, handlelength=1.6, columnspacing=1.4,
        )  # fmt: skip

    def _draw_scale_and_north(self) -> None:
        (west, east), (south, north) = self.axes.get_xlim(), self.axes.get_ylim()
        length_m = _round_length_m((east - west) / 6)
        x0, y0 = west + 0.02 * (east - west), south + 0.02 * (north - south)
        self.axes.plot(
            [x0, x0 + length_m], [y0, y0], color=INK, linewidth=3, solid_capstyle="butt", zorder=13
        )
        middle = (x0 + length_m / 2, y0 + 0.006 * (north - south))
        self.text(middle, f"{length_m:g} m", 9, INK, ha="center", zorder=13)
        x, y = east - 0.03 * (east - west), north - 0.02 * (north - south)
        style = {"arrowstyle": "-|>", "color": INK, "linewidth": 2.5, "mutation_scale": 22}
        self.axes.annotate("", xy=(x, y), xytext=(x, y - 0.06 * (north - south)), arrowprops=style, zorder=13)
        below = (x, y - 0.065 * (north - south))
        self.text(below, "N", 13, INK, ha="center", va="top", zorder=13, weight="bold")


@contextmanager
def map_picture(
    path_png: pathlib.Path | str, *title: str | LocalText, frame: LocalFrame
) -> Iterator[MapPicture]:
    """A picture of 1950 by 1560 pixels to draw upon, written as a PNG when the block ends without an error.

    Raises:
        NightPatrolError: the picture cannot be written.
    """
    installed = set(fontManager.get_font_names())
    chinese = next((name for name in _CHINESE_FONTS if name in installed), None)
    families = [chinese, "DejaVu Sans"] if chinese else ["DejaVu Sans"]
    with mpl.rc_context({"font.family": families, "axes.unicode_minus": False}):
        picture = MapPicture(frame, in_chinese=chinese is not None)
        yield picture
        picture._finish("  ·  ".join(picture.name(part) for part in title))
        try:
            picture.figure.savefig(path_png, format="png")
        except OSError as error:
            raise NightPatrolError(
                f"{path_png}: cannot be written ({error.strerror}); name another file"
            ) from error


def _hours_text(hours: OpeningHours) -> str:
    days = "daily" if len(hours.days) == 7 else " ".join(calendar.day_abbr[day] for day in sorted(hours.days))
    return f"{days} {hours.opens:%H:%M}-{hours.closes:%H:%M}"


def _round_length_m(wanted_m: float) -> float:
    """The largest of 1, 2, 5, 10, 20, 50 ... that is not above what is wanted."""
    decade = 10.0 ** math.floor(math.log10(wanted_m))
    return max(step * decade for step in (1, 2, 5) if step * decade <= wanted_m)
