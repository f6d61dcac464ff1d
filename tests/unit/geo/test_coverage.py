import io
import logging
import math
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Point, Polygon, box

from patrol.domain.heights import Amsl
from patrol.domain.resources import data_path
from patrol.domain.telemetry import CameraPose
from patrol.geo import coverage as coverage_module
from patrol.geo.camera import CameraError, CameraModel, read_camera
from patrol.geo.coverage import (
    FILE_NAME,
    MAX_DWELL_S,
    PERSON_M,
    SAVE_EVERY_S,
    Coverage,
    CoverageError,
    CoverageLog,
)
from patrol.geo.frames import LocalFrame
from patrol.geo.ground import LevelGround
from patrol.geo.projection import MIN_GRAZING_RAD, footprint, ground_to_pixels

FRAME = LocalFrame(31.3, 120.62)
GROUND = LevelGround(Amsl(4.0))
BOUNDS = (-60.0, -60.0, 60.0, 60.0)
CAMERA = CameraModel(640, 480, 600.0, 600.0, 320.0, 240.0)
LENS = read_camera(data_path("flightplans") / "night-market.camera.yaml")  # with distortion


def looking(pitch_deg=-45.0, yaw_deg=0.0, height_m=15.0, east_m=0.0, north_m=0.0, at_ns=10**9, **changes):
    lat_deg, lon_deg = FRAME.to_geodetic(east_m, north_m)
    pose = CameraPose(
        at_ns, float(lat_deg), float(lon_deg), Amsl(4.0 + height_m),
        0.0, math.radians(pitch_deg), math.radians(yaw_deg),
    )  # fmt: skip
    return replace(pose, **changes)


def coverage(*poses, camera=CAMERA, ground=GROUND, cell_m=2.0, dwell_s=0.5, bounds=BOUNDS):
    seen = Coverage(FRAME, bounds, cell_m)
    for pose in poses:
        seen.add(camera, pose, ground, at_ns=pose.at_ns, dwell_s=dwell_s)
    return seen


def centres(seen):
    """East and north of the cells' middles."""
    west, south, _, _ = seen.bounds_m
    rows, columns = seen.dwell_s.shape
    return np.meshgrid(
        west + (np.arange(columns) + 0.5) * seen.cell_m, south + (np.arange(rows) + 0.5) * seen.cell_m
    )


def by_hand(camera, pose, seen):
    """Pixel heights of a person at every cell, 0 where they are not whole in the picture: no short cuts."""
    east_m, north_m = (grid.ravel() for grid in centres(seen))
    lat_deg, lon_deg = FRAME.to_geodetic(east_m, north_m)
    feet, feet_in = ground_to_pixels(camera, pose, lat_deg, lon_deg, 4.0)
    heads, heads_in = ground_to_pixels(camera, pose, lat_deg, lon_deg, 4.0 + PERSON_M)
    height_px = np.where(feet_in & heads_in, np.hypot(*(feet - heads).T), 0.0)
    here_e, here_n = FRAME.to_enu(pose.lat_deg, pose.lon_deg)
    grazing = np.arctan2(pose.height.metres - 4.0, np.hypot(east_m - here_e, north_m - here_n))
    height_px[(height_px < 8.0) | (grazing < MIN_GRAZING_RAD)] = 0.0
    return height_px.reshape(seen.dwell_s.shape)


