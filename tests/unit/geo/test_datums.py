"""GCJ-02 and BD-09 against what the map services answered, there and back, in China and out of it."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from patrol.geo.datums import (
    bd09_to_gcj02,
    bd09_to_wgs84,
    gcj02_to_bd09,
    gcj02_to_wgs84,
    wgs84_to_bd09,
    wgs84_to_gcj02,
)

Conversion = Callable[..., tuple[np.ndarray, np.ndarray]]
PAIRS = [
    (wgs84_to_gcj02, gcj02_to_wgs84),
    (gcj02_to_bd09, bd09_to_gcj02),
    (wgs84_to_bd09, bd09_to_wgs84),
]
ALL = [conversion for pair in PAIRS for conversion in pair]


def apart_m(one, other) -> np.ndarray:
    """Metres between two places of degrees, on a sphere's tangent: good to a percent over a kilometre."""
    north = (np.asarray(one[0]) - other[0]) * 111_132.0
    east = (np.asarray(one[1]) - other[1]) * 111_320.0 * np.cos(np.radians(other[0]))
    return np.hypot(north, east)


@pytest.mark.parametrize(
    ("convert", "given_deg", "answered_deg", "within_m"),
    [
        # Amap, Web service API, "Coordinate conversion": the documented request and its answer.
        (wgs84_to_gcj02, (39.990475, 116.481499), (39.991754014757, 116.487585177952), 0.1),
        # Baidu, Web service API "geoconv": the documented request; answers of four days vary by half a metre.
        (wgs84_to_bd09, (29.575429778924, 114.21892734521), (29.57908262908, 114.23074952312), 1.0),
        (wgs84_to_bd09, (29.575429778924, 114.21892734521), (29.579085062759, 114.23074898012), 1.0),
        (wgs84_to_bd09, (29.575429778924, 114.21892734521), (29.579081808346, 114.2307489832), 1.0),
        (wgs84_to_bd09, (29.575429778924, 114.21892734521), (29.579088056668, 114.23074978833), 1.0),
    ],
)
def test_the_map_services_answer_the_same(convert, given_deg, answered_deg, within_m):
    assert apart_m(convert(*given_deg), answered_deg) < within_m


@pytest.mark.parametrize(
    ("convert", "given_deg", "published_deg"),
    [
        # Test data of eviltransform (googollee): Shanghai, Shenzhen, Beijing.
        (wgs84_to_gcj02, (31.1774276, 121.5272106), (31.17530398364597, 121.531541859215)),
        (wgs84_to_gcj02, (22.543847, 113.912316), (22.540796131694766, 113.9171764808363)),
        (wgs84_to_gcj02, (39.911954, 116.377817), (39.91334545536069, 116.38404722455657)),
        # Test data of coordtransform (wandergis): Beijing.
        (wgs84_to_gcj02, (39.915, 116.404), (39.91640428150164, 116.41024449916938)),
        (gcj02_to_bd09, (39.915, 116.404), (39.92133699351021, 116.41036949371029)),
        # Test data of gcoord (hujiulong), to 8 decimals.
        (gcj02_to_wgs84, (45.0, 123.0), (44.99804071, 122.99395597)),
        (gcj02_to_bd09, (45.0, 123.0), (45.00636899, 123.00636499)),
        # Test data of geotool: Jiaxing.
        (wgs84_to_gcj02, (30.6107779, 121.0917077), (30.608604331756705, 121.09626935575027)),
        (wgs84_to_bd09, (30.6107779, 121.0917077), (30.61484572185035, 121.10271732371203)),
    ],
)
def test_other_projects_compute_the_same(convert, given_deg, published_deg):
    assert apart_m(convert(*given_deg), published_deg) < 0.05  # some invert by approximation


@pytest.mark.parametrize(("there", "back"), PAIRS)
def test_there_and_back_is_exact_on_a_grid_over_china(there, back):
    lat_deg, lon_deg = np.meshgrid(np.arange(18, 54, 0.131), np.arange(73.5, 135.1, 0.137), indexing="ij")
    moved = there(lat_deg, lon_deg)
    inside = moved[0] != lat_deg
    assert 0.4 < inside.mean() < 0.6
    assert apart_m(back(*moved), (lat_deg, lon_deg))[inside].max() < 1e-7  # float64 resolves 2e-9 m


