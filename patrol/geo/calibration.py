"""Calibrates how a camera is installed from points of known place, and judges what came of it.

Mistakes are found first: the points are solved for under Cauchy's loss, narrowed in steps from far too wide
(graduated non-convexity: Blake and Zisserman, "Visual Reconstruction", 1987). Those that do not fit then are
left out by name, and the others solved for by plain least squares, whose covariance is that of the stated
errors. What the solution is worth is told by points it did not know: fitting lowers the others' residuals in
any case. The equations are in `patrol.geo.adjustment`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from patrol.geo.adjustment import (
    MOUNT,
    Adjustment,
    BiasSigmas,
    CalibrationError,
    ErrorModel,
    KnownPoint,
    Residuals,
    SnapshotsUnder,
    bias_of,
)
from patrol.geo.camera import CameraModel
from patrol.geo.datums import wgs84_to_bd09, wgs84_to_gcj02
from patrol.geo.frames import LocalFrame

GROUPS = {
    "boresight": MOUNT,
    "heading": ("heading_bias_rad",),
    "height": ("height_bias_m",),
    "delay": ("delay_s",),
}
"""What can be solved for, and the biases it stands for."""

LABELS = {
    "mount_roll_rad": "mount roll",
    "mount_pitch_rad": "mount pitch",
    "mount_yaw_rad": "mount yaw",
    "heading_bias_rad": "heading bias",
    "height_bias_m": "height bias",
    "delay_s": "delay",
}
"""What people call the biases."""

MAX_POINTS = 2000
MAX_PICTURES = 200  # take two minutes, with the cube of their number; nobody clicks as many

_WIDTHS_SIGMAS = (100.0, 30.0, 10.0, 3.0)  # of Cauchy's loss; the first takes in 10 degrees of heading
_MISTAKE_SIGMAS = 5.0  # of a click; one of 270,000 is further out (Rayleigh)
_RAYLEIGH_MEDIAN = 1.1774  # median length of two normal errors of one sigma
_FOLDS = 10  # Kohavi 1995, "A study of cross-validation": more gain nothing
_WIDER = 10.0  # with the biases' priors so many times wider ...
_DETERMINED = 0.5  # ... a bias that the points determine is still known to this share of its prior sigma
_ALIKE = 0.9  # correlation from which two biases are said to be inseparable
_IMPLAUSIBLE_SIGMAS = 3.0
_DOUBTFUL_FIT = 0.001  # chance of residuals so large if the stated errors are true
_WORST_CLICK = 10.0  # times the stated sigma: what is worse than that are other points, not clicks
_DATUM_SHIFT_M = 60.0  # the least that GCJ-02 shifts, see patrol.geo.datums
_EXPLAINED = 1 / 3  # a cause explains an offset when it leaves no more than this share of it
_FAR_M = 5000.0  # nobody clicks a point so far from a drone
_STANDING_MPS = 1.0  # slower, half a second of delay is less than half a metre

_SWAPPED = "as if latitude and longitude had changed places"
# How a place in one of the shifted datums of Chinese map services is told from one in WGS-84.
_POINTS_SHIFTED = {
    "as coordinates in GCJ-02 (Amap, Tencent) would; give WGS-84": wgs84_to_gcj02,
    "as coordinates in BD-09 (Baidu) would; give WGS-84": wgs84_to_bd09,
}
_POSES_SHIFTED = {
    "as if the poses were in GCJ-02 (Amap, Tencent); give them in WGS-84": wgs84_to_gcj02,
    "as if the poses were in BD-09 (Baidu); give them in WGS-84": wgs84_to_bd09,
}

_ADVICE = dict.fromkeys(MOUNT, "add points towards all borders of the picture, and pictures") | {
    "heading_bias_rad": "add pictures that look in other directions",
    "height_bias_m": "add pictures from another height, with points near and far",
    "delay_s": "fly past the points at 5 m/s or more, once in each direction",
}


@dataclass(frozen=True)
class Parameter:
    """A solved bias, in the unit of its name.

    Attributes:
        name: see `patrol.geo.adjustment.BIASES`.
        before, value, sigma: as given, as solved, and one sigma of the latter.
        variance_ratio: posterior over prior variance: 0 known exactly, 1 nothing learnt.
        determined: by the points, not by a prior, be it another bias's (see `_DETERMINED`).
    """

    name: str
    before: float
    value: float
    sigma: float
    variance_ratio: float
    determined: bool


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the points say of a camera.

    Attributes:
        camera: as given, with the solved biases.
        parameters: one for each solved bias.
        covariance: (K, K) float64, of the solved biases in their units.
        used: (N,) bool, False for the points left out as mistakes.
        before, after: residuals of the camera as given and as solved.
        held_out: each point's under a solution that knew neither it nor, where there are several, its
            picture; NaN for points left out.
        chi2_per_freedom: about 1 when the points err as stated.
        findings: sentences about mistakes, what is not determined, and errors larger than stated.
        refusal: why the solved camera should not be used, None when it should.
    """

    camera: CameraModel
    parameters: tuple[Parameter, ...]
    covariance: NDArray[np.float64]
    used: NDArray[np.bool_]
    before: Residuals
    after: Residuals
    held_out: Residuals
    chi2_per_freedom: float
    findings: tuple[str, ...]
    refusal: str | None


