"""What people call a place: its zone, row, stall and side, as finely as the place is known and no finer.

A position is an estimate with a covariance. Each way of calling it is a claim: words, and the ground on
which they are true. The finest claim is made whose ground holds the true place with a probability of
`STATED_SHARE`.

Words that lie on a scale are true up to their neighbours on it: "south" up to south-east and south-west,
"about 15 m" in steps of 5 m from 10 to 20 m, "middle" up to the middles of both halves. So an estimate near
the change from one word to the next can still be called by one of them.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Point, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.ops import substring

from patrol.domain.positions import Covariance, LocalText, Place
from patrol.plan.market import Lane, MarketMap, Stall, Zone

STATED_SHARE = 0.8
"""How likely the words are true, at least. Our choice: who is sent next door in one case of five sees for
himself; sure words (95 %) would name whole zones for what a camera tells to within 3 m."""

# Points of equal weight on a golden spiral (Vogel 1979), at the radii of a normal distribution. They overrate
# the probability of half-planes, strips, boxes and discs by less than 0.01 (test_places.py), which is why so
# much more than is stated is asked for.
_POINTS = 1000
_NEEDED_SHARE = STATED_SHARE + 0.01

_BESIDE_M = 6.0  # "by the stall": across a lane at most
_NEAR_M = 10.0  # "near": in sight and within call, even in a crowd
_NEXT_TO_ZONE_M = 20.0  # further out the whole market is the better landmark
_ELSEWHERE_DEG = 0.5  # so far from a market of at most 5 km no words about it help
_STEPS_M = (1, 5, 10, 50, 100, 500, 1000)
_AROUND_M = (20, 50, 100, 200, 500, 1000)
_STALLS_WITH_PARTS = 4  # a row of fewer has no north part worth the name

_Vector = NDArray[np.float64]  # (2,) east, north
_Wind = tuple[str, str]  # zh, en

_WINDS: tuple[_Wind, ...] = (
    ("北", "north"), ("东北", "north-east"), ("东", "east"), ("东南", "south-east"),
    ("南", "south"), ("西南", "south-west"), ("西", "west"), ("西北", "north-west"),
)  # fmt: skip
_WIND_RAD = math.radians(45)
# Just short of the next wind: what lies straight south of a wall is not south-east of it as well.
_TO_NEXT_WIND_RAD = math.radians(44.9)
_FAR_M = 100_000.0  # further than any ground here reaches


@dataclass(frozen=True, eq=False)
class Claim:
    """Words for a place, and the ground in local metres on which they are true."""

    words: LocalText
    ground: BaseGeometry


def name_place(market: MarketMap, lat_deg: float, lon_deg: float, covariance_en_m2: Covariance) -> Place:
    """What people call the place estimated at a WGS-84 position with a covariance.

    The words are true with a probability of at least `STATED_SHARE`. Scaling the covariance up never makes
    them finer: a claim's ground counts as far as it can be seen from the estimate, and that holds less of a
    wider distribution. `zone` is the one that holds the estimate, however uncertain that is.

    When the position is none (not finite, half a degree away) or the covariance is none (not finite, not
    positive semidefinite), the words say that the position is unknown and `zone` is None.
    """
    unknown = LocalText(f"{market.name.zh}（具体位置不明）", f"{market.name.en} (exact position unknown)")
    away_deg = abs(lat_deg - market.frame.origin_lat_deg), abs(lon_deg - market.frame.origin_lon_deg)
    offsets_m = _offsets_m(covariance_en_m2)
    if offsets_m is None or not all(away <= _ELSEWHERE_DEG for away in away_deg):
        return Place(market.id, None, unknown)
    east_m, north_m = map(float, market.frame.to_enu(lat_deg, lon_deg))
    drawn = _Drawn(np.array([east_m, north_m]), offsets_m)
    words = (claim.words for claim in claims_at(market, east_m, north_m) if drawn.bear_out(claim.ground))
    zone = market.zone_at(lat_deg, lon_deg)
    return Place(market.id, None if zone is None else zone.id, next(words, unknown))


def claims_at(market: MarketMap, east_m: float, north_m: float) -> Iterator[Claim]:
    """All that can be claimed of an estimate at a place in local metres, finest first."""
    here = Point(east_m, north_m)
    zone = next((zone for zone in market.zones if zone.polygon.covers(here)), None)
    lanes = [lane for lane in market.lanes if _band(lane.line, lane.width_m).covers(here)]
    spots = _spots_by(market, zone, here)
    if spots:
        yield from _by_stalls(spots, here)
        yield from _near_stall(spots[0], lanes)
    for lane in lanes:
        yield from _on_lane(lane, here)
    if spots and spots[0].row is not None:
        yield from _in_row(spots[0].row, here)
    if zone is not None:
        yield from _in_part(zone.name, zone.polygon, here)
    yield from _by_zone(market.zones, zone, here)
    if market.outline.covers(here):
        yield from _in_part(market.name, market.outline, here)
    yield from _away_from(market.name, market.outline, here)
    for reach_m in _AROUND_M:
        zh, en = f"{market.name.zh}及周边{reach_m}米", f"{market.name.en} or up to {reach_m} m from it"
        yield Claim(LocalText(zh, en), market.outline.buffer(reach_m))


class _Drawn:
    """Points of equal weight drawn from what is known of a place, with the lines of sight to them."""

    def __init__(self, here: _Vector, offsets_m: NDArray[np.float64]) -> None:
        self._points = here + offsets_m
        self._sights = shapely.linestrings(np.stack(np.broadcast_arrays(here, self._points), axis=1))

    def bear_out(self, ground: BaseGeometry) -> bool:
        """Whether enough of the points lie on `ground`, in sight from the estimate."""
        shapely.prepare(ground)
        if np.mean(shapely.intersects_xy(ground, self._points)) < _NEEDED_SHARE:
            return False
        return bool(np.mean(shapely.covers(ground, self._sights)) >= _NEEDED_SHARE)


def _offsets_m(covariance_en_m2: Covariance) -> NDArray[np.float64] | None:
    """(_POINTS, 2) points drawn from a covariance, about zero; None when it is none.

    By the Cholesky factor, written out: so it takes singular covariances and scales with them.
    """
    var_e, cov_en, var_n = covariance_en_m2
    if not all(map(math.isfinite, covariance_en_m2)) or min(var_e, var_n) < 0:
        return None
    std_e = math.sqrt(var_e)
    slope = cov_en / std_e if std_e > 0 else 0.0
    rest = var_n - slope * slope
    if rest < -1e-9 * var_n or (std_e == 0 and cov_en != 0):
        return None
    factor = np.array([[std_e, slope], [0.0, math.sqrt(max(rest, 0.0))]])
    return np.asarray(_standard_normal() @ factor)


@lru_cache(maxsize=1)
def _standard_normal() -> NDArray[np.float64]:
    """(_POINTS, 2) points of equal weight for two independent standard normal figures."""
    number = np.arange(_POINTS)
    radius = np.sqrt(-2 * np.log1p(-(number + 0.5) / _POINTS))
    turn_rad = number * math.pi * (3 - math.sqrt(5))
    return np.column_stack([radius * np.cos(turn_rad), radius * np.sin(turn_rad)])


@dataclass(frozen=True, eq=False)
class _Row:
    """Stalls of one row in their order; `ground` is all that lies beside one of them."""

    address: LocalText
    stalls: tuple[Stall, ...]
    axis: _Vector
    ground: BaseGeometry


@dataclass(frozen=True, eq=False)
class _Spot:
    """A stall; `own` is what lies near it and nearer to it than to others, `beside` how much is beside it."""

    number: int
    stall: Stall
    zone: Zone | None
    row: _Row | None
    own: BaseGeometry
    beside: BaseGeometry

    @property
    def address(self) -> LocalText:
        return _zone_name(self.zone) if self.row is None else self.row.address


@lru_cache(maxsize=8)
def _spots_of(market: MarketMap) -> tuple[shapely.STRtree, tuple[_Spot, ...]]:
    """The market's stalls in their order, and the tree that finds them."""
    shapes = [stall.polygon for stall in market.stalls]
    tree = shapely.STRtree(shapes)
    zones = [_zone_of(shape, market.zones) for shape in shapes]
    own = [_own_ground(number, shapes, tree) for number in range(len(shapes))]
    beside = [ground.intersection(shape.buffer(_BESIDE_M)) for ground, shape in zip(own, shapes, strict=True)]
    members: dict[tuple[Zone | None, LocalText], list[int]] = {}
    for number, stall in enumerate(market.stalls):
        if stall.row is not None:
            members.setdefault((zones[number], stall.row), []).append(number)
    rows: dict[int, _Row] = {}
    for (zone, name), numbers in members.items():
        address = _joined(_zone_name(zone), name.zh, name.en)
        row = _row(address, [market.stalls[n] for n in numbers], [beside[n] for n in numbers])
        rows.update(dict.fromkeys(numbers, row))
    spots = (
        _Spot(number, stall, zones[number], rows.get(number), own[number], beside[number])
        for number, stall in enumerate(market.stalls)
    )
    return tree, tuple(spots)


