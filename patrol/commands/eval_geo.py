"""`patrol eval geo`: how exact places on the ground are, and whether they are as sure as they claim."""

import math
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from patrol.commands import geo_exact, geo_noise, geo_speed, geolocation
from patrol.commands.geo_exact import Exactness
from patrol.commands.geo_noise import DEPRESSIONS_DEG, FusedHonesty, Honesty
from patrol.commands.geo_speed import Speed
from patrol.commands.geo_truth import Floats
from patrol.domain.resources import data_path
from patrol.geo.camera import read_camera
from patrol.geo.fusion import CorrelationTimes
from patrol.geo.projection import MIN_GRAZING_RAD
from patrol.plan.market import read_market

POSES_PER_TRIAL = 2.5  # 10,000 poses with the default 4,000 trials
_FUSED_PART, _UNTOLD_PART, _TERRAIN_PART = 2, 16, 20
_SPREAD_FLIGHTS = 10
_NO_TERRAIN = "rasterio is not installed; pip install 'night-patrol[terrain]'"
_NO_FEET = "the test data has no aerial/pets2009_s2l1; give its folder with --data"
_MIDDLE_DEG = 45  # where the medians are quoted


@dataclass(frozen=True)
class Measured:
    """All figures of one run. Mappings by depression have degrees as text, as JSON wants them."""

    level: Exactness
    terrain: Exactness | None
    one_view: dict[str, Honesty]
    shallow: dict[str, Honesty]
    ten_views: dict[str, FusedHonesty]
    lasting: dict[str, FusedHonesty]
    untold: dict[str, dict[str, Honesty]]
    sensitivity_m: dict[str, dict[str, float]]
    spread_error: float
    speed: Speed
    feet_apart_m: Floats | None