def fewest_points(biases: int) -> int:
    """How many points so many biases need: with one left out, half of the equations are still a check."""
    return biases + 1


def calibrate(
    camera: CameraModel,
    points: Sequence[KnownPoint],
    times_ns: Sequence[int],
    snapshots_under: SnapshotsUnder,
    *,
    solve: Sequence[str] = tuple(GROUPS),
    prior: BiasSigmas = BiasSigmas(),  # noqa: B008
    errors: ErrorModel,
) -> Calibration:
    """Solve for the biases of a camera's installation.

    Args:
        camera: as it is thought to be installed; the priors' centre.
        points: known points in the pictures.
        times_ns: of the pictures, UTC.
        snapshots_under: the pictures' snapshots; asked again for each trial of the installation.
        solve: which of `GROUPS`.
        prior: how far off each of them may be.
        errors: of the pictures.

    Raises:
        CalibrationError: too few points or too many, most of them mistaken, or of another datum.
    """
    biases = tuple(name for group, names in GROUPS.items() if group in solve for name in names)
    needed = fewest_points(len(biases))
    if len(points) < needed:
        raise CalibrationError(
            f"{len(points)} known points are too few for {len(biases)} values; give {needed} or more, or "
            "solve for less"
        )
    if len(points) > MAX_POINTS or len(times_ns) > MAX_PICTURES:
        raise CalibrationError(
            f"{len(points)} points in {len(times_ns)} pictures are more than {MAX_POINTS} in {MAX_PICTURES}; "
            "give the clearest ones"
        )
    adjustment = Adjustment(
        camera, points, times_ns, snapshots_under, solve=biases, prior=prior, errors=errors
    )
    _refuse_wrong_datum(adjustment)
    used, found = _without_mistakes(adjustment, needed)
    solved = adjustment.installed(found)
    before, after = adjustment.residuals(camera), adjustment.residuals(solved)
    held_out = _held_out(adjustment, used, found)

    freedom = 2 * int(used.sum())  # each unknown brings an equation with it, its prior
    misfit = float(np.sum(adjustment.rows(found)[used] ** 2) + found @ found)
    doubtful = bool(chi2.sf(misfit, freedom) < _DOUBTFUL_FIT)
    scale = misfit / freedom if doubtful else 1.0
    covariance = adjustment.covariance(found, used, scale=scale)
    unled = adjustment.covariance(found, used, scale=scale, wider=_WIDER)
    parameters = tuple(
        Parameter(
            name=name,
            before=bias_of(camera, name),
            value=bias_of(solved, name),
            sigma=float(np.sqrt(covariance[i, i]) * adjustment.sigmas[i]),
            variance_ratio=float(covariance[i, i]),
            determined=bool(np.sqrt(unled[i, i]) < _DETERMINED),
        )
        for i, name in enumerate(biases)
    )
    speed_mps = max(float(np.linalg.norm(s.motion.velocity_ned_mps)) for s in adjustment.snapshots(solved))
    findings = [
        *_mistakes(adjustment, solved, used, after),
        *_undetermined(parameters, unled, speed_mps),
        *_implausible(parameters, adjustment.sigmas),
    ]
    if doubtful:
        findings.append(
            f"The points fit {math.sqrt(scale):.1f} times worse than the stated errors foresee, so every "
            "sigma was widened by as much; look at the worst points, or state larger errors."
        )
    return Calibration(
        solved, parameters, covariance * np.outer(adjustment.sigmas, adjustment.sigmas), used, before, after,
        held_out, misfit / freedom, tuple(findings), _refusal(before, held_out, used),
    )  # fmt: skip