@given(
    pitch_deg=st.floats(-90, 20),
    yaw_deg=st.floats(0, 360),
    height_m=st.floats(3, 60),
    east_m=st.floats(-90, 90),
    north_m=st.floats(-90, 90),
    roll_deg=st.floats(-20, 20),
    zoom=st.floats(0.4, 1.5),
    with_distortion=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_marks_what_projecting_every_single_cell_shows(
    pitch_deg, yaw_deg, height_m, east_m, north_m, roll_deg, zoom, with_distortion
):
    camera = LENS if with_distortion else CAMERA
    pose = looking(
        pitch_deg, yaw_deg, height_m, east_m, north_m,
        roll_rad=math.radians(roll_deg), hfov_rad=zoom * camera.hfov_rad,
    )  # fmt: skip
    seen = coverage(pose, camera=camera, cell_m=4.0)
    expected = by_hand(camera, pose, seen)
    np.testing.assert_allclose(seen.best_height_px, expected, rtol=1e-5)
    np.testing.assert_array_equal(seen.dwell_s > 0, expected > 0)


def footprint_m(pose, ground):
    ring = footprint(CAMERA, pose, ground=ground, max_range_m=200.0)
    return Polygon(np.stack(FRAME.to_enu([p.lat_deg for p in ring], [p.lon_deg for p in ring]), axis=1))


def test_marked_is_where_the_footprint_holds_the_feet_and_that_of_their_plane_the_heads():
    pose = looking()
    heads = LevelGround(GROUND.height + PERSON_M)
    expected = footprint_m(pose, GROUND).intersection(footprint_m(pose, heads))
    seen = coverage(pose, cell_m=0.5)
    marked = shapely.points(np.stack([grid[seen.seen(0.0)] for grid in centres(seen)], axis=1))
    assert shapely.covers(expected.buffer(1e-6), marked).all()
    assert len(marked) * 0.5**2 == pytest.approx(expected.area, rel=0.01)


def test_height_in_pixels_of_a_person_in_the_middle_of_the_picture():
    seen = coverage(looking(), cell_m=0.5)
    row, column = int((15.0 + 60.0) / 0.5), int(60.0 / 0.5)
    # f H sin(d) cos(d) / h for a short person; the exact figure is a little larger, for the head is nearer.
    assert seen.best_height_px[row, column] == pytest.approx(600 * PERSON_M * 0.5 / 15, rel=0.07)


def test_looking_up_shows_no_ground_and_looking_level_none_behind():
    assert not coverage(looking(pitch_deg=30)).seen(0.0).any()
    level = coverage(looking(pitch_deg=0, height_m=8))
    _, north_m = centres(level)
    assert north_m[level.seen(0.0)].min() > 15


def test_zoom_shows_less_ground_and_larger_people():
    wide = coverage(looking())
    tele = coverage(looking(hfov_rad=CAMERA.hfov_rad / 2))
    assert 0 < tele.seen(0.0).sum() < 0.5 * wide.seen(0.0).sum()
    assert tele.best_height_px.max() > 1.9 * wide.best_height_px.max()
    with pytest.raises(CameraError):
        coverage(looking(hfov_rad=4.0))


@pytest.mark.parametrize("field", ["lat_deg", "pitch_rad", "yaw_ned_rad", "roll_rad"])
def test_pose_that_is_no_number_marks_nothing(field):
    assert not coverage(looking(**{field: math.nan})).seen(0.0).any()
    assert not coverage(looking(height=Amsl(math.inf))).seen(0.0).any()


def test_camera_far_away_or_under_the_ground_marks_nothing():
    assert not coverage(looking(north_m=4000.0)).seen(0.0).any()
    assert not coverage(looking(height_m=-3.0)).seen(0.0).any()


class Step:
    """Ground that rises by 6 m in the east and is not known in the far north."""

    sigma_m = 0.0

    def __init__(self):
        self.asked = 0

    def height_amsl_m_at(self, lat_deg, lon_deg):
        self.asked += 1
        east_m, north_m = FRAME.to_enu(lat_deg, lon_deg)
        return np.where(north_m > 18, np.nan, np.where(east_m > 0, 10.0, 4.0))


def test_ground_that_is_not_level_is_seen_at_its_own_height_and_asked_for_once():
    ground = Step()
    seen = coverage(looking(), looking(yaw_deg=10), ground=ground)
    east_m, north_m = centres(seen)
    marked = seen.seen(0.0)
    assert ground.asked == 1
    assert marked.any()
    assert north_m[marked].max() < 18
    assert (
        seen.best_height_px[marked & (east_m > 0)].max()
        > 1.2 * seen.best_height_px[marked & (east_m < 0)].max()
    )


def test_dwell_heights_and_times_add_up():
    near, far = looking(height_m=12, at_ns=5_000), looking(height_m=24, at_ns=3_000)
    seen = coverage(near)
    seen.add(CAMERA, far, GROUND, at_ns=far.at_ns, dwell_s=1.5)
    one, other = coverage(near), coverage(far)
    both = one.seen(0.0) & other.seen(0.0)
    assert both.sum() > 20
    assert seen.dwell_s[both] == pytest.approx(2.0)
    mean = (0.5 * one.best_height_px + 1.5 * other.best_height_px)[both] / 2.0
    np.testing.assert_allclose(seen.mean_height_px[both], mean, rtol=1e-5)
    np.testing.assert_array_equal(seen.best_height_px, np.maximum(one.best_height_px, other.best_height_px))
    assert set(seen.first_seen_ns[both]) == {3_000}
    assert set(seen.last_seen_ns[both]) == {5_000}
    assert not seen.mean_height_px[~seen.seen(0.0)].any()


def test_merging_is_as_if_one_had_seen_it_all():
    poses = [looking(yaw_deg=60 * i, height_m=10 + 3 * i, at_ns=10**9 * (i + 1)) for i in range(6)]
    one, other, all_of_it = coverage(*poses[:2]), coverage(*poses[2:]), coverage(*poses)
    one.merge(other)
    for name in ("dwell_s", "best_height_px", "height_dwell_px_s", "first_seen_ns", "last_seen_ns"):
        np.testing.assert_allclose(getattr(one, name), getattr(all_of_it, name), rtol=1e-5, err_msg=name)
    with pytest.raises(CoverageError, match="different grids"):
        one.merge(Coverage(FRAME, BOUNDS, 3.0))


def test_share_of_a_region():
    seen = coverage(
        looking(pitch_deg=-90, height_m=60, east_m=30), camera=replace(CAMERA, fx_px=300, fy_px=300)
    )
    seen.best_height_px[:] = 0
    seen.last_seen_ns[:] = 0
    seen.best_height_px[:, 30:] = 25.0  # the eastern half
    seen.last_seen_ns[:, 30:] = 1
    assert seen.share_seen(box(-60, -60, 60, 60)) == pytest.approx(0.5)
    assert seen.share_seen(box(0, 0, 10, 10)) == 1.0
    assert seen.share_seen(box(0, 0, 10, 10), least_height_px=30) == 0.0
    assert seen.share_seen(box(40, 0, 80, 10)) == pytest.approx(0.5)  # half of it lies outside the grid
    assert seen.share_seen(box(10.1, 10.1, 10.3, 10.3)) == 1.0  # smaller than a cell
    assert seen.share_seen(Point(-10.0, 3.0)) == 0.0
    assert seen.share_seen(box(500, 500, 510, 510)) == 0.0
    assert seen.share_seen(MultiPolygon()) == 0.0


def test_mean_dwell_of_a_region():
    seen = coverage()
    seen.dwell_s[:, :30] = 4.0
    assert seen.mean_dwell_s(box(-60, -60, 60, 60)) == pytest.approx(2.0)
    assert seen.mean_dwell_s(MultiPolygon()) == 0.0


@pytest.mark.parametrize(
    ("bounds", "cell_m"),
    [
        ((10, 0, 0, 10), 2.0),
        ((0, 0, 10, 10), 0.0),
        ((0, 0, 10, math.nan), 2.0),
        ((0, 0, math.inf, 10), 2.0),
        ((0, 0, 1e5, 1e5), 2.0),
    ],
)
def test_grids_that_hold_nothing_or_too_much_are_refused(bounds, cell_m):
    with pytest.raises(CoverageError, match=r"hold nothing|larger ones"):
        Coverage(FRAME, bounds, cell_m)


def test_last_row_and_column_reach_over_the_bounds():
    seen = Coverage(FRAME, (0.0, 0.0, 5.0, 3.0), 2.0)
    assert seen.dwell_s.shape == (2, 3)
    assert seen.extent_m == (0.0, 0.0, 6.0, 4.0)


# -- the file ------------------------------------------------------------------------------------------


def test_what_is_saved_is_loaded(tmp_path):
    seen = coverage(looking(), looking(yaw_deg=90, at_ns=2 * 10**9))
    path = tmp_path / FILE_NAME
    seen.save(path)
    back = Coverage.load(path)
    assert (back.frame, back.bounds_m, back.cell_m) == (FRAME, BOUNDS, 2.0)
    for name in ("dwell_s", "best_height_px", "height_dwell_px_s", "first_seen_ns", "last_seen_ns"):
        assert getattr(back, name).dtype == getattr(seen, name).dtype
        np.testing.assert_array_equal(getattr(back, name), getattr(seen, name))
    back.add(CAMERA, looking(yaw_deg=180), GROUND, at_ns=3 * 10**9, dwell_s=1.0)  # it can go on
    assert back.seen(0.0).sum() > seen.seen(0.0).sum()
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / FILE_NAME
    coverage(looking()).save(path)
    before = path.read_bytes()

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(coverage_module.os, "fsync", full)
    with pytest.raises(CoverageError, match=r"cannot be written \(No space left on device\)"):
        coverage(looking(yaw_deg=90)).save(path)
    assert path.read_bytes() == before


@pytest.fixture
def members(tmp_path):
    """The arrays of a sound file, to be spoilt."""
    coverage(looking(), bounds=(-10.0, -10.0, 10.0, 30.0)).save(tmp_path / "sound.npz")
    with np.load(tmp_path / "sound.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def header(text):
    return np.frombuffer(text.encode(), np.uint8)


SPOILT = {
    "no header": lambda m: m.pop("header"),
    "no array": lambda m: m.pop("dwell_s"),
    "header of something else": lambda m: m.update(header=header('{"format": "a survey", "version": 1}')),
    "header that is no text": lambda m: m.update(header=header("\xff\x00{{")),
    "a later version": lambda m: m.update(
        header=header(m["header"].tobytes().decode().replace('"version":1', '"version":2'))
    ),
    "absurd bounds": lambda m: m.update(
        header=header(m["header"].tobytes().decode().replace("-10.0", "-1e7"))
    ),
    "cells of no size": lambda m: m.update(
        header=header(m["header"].tobytes().decode().replace('"cell_m":2.0', '"cell_m":0.0'))
    ),
    "another shape": lambda m: m.update(dwell_s=m["dwell_s"][1:]),
    "another kind": lambda m: m.update(dwell_s=m["dwell_s"].astype(np.float64)),
    "columns first": lambda m: m.update(dwell_s=np.asfortranarray(m["dwell_s"])),
    "not a number": lambda m: m.update(dwell_s=m["dwell_s"] * np.float32(math.nan)),
    "negative dwell": lambda m: m.update(dwell_s=m["dwell_s"] - np.float32(1.0)),
    "seen last before it was seen first": lambda m: m.update(last_seen_ns=m["last_seen_ns"] // 2),
    "seen at no time": lambda m: m.update(first_seen_ns=m["first_seen_ns"] * 0),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_foreign_and_damaged_files_are_refused_in_a_sentence(tmp_path, members, spoil):
    spoil(members)
    path = tmp_path / "spoilt.npz"
    np.savez_compressed(path, **members)
    with pytest.raises(CoverageError) as caught:
        Coverage.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.exit_code == 2


def test_the_unspoilt_file_is_sound(tmp_path, members):
    np.savez_compressed(tmp_path / "again.npz", **members)
    assert Coverage.load(tmp_path / "again.npz").seen(0.0).any()


class Explosive:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_nothing_is_unpickled(tmp_path, members):
    trace = tmp_path / "unpickled"
    members["dwell_s"] = np.array([Explosive(trace)], dtype=object)
    path = tmp_path / "pickled.npz"
    np.savez_compressed(path, **members)
    with pytest.raises(CoverageError, match="another shape or kind"):
        Coverage.load(path)
    assert not trace.exists()


def test_a_header_that_promises_too_much_allocates_nothing(tmp_path, members):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "<f4", "fortran_order": False, "shape": (2_000_000, 2_000_000)}
    )
    path = tmp_path / "promising.npz"
    del members["dwell_s"]
    np.savez_compressed(path, **members)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("dwell_s.npy", content.getvalue())
    with pytest.raises(CoverageError, match="another shape"):
        Coverage.load(path)


def test_a_member_that_swells_is_not_read(tmp_path, members):
    path = tmp_path / "bomb.npz"
    del members["dwell_s"]
    np.savez_compressed(path, **members)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("dwell_s.npy", bytes(40_000_000))
    with pytest.raises(CoverageError, match="larger than any coverage's"):
        Coverage.load(path)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + bytes(60), bytes(5000)])