def _zone_of(shape: Polygon, zones: Sequence[Zone]) -> Zone | None:
    """The zone that most of a stall lies in."""
    zone = max(zones, key=lambda zone: float(zone.polygon.intersection(shape).area), default=None)
    return zone if zone is not None and zone.polygon.intersects(shape) else None


def _own_ground(number: int, shapes: Sequence[Polygon], tree: shapely.STRtree) -> BaseGeometry:
    """What lies near a shape, on its side of a straight line half-way to each neighbour."""
    shape = shapes[number]
    ground = shape.buffer(_NEAR_M)
    for other in map(int, tree.query(shape, predicate="dwithin", distance=2 * _NEAR_M)):
        own, others = shapely.get_coordinates(shapely.shortest_line(shape, shapes[other]))
        apart = own - others if np.any(own != others) else _centre(shape) - _centre(shapes[other])
        if other != number and np.any(apart != 0):
            ground = ground.intersection(_half_plane((own + others) / 2, apart))
    return ground


def _row(address: LocalText, stalls: Sequence[Stall], grounds: Sequence[BaseGeometry]) -> _Row:
    centres = np.array([_centre(stall.polygon) for stall in stalls])
    axis = np.linalg.svd(centres - centres.mean(axis=0))[2][0]
    order = np.argsort(centres @ axis, kind="stable")
    return _Row(address, tuple(stalls[i] for i in order), axis, shapely.union_all(grounds))


