"""Reads tables of points whose place is known, with where they appear in pictures."""

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NoReturn

from patrol.domain.heights import Amsl
from patrol.geo.documents import DocumentError, read_text

COLUMNS = ("captured_at", "frame", "x_px", "y_px", "lat_deg", "lon_deg", "height_amsl_m", "name")
_ALWAYS = ("x_px", "y_px", "lat_deg", "lon_deg")
_EXAMPLE = "captured_at,x_px,y_px,lat_deg,lon_deg,name"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(2000, 2100)
_ROUNDED = re.compile(r"\d+([.,]\d+)?[eE]\+?\d+")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_LIMITS = {"lat_deg": 90.0, "lon_deg": 180.0, "height_amsl_m": 9000.0}

PicturesBy = Literal["captured_at", "frame"]


@dataclass(frozen=True)
class PointRow:
    """A row of the table.

    Attributes:
        where, line: file and line for people, and the line alone.
        name: the point's, empty when it has none.
        picture: when it was taken (UTC, ns since 1970), or its number in a list of poses, from 1 on.
        x_px, y_px: the point in the picture.
        lat_deg, lon_deg: WGS-84.
        height: None when the table has none for it.
    """

    where: str
    line: int
    name: str
    picture: int
    x_px: float
    y_px: float
    lat_deg: float
    lon_deg: float
    height: Amsl | None


@dataclass(frozen=True)
class PointTable:
    """All rows, and how their pictures are told."""

    pictures_by: PicturesBy
    rows: tuple[PointRow, ...]


def read_points(path: Path) -> PointTable:
    """Read a CSV file in UTF-8, with or without a byte order mark, split by commas, semicolons or tabs.

    Its first line names the columns: `x_px`, `y_px`, `lat_deg`, `lon_deg`, one of `captured_at` (ISO 8601
    with a time zone, or nanoseconds since 1970) and `frame`, and if wanted `height_amsl_m` and `name`. A
    column of another name is refused, for it may be one of these misspelt. Empty lines are skipped.

    Raises:
        DocumentError: something is wrong; the sentence names file and line.
    """
    lines = _lines(path)
    if not lines:
        raise DocumentError(f"{path}: is empty; name the columns in its first line, such as {_EXAMPLE}")
    (_, header), *others = lines
    columns = [name.strip().lower() for name in header]
    pictures_by = _check_columns(path, columns)
    rows = []
    for line, cells in others:
        if len(cells) != len(columns):
            raise DocumentError(
                f"{path}:{line}: has {len(cells)} cells where the first line names {len(columns)} columns; "
                "separate cells as the first line does, and write numbers with a decimal point"
            )
        rows.append(_row(path, line, dict(zip(columns, map(str.strip, cells), strict=True)), pictures_by))
    if not rows:
        raise DocumentError(f"{path}: holds no point; write one a line below the names of the columns")
    return PointTable(pictures_by, tuple(rows))


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Numbers and cells of the lines that are not empty."""
    try:
        text = read_text(path)
    except DocumentError as error:
        if isinstance(error.__cause__, UnicodeDecodeError):
            raise DocumentError(
                f"{path}: is not text in UTF-8; in Excel or WPS save it as 'CSV UTF-8' (GBK cannot be read)"
            ) from error
        raise
    first = text.split("\n", 1)[0]
    delimiter = next((character for character in ";\t" if character in first), ",")
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        return [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise DocumentError(
            f"{path}:{reader.line_num}: cannot be split into cells ({error}); mend the quotes there"
        ) from error


def _check_columns(path: Path, columns: Sequence[str]) -> PicturesBy:
    def refuse(what: str) -> NoReturn:
        raise DocumentError(f"{path}:1: {what}; the first line names the columns, such as {_EXAMPLE}")

    for name in columns:
        if name not in COLUMNS:
            refuse(f"column '{name}' is unknown, known are {', '.join(COLUMNS)}")
        if columns.count(name) > 1:
            refuse(f"column '{name}' is there twice")
    for name in _ALWAYS:
        if name not in columns:
            refuse(f"column '{name}' is missing")
    if ("captured_at" in columns) == ("frame" in columns):
        refuse("the picture is told by either 'captured_at' or 'frame'")
    return "frame" if "frame" in columns else "captured_at"


def _row(path: Path, line: int, cells: Mapping[str, str], pictures_by: PicturesBy) -> PointRow:
    where = f"{path}:{line}"
    x_px, y_px, lat_deg, lon_deg = (_number(where, name, cells[name]) for name in _ALWAYS)
    for name, value in (("lat_deg", lat_deg), ("lon_deg", lon_deg)):
        if abs(value) > _LIMITS[name]:
            swapped = abs(lat_deg) <= _LIMITS["lon_deg"] and abs(lon_deg) <= _LIMITS["lat_deg"]
            advice = "latitude and longitude seem swapped" if swapped else "give degrees, WGS-84"
            raise DocumentError(f"{where}: {name} {value:g} is beyond {_LIMITS[name]:g} degrees; {advice}")
    height = cells.get("height_amsl_m", "")
    height_amsl_m = _number(where, "height_amsl_m", height) if height else None
    if height_amsl_m is not None and abs(height_amsl_m) > _LIMITS["height_amsl_m"]:
        raise DocumentError(f"{where}: height_amsl_m {height} is nowhere on earth; give metres above the sea")
    picture = _time_ns if pictures_by == "captured_at" else _frame
    return PointRow(
        where, line, cells.get("name", ""), picture(where, cells[pictures_by]), x_px, y_px, lat_deg, lon_deg,
        None if height_amsl_m is None else Amsl(height_amsl_m),
    )  # fmt: skip


def _number(where: str, name: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        advice = "with a decimal point" if _DECIMAL_COMMA.fullmatch(cell) else "in every line"
        raise DocumentError(f"{where}: {name} {cell!r} is not a number; write one {advice}")
    return value


def _frame(where: str, cell: str) -> int:
    if not (cell.isdecimal() and int(cell) > 0):
        raise DocumentError(f"{where}: frame {cell!r} is not the number of a pose; count them from 1")
    return int(cell)


def _time_ns(where: str, cell: str) -> int:
    if _ROUNDED.fullmatch(cell):
        raise DocumentError(
            f"{where}: captured_at {cell} was rounded by a spreadsheet; format the column as text and enter "
            "the times again"
        )
    try:
        at_ns = int(cell) if cell.isdecimal() else _from_iso_ns(where, cell)
        year = (_EPOCH + timedelta(microseconds=at_ns // 1000)).year
    except (ValueError, OverflowError) as error:
        raise DocumentError(
            f"{where}: captured_at {cell!r} is no time; write 2026-11-21T20:00:00.250+08:00, or nanoseconds "
            "since 1970"
        ) from error
    if year not in _YEARS:
        raise DocumentError(
            f"{where}: captured_at {cell} is in the year {year}; numbers are nanoseconds since 1970"
        )
    return at_ns


def _from_iso_ns(where: str, cell: str) -> int:
    at = datetime.fromisoformat(cell)
    if at.tzinfo is None:
        raise DocumentError(
            f"{where}: captured_at {cell} has no time zone; add Z for UTC or +08:00 for Beijing time"
        )
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000