def measure(console: Console, *, seed: int, trials: int, data: Path) -> Measured:
    """Run everything; each part draws its own random numbers, so that one does not change another.

    Args:
        console: where progress is shown.
        seed: of all random numbers.
        trials: with one view at each depression; the other parts are in proportion.
        data: folder of the optional test data.
    """
    exact_rng, terrain_rng, one_rng, ten_rng, untold_rng, spread_rng = np.random.default_rng(seed).spawn(6)
    poses = round(POSES_PER_TRIAL * trials)
    fused, untold, terrain = (max(1, trials // part) for part in (_FUSED_PART, _UNTOLD_PART, _TERRAIN_PART))
    with Progress(console=console, transient=True) as progress:

        def each(what: str) -> Any:
            return progress.track(DEPRESSIONS_DEG, description=what)

        bar = progress.add_task("exact inputs, level ground", total=poses)
        level = geo_exact.over_level_ground(exact_rng, poses, lambda: progress.advance(bar))
        bar = progress.add_task("exact inputs, terrain", total=terrain)
        rolling = None
        if find_spec("rasterio"):
            rolling = geo_exact.over_terrain(terrain_rng, terrain, lambda: progress.advance(bar))
        return Measured(
            level=level,
            terrain=rolling,
            one_view={str(d): geo_noise.one_view(one_rng, d, trials) for d in each("one view")},
            shallow={str(d): geo_noise.one_view(one_rng, d, fused) for d in geo_noise.SHALLOW_DEG},
            ten_views={str(d): geo_noise.fused_views(ten_rng, d, fused) for d in each("ten views")},
            lasting={
                name: geo_noise.fused_views(ten_rng, _MIDDLE_DEG, untold, lasting)
                for name, lasting in geo_noise.LASTING.items()
            },
            untold={
                name: {str(d): geo_noise.one_view(untold_rng, d, untold, wrong) for d in DEPRESSIONS_DEG}
                for name, wrong in progress.track(geo_noise.UNTOLD.items(), description="untold errors")
            },
            sensitivity_m={str(d): geo_noise.sensitivity(d) for d in DEPRESSIONS_DEG},
            spread_error=max(
                geo_noise.spread_error(spread_rng, d, _SPREAD_FLIGHTS) for d in each("sensitivity")
            ),
            speed=geo_speed.measure(),
            feet_apart_m=feet_apart_m(data),
        )


def report(measured: Measured, *, seed: int, trials: int) -> dict[str, Any]:
    """The figures as JSON has them."""
    feet_m = measured.feet_apart_m
    return {
        "exact_max_error_m": measured.level.max_error_m,
        "ellipse_90": {d: one.ellipse_90.share for d, one in measured.one_view.items()},
        "ellipse_90_fused": {d: ten.fused.ellipse_90.share for d, ten in measured.ten_views.items()},
        "median_error_m_1_view": measured.one_view[str(_MIDDLE_DEG)].error.m,
        "median_error_m_10_views": measured.ten_views[str(_MIDDLE_DEG)].fused.error.m,
        "points_per_s": measured.speed.points_per_s,
        "pets_feet_median_m": None if feet_m is None else float(np.median(feet_m)),
        "pets_feet_max_m": None if feet_m is None else float(np.max(feet_m)),
        "pets_feet_n": None if feet_m is None else len(feet_m),
        "pets_feet_missing": _NO_FEET if feet_m is None else None,
        "exact": asdict(measured.level),
        "exact_terrain": None if measured.terrain is None else asdict(measured.terrain),
        "exact_terrain_missing": _NO_TERRAIN if measured.terrain is None else None,
        "one_view": {d: asdict(one) for d, one in measured.one_view.items()},
        "ten_views": {d: asdict(ten) for d, ten in measured.ten_views.items()},
        "one_view_shallow": {d: asdict(one) for d, one in measured.shallow.items()},
        "ten_views_errors_lasting": {name: asdict(ten) for name, ten in measured.lasting.items()},
        "untold_errors": {
            name: {d: asdict(one) for d, one in rows.items()} for name, rows in measured.untold.items()
        },
        "sensitivity_m": measured.sensitivity_m,
        "spread_error_share_of_sigma": measured.spread_error,
        "speed": asdict(measured.speed),
        "assumed": {
            "sigma": {**asdict(geo_noise.ERRORS), "ground_m": geo_noise.GROUND_SIGMA_M},
            "foot_sigma_share": geo_noise.FOOT_SIGMA_SHARE,
            "foot_sigma_min_px": geo_noise.FOOT_SIGMA_MIN_PX,
            "correlation": asdict(CorrelationTimes()),
            "height_m": geo_noise.HEIGHT_M,
            "speed_mps": geo_noise.SPEED_MPS,
            "turn_radps_at_most": geo_noise.MAX_TURN_RADPS,
            "views": geo_noise.VIEWS,
            "view_every_s": geo_noise.VIEW_EVERY_S,
            "grazing_limit_deg": math.degrees(MIN_GRAZING_RAD),
        },
        "intervals": "95 %: Wilson's score interval of shares, order statistics of medians",
        "seed": seed,
        "trials": trials,
        "versions": {
            name: version(name) for name in ("night-patrol", "numpy", "scipy", "opencv-python", "pymap3d")
        },
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
    }


def show(console: Console, measured: Measured) -> None:
    """Print the figures for people, and how each was measured."""
    sigma, speed, feet_m = geo_noise.ERRORS, measured.speed, measured.feet_apart_m
    limit_deg = math.degrees(MIN_GRAZING_RAD)
    console.print(
        _exact_table(measured),
        "Error: from the place told to the true point, when nothing errs. The truth comes from a model of "
        "its own: earth-centred WGS-84, level ground at one height above the ellipsoid, OpenCV's lens. Rays "
        f"above the horizon or flatter than {limit_deg:g} degrees are to be refused; wrongly: refused or "
        "answered on the other side of that limit than the truth is.\n",
    )
    ten = {
        f"{depression}, {name}": one
        for depression, both in measured.ten_views.items()
        for name, one in (("fused", both.fused), ("independent", both.naive))
    }
    ten |= {f"{_MIDDLE_DEG}, lasting {name}": both.fused for name, both in measured.lasting.items()}
    console.print(
        _honesty_table("One view", {**measured.shallow, **measured.one_view}),
        _honesty_table(f"{geo_noise.VIEWS} views, one a second", ten),
        f"{geo_noise.HEIGHT_M:g} m above the ground, flying at {geo_noise.SPEED_MPS:g} m/s. One-sigma "
        f"errors: {sigma.horizontal_m:g} m east and north, {sigma.height_m:g} m height, "
        f"{geo_noise.GROUND_SIGMA_M:g} m ground, {_degrees(sigma.yaw_rad)} heading, "
        f"{_degrees(sigma.pitch_rad)} pitch and roll, {sigma.time_s:g} s time (the pose truly is that of "
        f"another instant), a foot {geo_noise.FOOT_SIGMA_SHARE:g} of a person's height in the picture, "
        f"{geo_noise.FOOT_SIGMA_MIN_PX:g} px at least. Over ten views each error lasts as "
        "patrol.geo.fusion states (lasting: times that). Independent: the weighted mean that takes every "
        "view's errors for its own. Wanted in the ellipse: 0.88 to 0.92. Brackets: 95 % intervals.\n",
    )
    console.print(
        _sensitivity_table(measured),
        f"One thing wrong alone, {geo_noise.HEIGHT_M:g} m above the ground, flying across the view at "
        f"{geo_noise.SPEED_MPS:g} m/s; turning: by {_degrees(geo_noise.MAX_TURN_RADPS)} a second. What the "
        f"claimed spread says of small errors is off by {measured.spread_error:.0e} of a sigma at most.\n",
    )
    console.print(
        _untold_table(measured),
        "One view again, with one error more that no sigma tells of.\n",
    )
    console.print(
        f"Speed: {speed.points_per_s:,.0f} points/s with covariance and all lens coefficients, 100,000 "
        f"pixels a call; {speed.points_per_s_in_crowds:,.0f} at 200 a call; "
        f"{speed.points_per_s_one_by_one:,.0f} one by one. cv2.undistortPoints, which does the lens alone: "
        f"{speed.undistorted_per_s:,.0f}. Per second of processor time, all threads together, which is what "
        "one core does; best of several rounds.\n"
    )
    if feet_m is None:
        console.print(f"PETS feet: not measured; {_NO_FEET}.")
    else:
        console.print(
            f"PETS feet: {len(feet_m)} annotated feet lie {np.median(feet_m):.3f} m (median) and "
            f"{np.max(feet_m):.3f} m (at most) from where the published Tsai calibration puts them."
        )


def _exact_table(measured: Measured) -> Table:
    table = Table(
        "ground", "poses", "points", "max m", "median m", "by range m",
        "refused", "wrongly",
        title="Exact inputs",
    )  # fmt: skip
    for name, exact in (("level", measured.level), ("terrain", measured.terrain)):
        if exact is None:
            table.add_row(name, _NO_TERRAIN)
            continue
        ranges = "\n".join(f"{end}: {error_m:.3f}" for end, error_m in exact.max_error_m_by_range.items())
        table.add_row(
            name, f"{exact.poses}", f"{exact.points}", f"{exact.max_error_m:.3f}",
            f"{exact.median_error_m:.4f}", ranges, f"{exact.refused}",
            f"{exact.refused_wrongly + exact.answered_wrongly}",
        )  # fmt: skip
    return table


def _honesty_table(title: str, rows: Mapping[str, Honesty]) -> Table:
    table = Table(
        "depression", "trials", "in 90 % ellipse", "in circle", "median error m", "circle m", title=title
    )
    for name, one in rows.items():
        share, error = one.ellipse_90, one.error
        table.add_row(
            name, f"{error.n}", f"{share.share:.3f} ({share.low:.2f}-{share.high:.2f})",
            f"{one.radius_90.share:.3f}", f"{error.m:.2f} ({error.low_m:.2f}-{error.high_m:.2f})",
            f"{one.claimed_radius_m:.2f}",
        )  # fmt: skip
    return table


def _sensitivity_table(measured: Measured) -> Table:
    table = Table("metres by", *(f"{d} deg" for d in measured.sensitivity_m), title="Sensitivity")
    for name in geo_noise.UNITS:
        table.add_row(name, *(f"{row[name]:.2f}" for row in measured.sensitivity_m.values()))
    return table


def _untold_table(measured: Measured) -> Table:
    table = Table(
        "untold error", *(f"{d} deg" for d in DEPRESSIONS_DEG), title="Median error m, share in 90 % ellipse"
    )
    for name, rows in measured.untold.items():
        table.add_row(name, *(f"{one.error.m:.1f}, {one.ellipse_90.share:.2f}" for one in rows.values()))
    return table


def _degrees(angle_rad: float) -> str:
    return f"{math.degrees(angle_rad):g} deg"


def feet_apart_m(data: Path) -> Floats | None:
    """How far apart (N,) the annotated PETS feet lie by our camera model and Tsai's; None without data."""
    pets = data / "aerial" / "pets2009_s2l1"
    if not pets.is_dir():
        return None
    plans = data_path("flightplans")
    camera = read_camera(plans / "night-market.camera.yaml")
    return geolocation.feet_apart_m(pets, camera, read_market(plans / "night-market.market.geojson"))