def _spots_by(market: MarketMap, zone: Zone | None, here: Point) -> list[_Spot]:
    """The stalls beside a place, nearest first; none when the nearest belongs to another zone."""
    tree, spots = _spots_of(market)
    numbers = tree.query(here, predicate="dwithin", distance=_BESIDE_M)
    near = sorted(map(int, numbers), key=lambda n: (float(spots[n].stall.polygon.distance(here)), n))
    if not near or (zone is not None and spots[near[0]].zone is not zone):
        return []
    return [spots[n] for n in near if spots[n].zone is spots[near[0]].zone]


def _by_stalls(spots: Sequence[_Spot], here: Point) -> Iterator[Claim]:
    spot = spots[0]
    shape, name = spot.stall.polygon, spot.stall.name

    def claim(zh: str, en: str, ground: BaseGeometry) -> Claim:
        return Claim(_joined(spot.address, zh, en), ground)

    yield claim(f"{name.zh}摊位内", f"at {name.en}", shape)
    for (zh, en), off_m, ground in _off(shape, here, _STEPS_M[:1]):
        words = f"{name.zh}{zh}侧约{off_m}米", f"about {off_m} m {en} of {name.en}"
        yield claim(*words, ground.intersection(spot.beside))
    for (zh, en), ground in _side(shape, here):
        yield claim(f"{name.zh}{zh}侧", f"just {en} of {name.en}", ground.intersection(spot.beside))
    yield claim(f"{name.zh}旁", f"by {name.en}", spot.beside)
    for other in spots[1:3]:
        yield _between(*sorted((spot, other), key=lambda s: s.number))
    if spot.row is not None:
        yield from _at_end(spot, spot.row)


