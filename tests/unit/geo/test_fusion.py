import math
from dataclasses import astuple, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from patrol.domain.heights import Amsl
from patrol.domain.telemetry import CameraMotion, CameraPose
from patrol.geo.camera import CameraModel
from patrol.geo.frames import LocalFrame
from patrol.geo.fusion import CorrelationTimes, View, ViewBook, fuse
from patrol.geo.ground import LevelGround
from patrol.geo.projection import SOURCES, PoseErrors, ground_to_pixels, pixels_to_ground

SECOND = 1_000_000_000
INSIDE_90 = chi2.ppf(0.9, 2)
WHITE = CorrelationTimes(*[0.0] * len(SOURCES))
CONSTANT = CorrelationTimes(*[math.inf] * len(SOURCES))
CAMERA = CameraModel(1280, 720, 1000.0, 1000.0, 640.0, 360.0)
CALIBRATED = PoseErrors(1.5, 1.5, math.radians(0.5), math.radians(0.5), math.radians(2.0), 0.05)
FRAME = LocalFrame(31.3, 120.62)


def test_every_source_has_its_time() -> None:
    assert tuple(field.name.removesuffix("_s") for field in fields(CorrelationTimes)) == SOURCES


def spread(*columns: tuple[float, float]) -> np.ndarray:
    """(2, K) of columns (east, north), the missing ones zero."""
    return np.array([*columns, *[(0.0, 0.0)] * (len(SOURCES) - len(columns))]).T


def test_one_view_is_itself() -> None:
    own = spread((1.5, 0.0), (0.2, 1.0))
    fused = fuse([View(0, 3.0, -4.0, own)])
    assert (fused.east_m, fused.north_m) == pytest.approx((3.0, -4.0))
    np.testing.assert_allclose(fused.covariance_en_m2, own @ own.T, atol=5e-4)  # and 2 cm of its own


def test_white_errors_average_down_and_constant_ones_stay() -> None:
    own = spread((1.5, 0.0), (0.0, 1.5))
    views = [View(i * SECOND, float(i % 2), 0.0, own) for i in range(10)]
    averaged, kept = fuse(views, WHITE), fuse(views, CONSTANT)
    assert averaged.east_m == pytest.approx(0.5)
    np.testing.assert_allclose(averaged.covariance_en_m2, np.eye(2) * 1.5**2 / 10, atol=1e-3)
    still = [replace(view, east_m=2.0) for view in views]
    np.testing.assert_allclose(fuse(still, CONSTANT).covariance_en_m2, np.eye(2) * 1.5**2, atol=1e-3)
    assert kept.covariance_en_m2[0, 0] > 1.5**2  # these contradict each other: not 2 cm, but a metre apart


def test_two_views_of_one_picture_are_one() -> None:
    own = spread((1.0, 0.0), (0.0, 1.0))
    fused = fuse([View(5, 1.0, 1.0, own)] * 7, WHITE)
    np.testing.assert_allclose(fused.covariance_en_m2, np.eye(2), atol=1e-3)


def test_two_sides_tell_a_lasting_error_apart() -> None:
    # An error of heading moves the place east when it is seen from the south, north when from the east.
    from_south, from_east = spread((2.0, 0.0), (0.1, 0.1)), spread((0.0, 2.0), (0.1, 0.1))
    fused = fuse([View(0, 0.0, 0.0, from_south), View(SECOND, 0.0, 0.0, from_east)], CONSTANT)
    assert np.sqrt(np.trace(fused.covariance_en_m2)) < 2.0


@given(st.integers(2, 8), st.integers(0, 2**32 - 1), st.floats(-1e5, 1e5), st.floats(0.0, 1e3))
def test_order_and_origin_do_not_matter(count: int, seed: int, shift_m: float, times_s: float) -> None:
    rng = np.random.default_rng(seed)
    views = [
        View(int(rng.integers(0, 60 * SECOND)), *rng.normal(0, 1, 2), rng.normal(0, 1, (2, len(SOURCES))))
        for _ in range(count)
    ]
    correlation = CorrelationTimes(*[times_s] * len(SOURCES))
    fused = fuse(views, correlation)
    moved = [replace(view, east_m=view.east_m + shift_m) for view in rng.permutation(np.array(views))]
    again = fuse(moved, correlation)
    assert again.east_m - shift_m == pytest.approx(fused.east_m, abs=1e-5)
    assert again.north_m == pytest.approx(fused.north_m, abs=1e-5)
    np.testing.assert_allclose(again.covariance_en_m2, fused.covariance_en_m2, rtol=1e-4, atol=1e-8)
    assert np.linalg.eigvalsh(fused.covariance_en_m2)[0] > 0