def shown(name: str, value: float) -> str:
    """A value of a bias as people read it."""
    if name.endswith("_rad"):
        return f"{math.degrees(value):.2f} deg"
    return f"{value:.2f} m" if name.endswith("_m") else f"{value:.3f} s"


def _without_mistakes(adjustment: Adjustment, needed: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which points fit together, and the solution from them.

    Raises:
        CalibrationError: too few do.
    """
    used = np.ones(len(adjustment.points), dtype=np.bool_)
    found = np.zeros(adjustment.unknowns)
    for width_sigmas in _WIDTHS_SIGMAS:
        found = adjustment.solve(found, used, width_sigmas)
    for _ in _WIDTHS_SIGMAS:
        length = np.linalg.norm(adjustment.rows(found), axis=1)
        # Where everybody clicks worse than stated, a mistake is what is worse than that.
        click = max(1.0, float(np.median(length)) / _RAYLEIGH_MEDIAN)
        used = length < _MISTAKE_SIGMAS * click
        if used.sum() < max(needed, len(used) / 2) or click > _WORST_CLICK:
            raise CalibrationError(
                "the points do not fit together; check that pixels, times and "
                "coordinates belong together, and that the camera file and the poses are this camera's"
            )
        found = adjustment.solve(found, used)
    return used, found


def _held_out(adjustment: Adjustment, used: NDArray[np.bool_], found: NDArray[np.float64]) -> Residuals:
    """Residuals of each used point under a solution without its fold; NaN for the others."""
    pictures = np.unique(adjustment.picture[used])
    if len(pictures) > 1:
        fold = np.searchsorted(pictures, adjustment.picture) % _FOLDS
    else:
        fold = np.cumsum(used) % _FOLDS
    pixels, ground_en_m = np.full((2, len(used), 2), np.nan)
    for number in np.unique(fold[used]):
        out = used & (fold == number)
        without = adjustment.residuals(adjustment.installed(adjustment.solve(found, used & ~out)))
        pixels[out], ground_en_m[out] = without.pixels[out], without.ground_en_m[out]
    return Residuals(pixels, ground_en_m)


def _refusal(before: Residuals, held_out: Residuals, used: NDArray[np.bool_]) -> str | None:
    was_m, is_m = float(np.median(before.length_m[used])), float(np.median(held_out.length_m[used]))
    if is_m < was_m:
        return None
    if math.isinf(is_m):
        return "most rays are too flat to meet the ground; take pictures that look down more steeply"
    return (
        f"points that the solution did not know lie {is_m:.2f} m off with it and {was_m:.2f} m without it "
        "(medians); keep the camera as it is, or give more points in more pictures"
    )


def _refuse_wrong_datum(adjustment: Adjustment) -> None:
    """Refuse when most points lie where another datum or swapped numbers put them, or nowhere near.

    Raises:
        CalibrationError: they do.
    """
    offsets_m, left_m = _explanations(adjustment, adjustment.camera, poses_too=True)
    offset_m = float(np.median(offsets_m))
    if offset_m < _DATUM_SHIFT_M:
        return
    cause = min(left_m, key=lambda cause: float(np.median(left_m[cause])))
    if np.median(left_m[cause]) < _EXPLAINED * offset_m:
        raise CalibrationError(f"the points lie {_distance(offset_m)} from where they are seen, {cause}")
    if offset_m > _FAR_M:
        worst = int(np.argmax(offsets_m))
        raise CalibrationError(
            f"most points lie kilometres from the camera ({adjustment.points[worst].name}: "
            f"{_distance(float(offsets_m[worst]))}); check that coordinates and poses are of one place"
        )


def _mistakes(
    adjustment: Adjustment, solved: CameraModel, used: NDArray[np.bool_], after: Residuals
) -> list[str]:
    """A sentence for each point left out."""
    offsets_m, left_m = _explanations(adjustment, solved)
    sentences = []
    for i in np.flatnonzero(~used).tolist():
        cause = min(left_m, key=lambda cause: float(left_m[cause][i]))
        if offsets_m[i] < _DATUM_SHIFT_M or left_m[cause][i] > _EXPLAINED * offsets_m[i]:
            cause = "so check its coordinates and its pixel"
        where = _distance(float(offsets_m[i]))
        if after.length_px[i] < solved.width_px:
            where += f" ({after.length_px[i]:.0f} px)"
        name = adjustment.points[i].name
        sentences.append(f"{name} was left out: it lies {where} from where the others put it, {cause}.")
    return sentences


def _explanations(
    adjustment: Adjustment, camera: CameraModel, *, poses_too: bool = False
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """How far in metres each point (N,) lies from where its pixel looks, and what each cause would leave."""
    offsets_en_m, poses = adjustment.offsets(camera)
    shifts = _POINTS_SHIFTED | (_POSES_SHIFTED if poses_too else {})
    left = {cause: np.empty(len(offsets_en_m)) for cause in (_SWAPPED, *shifts)}
    for i, (point, offset) in enumerate(zip(adjustment.points, offsets_en_m, strict=True)):
        pose = poses[point.picture]
        frame = LocalFrame(pose.lat_deg, pose.lon_deg)
        given = np.array(frame.to_enu(point.lat_deg, point.lon_deg))
        swapped = np.array(frame.to_enu(np.clip(point.lon_deg, -90, 90), point.lat_deg))
        left[_SWAPPED][i] = np.hypot(*(offset + swapped - given))
        for cause, shifted in shifts.items():
            shift = np.array(frame.to_enu(*shifted(pose.lat_deg, pose.lon_deg)))
            left[cause][i] = np.hypot(*(offset + shift if cause in _POSES_SHIFTED else offset - shift))
    return np.hypot(*offsets_en_m.T), left


def _undetermined(
    parameters: Sequence[Parameter], covariance: NDArray[np.float64], speed_mps: float
) -> list[str]:
    """A sentence for each bias that the points do not determine."""
    place = {parameter.name: i for i, parameter in enumerate(parameters)}
    weak = {parameter.name: parameter for parameter in parameters if not parameter.determined}
    sigma = np.sqrt(np.diagonal(covariance))
    alike = np.abs(covariance) / np.outer(sigma, sigma) > _ALIKE

    def inseparable(one: str, other: str) -> bool:
        return one in weak and other in weak and bool(alike[place[one], place[other]])

    sentences = []
    turns = [name for name in ("mount_yaw_rad", "mount_roll_rad") if inseparable("heading_bias_rad", name)]
    if turns:
        sentences.append(
            f"Heading, {' and '.join(LABELS[name] for name in turns)} cannot be told apart from pictures "
            "taken at one pitch; give pictures at two pitches, 30 degrees apart, or solve for one of them."
        )
        weak = {name: one for name, one in weak.items() if name not in ("heading_bias_rad", *turns)}
    if inseparable("height_bias_m", "mount_pitch_rad"):
        sentences.append(
            "Height and mount pitch cannot be told apart here; give pictures from two heights, one twice the "
            "other, or at two pitches, or solve for one of them."
        )
        weak = {name: one for name, one in weak.items() if name not in ("height_bias_m", "mount_pitch_rad")}
    for name, parameter in weak.items():
        advice = _ADVICE[name]
        if name == "delay_s" and speed_mps < _STANDING_MPS:
            advice = f"the camera stood still; {advice}"
        sentences.append(
            f"{LABELS[name].capitalize()} is not determined by these points (one sigma "
            f"{shown(name, parameter.sigma)}): {advice}."
        )
    return sentences


def _implausible(parameters: Sequence[Parameter], sigmas: NDArray[np.float64]) -> list[str]:
    return [
        f"{LABELS[one.name].capitalize()} changes by {shown(one.name, one.value - one.before)}, more than an "
        "installation errs; check poses and times, and which way round the camera is mounted."
        for one, sigma in zip(parameters, sigmas, strict=True)
        if abs(one.value - one.before) > _IMPLAUSIBLE_SIGMAS * sigma
    ]


def _distance(metres: float) -> str:
    return f"{metres:.1f} m" if metres < 1000 else f"{metres / 1000:.1f} km"
