"""Declared sensor errors: their statistics, and that they never reach the truth; and determinism."""

import math

import numpy as np
import pytest
from pymavlink.dialects.v20 import ardupilotmega as mav

from patrol.sim.noise import GaussMarkov, SensorNoise
from patrol.sim.settings import ErrorModel, NoiseSettings, WindSettings

NOISE = NoiseSettings(
    horizontal_m=ErrorModel(sigma=0.5, correlation_s=0.4),
    height_m=ErrorModel(sigma=0.3, correlation_s=0.4),
    yaw_deg=ErrorModel(sigma=1.0, correlation_s=0.4),
    roll_pitch_deg=ErrorModel(sigma=0.4, correlation_s=0.4),
)


def test_gauss_markov_has_the_declared_sigma_and_correlation_time():
    process = GaussMarkov(ErrorModel(sigma=2.0, correlation_s=0.5), np.random.default_rng(3))
    values = np.array([process.step(0.02) for _ in range(100_000)])
    assert values.std() == pytest.approx(2.0, rel=0.05)
    assert abs(values.mean()) < 0.15
    lag = round(0.5 / 0.02)
    assert np.corrcoef(values[:-lag], values[lag:])[0, 1] == pytest.approx(math.exp(-1), abs=0.05)


def test_the_first_value_is_as_spread_as_any():
    rng = np.random.default_rng(4)
    first = [GaussMarkov(ErrorModel(sigma=1.5, correlation_s=100.0), rng).value for _ in range(4000)]
    assert np.std(first) == pytest.approx(1.5, rel=0.05)


def test_without_noise_there_is_none():
    noise = SensorNoise(None, np.random.default_rng(1))
    noise.step(1.0)
    assert noise.errors.north_m == noise.errors.yaw_deg == 0.0


def test_what_is_reported_errs_as_declared_and_the_truth_does_not(make_station):
    station = make_station(noise=NOISE)
    station.run(3)
    for message_id in (mav.MAVLINK_MSG_ID_GLOBAL_POSITION_INT, mav.MAVLINK_MSG_ID_ATTITUDE):
        station.stream(message_id, 5)
    station.run(400)
    position = np.array([(m.lat, m.lon, m.alt) for _, m in station.all("GLOBAL_POSITION_INT")], float)
    attitude = np.degrees([(m.roll, m.pitch, m.yaw) for _, m in station.all("ATTITUDE")])
    assert len(position) > 1900
    north_m, east_m = position[:, 0] / 1e7 * 110_870, position[:, 1] / 1e7 * 95_160
    assert north_m.std() == pytest.approx(0.5, rel=0.1)
    assert east_m.std() == pytest.approx(0.5, rel=0.1)
    assert (position[:, 2] / 1000).std() == pytest.approx(0.3, rel=0.1)
    assert attitude.std(axis=0) == pytest.approx((0.4, 0.4, 1.0), rel=0.1)
    truth = station.drone.truth
    assert (truth.north_m, truth.east_m, truth.up_m, truth.yaw_rad) == (0, 0, 0, 0)


def flight(make_station, seed, noise=NOISE):
    station = make_station(noise=noise, wind=WindSettings(speed_mps=4, from_deg=40, gust_mps=1), seed=seed)
    station.run(3)
    station.stream(mav.MAVLINK_MSG_ID_ATTITUDE, 10)
    station.start(station.mission(station.item(mav.MAV_CMD_NAV_WAYPOINT, 5, north_m=20, z=10)))
    station.run(20)
    return station


def test_the_same_seed_gives_the_same_bytes(make_station):
    one, other, third = (flight(make_station, seed) for seed in (5, 5, 6))
    assert one.frames == other.frames
    assert one.frames != third.frames


def test_the_true_flight_does_not_depend_on_the_noise(make_station):
    noisy, quiet = flight(make_station, 5), flight(make_station, 5, noise=None)
    assert noisy.drone.truth == quiet.drone.truth
