"""`patrol calibrate`: how the camera is installed, from points whose coordinates are known."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import typer
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.console import Console
from rich.table import Table

from patrol import __version__
from patrol.commands.calibrate_picture import draw_calibration
from patrol.commands.calibrate_poses import Pictures, pictures_at_poses, pictures_in_telemetry
from patrol.commands.watch import read_poses
from patrol.domain.errors import NightPatrolError, UsageError
from patrol.domain.heights import Amsl
from patrol.edge.settings import SensorSettings
from patrol.geo.adjustment import BiasSigmas, CalibrationError, ErrorModel, KnownPoint
from patrol.geo.calibration import GROUPS, LABELS, Calibration, calibrate, shown
from patrol.geo.camera import CameraModel, read_camera
from patrol.geo.camera_file import write_camera
from patrol.geo.documents import first_fault
from patrol.geo.ground import Ground, LevelGround
from patrol.geo.known_points import PointTable, read_points
from patrol.geo.projection import PoseErrors
from patrol.plan.market import read_market

app = typer.Typer(add_completion=False)

_TELEMETRY_SUFFIXES = (".jsonl", ".ndjson")
_WORST = 10  # points that are printed; the report has all


class _Sigmas(SensorSettings):
    """One-sigma errors of a picture: those of its pose, and of a click on it.

    A mark is clicked to two pixels: our choice.
    """

    pixel_px: float = Field(default=2.0, gt=0)


class _Priors(BaseModel):
    """One-sigma of the biases before anything is measured, in the units of `BiasSigmas` but for degrees."""

    model_config = ConfigDict(extra="forbid")

    boresight_deg: float = Field(default=math.degrees(BiasSigmas().boresight_rad), gt=0)
    heading_deg: float = Field(default=math.degrees(BiasSigmas().heading_rad), gt=0)
    height_m: float = Field(default=BiasSigmas().height_m, gt=0)
    delay_s: float = Field(default=BiasSigmas().delay_s, gt=0)


_Settings = TypeVar("_Settings", bound=BaseModel)


@app.command(
    epilog="Example: `patrol calibrate points.csv --camera drone.camera.yaml --poses telemetry.jsonl "
    "--market night-market.market.geojson --out drone-calibrated.camera.yaml --picture residuals.png`"
)
def calibrate_camera(  # noqa: PLR0913 - each is an option of the command
    *,
    points: Annotated[
        Path,
        typer.Argument(
            metavar="POINTS",
            help="CSV: captured_at or frame, x_px, y_px, lat_deg, lon_deg, if wanted height_amsl_m, name.",
        ),
    ],
    camera: Annotated[Path, typer.Option(metavar="FILE", help="The camera as it is thought to be.")],
    poses: Annotated[
        Path, typer.Option(metavar="FILE", help="telemetry.jsonl of a sortie, or YAML as for `patrol watch`.")
    ],
    market: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Market map: heights of points, and for the picture.")
    ] = None,
    ground_amsl_m: Annotated[
        float | None, typer.Option(min=-500, max=9000, help="Height above the sea of points that tell none.")
    ] = None,
    solve: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help=f"Some of {','.join(GROUPS)}; default: all with telemetry, the boresight with YAML.",
        ),
    ] = None,
    sigma: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Error of each picture, as pixel_px=1; may be given again."),
    ] = None,
    prior: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="How far off a value may be, as heading_deg=20; may be given again."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the solved camera here.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Let --out replace a file.")] = False,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the residuals as a PNG: picture and map.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the same figures as JSON to this file.")] = None,
) -> None:
    """Solve how a camera is installed from POINTS of known coordinates.

    Solved are the boresight (the camera's turn in its gimbal), by how much heading and height read too much,
    and the delay of the pictures. Each value comes with its sigma and whether the points determine it. Exits
    with 1 and writes no camera when points that the solution did not know lie no better than before. How to
    measure points and take pictures: docs/calibration.md.
    """
    if out is not None:
        _check_out(out, camera, force=force)
    table, given = read_points(points), read_camera(camera)
    stated: Mapping[str, Any] = {}
    if poses.suffix in _TELEMETRY_SUFFIXES:
        pictures = pictures_in_telemetry(poses, table, given.installation)
        possible = tuple(GROUPS)
        chosen = possible
    else:
        listed = read_poses(poses)
        pictures = pictures_at_poses(poses, listed, table)
        possible = tuple(name for name in GROUPS if name != "delay")
        chosen = ("boresight",)
        market, stated = market or listed.market, listed.sensors.model_dump()
    if solve is not None:
        chosen = _chosen(solve, possible)
    market_map = read_market(market) if market else None
    ground = LevelGround(Amsl(ground_amsl_m)) if ground_amsl_m is not None else None
    known = _known_points(table, pictures, given, ground or (market_map.ground if market_map else None))
    sigmas = _settings(_Sigmas, "--sigma", stated, sigma or [])
    priors = _settings(_Priors, "--prior", {}, prior or [])
    try:
        found = calibrate(
            given, known, pictures.times_ns, pictures.snapshots_under, solve=chosen,
            prior=BiasSigmas(
                math.radians(priors.boresight_deg), math.radians(priors.heading_deg), priors.height_m,
                priors.delay_s,
            ),
            errors=ErrorModel(sigmas.pixel_px, _pose_errors(sigmas), pictures.correlation),
        )  # fmt: skip
    except CalibrationError as error:
        raise CalibrationError(f"{points}: {error}") from error

    _show(found, known)
    summary = _report(found, known) | {
        "points_file": str(points), "camera": str(camera), "poses": str(poses), "solve": list(chosen),
        "sigmas": sigmas.model_dump(), "priors": priors.model_dump(),
    }  # fmt: skip
    if report is not None:
        report.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if picture is not None:
        draw_calibration(picture, found, known, market_map)
    if found.refusal is not None:
        raise NightPatrolError(f"{points}: {found.refusal}")
    if out is not None:
        write_camera(out, found.camera, _comments(found, points, camera, poses))
        typer.echo(f"{out}: written")


def _check_out(out: Path, camera: Path, *, force: bool) -> None:
    if out.exists() and camera.exists() and out.samefile(camera):
        raise UsageError(f"{out}: is the camera that is calibrated; name another file, so that both are kept")
    if out.exists() and not force:
        raise UsageError(f"{out}: is there already; name another file or add --force")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"{out}: no such folder; make it or name another file")


def _chosen(solve: str, possible: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in solve.split(","))
    for name in names:
        if name not in GROUPS:
            raise UsageError(f"--solve {solve}: '{name}' is unknown; choose from {', '.join(GROUPS)}")
        if name not in possible:
            raise UsageError(
                f"--solve {solve}: a list of poses does not tell motion, so no {name}; give telemetry.jsonl"
            )
    return names


def _settings(
    model: type[_Settings], option: str, stated: Mapping[str, Any], given: Sequence[str]
) -> _Settings:
    values = dict(stated)
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or name not in model.model_fields:
            raise UsageError(f"{option} {one}: write NAME=VALUE; names are {', '.join(model.model_fields)}")
        values[name] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"{option}: {first_fault(error)}; correct the number") from error


def _pose_errors(sigmas: SensorSettings) -> PoseErrors:
    return PoseErrors(
        sigmas.horizontal_m, sigmas.height_m, math.radians(sigmas.roll_deg), math.radians(sigmas.pitch_deg),
        math.radians(sigmas.yaw_deg), sigmas.time_s,
    )  # fmt: skip


def _known_points(
    table: PointTable, pictures: Pictures, camera: CameraModel, ground: Ground | None
) -> list[KnownPoint]:
    known = []
    for row, picture in zip(table.rows, pictures.of_row, strict=True):
        if not (0 <= row.x_px <= camera.width_px and 0 <= row.y_px <= camera.height_px):
            raise UsageError(
                f"{row.where}: pixel {row.x_px:g}, {row.y_px:g} is outside the camera's "
                f"{camera.width_px}x{camera.height_px} picture; give pixels of the picture at that size"
            )
        height = row.height
        if height is None and ground is not None:
            height = Amsl(float(ground.height_amsl_m_at(row.lat_deg, row.lon_deg)[0]))
        if height is None or math.isnan(height.metres):
            lacking = "no height is known there" if height else "has no height"
            raise UsageError(f"{row.where}: {lacking}; give height_amsl_m, --ground-amsl-m or --market")
        name = f"{row.name} (line {row.line})" if row.name else f"line {row.line}"
        known.append(KnownPoint(name, picture, row.x_px, row.y_px, row.lat_deg, row.lon_deg, height))
    return known


def _show(found: Calibration, known: Sequence[KnownPoint]) -> None:
    values = Table("value", "was", "solved", "one sigma", "told by", "variance / prior")
    for one in found.parameters:
        values.add_row(
            LABELS[one.name], shown(one.name, one.before), shown(one.name, one.value),
            shown(one.name, one.sigma), "the points" if one.determined else "[bold]the prior[/bold]",
            f"{one.variance_ratio:.4f}",
        )  # fmt: skip
    errors = Table(
        "points", "median px", "RMS px", "max px", "median m", "RMS m", "max m",
        title=f"{int(found.used.sum())} of {len(known)} points, {len({p.picture for p in known})} pictures",
    )  # fmt: skip
    for name, row in _residuals(found).items():
        errors.add_row(name.replace("_", " "), *(_figure(row[key]) for key in _FIGURES))
    worst = Table("point", "m before", "m after", "m held out", "px after", title="The worst of them")
    after_m = np.where(found.used, found.after.length_m, -np.inf)
    for i in np.argsort(-after_m)[: min(_WORST, int(found.used.sum()))]:
        worst.add_row(
            known[i].name, _figure(found.before.length_m[i]), _figure(after_m[i]),
            _figure(found.held_out.length_m[i]), _figure(found.after.length_px[i]),
        )  # fmt: skip
    Console().print(values, errors, worst)
    for finding in found.findings:
        typer.echo(finding)


_FIGURES = ("median_px", "rms_px", "max_px", "median_m", "rms_m", "max_m")


def _residuals(found: Calibration) -> dict[str, dict[str, float]]:
    """Figures of the used points; infinite where a point lies behind the camera or a ray meets no ground."""
    rows = {}
    for name, residuals in (("before", found.before), ("after", found.after), ("held_out", found.held_out)):
        lengths = [residuals.length_px[found.used], residuals.length_m[found.used]]
        figures = [
            float(figure)
            for length in lengths
            for figure in (np.median(length), np.sqrt(np.mean(length**2)), length.max())
        ]
        rows[name] = dict(zip(_FIGURES, figures, strict=True))
    return rows


def _report(found: Calibration, known: Sequence[KnownPoint]) -> dict[str, Any]:
    return {
        "parameters": {
            one.name: {
                "before": one.before, "value": one.value, "sigma": one.sigma,
                "variance_ratio": one.variance_ratio, "determined": one.determined,
            }
            for one in found.parameters
        },
        "residuals": {
            name: {key: _finite(value) for key, value in row.items()}
            for name, row in _residuals(found).items()
        },
        "points": [
            {
                "name": point.name, "picture": point.picture, "used": bool(found.used[i]),
                "before_px": _pair(found.before.pixels[i]), "after_px": _pair(found.after.pixels[i]),
                "before_en_m": _pair(found.before.ground_en_m[i]),
                "after_en_m": _pair(found.after.ground_en_m[i]),
                "held_out_en_m": _pair(found.held_out.ground_en_m[i]),
            }
            for i, point in enumerate(known)
        ],
        "chi2_per_freedom": found.chi2_per_freedom,
        "findings": list(found.findings),
        "refusal": found.refusal,
    }  # fmt: skip


def _comments(found: Calibration, points: Path, camera: Path, poses: Path) -> list[str]:
    before, after, held_out = (_figure(row["median_m"]) for row in _residuals(found).values())
    return [
        "A camera, as patrol.geo.camera.CameraModel.",
        "",
        f"Calibrated on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by patrol calibrate {__version__}:",
        f"  camera {camera.name}, points {points.name} ({int(found.used.sum())} used), poses {poses.name}",
        f"  points on the ground, median: {before} m off before, {after} m after, {held_out} m held out",
        *(
            f"  {LABELS[one.name]}: {shown(one.name, one.value)}, one sigma {shown(one.name, one.sigma)}"
            + ("" if one.determined else ", not determined by the points")
            for one in found.parameters
        ),
    ]


def _figure(value: float) -> str:
    return "none" if not math.isfinite(value) else f"{value:.2f}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _pair(values: NDArray[np.float64]) -> list[float | None]:
    return [_finite(float(value)) for value in values]
