from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patrol.domain.heights import Amsl
from patrol.geo.documents import DocumentError
from patrol.geo.known_points import read_points

HEADER = "captured_at,x_px,y_px,lat_deg,lon_deg"
LINE = "2026-11-21T20:00:00.25+08:00,100.5,200,31.3,120.62"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "points.csv"


def test_all_columns(table: Path) -> None:
    table.write_text(f"{HEADER},height_amsl_m,name\n{LINE},4.5,manhole 1\n\n{LINE},,井盖\n", encoding="utf-8")
    found = read_points(table)
    assert found.pictures_by == "captured_at"
    first, second = found.rows
    assert (first.where, first.line, first.name) == (f"{table}:2", 2, "manhole 1")
    assert first.picture == 1_795_262_400_250_000_000
    assert (first.x_px, first.y_px, first.lat_deg, first.lon_deg) == (100.5, 200.0, 31.3, 120.62)
    assert first.height == Amsl(4.5)
    assert (second.where, second.name, second.height) == (f"{table}:4", "井盖", None)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_what_spreadsheets_write(table: Path, delimiter: str) -> None:
    text = f"{HEADER}\r\n{LINE}\r\n".replace(",", delimiter).upper()
    table.write_bytes(text.encode("utf-8-sig"))
    assert read_points(table).rows[0].lon_deg == 120.62


def test_times_in_nanoseconds_and_numbers_of_poses(table: Path) -> None:
    table.write_text(f"{HEADER}\n1795262400250000001,1,2,31.3,120.62\n")
    assert read_points(table).rows[0].picture == 1_795_262_400_250_000_001
    table.write_text("frame,x_px,y_px,lat_deg,lon_deg\n3,1,2,31.3,120.62\n")
    found = read_points(table)
    assert (found.pictures_by, found.rows[0].picture) == ("frame", 3)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", ": is empty; name the columns in its first line"),
        (HEADER, ": holds no point; write one a line"),
        ("x_px,y_px,lat_deg,lon_deg\n1,2,3,4", ":1: the picture is told by either 'captured_at' or 'frame'"),
        (f"{HEADER},frame\n", ":1: the picture is told by either"),
        ("captured_at,x_px,y_px,lat_deg\n", ":1: column 'lon_deg' is missing; the first line names"),
        (f"{HEADER},height\n{LINE},4", ":1: column 'height' is unknown, known are captured_at, frame,"),
        (f"{HEADER},x_px\n", ":1: column 'x_px' is there twice"),
        (f"{HEADER};\n", ":1: column 'captured_at,x_px,y_px,lat_deg,lon_deg' is unknown"),
        (f"{HEADER}\n{LINE},7", ":2: has 6 cells where the first line names 5 columns; separate cells"),
        (f'{HEADER}\n"{LINE}', ":2: cannot be split into cells"),
        (f"{HEADER},height_amsl_m\n{LINE},45000", ":2: height_amsl_m 45000 is nowhere on earth"),
        ("frame,x_px,y_px,lat_deg,lon_deg\n0,1,2,31.3,120.62", ":2: frame '0' is not the number of a pose"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(table: Path, text: str, sentence: str) -> None:
    table.write_text(text)
    with pytest.raises(DocumentError) as error:
        read_points(table)
    assert str(error.value).startswith(f"{table}{sentence}")


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        (0, "20:00", "captured_at '20:00' is no time; write 2026-"),
        (0, "2026-11-21T20:00:00", "captured_at 2026-11-21T20:00:00 has no time zone; add Z"),
        (0, "1.79526E+18", "captured_at 1.79526E+18 was rounded by a spreadsheet; format"),
        (0, "1795262400", "captured_at 1795262400 is in the year 1970; numbers are nanoseconds"),
        (0, "9" * 40, "captured_at '9999"),
        (1, "left", "x_px 'left' is not a number; write one in every line"),
        (1, "", "x_px '' is not a number"),
        (1, "nan", "x_px 'nan' is not a number"),
        (3, "313", "lat_deg 313 is beyond 90 degrees; give degrees, WGS-84"),
        (4, "-181", "lon_deg -181 is beyond 180 degrees; give degrees, WGS-84"),
    ],
)
def test_what_is_wrong_with_a_cell_is_said_with_its_line(
    table: Path, column: int, value: str, sentence: str
) -> None:
    cells = LINE.split(",")
    cells[column] = value
    table.write_text(f"{HEADER}\n{LINE}\n{','.join(cells)}\n")
    with pytest.raises(DocumentError) as error:
        read_points(table)
    assert str(error.value).startswith(f"{table}:3: {sentence}")


def test_swapped_latitude_and_longitude_are_named(table: Path) -> None:
    table.write_text(f"{HEADER}\n{LINE.replace('31.3,120.62', '120.62,31.3')}")
    with pytest.raises(DocumentError, match="beyond 90 degrees; latitude and longitude seem swapped"):
        read_points(table)


def test_a_decimal_comma_is_named(table: Path) -> None:
    table.write_text(f"{HEADER.replace(',', ';')}\n2026-11-21T20:00:00Z;100;200;31,3;120,62")
    with pytest.raises(
        DocumentError, match=r"lat_deg '31,3' is not a number; write one with a decimal point"
    ):
        read_points(table)


@pytest.mark.parametrize("encoding", ["gbk", "utf-16"])
def test_other_encodings_are_refused(table: Path, encoding: str) -> None:
    table.write_bytes(f"{HEADER},name\n{LINE},井盖\n".encode(encoding))
    with pytest.raises(DocumentError, match="is not text in UTF-8; in Excel or WPS save it as 'CSV UTF-8'"):
        read_points(table)


def test_missing_file(table: Path) -> None:
    with pytest.raises(DocumentError, match="no such file"):
        read_points(table)


@given(rubbish=st.text(max_size=200) | st.lists(st.text(max_size=20), min_size=5, max_size=5).map(",".join))
def test_rubbish_is_a_sentence(tmp_path_factory: pytest.TempPathFactory, rubbish: str) -> None:
    path = tmp_path_factory.getbasetemp() / "rubbish.csv"
    path.write_text(f"{HEADER}\n{LINE}\n{rubbish}\n", encoding="utf-8", errors="replace", newline="")
    try:
        first_px = read_points(path).rows[0].x_px
    except DocumentError as error:
        sentence = str(error)
        first_px = 100.5 if sentence.startswith(str(path)) else None
    assert first_px == 100.5