@given(st.floats(1e-6, 1e4), st.sampled_from([0.0, 60.0, math.inf]), st.integers(1, 32))
def test_views_that_are_all_alike_have_an_answer(size_m: float, lasting_s: float, count: int) -> None:
    view = View(0, 10.0, 20.0, np.full((2, len(SOURCES)), size_m))
    views = [replace(view, at_ns=i * SECOND // 100) for i in range(count)]
    fused = fuse(views, CorrelationTimes(*[lasting_s] * len(SOURCES)))
    assert (fused.east_m, fused.north_m) == pytest.approx((10.0, 20.0))
    assert np.isfinite(fused.covariance_en_m2).all()


def test_nothing_and_nonsense_are_refused() -> None:
    with pytest.raises(ValueError, match="one view at least"):
        fuse([])
    with pytest.raises(ValueError, match="finite"):
        fuse([View(0, math.nan, 0.0, spread())])
    with pytest.raises(ValueError, match="finite"):
        fuse([View(0, 0.0, 0.0, spread((math.inf, 0.0)))])


def test_a_thing_that_walked_is_told_less_well() -> None:
    own = spread((1.0, 0.0), (0.0, 1.0))
    still = [View(i * SECOND, 0.0, 0.0, own) for i in range(10)]
    walked = [replace(view, east_m=1.3 * i) for i, view in enumerate(still)]
    trace = [np.trace(fuse(views).covariance_en_m2) for views in (still, walked)]
    assert trace[1] > 10 * trace[0]


def flight(seconds: float) -> CameraPose:
    """Half a circle of 60 m about a point, looking at it from 60 m above: 45 degrees down."""
    turn = math.radians(20) + math.pi * seconds / 9.0
    lat, lon = FRAME.to_geodetic(60 * math.sin(turn), 60 * math.cos(turn))
    yaw = (turn + math.pi) % (2 * math.pi)
    return CameraPose(int(seconds * SECOND), float(lat), float(lon), Amsl(60.0), 0.0, math.radians(-45), yaw)


def gauss_markov(times_s: np.ndarray, lasting_s: float, trials: int, rng: np.random.Generator) -> np.ndarray:
    """(trials, N) of unit sigma, step by step, as such a sensor errs."""
    errors = rng.normal(size=(trials, len(times_s)))
    for i in range(1, len(times_s)):
        alike = math.exp(-(times_s[i] - times_s[i - 1]) / lasting_s)
        errors[:, i] = alike * errors[:, i - 1] + math.sqrt(1 - alike**2) * errors[:, i]
    return errors


def test_ten_views_hold_the_truth_nine_times_in_ten_and_their_average_does_not() -> None:
    trials, rng, correlation = 2000, np.random.default_rng(11), CorrelationTimes()
    times_s = np.arange(10.0)
    spreads, speed = [], CameraMotion((5.0, -6.0, 0.0), (0.0, 0.0, 0.1))
    for seconds in times_s:
        pose = flight(float(seconds))
        pixels, in_view = ground_to_pixels(CAMERA, pose, 31.3, 120.62, 0.0)
        assert in_view[0]
        points = pixels_to_ground(
            CAMERA, pose, pixels, ground=LevelGround(Amsl(0.0), 0.3),
            pixel_sigma_px=(3.0, 3.0), errors=CALIBRATED, motion=speed,
        )  # fmt: skip
        spreads.append(points.spread_en_m[0])
    courses = np.array([gauss_markov(times_s, lasting, trials, rng) for lasting in astuple(correlation)])
    places_m = np.einsum("nak,ktn->tna", np.array(spreads), courses)

    def share(assumed: CorrelationTimes, of: int) -> float:
        held = 0
        for places in places_m[:of]:
            views = [
                View(int(s * SECOND), *place, own)
                for s, place, own in zip(times_s, places, spreads, strict=True)
            ]
            fused = fuse(views, assumed)
            off_m = np.array([fused.east_m, fused.north_m])
            held += off_m @ np.linalg.solve(fused.covariance_en_m2, off_m) <= INSIDE_90
        return held / of

    assert 0.88 <= share(correlation, trials) <= 0.92
    assert share(WHITE, 300) < 0.5


def test_the_book_keeps_the_newest_of_each_second() -> None:
    own = spread((1.0, 0.0), (0.0, 1.0))
    book = ViewBook(most=3, correlation=WHITE)
    assert book.fused() is None
    for tenth in range(60):
        book.add(View(tenth * SECOND // 10, float(tenth), 0.0, own))
    # Left are 3.9, 4.9 and 5.9 s.
    fused = book.fused()
    assert fused is not None
    assert fused.east_m == pytest.approx((39 + 49 + 59) / 3)
    book.add(View(0, 7.0, 0.0, own))  # the clock was set back
    again = book.fused()
    assert again is not None
    assert again.east_m == pytest.approx(7.0)
