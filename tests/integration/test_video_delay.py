"""The delay of a video stream told by its pictures: drawn scenery, H.264, decoding, motion, telemetry."""

import math
import socket
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from patrol.domain.heights import Amsl
from patrol.domain.resources import data_path
from patrol.domain.telemetry import ClockSample, GimbalSample
from patrol.edge.capture_time import CaptureTimes
from patrol.geo.camera import read_camera
from patrol.geo.ground import LevelGround
from patrol.geo.history import PoseHistory
from patrol.plan.market import read_market
from patrol.sim.camera import LiveCamera
from patrol.sim.footage import Director
from patrol.sim.scenery import Scenery
from patrol.video.clock import Timing
from patrol.video.source import VideoSource
from patrol.video.writer import LiveStream, Stamps

SECOND_NS = 1_000_000_000
FLIGHT_S = 26.0


def patrol(at_s):
    """Legs over the market with turns between them, as a plan has them; the gimbal nods once."""
    headings = [20, 20, 110, 110, 200, 200, 290, 20]
    return 4.0, headings[int(at_s // 4) % len(headings)], -35.0 if at_s < 14 else -50.0


@pytest.fixture(scope="module")
def camera():
    return read_camera(data_path("flightplans") / "night-market.camera.yaml")


@pytest.fixture(scope="module")
def flight(fly):
    return fly(patrol, FLIGHT_S, start_neu_m=(25.0, 5.0, 14.0))


@pytest.fixture(scope="module")
def recording(flight, camera, tmp_path_factory):
    """What the camera sent: MPEG-TS without any time in it."""
    scenery = Scenery(read_market(data_path("flightplans") / "night-market.market.geojson"), camera)
    path = tmp_path_factory.mktemp("sent") / "flight.ts"
    with LiveStream(str(path), 10, (camera.width_px, camera.height_px), Stamps.NONE) as stream:
        for pose in flight.poses:
            stream.write(scenery.picture(pose), pose.at_ns)
    return path


@pytest.fixture
def watch(flight, recording, camera):
    """Plays the recording as a stream that is late; yields each picture as timed, with the true time."""

    def play(late_s, timing, tell=lambda sample: sample):
        late_ns = round(late_s * SECOND_NS)
        times = CaptureTimes(camera, LevelGround(Amsl(flight.ground_amsl_m)))
        history = PoseHistory()
        told = replace(flight, telemetry=[tell(sample) for sample in flight.telemetry])
        first_ns = told_ns = flight.poses[0].at_ns
        with VideoSource(recording, starts_at_ns=first_ns + late_ns) as source:
            for frame, pose in zip(source, flight.poses, strict=True):
                assert frame.captured_at_ns == pytest.approx(pose.at_ns + late_ns, abs=20_000)
                now_ns = frame.captured_at_ns + max(0, -late_ns)
                told.tell(history, now_ns, told_ns)
                told_ns = now_ns
                yield (
                    times.place(replace(frame, timing=timing, captured_at_sigma_ns=10_000_000), history),
                    pose,
                )

    return play


def off_s(timed, pose):
    return (timed.frame.captured_at_ns - pose.at_ns) / SECOND_NS


@pytest.mark.parametrize("hidden_s", [0.08, 0.3, 0.8])
def test_a_hidden_delay_is_told_within_thirty_milliseconds(watch, flight, hidden_s):
    told = []
    for timed, pose in watch(hidden_s, Timing.ARRIVAL):
        assert timed.is_trusted
        if "as their motion tells" in timed.reason:
            told.append((off_s(timed, pose), timed.frame.captured_at_sigma_ns / SECOND_NS))
    errors_s, sigmas_s = np.array(told).T
    assert len(told) > 0.5 * len(flight.poses), "the first turns must tell"
    assert abs(errors_s[-1]) < 0.02
    assert (np.abs(errors_s) < 3 * sigmas_s).all()
    is_settled = (
        sigmas_s < 0.03
    )  # a correction that would turn the order of pictures round takes some of them
    assert is_settled.mean() > 0.95
    assert np.abs(errors_s[is_settled]).max() < 0.03


def test_a_lying_stamp_is_noticed_and_corrected(watch):
    *_, (timed, pose) = watch(0.5, Timing.STAMPED)
    assert timed.is_trusted
    assert timed.is_degraded
    assert "0.5" in timed.reason
    assert abs(off_s(timed, pose)) < 0.03


def test_true_stamps_are_left_alone(watch):
    for timed, pose in watch(0.0, Timing.STAMPED):
        assert timed.is_trusted
        assert timed.reason == ""
        assert abs(off_s(timed, pose)) < 1e-4


def test_a_gimbal_that_stopped_telling_its_angles_costs_the_trust(watch, flight):
    """It tells that it looks down by 70 degrees since the flight began."""

    def stuck(sample):
        return replace(sample, pitch_rad=math.radians(-70)) if isinstance(sample, GimbalSample) else sample

    trusted_s = [
        (pose.at_ns - flight.poses[0].at_ns) / SECOND_NS
        for timed, pose in watch(0.1, Timing.STAMPED, stuck)
        if timed.is_trusted
    ]
    assert trusted_s[-1] < 8.0 + 5.0, "the first turn is at 8 s"


CODE_BITS, CODE_PX = 10, 16


def with_code(picture, number):
    """The picture with a number painted along its upper edge, so that it can be told after coding."""
    for bit in range(CODE_BITS):
        picture[:CODE_PX, bit * CODE_PX : (bit + 1) * CODE_PX] = 255 * (number >> bit & 1)
    return picture


def code_of(picture):
    cells = picture[:CODE_PX, : CODE_BITS * CODE_PX].reshape(CODE_PX, CODE_BITS, CODE_PX, 3)
    return sum(1 << bit for bit in range(CODE_BITS) if cells[:, bit].mean() > 128)


@pytest.mark.soak
@pytest.mark.parametrize("late_s", [0.1, 0.4, 0.9])
def test_the_delay_of_a_live_stream_is_told_over_a_real_socket(flight, camera, late_s):
    """A flight in real time: pictures without time go late through UDP, and each is known by its number."""
    scenery = Scenery(read_market(data_path("flightplans") / "night-market.market.geojson"), camera)
    number_of = {pose.at_ns: number for number, pose in enumerate(flight.poses)}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{probe.getsockname()[1]}"
    ahead_ns = time.time_ns() + SECOND_NS - flight.poses[0].at_ns

    def fly_in_real_time() -> None:
        with (
            LiveStream(url, 10, (camera.width_px, camera.height_px), Stamps.NONE) as stream,
            LiveCamera(
                flight.frame,
                flight.ground_amsl_m,
                Director((), flight.frame),
                lambda pose: with_code(scenery.picture(pose), number_of[pose.at_ns]),
                stream,
                late_s=late_s,
            ) as live,
        ):
            for truth in flight.truths:
                time.sleep(max(0.0, (truth.at_ns + ahead_ns - time.time_ns()) / SECOND_NS))
                live.capture(truth)
            time.sleep(late_s + 0.5)

    times = CaptureTimes(camera, LevelGround(Amsl(flight.ground_amsl_m)))
    times.hear(ClockSample(flight.poses[0].at_ns, ahead_ns, 2_000_000))
    history, told_ns, told = PoseHistory(), 0, []
    pilot = threading.Thread(target=fly_in_real_time)
    with VideoSource(url) as source:
        pilot.start()
        for frame in source.frames(timeout_s=0.2):
            if frame is None:
                if not pilot.is_alive():
                    break
                continue
            now_ns = time.time_ns() - ahead_ns
            flight.tell(history, now_ns, told_ns)
            told_ns = now_ns
            pose = flight.poses[code_of(frame.pixels)]
            timed = times.place(frame, history)
            assert timed.is_trusted
            if "as their motion tells" in timed.reason:
                told.append(off_s(timed, pose))
    pilot.join()
    assert len(told) > 100
    assert abs(np.median(told)) < 0.03
    assert np.quantile(np.abs(told), 0.9) < 0.05, "this machine may be busy, and arrival with it"
