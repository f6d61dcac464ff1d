"""`patrol eval geo --draw`: footprints and 90 % ellipses of three poses over the demonstration's market."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Ellipse, Patch

from patrol.commands.geo_noise import CAMERA, CHI2_90, ERRORS, FOOT_SIGMA_MIN_PX, GROUND_SIGMA_M
from patrol.commands.geo_truth import Floats
from patrol.domain.errors import NightPatrolError
from patrol.domain.heights import Amsl
from patrol.domain.resources import data_path
from patrol.domain.telemetry import CameraMotion, CameraPose
from patrol.geo.ellipses import ellipse_90
from patrol.geo.ground import LevelGround
from patrol.geo.projection import MIN_GRAZING_RAD, footprint, pixels_to_ground
from patrol.plan.market import MarketMap, read_market
from patrol.plan.picture import QUIET_INK, MapPicture, map_picture

_MAX_RANGE_M = 130.0
_COLUMNS, _ROWS = 7, 5
_ARROW_S = 1.5  # how far the drone comes in so many seconds is its arrow
_VIEW, _ERROR, _DRONE, _CONTOUR, _LIMIT = "#f2c200", "#b3261e", "#1f5fbf", "#5b6b78", "#7a1fa2"
_CONTOURS_DEG = (10, 15, 20, 30, 45, 60, 75)
_CONTOURS_APART_M = 6.0


@dataclass(frozen=True)
class _Scene:
    """A pose over the market: metres from its origin and above ground, degrees, and how the camera moves."""

    file: str
    title: str
    east_m: float
    north_m: float
    height_m: float
    yaw_deg: float
    pitch_deg: float
    velocity_en_mps: tuple[float, float] = (0.0, 0.0)
    turn_dps: float = 0.0


_SCENES = (
    _Scene(
        "low-oblique.png", "8 m high, looking 12 degrees down",
        east_m=-62.0, north_m=-46.0, height_m=8.0, yaw_deg=52.0, pitch_deg=-12.0,
    ),
    _Scene(
        "mid.png", "60 m high, looking 45 degrees down, flying east at 8 m/s",
        east_m=0.0, north_m=-62.0, height_m=60.0, yaw_deg=0.0, pitch_deg=-45.0, velocity_en_mps=(8.0, 0.0),
    ),
    _Scene(
        "straight-down.png", "60 m high, straight down, drifting at 5 m/s, turning 20 degrees a second",
        east_m=0.0, north_m=-4.0, height_m=60.0, yaw_deg=0.0, pitch_deg=-90.0, velocity_en_mps=(-3.0, 4.0),
        turn_dps=20.0,
    ),
)  # fmt: skip


def draw(folder: Path) -> Sequence[Path]:
    """Draw the three pictures into a folder, which is made if it is missing; the files' paths.

    Raises:
        NightPatrolError: the folder or a picture cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NightPatrolError(f"{folder}: cannot be made ({error.strerror}); name another folder") from error
    market = read_market(data_path("flightplans") / "night-market.market.geojson")
    for scene in _SCENES:
        with map_picture(folder / scene.file, scene.title, market.name, frame=market.frame) as picture:
            picture.draw_market(market)
            _draw_scene(picture, market, scene)
    return [folder / scene.file for scene in _SCENES]


def _draw_scene(picture: MapPicture, market: MarketMap, scene: _Scene) -> None:
    lat_deg, lon_deg = market.frame.to_geodetic(scene.east_m, scene.north_m)
    pose = CameraPose(
        0, float(lat_deg), float(lon_deg), Amsl(market.ground_amsl_m + scene.height_m),
        0.0, math.radians(scene.pitch_deg), math.radians(scene.yaw_deg),
    )  # fmt: skip
    ground = LevelGround(Amsl(market.ground_amsl_m), GROUND_SIGMA_M)
    ring = footprint(CAMERA, pose, ground=ground, max_range_m=_MAX_RANGE_M)
    picture.ring(ring, _VIEW)
    found = pixels_to_ground(
        CAMERA,
        pose,
        _picture_grid(),
        ground=ground,
        pixel_sigma_px=(FOOT_SIGMA_MIN_PX, FOOT_SIGMA_MIN_PX),
        errors=ERRORS,
        motion=CameraMotion(
            (scene.velocity_en_mps[1], scene.velocity_en_mps[0], 0.0),
            (0.0, 0.0, math.radians(scene.turn_dps)),
        ),
    )
    valid = found.valid
    places_m = np.stack(market.frame.to_enu(found.lat_deg[valid], found.lon_deg[valid]), axis=1)
    _draw_ellipses(picture, places_m, found.covariance_en_m2[valid], np.array([scene.east_m, scene.north_m]))
    _draw_depressions(picture, scene)
    _draw_drone(picture, scene)
    xs, ys = np.array([*(picture.xy(p.lat_deg, p.lon_deg) for p in ring), (scene.east_m, scene.north_m)]).T
    west, south, east, north = market.outline.bounds
    picture.show(min(west, xs.min()), min(south, ys.min()), max(east, xs.max()), max(north, ys.max()))
    picture.legend += [
        Line2D([], [], color=_DRONE, marker="o", linestyle="", markersize=9, label="drone, course"),
        Patch(facecolor=_VIEW, alpha=0.5, label=f"in the picture, {_MAX_RANGE_M:g} m at most"),
        Line2D([], [], color=_ERROR, linewidth=1.5, label="90 % ellipse"),
        Line2D([], [], color=_CONTOUR, linewidth=0.9, linestyle=":", label="depression"),
    ]
    caption = (
        f"One sigma: {ERRORS.horizontal_m:g} m east and north, {ERRORS.height_m:g} m height, "
        f"{GROUND_SIGMA_M:g} m ground, {math.degrees(ERRORS.yaw_rad):g}° heading, "
        f"{math.degrees(ERRORS.pitch_rad):g}° pitch and roll, {ERRORS.time_s:g} s time, "
        f"{FOOT_SIGMA_MIN_PX:g} px. Field of view 65°."
    )
    paper = {"facecolor": picture.figure.get_facecolor(), "edgecolor": "none", "pad": 1.5}
    picture.figure.text(0.03, 0.937, caption, fontsize=9.5, color=QUIET_INK, bbox=paper)


