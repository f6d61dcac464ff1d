"""Draws what of a market was looked at, and what was not."""

import itertools
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

import matplotlib as mpl
import numpy as np
import shapely
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as MapPath
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from patrol.geo.coverage import Coverage
from patrol.plan.market import MarketMap
from patrol.plan.picture import INK, QUIET_INK, map_picture

_DWELL_STEPS_S = (0.0, 1.0, 3.0, 10.0, 30.0)
_HEIGHT_STEPS_PX = (30.0, 40.0, 60.0)
"""Edges of the classes by which `patrol eval detect` states recall (models/night-patrol-nano.md)."""

_COLOURS = "viridis_r"  # even steps of lightness, told apart with any colour vision
_TOO_SMALL = "#d5d5d5"
_UNSEEN = "#ffffff"
_HATCH = "#7d3c4f"


class Shown(StrEnum):
    """What the colours stand for."""

    HEIGHT = "height"
    DWELL = "dwell"


def draw_coverage(
    coverage: Coverage, market: MarketMap, path_png: Path | str, *, least_height_px: float, shown: Shown
) -> None:
    """Draw a coverage over its market as a PNG.

    Args:
        coverage: in the market's frame.
        market: below it.
        path_png: the file to write.
        least_height_px: cells where a standing person was never so high are grey.
        shown: what the colours of the others stand for.

    Raises:
        NightPatrolError: the picture cannot be written.
    """
    useful, ever = coverage.seen(least_height_px), coverage.last_seen_ns > 0
    if shown is Shown.HEIGHT:
        values = coverage.best_height_px
        steps = (least_height_px, *(step for step in _HEIGHT_STEPS_PX if step > least_height_px))
        unit, legend = "px", "standing person at best"
    else:
        values, steps = coverage.dwell_s, _DWELL_STEPS_S
        unit, legend = "s", "in the picture for"
    colours = [mpl.colors.to_hex(c) for c in mpl.colormaps[_COLOURS](np.linspace(0.12, 0.95, len(steps)))]
    with map_picture(path_png, _TITLES[shown], market.name, frame=market.frame) as picture:
        west, south, east, north = coverage.extent_m
        image = picture.axes.imshow(
            np.ma.masked_array(values, ~useful), origin="lower", extent=(west, east, south, north),
            cmap=ListedColormap(colours), norm=BoundaryNorm((*steps, np.inf), len(steps)),
            interpolation="nearest", zorder=2,
        )  # fmt: skip
        ring = MapPath(shapely.get_coordinates(market.outline.exterior), closed=True)
        image.set_clip_path(PathPatch(ring, transform=picture.axes.transData))
        small = _shape(coverage, ever & ~useful).intersection(market.outline)
        unseen = market.outline.difference(_shape(coverage, ever))
        picture.fill(small, facecolor=_TOO_SMALL, edgecolor="none", zorder=2.5)
        picture.fill(unseen, facecolor=_UNSEEN, edgecolor=_HATCH, hatch="xx", linewidth=0.8, zorder=2.6)
        picture.draw_market_lines(market)
        notes = {
            zone.id: f"{coverage.share_seen(zone.polygon, least_height_px):.0%} seen, "
            f"{coverage.mean_dwell_s(zone.polygon):.0f} s on average"
            for zone in market.zones
        }
        picture.draw_zone_names(market, notes, note_size=8, note_colour=INK)
        picture.legend += [
            Patch(facecolor=_UNSEEN, edgecolor=_HATCH, hatch="xx", label="never in the picture"),
            Patch(facecolor=_TOO_SMALL, label=f"seen, but below {least_height_px:g} px"),
            Patch(facecolor="none", edgecolor="none", label=f"{legend}:"),
            *_classes(colours, steps, unit),
        ]
        share = coverage.share_seen(market.outline, least_height_px)
        line = (
            f"{share:.0%} of the market was seen with a standing person {least_height_px:g} px high or more"
        )
        picture.figure.text(0.03, 0.935, line + _times(coverage, market), fontsize=10, color=QUIET_INK)
        picture.show(*market.outline.bounds)


_TITLES = {Shown.HEIGHT: "How well it was seen", Shown.DWELL: "How long it was seen"}


def _classes(colours: Sequence[str], steps: Sequence[float], unit: str) -> list[Patch]:
    ends = [
        *(f"{low:g}-{high:g}" for low, high in itertools.pairwise(steps)),
        f"{steps[-1]:g} or more",
    ]
    return [Patch(facecolor=c, label=f"{end} {unit}") for c, end in zip(colours, ends, strict=True)]


def _times(coverage: Coverage, market: MarketMap) -> str:
    seen = coverage.last_seen_ns > 0
    if not seen.any():
        return ""
    zone = ZoneInfo(market.timezone)
    first, last = (
        datetime.fromtimestamp(int(at_ns) / 1e9, zone)
        for at_ns in (coverage.first_seen_ns[seen].min(), coverage.last_seen_ns.max())
    )
    return f"  ·  {first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S} ({market.timezone})"


def _shape(coverage: Coverage, cells: NDArray[np.bool_]) -> BaseGeometry:
    """The ground of some cells."""
    west, south, _, _ = coverage.extent_m
    padded = np.pad(cells.astype(np.int8), ((0, 0), (1, 1)))
    rows, starts = np.nonzero(np.diff(padded, axis=1) == 1)
    _, ends = np.nonzero(np.diff(padded, axis=1) == -1)
    side_m = coverage.cell_m
    boxes = shapely.box(
        west + starts * side_m, south + rows * side_m, west + ends * side_m, south + (rows + 1) * side_m
    )
    return shapely.union_all(boxes)