def test_files_that_are_no_archives(tmp_path, content):
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(CoverageError, match="is no coverage or a damaged one"):
        Coverage.load(path)


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(CoverageError, match="no such file"):
        Coverage.load(tmp_path / FILE_NAME)
    with pytest.raises(CoverageError, match="cannot be read"):
        Coverage.load(tmp_path)


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("coverage") / FILE_NAME
    coverage(looking(), bounds=(-10.0, -10.0, 10.0, 30.0)).save(path)
    return path


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_bytes_that_changed_on_disk_never_give_another_exception(whole_file, data):
    content = bytearray(whole_file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, 2)) * len(content) // 2 or len(content) :]
    broken = whole_file.with_name("broken.npz")
    broken.write_bytes(bytes(content))
    try:
        said = Coverage.load(broken).extent_m
    except CoverageError as error:
        said = str(error)
    assert said == (-10.0, -10.0, 10.0, 30.0) or said.startswith(f"{broken}: ")


# -- the log of a sortie -------------------------------------------------------------------------------


def second(at_s, **changes):
    return looking(at_ns=1_700_000_000_000_000_000 + int(at_s * 1e9), **changes)


def test_a_picture_stands_for_the_time_since_the_last_but_not_for_a_gap(tmp_path):
    log = CoverageLog(tmp_path / FILE_NAME, FRAME, BOUNDS)
    for at_s in (0.0, 0.25, 0.5, 60.0, 59.0, 59.5):
        log.saw(CAMERA, second(at_s), GROUND, now_s=at_s)
    seen = log.coverage.seen(0.0)
    assert log.coverage.dwell_s[seen] == pytest.approx(0.25 + 0.25 + MAX_DWELL_S + 0.5)


