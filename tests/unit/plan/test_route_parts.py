"""View, airspace, order of runs, and the flight on paper."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, Point, Polygon, box

from patrol.domain.heights import Amsl
from patrol.domain.resources import data_path
from patrol.domain.telemetry import CameraPose
from patrol.geo.camera import CameraModel, read_camera
from patrol.geo.coverage import Coverage
from patrol.geo.frames import LocalFrame
from patrol.geo.ground import LevelGround
from patrol.geo.projection import ground_to_pixels
from patrol.plan.checks import FENCE_MARGIN_M
from patrol.plan.flying import (
    CLIMB_MPS,
    STEP_S,
    STOP_S,
    fly,
    gimbal_angles_deg,
    ground_speed_mps,
    hover_equivalent,
)
from patrol.plan.routes.airspace import Airspace, Ways
from patrol.plan.routes.lawnmower import long_side_deg
from patrol.plan.routes.runs import Look, Stop, order
from patrol.plan.routes.view import RouteError, view_of

CAMERA = CameraModel(1920, 1080, 1200.0, 1200.0, 960.0, 540.0)
L_SHAPE = Polygon([(0, 0), (100, 0), (100, 100), (60, 100), (60, 40), (0, 40)])


# -- what the camera usefully sees ---------------------------------------------------------------------


def test_view_ends_where_people_are_too_small_or_the_picture_ends():
    height_m, least_px = 30.0, 25.0
    view = view_of(CAMERA, height_m=height_m, pitch_deg=-35.0, least_height_px=least_px)
    frame = LocalFrame(0.0, 0.0)
    pose = CameraPose(1, 0.0, 0.0, Amsl(height_m), 0.0, math.radians(-35.0), 0.0)

    def person(ahead_m, right_m=0.0):
        lat_deg, lon_deg = frame.to_geodetic(right_m, ahead_m)
        pixels, inside = ground_to_pixels(CAMERA, pose, [lat_deg] * 2, [lon_deg] * 2, np.array([0.0, 1.7]))
        return float(np.hypot(*(pixels[0] - pixels[1]))), bool(inside.all())

    assert person(view.near_m)[1]
    assert not person(view.near_m - 1.0)[1]  # the lower edge of the picture
    assert person(view.far_m)[0] >= least_px
    assert person(view.far_m + 1.0)[0] < least_px
    at = np.abs(view.ahead_m - 35.0).argmin()
    wide_m = view.half_width_m[at]
    assert person(view.ahead_m[at], wide_m - 0.5)[1]
    assert not person(view.ahead_m[at], wide_m + 1.0)[1]


def test_ahead_of_gives_the_nearest_row_that_is_wide_enough():
    shipped = read_camera(data_path("flightplans") / "night-market.camera.yaml")
    view = view_of(shipped, height_m=15.0, pitch_deg=-45.0, least_height_px=20.0)
    narrow, wide = view.ahead_of(3.0), view.ahead_of(5.0)
    assert view.near_m <= narrow < wide <= view.far_m
    assert view.ahead_of(1e6) == pytest.approx(view.ahead_m[view.half_width_m.argmax()])


def test_nobody_is_large_enough_says_how_low_to_fly_and_there_it_works():
    with pytest.raises(
        RouteError, match=r"at most \d+ px high, and 20 are wanted; fly at (\d+) m or lower"
    ) as caught:
        view_of(CAMERA, height_m=119.0, pitch_deg=-45.0, least_height_px=20.0)
    lower_m = float(str(caught.value).split("fly at ")[1].split(" m")[0])
    assert view_of(CAMERA, height_m=lower_m, pitch_deg=-45.0, least_height_px=20.0).depth_m > 4


def test_a_camera_that_looks_at_the_sky_sees_no_ground():
    with pytest.raises(RouteError, match="shows nobody of 8 px or more"):
        view_of(CAMERA, height_m=20.0, pitch_deg=30.0, least_height_px=20.0)


# -- the airspace --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("speed_mps", "beyond_m"), [(3.0, 8.0), (5.0, 8.0), (10.0, 22.0)])
def test_fence_leaves_room_to_stop(speed_mps, beyond_m):
    airspace = Airspace.around(box(0, 0, 100, 60), speed_mps)
    assert airspace.fence.bounds == pytest.approx((-beyond_m, -beyond_m, 100 + beyond_m, 60 + beyond_m))
    assert airspace.fence.exterior.distance(airspace.allowed) > FENCE_MARGIN_M
    assert airspace.allowed.covers(airspace.outline)


def test_ways_turn_at_the_corner_between():
    airspace = Airspace.around(L_SHAPE, 5.0)
    ways = Ways(airspace, [(5.0, 35.0), (95.0, 95.0), (95.0, 5.0), (5.0, 35.0)])
    (corner,) = ways.between(0, 1)
    assert Point(corner).distance(Point(60, 40)) < 10
    assert LineString([(5, 35), corner, (95, 95)]).within(airspace.allowed.buffer(0.01))
    assert ways.metres[0, 1] == pytest.approx(
        math.dist((5, 35), corner) + math.dist(corner, (95, 95)), abs=0.01
    )
    assert ways.between(1, 0) == [corner]
    assert ways.between(0, 2) == []
    assert ways.metres[0, 2] == pytest.approx(math.dist((5, 35), (95, 5)), abs=0.01)
    assert ways.metres[0, 3] == pytest.approx(0.0, abs=0.01)


# -- the order of runs ---------------------------------------------------------------------------------


def line(*places):
    return tuple(Stop(float(x), float(y), 15.0) for x, y in places)


def length_m(stops, home):
    places = [home, *(stop.xy for stop in stops), home]
    return sum(itertools.starmap(math.dist, itertools.pairwise(places)))


places = st.tuples(st.integers(1, 99), st.integers(1, 59))


@given(ends=st.lists(st.tuples(places, places), min_size=1, max_size=3, unique=True), home=places)
@settings(max_examples=40, deadline=None)
def test_every_run_is_flown_once_and_nearly_as_short_as_can_be(ends, home):
    runs = [[line(a, b), line(b, a)] for a, b in ends]
    stops = order(runs, home, 15.0, Airspace.around(box(0, 0, 100, 60), 5.0))
    flown = [tuple(stops[i : i + 2]) for i in range(0, len(stops), 2)]
    assert len(flown) == len(runs)
    for run in runs:
        assert sum(one in run for one in flown) >= 1
    best_m = min(
        length_m(list(itertools.chain(*ways)), home)
        for order_of_runs in itertools.permutations(runs)
        for ways in itertools.product(*order_of_runs)
    )
    assert length_m(stops, home) <= 1.1 * best_m + 0.01


def test_order_of_nothing_is_nothing():
    assert order([], (0.0, 0.0), 15.0, Airspace.around(box(0, 0, 10, 10), 5.0)) == []


def test_connections_go_round_corners_and_so_does_the_way_home():
    airspace = Airspace.around(L_SHAPE, 5.0)
    stops = order([[line((80, 95), (95, 95))]], (5.0, 20.0), 20.0, airspace)
    assert [stop.height_agl_m for stop in stops] == [20.0, 15.0, 15.0, 20.0]
    for one, other in itertools.pairwise([Stop(5, 20, 0), *stops, Stop(5, 20, 0)]):
        assert airspace.allowed.buffer(0.01).covers(LineString([one.xy, other.xy]))


@pytest.mark.parametrize(
    ("outline", "bearing_deg"),
    [
        (box(0, 0, 100, 40), 90.0),
        (box(0, 0, 40, 100), 0.0),
        (Polygon([(0, 0), (70, 70), (50, 90), (-20, 20)]), 45.0),
    ],
)
def test_long_side(outline, bearing_deg):
    assert long_side_deg(outline) % 180 == pytest.approx(bearing_deg, abs=0.01)


# -- the flight on paper -------------------------------------------------------------------------------


def flown(*stops, speed_mps=5.0, wind_mps=0.0, home=(0.0, 0.0)):
    return fly(stops, [stop.height_agl_m for stop in stops], home, speed_mps=speed_mps, wind_mps=wind_mps)


CLIMB_S = 20 / CLIMB_MPS + CLIMB_MPS / 1.0 + STOP_S


def test_a_leg_speeds_up_cruises_and_brakes():
    # 100 m at 5 m/s: 2 s and 5 m each to speed up and to brake at 2.5 m/s2, 90 m in between.
    one = flown(Stop(0, 100, 20))
    assert one.patrol_s == pytest.approx(CLIMB_S + 2 + 18 + 2 + STOP_S, abs=0.05)
    assert one.length_m == pytest.approx(200.0)
    # 8 m are too short to reach 5 m/s.
    assert flown(Stop(0, 8, 20)).patrol_s == pytest.approx(
        CLIMB_S + 2 * math.sqrt(8 / 2.5) + STOP_S, abs=0.05
    )


def test_corners_are_turned_slowly_and_straight_ones_are_none():
    straight = flown(Stop(0, 50, 20), Stop(0, 100, 20))
    assert straight.patrol_s == pytest.approx(flown(Stop(0, 100, 20)).patrol_s, abs=0.05)
    bent = flown(Stop(0, 50, 20), Stop(50, 50, 20))
    v = math.sqrt(2.5 * 2.0 * math.tan(math.pi / 4))
    braking_s, braking_m = (5 - v) / 2.5, (25 - v * v) / 5
    leg_s = 2 + braking_s + (50 - 5 - braking_m) / 5
    assert bent.patrol_s == pytest.approx(CLIMB_S + 2 * leg_s + STOP_S, abs=0.1)
    back = flown(Stop(0, 50, 20), Stop(0, 0, 20))
    assert back.patrol_s == pytest.approx(CLIMB_S + 2 * (4 + 8 + STOP_S), abs=0.1)


def test_climbs_and_holds_take_their_time():
    level, hold = flown(Stop(0, 100, 20)), flown(Stop(0, 100, 20, 30.0))
    assert hold.patrol_s - level.patrol_s == pytest.approx(30.0, abs=0.01)
    sinking = flown(Stop(0, 100, 40), Stop(0, 100, 10))
    assert sinking.patrol_s > flown(Stop(0, 100, 40)).patrol_s + 30 / 1.5


def test_camera_looks_along_the_leg_and_the_gimbal_against_the_nose():
    ahead, aside, bearing = Look(-45.0), Look(-30.0, 90.0), Look(-20.0, yaw_deg=0.0)
    stops = [
        Stop(0, 1, 20, look=ahead), Stop(0, 100, 20), Stop(100, 100, 20, look=aside),
        Stop(100, 0, 20, 10.0, look=bearing),
    ]  # fmt: skip
    assert gimbal_angles_deg(stops, (0.0, 0.0)) == [(-45, 0), (-45, 0), (-30, 90), (-20, pytest.approx(-180))]
    flight = flown(*stops)
    yaw_deg, pitch_deg = np.degrees(flight.yaw_rad) % 360, np.degrees(flight.pitch_rad)

    def at(east_m, north_m):
        return int(np.hypot(flight.east_m - east_m, flight.north_m - north_m).argmin())

    north, east = at(0, 80), at(80, 100)
    assert min(yaw_deg[north], 360 - yaw_deg[north]) < 1
    assert pitch_deg[north] == pytest.approx(-45, abs=0.5)
    assert yaw_deg[east] == pytest.approx(180, abs=1)  # right of a nose that points east
    assert pitch_deg[east] == pytest.approx(-30, abs=0.5)
    assert min(yaw_deg[-1], 360 - yaw_deg[-1]) < 1  # at the hold it looks north, whatever the leg
    assert len(flight.east_m) * STEP_S < flight.patrol_s


def test_nose_comes_round_at_its_rate():
    flight = flown(Stop(0, 50, 20), Stop(0, 0, 20))
    turning = np.abs(np.diff(np.degrees(flight.yaw_rad))) / STEP_S
    assert turning.max() == pytest.approx(60.0, abs=0.1)


def test_wind_slows_and_costs():
    assert ground_speed_mps(5.0, 0.0) == 5.0
    # One leg took 33, 42 and 59 s against 0, 8 and 12 m/s (docs: autopilots).
    assert [10 / ground_speed_mps(10.0, wind) for wind in (0, 8, 12)] == pytest.approx(
        [1, 42 / 33, 59 / 33], rel=0.12
    )
    calm, windy = (
        flown(Stop(0, 300, 20), speed_mps=8.0),
        flown(Stop(0, 300, 20), speed_mps=8.0, wind_mps=10.0),
    )
    assert windy.patrol_s > calm.patrol_s
    assert windy.patrol_hover_s / windy.patrol_s > calm.patrol_hover_s / calm.patrol_s
    assert windy.farthest_return_hover_s > calm.farthest_return_hover_s


def test_power_in_flight():
    assert hover_equivalent(0.0) == 1.0
    assert hover_equivalent(10.0) == pytest.approx(1.0246, abs=0.0005)
    assert hover_equivalent(0.0, CLIMB_MPS) == pytest.approx(1.36)
    assert hover_equivalent(0.0, -1.5) == 1.0


def test_the_return_costs_most_from_the_farthest_point():
    flight = flown(Stop(0, 200, 20), Stop(0, 10, 20))
    near = flown(Stop(0, 10, 20))
    assert flight.return_hover_s == pytest.approx(near.return_hover_s, rel=0.01)
    assert flight.farthest_return_hover_s - near.farthest_return_hover_s == pytest.approx(190 / 5, rel=0.05)
    low = flown(Stop(0, 100, 6))
    assert low.return_s > flown(Stop(0, 100, 15)).return_s  # it climbs to 15 m first


def test_what_is_seen_along_the_route():
    frame = LocalFrame(31.3, 120.62)
    flight = flown(Stop(0, 1, 20, look=Look(-45.0)), Stop(0, 60, 20, 5.0))
    seen = Coverage(frame, (-60.0, -20.0, 60.0, 120.0), 2.0)
    shares = []
    flight.look(seen, CAMERA, LevelGround(Amsl(4.0)), frame, shares.append)
    assert seen.share_seen(box(-3, 20, 3, 75)) == 1.0
    assert seen.share_seen(box(-3, -20, 3, 0)) == 0.0
    assert seen.dwell_s.max() > 5.0
    # Nothing of the time is lost, though not every step is looked at.
    assert seen.dwell_s.max() < len(flight.east_m) * STEP_S + 0.01
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) < len(flight.east_m) / 2
