"""What places are called: naturally, and never more finely than they are known."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import shapely
import shapely.affinity
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from shapely.geometry import Polygon

from patrol.domain.positions import Covariance, LocalText, Place
from patrol.domain.resources import data_path
from patrol.plan.market import MarketMap, Stall, read_market
from patrol.plan.places import _NEEDED_SHARE, STATED_SHARE, _standard_normal, claims_at, name_place

MARKET = read_market(data_path("flightplans") / "night-market.market.geojson")
UNKNOWN = LocalText("江畔夜市（具体位置不明）", "Riverside night market (exact position unknown)")
WINDS = ("北", "东北", "东", "东南", "南", "西南", "西", "西北")


def covariance(sigma_m: float) -> Covariance:
    return (sigma_m**2, 0.0, sigma_m**2)


def named(east_m: float, north_m: float, known_m2: Covariance, market: MarketMap = MARKET) -> Place:
    lat_deg, lon_deg = market.frame.to_geodetic(east_m, north_m)
    return name_place(market, float(lat_deg), float(lon_deg), known_m2)


@pytest.mark.parametrize(
    ("east_m", "north_m", "sigma_m", "zone", "zh", "en"),
    [
        # At the south end of the western row of barbecues.
        (-49.5, -13.5, 0.3, None, "烧烤街西排老王烧烤南侧约3米",
         "Barbecue street, west row, about 3 m south of Lao Wang's barbecue"),
        (-49.5, -13.5, 2, None, "烧烤街西排老王烧烤南侧",
         "Barbecue street, west row, just south of Lao Wang's barbecue"),
        (-50.5, -13.5, 3, None, "烧烤街西排南头", "Barbecue street, west row, south end"),
        # In a stall, and in the gap to the next one.
        (-49.5, -4.0, 0.3, "barbecue-row", "烧烤街西排老李烤鱼摊位内",
         "Barbecue street, west row, at Lao Li's grilled fish"),
        (-49.5, -4.0, 1.2, "barbecue-row", "烧烤街西排老李烤鱼旁",
         "Barbecue street, west row, by Lao Li's grilled fish"),
        (-0.25, 19.3, 0.5, "snack-lane", "小吃巷南排，臭豆腐与小馄饨之间",
         "Snack lane, south row, between Stinky tofu and Small wontons"),
        # In the lane: two metres in front of a stall, and in the middle.
        (-45.5, 1.2, 0.3, "barbecue-row", "烧烤街西排老张羊肉串东侧约2米",
         "Barbecue street, west row, about 2 m east of Lao Zhang's lamb skewers"),
        (-3.0, 25.0, 0.3, "snack-lane", "小吃巷，臭豆腐与凉皮之间",
         "Snack lane, between Stinky tofu and Cold skin noodles"),
        (-3.0, 25.0, 2, "snack-lane", "小吃巷步道，凉皮附近", "Snack walk, near Cold skin noodles"),
        (-3.0, 25.0, 8, "snack-lane", "小吃巷西侧", "Snack lane, west side"),
        # In a zone without stalls.
        (-7.2, -6.8, 0.3, "yard", "夜市后院中部", "Market yard, middle"),
        (-18.0, 4.0, 2, "yard", "夜市后院西北侧", "Market yard, north-west side"),
        (-10.0, 0.0, 5, "yard", "夜市后院", "Market yard"),
        # Between zones, off them and off the market.
        (10.8, -15.0, 0.5, None, "东步道南段西侧", "East walk, south part, west side"),
        (-24.5, -6.0, 0.5, None, "夜市后院以西约3米", "about 3 m west of Market yard"),
        (0.0, 0.0, 60, "yard", "江畔夜市及周边50米", "Riverside night market or up to 50 m from it"),
        (0.0, -90.0, 2, None, "江畔夜市以南约40米", "about 40 m south of Riverside night market"),
        (0.0, -90.0, 8, None, "江畔夜市以南约50米", "about 50 m south of Riverside night market"),
        (300.0, 330.0, 20, None, "江畔夜市以东北约400米",
         "about 400 m north-east of Riverside night market"),
        (0.0, 0.0, 5000, "yard", UNKNOWN.zh, UNKNOWN.en),
    ],
)  # fmt: skip
def test_words_are_those_of_a_dispatcher(east_m, north_m, sigma_m, zone, zh, en):
    assert named(east_m, north_m, covariance(sigma_m)) == Place(MARKET.id, zone, LocalText(zh, en))


ESTIMATES = st.tuples(
    st.floats(-110, 110),
    st.floats(-100, 90),
    st.floats(0.05, 15),
    st.floats(0.05, 15),
    st.floats(-0.95, 0.95),
)


def parted(estimate) -> tuple[float, float, Covariance]:
    east_m, north_m, sigma_e, sigma_n, correlation = estimate
    return east_m, north_m, (sigma_e**2, correlation * sigma_e * sigma_n, sigma_n**2)


@settings(max_examples=80, deadline=None)
@given(ESTIMATES)
def test_words_are_true_as_often_as_is_said(estimate):
    east_m, north_m, known_m2 = parted(estimate)
    words = named(east_m, north_m, known_m2).name.zh
    (var_e, cov_en, var_n) = known_m2
    rng = np.random.default_rng(20260501)
    truths = rng.multivariate_normal([east_m, north_m], [[var_e, cov_en], [cov_en, var_n]], 20_000)
    assert np.mean(Reader(MARKET).holds(words, truths)) >= STATED_SHARE


@settings(max_examples=80, deadline=None)
@given(ESTIMATES, st.floats(1.001, 40))
def test_a_larger_ellipse_never_gives_finer_words(estimate, factor):
    east_m, north_m, known_m2 = parted(estimate)
    lat_deg, lon_deg = MARKET.frame.to_geodetic(east_m, north_m)
    offered = [claim.words for claim in claims_at(MARKET, *map(float, MARKET.frame.to_enu(lat_deg, lon_deg)))]
    offered.append(UNKNOWN)
    finer, coarser = (
        offered.index(named(east_m, north_m, tuple(part * scale for part in known_m2)).name)
        for scale in (1.0, factor**2)
    )
    assert finer <= coarser


def test_the_points_drawn_hardly_overrate_a_probability():
    rng = np.random.default_rng(5)
    points = _standard_normal()
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=5e-3)
    np.testing.assert_allclose(np.cov(points.T), np.eye(2), atol=0.02)
    overrated = []
    for _ in range(3000):
        turn_rad = rng.uniform(0, 2 * np.pi)
        turned = points @ [[np.cos(turn_rad), -np.sin(turn_rad)], [np.sin(turn_rad), np.cos(turn_rad)]]
        low, high = -rng.uniform(0.7, 3, 2), rng.uniform(0.7, 3, 2)
        radius = rng.uniform(1.4, 2.5)
        boxed, within = ((turned > low) & (turned < high)).all(axis=1), np.hypot(*points.T) < radius
        for drawn_there, probability in (
            (turned[:, 0] < high[0], norm.cdf(high[0])),
            (boxed, np.prod(norm.cdf(high) - norm.cdf(low))),
            (within, -np.expm1(-(radius**2) / 2)),
        ):
            if probability > 0.6:
                overrated.append(np.mean(drawn_there) - probability)
    assert len(overrated) > 5000
    assert max(overrated) < _NEEDED_SHARE - STATED_SHARE


@pytest.mark.parametrize(
    "no_covariance",
    [
        (math.nan, 0.0, 1.0), (1.0, math.nan, 1.0), (1.0, 0.0, math.inf), (-1.0, 0.0, 1.0),
        (1.0, 2.0, 1.0), (0.0, 1.0, 1.0), (1e300, 0.0, 1e300), (1e12, 0.0, 1e12),
    ],
)  # fmt: skip
def test_without_a_usable_covariance_the_position_is_unknown(no_covariance):
    assert named(-49.5, -4.0, no_covariance).name == UNKNOWN


@pytest.mark.parametrize(
    ("lat_deg", "lon_deg"),
    [(math.nan, 120.62), (31.3, math.nan), (math.inf, 120.62), (0.0, 0.0), (-31.3, -59.38), (31.3, 480.62)],
)
def test_what_is_no_place_or_far_away_is_unknown(lat_deg, lon_deg):
    assert name_place(MARKET, lat_deg, lon_deg, covariance(1.0)) == Place(MARKET.id, None, UNKNOWN)


def test_a_covariance_may_be_singular():
    in_stall = "烧烤街西排老李烤鱼摊位内"
    assert named(-49.5, -4.0, (0.0, 0.0, 0.0)).name.zh == in_stall
    assert named(-49.5, -4.0, (0.25, 0.25, 0.25)).name.zh == in_stall
    assert named(-49.5, -4.0, (0.0, 0.0, 9.0)).name.zh == "烧烤街西排老李烤鱼附近"


def test_the_edge_of_a_stall_belongs_to_it():
    corner = MARKET.stalls[0].polygon.exterior.coords[0]
    first = next(claims_at(MARKET, *corner))
    assert first.words.zh == "烧烤街西排老王烧烤摊位内"
    assert first.ground.covers(shapely.points(corner))


def drawn(*, zones=(), stalls=(), lanes=()) -> MarketMap:
    return replace(MARKET, zones=zones, stalls=stalls, lanes=lanes)


def test_a_market_without_anything_in_it_has_sides():
    assert named(-50, 0, covariance(1.0), drawn()).name == LocalText(
        "江畔夜市西侧", "Riverside night market, west side"
    )
    assert named(-50, 33, covariance(1.0), drawn()).name.zh == "江畔夜市西北侧"
    assert named(0, 0, covariance(1.0), drawn()).name.zh == "江畔夜市中部"
    assert named(0, 0, covariance(25.0), drawn()).name.zh == "江畔夜市"
    assert named(0, -90, covariance(1.0), drawn()).name.zh == "江畔夜市以南约40米"


def stall(
    number: int, west: float, south: float, row: LocalText | None = None, *, turned_deg: float = 0
) -> Stall:
    shape = shapely.affinity.rotate(shapely.box(west, south, west + 4, south + 4), turned_deg)
    return Stall(f"stall-{number}", LocalText(f"摊{number}", f"Stall {number}"), shape, row)


def test_a_stall_needs_neither_zone_nor_row():
    market = drawn(stalls=(stall(1, 0, 0), stall(2, 5, 0)))
    assert named(2, -3, covariance(0.3), market).name == LocalText(
        "摊1南侧约3米", "about 3 m south of Stall 1"
    )
    assert named(4.5, 2, covariance(0.5), market).name == LocalText(
        "摊1与摊2之间", "between Stall 1 and Stall 2"
    )
    assert named(-3, -3, covariance(0.3), market).name.zh == "摊1西南侧约4米"


def test_stalls_may_be_turned_and_may_overlap_or_coincide():
    turned = drawn(stalls=(stall(1, 0, 0, turned_deg=30),))
    assert (
        named(
            2 + 5 * math.sin(math.radians(150)), 2 + 5 * math.cos(math.radians(150)), covariance(0.3), turned
        ).name.zh
        == "摊1东南侧约3米"
    )
    overlapping = drawn(stalls=(stall(1, 0, 0), stall(2, 3, 0), stall(3, 3, 0)))
    assert named(0.5, 2, covariance(0.2), overlapping).name.zh == "摊1摊位内"
    assert named(5, -1, covariance(0.2), overlapping).name.zh == "摊2南侧约1米"


def test_rows_of_one_or_two_stalls():
    row = LocalText("甲排", "row A")
    alone = drawn(stalls=(stall(1, 0, 0, row),))
    assert named(2, 9, covariance(0.1), alone).name.zh == "甲排摊1北侧约5米"
    assert named(2, 7, covariance(4.0), alone).name.zh == "甲排摊1附近"
    pair = drawn(stalls=(stall(1, 0, 0, row), stall(2, 0, 5, row)))
    assert named(2, 14, covariance(3.0), pair).name == LocalText("甲排北头", "row A, north end")


def test_a_zone_that_bends_is_claimed_as_far_as_it_is_in_sight():
    bent = Polygon([(-40, -30), (40, -30), (40, -20), (-30, -20), (-30, 30), (-40, 30)])
    zone = replace(MARKET.zones[0], name=LocalText("弯区", "Bend"), polygon=bent)
    market = drawn(zones=(zone,))
    assert named(-35, 25, covariance(1.5), market).name.zh == "弯区西北侧"
    assert named(30, -25, covariance(1.5), market).name.zh == "弯区东南侧"
    assert named(-35, 5, (4.0, 0.0, 400.0), market).name.zh == "弯区西侧"


def test_whatever_is_said_fits_into_the_texts_of_the_station():
    """500 characters, of which an order has up to 110 beside the place."""
    long = LocalText("长" * 80, "L" * 80)
    market = replace(
        MARKET,
        name=long,
        zones=tuple(replace(zone, name=long) for zone in MARKET.zones),
        stalls=tuple(replace(stall, name=long, row=long) for stall in MARKET.stalls),
        lanes=tuple(replace(lane, name=long) for lane in MARKET.lanes),
    )
    longest = max(
        len(words)
        for east_m, north_m in ((-49.5, -4.0), (-0.25, 19.3), (-3.0, 25.0), (11.7, -15.0), (0.0, -90.0))
        for claim in claims_at(market, east_m, north_m)
        for words in (claim.words.zh, claim.words.en)
    )
    assert 300 < longest < 390


class Reader:
    """What the words mean, worked out anew from words and map: of which of many places they are true."""

    def __init__(self, market: MarketMap) -> None:
        self.market = market
        self.shapes = {market.name.zh: market.outline} | {z.name.zh: z.polygon for z in market.zones}
        self.lanes = {lane.name.zh: lane for lane in market.lanes}
        self.stalls, self.rows = {}, {}
        for stall in market.stalls:
            zone = next(z for z in market.zones if z.polygon.contains(stall.polygon))
            self.stalls[zone.name.zh + stall.row.zh + stall.name.zh] = stall.polygon
            self.rows.setdefault(zone.name.zh + stall.row.zh, []).append(stall.polygon)
        self.by_name = {stall.name.zh: stall.polygon for stall in market.stalls}

    def holds(self, words: str, places: np.ndarray) -> np.ndarray:
        points = shapely.points(places)
        for form, read in (
            (r"(.+)（具体位置不明）", lambda _: np.ones(len(points), bool)),
            (r"(.+)及周边(\d+)米", lambda m: shapely.distance(self.shapes[m[1]], points) <= int(m[2])),
            (r"(.+)以(.+?)约(\d+)米", lambda m: self._off(self.shapes[m[1]], m[2], int(m[3]), points)),
            (r"(.+)摊位内", lambda m: shapely.covers(self.stalls[m[1]], points)),
            (
                r"(.+?)([东南西北]+)侧约(\d+)米",
                lambda m: self._off(self.stalls[m[1]], m[2], int(m[3]), points),
            ),
            (
                r".*?([^，排]+)与(.+)之间",
                lambda m: self._between(self.by_name[m[1]], self.by_name[m[2]], points),
            ),
            (r"(.+)旁", lambda m: shapely.distance(self.stalls[m[1]], points) <= 6.0),
            (r"(.+)，(.+)附近", lambda m: self._on(m[1], points) & self._near(self.by_name[m[2]], points)),
            (r"(.+)附近", lambda m: self._near((self.stalls | self.shapes)[m[1]], points)),
            (r"(.+)([东南西北])头", lambda m: self._at_end(self.rows[m[1]], m[2], points)),
            (r"(.+)(中|[东南西北]+)段([东西南北]*)侧?", lambda m: self._part(m[1], m[2], m[3], points)),
            (r"(.+)中部", lambda m: self._half(self.shapes[m[1]], "中", points)),
            (r"(.+?)([东南西北]+)侧", lambda m: self._side(m[1], m[2], points)),
            (r"(.+)", lambda m: self._whole(m[1], points)),
        ):
            match = re.fullmatch(form, words)
            if match is not None:
                return read(match)
        raise AssertionError(words)

    def _near(self, shape, points):
        return shapely.distance(shape, points) <= 10.0

    def _off(self, shape, wind, distance_m, points):
        step_m = max(step for step in (1, 5, 10, 50, 100, 500, 1000) if distance_m % step == 0)
        right_far = np.abs(shapely.distance(shape, points) - distance_m) <= step_m
        return right_far & self._towards(shape, wind, points)

    def _towards(self, shape, wind, points):
        ends = shapely.get_coordinates(shapely.shortest_line(shape, points)).reshape(-1, 2, 2)
        east, north = (ends[:, 1] - ends[:, 0]).T
        off_deg = np.degrees(np.arctan2(east, north)) - 45 * WINDS.index(wind)
        return ((east != 0) | (north != 0)) & (np.abs((off_deg + 180) % 360 - 180) <= 45)

    def _between(self, one, other, points):
        start, end = (np.array(shape.centroid.coords[0]) for shape in (one, other))
        along = (shapely.get_coordinates(points) - start) @ (end - start) / np.sum((end - start) ** 2)
        beside = np.minimum(shapely.distance(one, points), shapely.distance(other, points)) <= 6.0
        return (along >= 0) & (along <= 1) & beside

    def _on(self, lane, points):
        lane = self.lanes[lane]
        return shapely.distance(lane.line, points) <= lane.width_m / 2

    def _at_end(self, row, wind, points):
        towards = {"东": (1, 0), "西": (-1, 0), "北": (0, 1), "南": (0, -1)}[wind]
        last = max(row, key=lambda stall: np.dot(towards, stall.centroid.coords[0]))
        beyond = (shapely.get_coordinates(points) - last.centroid.coords[0]) @ towards >= 0
        return beyond & self._near(last, points)

    def _part(self, name, part, side, points):
        if name in self.rows:
            box = shapely.box(*shapely.total_bounds(self.rows[name]))
            return self._whole(name, points) & self._half(box, part, points, whole=False)
        box = self.lanes[name].line.buffer(self.lanes[name].width_m / 2, cap_style="flat")
        held = self._on(name, points) & self._half(box, part, points, whole=False)
        return held & (self._half(box, side, points) if side else True)

    def _half(self, shape, part, points, *, whole=True):
        """In the halves that a part is named after: the middle ones or the outer ones of its bounding box."""
        west, south, east, north = shape.bounds
        x = (shapely.get_coordinates(points)[:, 0] - west) / (east - west)
        y = (shapely.get_coordinates(points)[:, 1] - south) / (north - south)
        held = shapely.covers(shape, points) if whole else np.ones(len(points), bool)
        if part == "中":
            along = [x, y] if whole else [x if east - west > north - south else y]
            return held & np.all([(share >= 0.25) & (share <= 0.75) for share in along], axis=0)
        for letter, half in (("东", x >= 0.5), ("西", x <= 0.5), ("北", y >= 0.5), ("南", y <= 0.5)):
            held &= half if letter in part else True
        return held

    def _side(self, name, wind, points):
        if name in self.stalls:
            stall = self.stalls[name]
            return (shapely.distance(stall, points) <= 6.0) & self._towards(stall, wind, points)
        return self._half(self.shapes[name], wind, points)

    def _whole(self, name, points):
        if name in self.rows:
            return shapely.distance(shapely.union_all(self.rows[name]), points) <= 6.0
        return self._on(name, points) if name in self.lanes else shapely.covers(self.shapes[name], points)