def test_it_saves_now_and_then_and_goes_on_after_a_restart(tmp_path):
    path = tmp_path / FILE_NAME
    log = CoverageLog(path, FRAME, BOUNDS)
    log.saw(CAMERA, second(0.0), GROUND, now_s=100.0)
    log.saw(CAMERA, second(0.5), GROUND, now_s=100.0 + SAVE_EVERY_S - 0.1)
    assert not path.exists()
    log.saw(CAMERA, second(1.0), GROUND, now_s=100.0 + SAVE_EVERY_S)
    log.wait()
    assert Coverage.load(path).dwell_s.max() == pytest.approx(1.0)
    log.saw(CAMERA, second(1.5), GROUND, now_s=100.0 + SAVE_EVERY_S + 1)
    log.save()

    again = CoverageLog(path, FRAME, BOUNDS)
    again.saw(CAMERA, second(9.0), GROUND, now_s=0.0)  # what passed between the processes is no dwell
    again.saw(CAMERA, second(9.5), GROUND, now_s=0.5)
    again.save()
    assert Coverage.load(path).dwell_s.max() == pytest.approx(2.0)


def test_a_damaged_file_and_one_of_another_grid_are_begun_anew(tmp_path, caplog):
    path = tmp_path / FILE_NAME
    path.write_bytes(b"rubbish")
    with caplog.at_level(logging.WARNING):
        log = CoverageLog(path, FRAME, BOUNDS)
    assert "it is begun anew" in caplog.text
    log.saw(CAMERA, second(0.0), GROUND, now_s=0.0)
    log.save()
    assert Coverage.load(path).seen(0.0).any()
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        other = CoverageLog(path, FRAME, (-10.0, -10.0, 10.0, 10.0))
    assert "different grids" in caplog.text
    assert not other.coverage.seen(0.0).any()


def test_a_market_of_five_kilometres_is_kept_in_larger_cells(tmp_path):
    log = CoverageLog(tmp_path / FILE_NAME, FRAME, (-2500.0, -2500.0, 2500.0, 2500.0))
    assert log.coverage.dwell_s.size == pytest.approx(250_000, rel=0.01)


def test_a_disk_that_is_full_costs_one_warning_and_no_sortie(tmp_path, caplog):
    log = CoverageLog(tmp_path / "gone" / FILE_NAME, FRAME, BOUNDS)
    with caplog.at_level(logging.WARNING):
        for at_s in range(0, 60, 10):
            log.saw(CAMERA, second(at_s), GROUND, now_s=float(at_s))
            log.wait()
    assert len(caplog.records) == 1
    assert "cannot be written" in caplog.text
