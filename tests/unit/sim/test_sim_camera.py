"""What the simulated camera shows, when, and what it says of the truth."""

import json
import math
import queue
import socket
import time

import cv2
import numpy as np
import pytest

from patrol.domain.errors import UsageError
from patrol.domain.heights import Amsl
from patrol.domain.resources import data_path
from patrol.domain.telemetry import CameraPose
from patrol.geo.camera import read_camera
from patrol.geo.frames import LocalFrame
from patrol.geo.projection import ground_to_pixels
from patrol.plan.market import read_market
from patrol.sim.body import Body, Truth
from patrol.sim.camera import LiveCamera, TruthLog, camera_pose
from patrol.sim.footage import Director, FootageReader, Shot, shots_of
from patrol.sim.scenery import STALL, Scenery
from patrol.sim.settings import Footage, read_sim_settings
from patrol.video.source import VideoSource
from patrol.video.writer import LiveStream, VideoFile

SIZE_PX = (64, 48)
PICTURES = 5
STEP_NS = 100_000_000
START_NS = 1_800_000_000_000_000_000


@pytest.fixture(scope="module")
def market():
    return read_market(data_path("flightplans") / "night-market.market.geojson")


@pytest.fixture(scope="module")
def camera_model():
    return read_camera(data_path("flightplans") / "night-market.camera.yaml")


@pytest.fixture(scope="module")
def scenery(market, camera_model):
    return Scenery(market, camera_model)


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    """Five pictures, each brighter than the one before."""
    path = tmp_path_factory.mktemp("footage") / "steps.mp4"
    with VideoFile(path, 10, SIZE_PX) as video:
        for index in range(PICTURES):
            video.write(np.full((SIZE_PX[1], SIZE_PX[0], 3), 40 + 40 * index, np.uint8))
    return path


@pytest.fixture
def yard(market, footage):
    settings = Footage(watch_point="yard", file=footage, position_tolerance_m=1.5, angle_tolerance_deg=2.0)
    return Shot(market.watch_points[0], settings, FootageReader(footage, SIZE_PX))


@pytest.fixture
def at_yard(market, yard):
    """Makes the truth of a drone at the yard; arguments move it away."""
    point = yard.watch_point
    east_m, north_m = (float(value) for value in market.frame.to_enu(point.lat_deg, point.lon_deg))

    def make(after_ns=0, *, aside_m=0.0, speed_mps=0.0, yaw_off_deg=0.0, gimbal_yaw_deg=0.0):
        body = Body(
            yaw_rad=math.radians(point.yaw_deg + yaw_off_deg - gimbal_yaw_deg), gust_mps=lambda _dt_s: (0, 0)
        )
        body.position_neu_m = (north_m, east_m + aside_m, point.height_above_ground_m)
        body.velocity_neu_mps = (speed_mps, 0.0, 0.0)
        body.gimbal_pitch_rad = math.radians(point.pitch_deg)
        body.gimbal_yaw_rad = math.radians(gimbal_yaw_deg)
        return body.truth(after_ns, START_NS + after_ns)

    return make


def brightness(picture):
    return round(float(picture.mean()))


def test_footage_comes_in_order_and_ends(footage):
    reader = FootageReader(footage, SIZE_PX)
    shown = [reader.picture(index) for index in range(PICTURES)]
    assert [brightness(picture) for picture in shown] == pytest.approx([40, 80, 120, 160, 200], abs=3)
    assert reader.picture(PICTURES) is None
    assert brightness(reader.picture(1)) == pytest.approx(80, abs=3), "going back opens the file again"
    assert brightness(reader.picture(1)) == pytest.approx(80, abs=3)
    assert brightness(reader.picture(4)) == pytest.approx(200, abs=3), "pictures may be left out"


def test_the_director_starts_with_the_first_picture_when_the_drone_stands(market, yard, at_yard):
    director = Director((yard,), market.frame)
    assert director.cue(at_yard(speed_mps=0.5)) is None
    indices = [director.cue(at_yard(n * STEP_NS)).index for n in range(3, 9)]
    assert indices == [0, 1, 2, 3, 4, 5]
    assert director.cue(at_yard(9 * STEP_NS, speed_mps=0.5)).index == 6, "a gust does not stop it"
    assert director.cue(at_yard(10 * STEP_NS, aside_m=2.0)) is None
    assert director.cue(at_yard(11 * STEP_NS)).index == 0, "coming back starts anew"


