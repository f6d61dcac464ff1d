"""Sweep the whole outline in parallel rows, the camera looking to one side.

Looking to the side, a row shows a strip as deep as the picture from the row's first metre to its last.
Looking ahead it would show nothing of the first tens of metres (with the demonstration's camera at 15 m and
45 degrees 20 m, and 12 m more until the nose has come round), so each row would have to be begun that far
outside the market. The price is a gimbal that pans by 90 degrees to both sides.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import affinity
from shapely.geometry import LineString, Polygon, box
from shapely.geometry.base import BaseGeometry

from patrol.plan.routes.airspace import Airspace, segments
from patrol.plan.routes.runs import Look, Run, Stop
from patrol.plan.routes.view import View

SIDEWAYS_DEG = 90.0
_LEAST_AREA_M2 = 12.0  # three cells of the coverage's grid; less is not worth a row of its own
_MAX_ROWS = 6  # for one strip
_HEADINGS_DEG = (0.0, 90.0, 45.0, 135.0)  # corners that no row along the sweep can show are seen from others
_LEAST_ROW_M = 4.0  # ArduCopter turns its nose along a leg only while more than 2 m are left


def lawnmower(
    airspace: Airspace, view: View, *, height_m: float, pitch_deg: float, overlap: float, heading_deg: float
) -> list[list[Run]]:
    """The rows, each in both directions.

    Neighbouring views share `overlap` of `view.depth_m`, or a little more. The row that shows a strip lies
    beside it, where the middle of the view meets the middle of the strip; what cannot be seen from there, for
    want of room, is seen from the other side, from the edge, or in the end from rows across.

    Args:
        airspace: with the outline to sweep.
        view: of the camera at this height and pitch.
        height_m: above ground.
        pitch_deg: of the gimbal.
        overlap: 0 to less than 1.
        heading_deg: true bearing of the rows.
    """
    runs: list[list[Run]] = []
    unseen: list[BaseGeometry] = []
    for further_deg in _HEADINGS_DEG:
        turn_deg = heading_deg + further_deg - 90.0  # rows lie along x then
        outline, allowed = (_turned(shape, turn_deg) for shape in (airspace.outline, airspace.allowed))
        to_see = [_turned(part, turn_deg) for part in unseen] if runs else _strips(outline, view, overlap)
        unseen = []
        for part in to_see:
            rows, left_over = _rows(part, outline, allowed, view)
            runs += [_both_ways(row, turn_deg, pitch_deg, height_m) for row in rows]
            unseen += [_turned(part, -turn_deg) for part in left_over]
        if not unseen:
            break
    return runs


def long_side_deg(outline: Polygon) -> float:
    """The bearing, 0 to 180, of the longer side of the smallest rectangle around an outline."""
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(outline))
    sides = np.diff(corners[:3], axis=0)
    east_m, north_m = sides[np.hypot(*sides.T).argmax()]
    return float(math.degrees(math.atan2(east_m, north_m)) % 180.0)


def _turned(shape: BaseGeometry, angle_deg: float) -> BaseGeometry:
    return affinity.rotate(shape, angle_deg, origin=(0.0, 0.0))


def _strips(outline: BaseGeometry, view: View, overlap: float) -> list[BaseGeometry]:
    """The pieces of an outline between levels (y) no farther apart than a view less the overlap."""
    west, south, east, north = outline.bounds
    levels = np.linspace(south, north, 1 + math.ceil((north - south) / (view.depth_m * (1 - overlap))))
    bands = [outline.intersection(box(west, low, east, high)) for low, high in itertools.pairwise(levels)]
    return [part for band in bands for part in shapely.get_parts(band)]


@dataclass(frozen=True, eq=False)
class _Row:
    """A line along x, from which the strip `shown` is seen on one side."""

    line: LineString
    looks_left: bool
    shown: BaseGeometry


def _rows(
    strip: BaseGeometry, outline: BaseGeometry, allowed: BaseGeometry, view: View
) -> tuple[list[_Row], list[BaseGeometry]]:
    """Rows that show a strip between them, and what none can show.

    First the row that shows most of it, then one for what is left, and so on.
    """
    rows: list[_Row] = []
    to_see, hidden = [strip], []
    while to_see:
        part = to_see.pop()
        if part.area < _LEAST_AREA_M2:
            continue
        useful = [row for row in _candidates(part, outline, allowed, view) if _shows(row, part)]
        if not useful or len(rows) == _MAX_ROWS:
            hidden.append(part)
            continue
        rows.append(max(useful, key=lambda row: _worth_m2(row, part, outline)))
        to_see += shapely.get_parts(part.difference(rows[-1].shown)).tolist()
    return rows, hidden


def _candidates(
    part: BaseGeometry, outline: BaseGeometry, allowed: BaseGeometry, view: View
) -> Iterator[_Row]:
    """From below and from above, from the best distance and, where that lies too far out, from the edge."""
    west, low, east, high = part.bounds
    if east - west < _LEAST_ROW_M:
        west, east = (west + east - _LEAST_ROW_M) / 2, (west + east + _LEAST_ROW_M) / 2
    for looks_left, side in ((True, 1.0), (False, -1.0)):
        aside = (low + high) / 2 - side * view.middle_m
        for y in {aside, *(min(max(aside, area.bounds[1]), area.bounds[3]) for area in (outline, allowed))}:
            near, far = sorted((y + side * view.near_m, y + side * view.far_m))
            for line in segments(LineString([(west, y), (east, y)]).intersection(allowed), _LEAST_ROW_M / 2):
                x0, _, x1, _ = line.bounds
                yield _Row(line, looks_left, box(x0, near, x1, far))


def _shows(row: _Row, part: BaseGeometry) -> bool:
    return bool(row.shown.intersection(part).area >= _LEAST_AREA_M2)


def _worth_m2(row: _Row, part: BaseGeometry, outline: BaseGeometry) -> float:
    """What a row shows of a part, less what it flies outside the outline, a metre for each."""
    outside_m = row.line.length - row.line.intersection(outline).length
    return float(row.shown.intersection(part).area - outside_m)


def _both_ways(row: _Row, turn_deg: float, pitch_deg: float, height_m: float) -> list[Run]:
    line = _turned(row.line, -turn_deg)
    pan_deg = -SIDEWAYS_DEG if row.looks_left else SIDEWAYS_DEG
    ways = ((line, pan_deg), (line.reverse(), -pan_deg))
    return [_run(way, Look(pitch_deg, pan), height_m) for way, pan in ways]


def _run(line: BaseGeometry, look: Look, height_m: float) -> Run:
    (east, north), *others = shapely.get_coordinates(line)
    first = Stop(float(east), float(north), height_m, look=look)
    return (first, *(Stop(float(x), float(y), height_m) for x, y in others))