def _between(one: _Spot, other: _Spot) -> Claim:
    """From the middle of one stall to the middle of the other, as far out as beside them."""
    names = one.stall.name, other.stall.name
    zh, en = f"{names[0].zh}与{names[1].zh}之间", f"between {names[0].en} and {names[1].en}"
    address = one.address if one.row is other.row else _zone_name(one.zone)
    start, end = _centre(one.stall.polygon), _centre(other.stall.polygon)
    strip = _half_plane(start, end - start).intersection(_half_plane(end, start - end))
    words = _joined(address, f"，{zh}" if address.zh else zh, en)
    return Claim(words, strip.intersection(one.beside.union(other.beside)))


def _at_end(spot: _Spot, row: _Row) -> Iterator[Claim]:
    """Beyond the middle of a row's last stall, and near it."""
    for last, outwards in ((row.stalls[0], -row.axis), (row.stalls[-1], row.axis)):
        if spot.stall is last and len(row.stalls) > 1:
            zh, en = _wind(outwards)
            beyond = _half_plane(_centre(last.polygon), outwards)
            yield Claim(_joined(row.address, f"{zh}头", f"{en} end"), spot.own.intersection(beyond))


def _near_stall(spot: _Spot, lanes: Sequence[Lane]) -> Iterator[Claim]:
    name, near = spot.stall.name, spot.stall.polygon.buffer(_NEAR_M)
    for lane in lanes:
        words = _joined(lane.name, f"，{name.zh}附近", f"near {name.en}")
        yield Claim(words, near.intersection(_band(lane.line, lane.width_m)))
    yield Claim(_joined(spot.address, f"{name.zh}附近", f"near {name.en}"), near)


def _on_lane(lane: Lane, here: Point) -> Iterator[Claim]:
    start, end = shapely.get_coordinates(lane.line)[[0, -1]]
    words, (first, last) = _part(lane.name, lane.line.project(here, normalized=True), end - start)
    piece = substring(lane.line, first, last, normalized=True)
    for side_m in (lane.width_m / 2, -lane.width_m / 2):
        half = piece.buffer(side_m, single_sided=True)
        if half.covers(here):
            zh, en = _wind(_centre(half) - _centre(piece))
            yield Claim(_joined(words, f"{zh}侧", f"{en} side"), half)
    yield Claim(words, _band(piece, lane.width_m))
    yield Claim(lane.name, _band(lane.line, lane.width_m))


def _in_row(row: _Row, here: Point) -> Iterator[Claim]:
    if len(row.stalls) >= _STALLS_WITH_PARTS:
        along_m = np.concatenate([shapely.get_coordinates(s.polygon) @ row.axis for s in row.stalls])
        start_m, length_m = along_m.min(), np.ptp(along_m)
        words, (first, last) = _part(row.address, (_at(here) @ row.axis - start_m) / length_m, row.axis)
        ground = row.ground
        if first > 0:
            ground = ground.intersection(_half_plane(row.axis * (start_m + first * length_m), row.axis))
        if last < 1:
            ground = ground.intersection(_half_plane(row.axis * (start_m + last * length_m), -row.axis))
        yield Claim(words, ground)
    yield Claim(row.address, row.ground)


def _part(name: LocalText, share: float, axis: _Vector) -> tuple[LocalText, tuple[float, float]]:
    """What lies a share of the way along something is called, and from where to where that holds."""
    if 1 / 3 < share < 2 / 3:
        return _joined(name, "中段", "middle"), (0.25, 0.75)
    zh, en = _wind(axis if share > 0.5 else -axis)
    return _joined(name, f"{zh}段", f"{en} part"), (0.5, 1.0) if share > 0.5 else (0.0, 0.5)


def _in_part(name: LocalText, shape: Polygon, here: Point) -> Iterator[Claim]:
    """A quarter or the middle of a shape, one half or the other, all of it."""
    low, high = np.reshape(shape.bounds, (2, 2))
    middle, reach = (low + high) / 2, (high - low) / 2
    off = (_at(here) - middle) / reach
    towards = np.where(np.abs(off) < 1 / 3, 0.0, np.sign(off))
    if not towards.any():
        inner = box(*(middle - reach / 2), *(middle + reach / 2))
        yield Claim(_joined(name, "中部", "middle"), shape.intersection(inner))
    halves = sorted(np.diag(towards), key=lambda half: -float(np.abs(off) @ np.abs(half)))
    for side in [towards, *halves] if towards.all() else halves:
        if side.any():
            ground = shape
            for half in filter(np.any, np.diag(side)):
                ground = ground.intersection(_half_plane(middle, half))
            zh, en = _wind(side)
            yield Claim(_joined(name, f"{zh}侧", f"{en} side"), ground)
    yield Claim(name, shape)


