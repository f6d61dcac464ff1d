import dataclasses

import cv2
import numpy as np
import pytest
from shapely.geometry import box

from patrol.domain.errors import NightPatrolError
from patrol.domain.resources import data_path
from patrol.geo.coverage import Coverage
from patrol.plan import picture as map_pictures
from patrol.plan.coverage_drawing import Shown, draw_coverage
from patrol.plan.market import read_market
from patrol.plan.picture import map_picture

HATCH = (0x7D, 0x3C, 0x4F)
GREY = (0xD5, 0xD5, 0xD5)


@pytest.fixture(scope="module")
def market():
    return read_market(data_path("flightplans") / "night-market.market.geojson")


@pytest.fixture
def thirds(market):
    """The west seen well and long, the middle too small, the east not at all."""
    seen = Coverage(market.frame, market.outline.bounds)
    third = seen.dwell_s.shape[1] // 3
    seen.dwell_s[:, : 2 * third] = 5.0
    seen.best_height_px[:, :third] = 50.0
    seen.best_height_px[:, third : 2 * third] = 12.0
    seen.first_seen_ns[:, : 2 * third] = 1_767_270_000_000_000_000
    seen.last_seen_ns[:, : 2 * third] = 1_767_270_060_000_000_000
    return seen


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """A third of the resolution is enough to tell colours, and quick."""
    monkeypatch.setattr(map_pictures, "_DPI", 50)


def shades(picture, rgb):
    return np.all(np.abs(picture[:, :, ::-1].astype(int) - rgb) < 6, axis=2)


def drawn(path, coverage, market, **changes):
    options = {"least_height_px": 20.0, "shown": Shown.HEIGHT} | changes
    draw_coverage(coverage, market, path, **options)
    return cv2.imread(str(path))


def test_seen_small_and_unseen_are_told_apart(tmp_path, market, thirds):
    picture = drawn(tmp_path / "c.png", thirds, market)
    assert picture.shape == (520, 650, 3)
    small = shades(picture, GREY)
    unseen = shades(picture, HATCH)  # the hatch
    for what in (small, unseen):
        assert what.sum() > 1000
    columns = [np.median(np.nonzero(what)[1]) for what in (small, unseen)]
    assert columns[0] < columns[1]
    # What was seen well is one colour, west of both.
    west = picture[100:430, 84:166].reshape(-1, 3)
    _, counts = np.unique(west, axis=0, return_counts=True)
    assert counts.max() > 0.6 * len(west)
    assert small[100:430, 84:166].mean() < 0.02  # the rims of letters


def test_least_height_decides_what_is_useful(tmp_path, market, thirds):
    strict = drawn(tmp_path / "strict.png", thirds, market, least_height_px=60.0)
    mild = drawn(tmp_path / "mild.png", thirds, market, least_height_px=10.0)
    assert shades(strict, GREY).sum() > 1.8 * shades(drawn(tmp_path / "c.png", thirds, market), GREY).sum()
    assert shades(mild, GREY).sum() < 0.1 * shades(strict, GREY).sum()  # the legend and the rims of letters


def test_dwell_and_height_are_coloured_differently(tmp_path, market, thirds):
    thirds.dwell_s[::2] = 40.0
    height, dwell = (drawn(tmp_path / f"{s}.png", thirds, market, shown=s) for s in Shown)
    assert np.count_nonzero(np.any(height != dwell, axis=2)) > 5000


def test_nothing_seen_and_everything_seen(tmp_path, market):
    nothing = Coverage(market.frame, market.outline.bounds)
    assert shades(drawn(tmp_path / "nothing.png", nothing, market), HATCH).sum() > 3000
    everything = Coverage(market.frame, market.outline.bounds)
    everything.best_height_px[:] = 25.0
    everything.first_seen_ns[:] = everything.last_seen_ns[:] = 1
    assert shades(drawn(tmp_path / "all.png", everything, market), HATCH).sum() < 500


def test_grid_that_does_not_reach_the_outline_leaves_it_unseen(tmp_path, market):
    west, south, east, north = market.outline.bounds
    small = Coverage(market.frame, (west, south, (west + east) / 2, north))
    small.best_height_px[:] = 25.0
    small.first_seen_ns[:] = small.last_seen_ns[:] = 1
    hatch = shades(drawn(tmp_path / "half.png", small, market), HATCH)
    assert np.median(np.nonzero(hatch)[1]) > 325


def test_without_a_chinese_font(tmp_path, market, thirds, monkeypatch):
    monkeypatch.setattr(map_pictures, "_CHINESE_FONTS", ())
    assert drawn(tmp_path / "english.png", thirds, market) is not None


def test_place_that_cannot_be_written(tmp_path, market, thirds):
    with pytest.raises(NightPatrolError, match="cannot be written"):
        drawn(tmp_path / "no" / "such" / "folder.png", thirds, market)


def test_holes_stay_open_and_an_error_leaves_no_picture(tmp_path, market):
    holed = box(-50, -50, 50, 50).difference(box(-25, -25, 25, 25))
    with map_picture(tmp_path / "hole.png", "a hole", frame=market.frame) as picture:
        picture.fill(holed, facecolor="#102030", zorder=1)
        picture.show(-50, -50, 50, 50)
    dark = shades(cv2.imread(str(tmp_path / "hole.png")), (0x10, 0x20, 0x30))
    rows, columns = np.nonzero(dark)
    middle = dark[(rows.min() + rows.max()) // 2, (columns.min() + columns.max()) // 2]
    assert not middle
    assert dark.mean() > 0.2

    def interrupted():
        with map_picture(tmp_path / "none.png", "none", frame=market.frame):
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert not (tmp_path / "none.png").exists()


def test_outline_with_a_hole_is_drawn(tmp_path, market, thirds):
    holed = dataclasses.replace(market, outline=market.outline.difference(box(-5, -5, 5, 5)))
    assert drawn(tmp_path / "holed.png", thirds, holed).shape == (520, 650, 3)