def test_the_director_wants_place_and_direction(market, yard, at_yard):
    def is_due(**off):
        return Director((yard,), market.frame).cue(at_yard(**off)) is not None

    assert is_due(aside_m=1.4, yaw_off_deg=1.9)
    assert is_due(gimbal_yaw_deg=30.0), "turned by the gimbal instead of the airframe"
    assert not is_due(aside_m=1.6)
    assert not is_due(yaw_off_deg=2.1)


def test_scenery_puts_the_map_where_the_camera_model_says(market, camera_model, scenery):
    eye = CameraPose(0, 31.29999, 120.61945, Amsl(19.0), 0.05, math.radians(-55), math.radians(75))
    picture = scenery.picture(eye)
    assert picture.shape == (camera_model.height_px, camera_model.width_px, 3)
    seen = 0
    for stall in market.stalls:
        centre = stall.polygon.centroid
        lat_deg, lon_deg = market.frame.to_geodetic(centre.x, centre.y)
        pixels, in_view = ground_to_pixels(
            camera_model, eye, float(lat_deg), float(lon_deg), market.ground_amsl_m
        )
        if in_view[0]:
            column, row = np.floor(pixels[0]).astype(int)
            blue, _, red = picture[row, column].astype(int)
            assert red > 1.8 * blue, f"{stall.id} is not {STALL} there"
            seen += 1
    assert seen >= 2


def test_scenery_shows_the_sky_above_the_horizon_and_moves_with_the_drone(scenery):
    level = CameraPose(0, 31.2998, 120.6195, Amsl(16.0), 0.0, 0.0, 0.0)
    picture = scenery.picture(level)
    assert picture[:100].std(axis=(0, 1)).max() < 1
    assert picture[300:].mean() > picture[:100].mean() + 5
    moved = scenery.picture(CameraPose(0, 31.2999, 120.6195, Amsl(16.0), 0.0, 0.0, 0.0))
    assert np.abs(moved[220:].astype(int) - picture[220:]).mean() > 0.5


class Reel:
    """A sink in memory."""

    def __init__(self):
        self.pictures = queue.Queue()

    def write(self, image, captured_at_ns):
        self.pictures.put((brightness(image), captured_at_ns))


def test_footage_scenery_and_truth_go_together(tmp_path, market, yard, at_yard):
    reel, log = Reel(), TruthLog(tmp_path / "truth.jsonl")
    dark = np.zeros((SIZE_PX[1], SIZE_PX[0], 3), np.uint8)
    frame = LocalFrame(market.frame.origin_lat_deg, market.frame.origin_lon_deg)
    with LiveCamera(frame, 4.0, Director((yard,), frame), lambda _pose: dark, reel, log) as camera:
        shown = []
        for n in range(PICTURES + 3):
            camera.capture(at_yard(n * STEP_NS, speed_mps=1.0 if n == 0 else 0.0))
            shown.append(reel.pictures.get(timeout=5))
    log.close()
    assert [level for level, _ in shown] == pytest.approx([0, 40, 80, 120, 160, 200, 0, 0], abs=3)
    lines = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert [line["captured_at_ns"] for line in lines] == [at_ns for _, at_ns in shown]
    assert [line["footage_frame"] for line in lines] == [None, 0, 1, 2, 3, 4, None, None]
    point = yard.watch_point
    assert lines[1]["lat_deg"] == pytest.approx(point.lat_deg, abs=1e-8)
    assert lines[1]["height_amsl_m"] == pytest.approx(11.066)
    assert math.degrees(lines[1]["yaw_ned_rad"]) == pytest.approx(point.yaw_deg)
    assert math.degrees(lines[1]["pitch_rad"]) == pytest.approx(point.pitch_deg)


def test_late_pictures_wait_on_their_way_and_hold_up_no_drawing(tmp_path, market):
    """Drawn at once, sent 0.6 s later, with times that lie; the truth stays the truth."""
    late_s, lie_ns = 0.6, -500_000_000
    drawn_s, sent = [], queue.Queue()

    class Link:
        def write(self, image, captured_at_ns):
            sent.put((time.monotonic(), brightness(image), captured_at_ns))

    def paint(_pose):
        drawn_s.append(time.monotonic())
        return np.full((SIZE_PX[1], SIZE_PX[0], 3), 10 * len(drawn_s), np.uint8)

    body, log = Body(yaw_rad=0.5, gust_mps=lambda _dt_s: (0, 0)), TruthLog(tmp_path / "truth.jsonl")
    director = Director((), market.frame)
    with LiveCamera(
        market.frame, 4.0, director, paint, Link(), log, late_s=late_s, stamp_error_ns=lie_ns
    ) as camera:
        ordered_s = time.monotonic()
        for n in range(PICTURES):
            camera.capture(body.truth(n * STEP_NS, START_NS + n * STEP_NS))
        got = [sent.get(timeout=10) for _ in range(PICTURES)]
    log.close()
    assert drawn_s[-1] < got[0][0], "all were drawn before the first was sent"
    assert all(at_s - ordered_s >= late_s for at_s, _, _ in got)
    assert [level for _, level, _ in got] == [10, 20, 30, 40, 50]
    truth_ns = [START_NS + n * STEP_NS for n in range(PICTURES)]
    assert [at_ns for _, _, at_ns in got] == [at_ns + lie_ns for at_ns in truth_ns]
    lines = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert [line["captured_at_ns"] for line in lines] == truth_ns