@given(st.floats(18, 54), st.floats(73.5, 135.0))
@example(35.0, 75.928)  # on the edge of a rectangle: the way back ends a digit short of it
def test_there_and_back_is_exact_at_any_place_that_is_shifted(lat_deg, lon_deg):
    gcj02 = wgs84_to_gcj02(lat_deg, lon_deg)
    if gcj02[0] == lat_deg:
        return
    bd09 = gcj02_to_bd09(*gcj02)
    assert apart_m(gcj02_to_wgs84(*gcj02), (lat_deg, lon_deg)) < 1e-7
    assert apart_m(bd09_to_gcj02(*bd09), gcj02) < 1e-7
    assert apart_m(bd09, wgs84_to_bd09(lat_deg, lon_deg)) < 1e-7
    assert apart_m(bd09_to_wgs84(*bd09), (lat_deg, lon_deg)) < 1e-7


def test_the_shifts_are_as_long_as_is_said():
    lat_deg, lon_deg = np.meshgrid(np.arange(18, 54, 0.091), np.arange(73.5, 135.1, 0.093), indexing="ij")
    gcj02 = wgs84_to_gcj02(lat_deg, lon_deg)
    inside = gcj02[0] != lat_deg
    first_m = apart_m(gcj02, (lat_deg, lon_deg))[inside]
    second_m = apart_m(gcj02_to_bd09(*gcj02), gcj02)[inside]
    assert 650 < first_m.max() < 710
    assert 750 < second_m.min() < second_m.max() < 1000


IN_CHINA = {
    "Beijing": (39.904, 116.407), "Shanghai": (31.230, 121.474), "Suzhou": (31.299, 120.585),
    "Guangzhou": (23.129, 113.264), "Shenzhen": (22.543, 114.058), "Chengdu": (30.572, 104.066),
    "Xi'an": (34.342, 108.940), "Urumqi": (43.825, 87.617), "Kashgar": (39.470, 75.990),
    "Yining": (43.908, 81.278), "Altay": (47.845, 88.141), "Taxkorgan": (37.772, 75.229),
    "Lhasa": (29.652, 91.172), "Ngari": (32.501, 80.105), "Zhangmu": (27.990, 85.983),
    "Kunming": (24.880, 102.833), "Ruili": (24.013, 97.852), "Jinghong": (22.008, 100.797),
    "Hekou": (22.529, 103.939), "Dongxing": (21.548, 107.972), "Nanning": (22.817, 108.366),
    "Haikou": (20.044, 110.199), "Sanya": (18.252, 109.512), "Xiamen": (24.480, 118.089),
    "Qingdao": (36.067, 120.383), "Dalian": (38.914, 121.615), "Dandong": (40.129, 124.383),
    "Yanji": (42.891, 129.509), "Hunchun": (42.863, 130.366), "Suifenhe": (44.397, 131.152),
    "Harbin": (45.803, 126.535), "Heihe": (50.245, 127.528), "Fuyuan": (48.365, 134.308),
    "Mohe": (52.972, 122.539), "Manzhouli": (49.598, 117.379), "Hailar": (49.212, 119.737),
    "Erenhot": (43.653, 111.978), "Hohhot": (40.842, 111.749), "Ejin": (41.958, 101.069),
    "Hong Kong": (22.319, 114.169), "Macau": (22.199, 113.544),
}  # fmt: skip
OUT_OF_CHINA = {
    "Taipei": (25.033, 121.565), "Kaohsiung": (22.627, 120.301), "Seoul": (37.566, 126.978),
    "Pyongyang": (39.039, 125.763), "Wonsan": (39.153, 127.444), "Hanoi": (21.028, 105.854),
    "Haiphong": (20.845, 106.688), "Vientiane": (17.976, 102.633), "Luang Prabang": (19.886, 102.135),
    "Chiang Mai": (18.788, 98.985), "Mandalay": (21.959, 96.089), "Yangon": (16.866, 96.195),
    "Ulaanbaatar": (47.886, 106.906), "Erdenet": (49.028, 104.044), "Vladivostok": (43.116, 131.882),
    "Ussuriysk": (43.797, 131.952), "Khabarovsk": (48.480, 135.072), "Chita": (52.034, 113.499),
    "Irkutsk": (52.287, 104.281), "Almaty": (43.238, 76.946), "Bishkek": (42.875, 74.590),
    "Tashkent": (41.299, 69.240), "Dushanbe": (38.560, 68.787), "Islamabad": (33.684, 73.048),
    "Lahore": (31.520, 74.359), "Srinagar": (34.084, 74.797), "Delhi": (28.614, 77.209),
    "Kathmandu": (27.717, 85.324), "Dhaka": (23.811, 90.412), "Manila": (14.600, 120.984),
    "Naha": (26.212, 127.681), "Fukuoka": (33.590, 130.402), "Tokyo": (35.677, 139.650),
    "Singapore": (1.352, 103.820), "London": (51.507, -0.128), "Sydney": (-33.869, 151.209),
    "New York": (40.713, -74.006), "null island": (0.0, 0.0), "north pole": (90.0, 0.0),
    "south pole": (-90.0, 120.0), "date line": (39.9, 180.0),
}  # fmt: skip