def _by_zone(zones: Sequence[Zone], zone: Zone | None, here: Point) -> Iterator[Claim]:
    nearest = zone or min(zones, key=lambda z: float(z.polygon.distance(here)), default=None)
    if nearest is None or nearest.polygon.distance(here) > _NEXT_TO_ZONE_M:
        return
    yield from _away_from(nearest.name, nearest.polygon, here)
    words = LocalText(f"{nearest.name.zh}附近", f"near {nearest.name.en}")
    yield Claim(words, nearest.polygon.buffer(_NEAR_M))


def _away_from(name: LocalText, shape: Polygon, here: Point) -> Iterator[Claim]:
    for (zh, en), off_m, ground in _off(shape, here, _STEPS_M):
        yield Claim(LocalText(f"{name.zh}以{zh}约{off_m}米", f"about {off_m} m {en} of {name.en}"), ground)


def _off(shape: Polygon, here: Point, steps_m: Sequence[int]) -> Iterator[tuple[_Wind, int, BaseGeometry]]:
    """The wind and the distance in metres of a place off a shape, with their ground, by rising steps."""
    for wind, side in _side(shape, here):
        for step_m in steps_m:
            distance_m = step_m * round(float(shape.distance(here)) / step_m)
            if distance_m > 0:
                ring = shape.buffer(distance_m + step_m).difference(shape.buffer(distance_m - step_m))
                yield wind, distance_m, side.intersection(ring)


def _side(shape: Polygon, here: Point) -> Iterator[tuple[_Wind, BaseGeometry]]:
    """The wind in which a place lies off a shape, with all that lies off it in this wind; none on the shape.

    The wind is that from the nearest point of the shape, and its ground that of the shape's convex hull.
    """
    nearest, place = shapely.get_coordinates(shapely.shortest_line(shape, here))
    if np.all(nearest == place):
        return
    number = _wind_number(place - nearest)
    bearings_rad = number * _WIND_RAD + np.array([-_TO_NEXT_WIND_RAD, 0.0, _TO_NEXT_WIND_RAD])
    one_way, ahead, other_way = np.column_stack([np.sin(bearings_rad), np.cos(bearings_rad)])
    hull = shape.convex_hull
    corners = shapely.get_coordinates(hull)
    one, other = corners[np.argmax(corners @ one_way)], corners[np.argmax(corners @ other_way)]
    far = [one + one_way * _FAR_M, (one + other) / 2 + ahead * 2 * _FAR_M, other + other_way * _FAR_M]
    yield _WINDS[number], Polygon([one, *far, other]).difference(hull)


def _wind(vector: _Vector) -> _Wind:
    return _WINDS[_wind_number(vector)]


def _wind_number(vector: _Vector) -> int:
    return round(math.atan2(vector[0], vector[1]) / _WIND_RAD) % len(_WINDS)


def _joined(name: LocalText, zh: str, en: str) -> LocalText:
    return LocalText(name.zh + zh, f"{name.en}, {en}" if name.en else en)


def _zone_name(zone: Zone | None) -> LocalText:
    return LocalText("", "") if zone is None else zone.name


def _half_plane(edge: _Vector, inwards: _Vector) -> Polygon:
    """All that lies from a straight edge through a point inwards."""
    ahead = inwards / np.hypot(*inwards) * _FAR_M
    aside = np.array([-ahead[1], ahead[0]])
    return Polygon([edge - aside, edge + aside, edge + aside + ahead, edge - aside + ahead])


def _band(line: LineString, width_m: float) -> BaseGeometry:
    return line.buffer(width_m / 2, cap_style="flat")


def _centre(shape: BaseGeometry) -> _Vector:
    return _at(shape.centroid)


def _at(point: Point) -> _Vector:
    return np.array([point.x, point.y])