def test_a_camera_with_pictures_on_their_way_ends_at_once(market):
    body = Body(yaw_rad=0.5, gust_mps=lambda _dt_s: (0, 0))
    dark = np.zeros((SIZE_PX[1], SIZE_PX[0], 3), np.uint8)
    reel = Reel()
    began_s = time.monotonic()
    with LiveCamera(
        market.frame, 4.0, Director((), market.frame), lambda _pose: dark, reel, late_s=60.0
    ) as camera:
        for n in range(2 * PICTURES):
            camera.capture(body.truth(n * STEP_NS, START_NS + n * STEP_NS))
    assert time.monotonic() - began_s < 10
    assert reel.pictures.empty()


def test_the_camera_pose_adds_the_gimbal_to_the_nose():
    truth = Truth(
        1,
        0,
        10.0,
        20.0,
        7.0,
        (0, 0, 0),
        0.1,
        0.2,
        math.radians(170),
        (0, 0, 0),
        0.01,
        -0.3,
        math.radians(30),
        False,
    )
    pose = camera_pose(truth, LocalFrame(31.3, 120.62), 4.0)
    assert math.degrees(pose.yaw_ned_rad) == pytest.approx(-160)
    assert (pose.roll_rad, pose.pitch_rad, pose.height.metres) == (0.01, -0.3, 11.0)


def test_pictures_arrive_over_udp_with_their_capture_times(market, scenery, camera_model):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{probe.getsockname()[1]}"
    size_px = (camera_model.width_px, camera_model.height_px)
    body = Body(yaw_rad=0.5, gust_mps=lambda _dt_s: (0, 0))
    start_ns = time.time_ns() // 1000 * 1000
    sent, seen = [], {}
    with (
        VideoSource(url) as source,
        LiveStream(url, 10, size_px) as stream,
        LiveCamera(market.frame, 4.0, Director((), market.frame), scenery.picture, stream) as camera,
    ):
        frames = source.frames(timeout_s=0.1)
        deadline_s = time.monotonic() + 20
        while len(seen) < 5:
            assert time.monotonic() < deadline_s, "no pictures came"
            at_ns = start_ns + len(sent) * STEP_NS
            camera.capture(body.truth(len(sent) * STEP_NS, at_ns))
            sent.append(at_ns)
            frame = next(frames)
            if frame is not None:
                seen[frame.captured_at_ns] = frame.pixels
    assert set(seen) <= set(sent)
    pose = camera_pose(body.truth(0, 0), market.frame, 4.0)
    difference = np.abs(next(iter(seen.values())).astype(int) - scenery.picture(pose))
    assert difference.mean() < 6, "what came is not what was drawn"


def test_the_footage_that_ships_is_complete_and_fits(market, camera_model):
    folder = data_path("flightplans")
    settings = read_sim_settings(folder / "night-market.sim.yaml")
    (shot,) = shots_of(settings.footage, folder, market, (camera_model.width_px, camera_model.height_px))
    capture = cv2.VideoCapture(str(folder / shot.settings.file))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 795
    assert shot.watch_point.id == "yard"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"file": "gone.mp4"}, "no such footage"),
        ({"watch_point": "moon"}, "no watch point moon"),
        ({}, "pictures of 64x48"),
    ],
)
def test_footage_that_does_not_fit_is_refused_in_a_sentence(footage, market, change, says):
    settings = Footage(**{"watch_point": "yard", "file": footage.name, **change})
    with pytest.raises(UsageError, match=says):
        shots_of((settings,), footage.parent, market, (480, 360))


def test_a_file_that_is_no_video_is_refused(tmp_path):
    path = tmp_path / "noise.mp4"
    path.write_bytes(b"not a video")
    with pytest.raises(UsageError, match="cannot be read as a video"):
        FootageReader(path, SIZE_PX)