@pytest.mark.parametrize("city", IN_CHINA)
def test_in_china_places_are_shifted(city):
    lat_deg, lon_deg = IN_CHINA[city]
    for convert in ALL:
        assert 15 < apart_m(convert(lat_deg, lon_deg), (lat_deg, lon_deg)) < 1600


def test_out_of_china_nothing_moves():
    lat_deg, lon_deg = np.transpose(list(OUT_OF_CHINA.values()))
    for convert in ALL:
        moved = convert(lat_deg, lon_deg)
        np.testing.assert_array_equal(moved, (lat_deg, lon_deg), err_msg=f"{convert.__name__} {OUT_OF_CHINA}")


def test_beyond_the_edge_a_shifted_position_is_that_of_the_place_inside():
    outside = (49.5, 130.0005)  # the eastern edge is at 130.0, and places inside move east across it
    np.testing.assert_array_equal(wgs84_to_gcj02(*outside), outside)
    taken_for = gcj02_to_wgs84(*outside)
    assert taken_for[1] < 130.0
    assert apart_m(wgs84_to_gcj02(*taken_for), outside) < 1e-7


def test_just_inside_the_edge_a_position_that_no_place_has_stays():
    nobodys = (49.5, 116.1001)  # all places inside of the western edge at 116.1 move further east
    np.testing.assert_array_equal(gcj02_to_wgs84(*nobodys), nobodys)


@pytest.mark.parametrize("convert", ALL)
def test_any_shape_is_converted_as_its_elements_are(convert):
    lat_deg = np.array([[31.3, 39.9], [51.5, 25.0]])
    lon_deg = np.array([[120.62, 116.4], [-0.1, 121.5]])
    lat, lon = convert(lat_deg, lon_deg)
    assert lat.shape == lon.shape == (2, 2)
    assert lat.dtype == lon.dtype == np.float64
    for index in np.ndindex(2, 2):
        np.testing.assert_array_equal(convert(lat_deg[index], lon_deg[index]), (lat[index], lon[index]))
    assert convert(31.3, [120.6, 120.7])[0].shape == (2,)
    assert convert(np.zeros((0, 3)), np.zeros((0, 3)))[1].shape == (0, 3)


@pytest.mark.parametrize("convert", ALL)
def test_what_is_no_place_becomes_none(convert):
    lat, lon = convert(
        [np.nan, 31.3, np.inf, 31.3, 90.1, -91.0, 31.3, 31.3],
        [120.6, np.nan, 120.6, -np.inf, 120.6, 0, 181, -181],
    )
    assert np.isnan(lat).all()
    assert np.isnan(lon).all()