def _draw_ellipses(picture: MapPicture, places_m: Floats, covariances_m2: Floats, foot_m: Floats) -> None:
    """The furthest first; none whose middle lies in one that is drawn, so that they stay readable."""
    range_m = np.hypot(*(places_m - foot_m).T)
    drawn: list[int] = []
    for n in np.argsort(-range_m):
        apart_m = places_m[n] - places_m[drawn]
        solved = np.linalg.solve(covariances_m2[drawn], apart_m[:, :, None])[:, :, 0]
        if range_m[n] > _MAX_RANGE_M or np.any(np.einsum("ni,ni->n", apart_m, solved) < CHI2_90):
            continue
        drawn.append(int(n))
        ellipse = ellipse_90(covariances_m2[n])
        shape = Ellipse(tuple(places_m[n]), 2 * ellipse.semi_major_m, 2 * ellipse.semi_minor_m)
        shape.set(
            angle=90.0 - ellipse.bearing_deg, facecolor="none", edgecolor=_ERROR, linewidth=1.5, zorder=9
        )
        picture.axes.add_patch(shape)
        picture.axes.plot(*places_m[n], "o", markersize=3, color=_ERROR, zorder=9)


def _picture_grid() -> Floats:
    """Pixels (N, 2) evenly over the picture, none on its border."""
    xs = (np.arange(_COLUMNS) + 0.5) / _COLUMNS * CAMERA.width_px
    ys = (np.arange(_ROWS) + 0.5) / _ROWS * CAMERA.height_px
    return np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)


def _draw_depressions(picture: MapPicture, scene: _Scene) -> None:
    """Circles of equal depression about the drone's foot, each named where the camera looks."""
    limit_deg = math.degrees(MIN_GRAZING_RAD)
    last_m = math.inf
    for depression_deg in (limit_deg, *_CONTOURS_DEG):
        radius_m = scene.height_m / math.tan(math.radians(depression_deg))
        if radius_m > _MAX_RANGE_M or last_m - radius_m < _CONTOURS_APART_M:
            continue
        last_m = radius_m
        is_limit = depression_deg == limit_deg
        colour, name = (
            (_LIMIT, f"{limit_deg:g}°: no place is told beyond")
            if is_limit
            else (_CONTOUR, f"{depression_deg}°")
        )
        picture.axes.add_patch(
            Circle(
                (scene.east_m, scene.north_m), radius_m, facecolor="none", edgecolor=colour,
                linewidth=1.8 if is_limit else 0.9, linestyle="--" if is_limit else ":", zorder=8,
            )
        )  # fmt: skip
        bearing = math.radians(scene.yaw_deg)
        at = scene.east_m + radius_m * math.sin(bearing), scene.north_m + radius_m * math.cos(bearing)
        picture.text(at, name, 8.5, colour, ha="center", va="bottom", zorder=13)


def _draw_drone(picture: MapPicture, scene: _Scene) -> None:
    at = scene.east_m, scene.north_m
    picture.axes.plot(*at, "o", markersize=13, color=_DRONE, markeredgecolor="white", zorder=13)
    if any(scene.velocity_en_mps):
        tip = at[0] + _ARROW_S * scene.velocity_en_mps[0], at[1] + _ARROW_S * scene.velocity_en_mps[1]
        style = {"arrowstyle": "-|>", "color": _DRONE, "linewidth": 2.5, "mutation_scale": 18}
        picture.axes.annotate("", xy=tip, xytext=at, arrowprops=style, zorder=12)
    below = (at[0], at[1] - 2.5)
    picture.text(below, f"{scene.height_m:g} m", 9, _DRONE, ha="center", va="top", zorder=13, weight="bold")
