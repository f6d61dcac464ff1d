"""Draws the residuals of a calibration, before and after: in the camera's picture and on the map."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from patrol.domain.positions import LocalText
from patrol.geo.adjustment import KnownPoint
from patrol.geo.calibration import Calibration
from patrol.geo.frames import LocalFrame
from patrol.plan.market import MarketMap
from patrol.plan.picture import INK, QUIET_INK, MapPicture, map_picture

_SIZE_IN = (19.0, 8.6)
_LEFT_HALF, _RIGHT_HALF = (0.03, 0.09, 0.45, 0.83), (0.51, 0.09, 0.475, 0.83)
_BEFORE, _AFTER, _LEFT_OUT = "#8d979e", "#1f5fbf", "#c0392b"
_ARROW_SHARE = 0.04  # of the width shown; the median arrow is not drawn longer unless it is so truly
_FACTORS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_NAMED = 3  # of the worst points


def draw_calibration(
    path_png: Path, found: Calibration, known: Sequence[KnownPoint], market: MarketMap | None
) -> None:
    """Draw a calibration as a PNG of 2850 by 1290 pixels.

    Arrows lead from where a point was clicked to where its known place appears, and on the map from the known
    place to where the clicked ray meets the ground. Those before and those after are each drawn larger than
    true by a factor that the legend states.

    Raises:
        NightPatrolError: the picture cannot be written.
    """
    places = np.array([(point.lat_deg, point.lon_deg) for point in known])
    frame = market.frame if market else LocalFrame(*map(float, np.median(places[found.used], axis=0)))
    title: list[str | LocalText] = ["patrol calibrate"]
    if market:
        title.append(market.name)
    left_out = int((~found.used).sum())
    title.append(f"{int(found.used.sum())} points" + (f", {left_out} left out" if left_out else ""))
    with map_picture(path_png, *title, frame=frame) as picture:
        picture.figure.set_size_inches(*_SIZE_IN)
        picture.axes.set_position(_RIGHT_HALF)
        if market:
            picture.draw_market(market)
        _draw_on_map(picture, found, np.column_stack(frame.to_enu(*places.T)), market)
        _draw_in_picture(picture, found, known)


def _draw_in_picture(picture: MapPicture, found: Calibration, known: Sequence[KnownPoint]) -> None:
    axes = picture.figure.add_axes(_LEFT_HALF)
    axes.set_aspect("equal")
    axes.set_facecolor("white")
    axes.tick_params(colors=QUIET_INK, labelsize=8)
    width_px, height_px = found.camera.width_px, found.camera.height_px
    axes.set_xlim(0, width_px)
    axes.set_ylim(height_px, 0)
    clicked = np.array([(point.x_px, point.y_px) for point in known])
    legend = _draw_arrows(axes, clicked, found.before.pixels, found.after.pixels, found.used, "px")
    worst = np.argsort(-np.where(found.used, found.after.length_px, -np.inf))[:_NAMED]
    for i in {*worst.tolist(), *np.flatnonzero(~found.used).tolist()}:
        x_px, y_px = map(float, clicked[i])
        colour = INK if found.used[i] else _LEFT_OUT
        side = "right" if x_px > width_px / 2 else "left"
        axes.text(x_px, y_px, f"  {known[i].name}  ", fontsize=8, color=colour, ha=side, zorder=9)
    axes.legend(
        handles=legend, loc="upper center", bbox_to_anchor=(0.5, -0.04), ncols=len(legend), frameon=False,
        fontsize=9, labelcolor=INK,
    )  # fmt: skip


def _draw_on_map(
    picture: MapPicture, found: Calibration, places_en_m: NDArray[np.float64], market: MarketMap | None
) -> None:
    shown = places_en_m[found.used]
    if market:
        shown = np.vstack([shown, np.reshape(market.outline.bounds, (2, 2))])
    picture.show(*map(float, (*shown.min(axis=0), *shown.max(axis=0))))
    before, after = found.before.ground_en_m, found.after.ground_en_m
    picture.legend += _draw_arrows(picture.axes, places_en_m, before, after, found.used, "m")


def _draw_arrows(
    axes: Axes,
    places: NDArray[np.float64],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    used: NDArray[np.bool_],
    unit: str,
) -> list[Line2D]:
    """Draw residuals (N, 2) at places (N, 2); returns the legend."""
    width = float(np.ptp(axes.get_xlim()))
    legend = []
    for name, vectors, colour, zorder in (("before", before, _BEFORE, 7), ("after", after, _AFTER, 8)):
        drawn = used & np.isfinite(vectors).all(axis=1)
        median = float(np.median(np.hypot(*vectors[drawn].T))) if drawn.any() else math.nan
        factor = max((one for one in _FACTORS if one * median <= _ARROW_SHARE * width), default=1)
        axes.quiver(
            *places[drawn].T, *vectors[drawn].T, color=colour, zorder=zorder,
            angles="xy", scale_units="xy", scale=1 / factor,
            units="dots", width=2.2, headwidth=4.5, headlength=6, headaxislength=5.5,
        )  # fmt: skip
        label = f"{name}, drawn {factor}:1; median {median:.2f} {unit}"
        legend.append(Line2D([], [], color=colour, linewidth=2.2, label=label))
    axes.plot(*places[used].T, "o", markersize=3.5, color=INK, zorder=9)
    if not used.all():
        axes.plot(*places[~used].T, "x", markersize=9, markeredgewidth=2.2, color=_LEFT_OUT, zorder=9)
        legend.append(Line2D([], [], color=_LEFT_OUT, linestyle="", marker="x", label="left out"))
    return legend
