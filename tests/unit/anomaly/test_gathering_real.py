"""Gatherings among real pedestrians, from annotated tracks: no vision is needed."""

import gzip
import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from patrol.anomaly.gathering import GatheringDetector, GatheringRule
from patrol.anomaly.incidents import ChangeKind, IncidentBook
from patrol.domain.incidents import Incident
from patrol.domain.positions import GroundTrack

START_NS = 1_750_000_000_000_000_000
CLOSED_HOURS = GatheringRule(None, min_people=3, radius_m=2.0, hold_s=5.0)
OPEN_HOURS = GatheringRule(None, min_people=8, radius_m=3.0, hold_s=20.0)
Pictures = Iterator[tuple[float, dict[int, tuple[float, float]]]]


class TsaiCamera:
    """The calibration of PETS 2009 by Tsai (1987), from the pixel to the ground plane."""

    def __init__(self, path: Path) -> None:
        root = ET.parse(path).getroot()
        self.geometry, self.intrinsic, extrinsic = (
            {name: float(value) for name, value in root.find(part).attrib.items()}
            for part in ("Geometry", "Intrinsic", "Extrinsic")
        )
        rotation = np.eye(3)
        for axis, angle in ((0, extrinsic["rx"]), (1, extrinsic["ry"]), (2, extrinsic["rz"])):
            i, j = (axis + 1) % 3, (axis + 2) % 3
            turn = np.eye(3)
            turn[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
            rotation = turn @ rotation
        self.rotation = rotation
        self.position_mm = -rotation.T @ [extrinsic["tx"], extrinsic["ty"], extrinsic["tz"]]

    def ground_m(self, x_px: float, y_px: float) -> tuple[float, float]:
        x_mm = self.geometry["dpx"] * (x_px - self.intrinsic["cx"]) / self.intrinsic["sx"]
        y_mm = self.geometry["dpy"] * (y_px - self.intrinsic["cy"])
        undistort = 1 + self.intrinsic["kappa1"] * (x_mm**2 + y_mm**2)
        ray = self.rotation.T @ [x_mm * undistort, y_mm * undistort, self.intrinsic["focal"]]
        ground = self.position_mm - self.position_mm[2] / ray[2] * ray
        return ground[0] / 1000, ground[1] / 1000


# Annotated feet: 0.3 m on either axis from picture to picture, and no error that lasts.
FEET_SPREAD = ((0.0,) * 8 + (0.3, 0.0), (0.0,) * 8 + (0.0, 0.3))


def pets(test_data: Path) -> Pictures:
    folder = test_data / "aerial" / "pets2009_s2l1"
    camera = TsaiCamera(folder / "View_001.xml")
    for frame in ET.parse(folder / "PETS2009-S2L1.xml").getroot().iter("frame"):
        places = {}
        for person in frame.iter("object"):
            box = {name: float(value) for name, value in person.find("box").attrib.items()}
            places[int(person.get("id"))] = camera.ground_m(box["xc"], box["yc"] + box["h"] / 2)
        yield int(frame.get("number")) / 10, places


def ucy(test_data: Path, name: str) -> Pictures:
    with gzip.open(test_data / "crowd" / "ucy" / f"{name}_obsmat.txt.gz") as file:
        rows = np.loadtxt(file)
    for frame in np.unique(rows[:, 0]):
        yield frame / 25, {int(row[1]): (row[2], row[4]) for row in rows[rows[:, 0] == frame]}


def incidents(pictures: Pictures, rule: GatheringRule) -> list[Incident]:
    """The incidents of a recording as last told; printed for people."""
    detector = GatheringDetector(lambda *_: rule)
    numbers = itertools.count(1)
    book = IncidentBook(lambda: str(next(numbers)))
    changes = []
    for time_s, places in pictures:
        at_ns = START_NS + round(time_s * 1e9)
        tracks = [
            GroundTrack(i, at_ns, north / 111_000, east / 111_000, east, north, FEET_SPREAD, observed=True)
            for i, (east, north) in places.items()
        ]
        changes += book.update(at_ns, detector.update(at_ns, tracks), lambda *_: True)
    changes += book.close(at_ns)
    assert sum(change.kind is ChangeKind.OPENED for change in changes) == next(numbers) - 1
    last = {change.incident.incident_id: change.incident for change in changes}
    for incident in last.values():
        seen = incident.latest
        print(  # noqa: T201 what fires is for people to judge
            f"{rule.min_people} people in {rule.radius_m} m for {rule.hold_s} s: raised at",
            f"{(incident.opened_at_ns - START_NS) / 1e9:.1f} s, lasted {seen.measure['lasted_s']:.1f} s,",
            f"at ({seen.east_m:.1f}, {seen.north_m:.1f}) m, {seen.measure['people']:.0f} people,",
            f"{seen.severity}, confidence {seen.confidence:.2f}, {incident.revision} revisions",
        )
    return list(last.values())


def test_camera_stands_where_the_calibration_says(test_data):
    camera = TsaiCamera(test_data / "aerial" / "pets2009_s2l1" / "View_001.xml")
    np.testing.assert_allclose(camera.position_mm / 1000, [-28.940, -19.529, 7.066], atol=1e-3)


def test_the_one_gathering_of_pets_is_reported_once(test_data):
    """Three to five people stand and meet around (-7, -7) m from picture 28 to 177."""
    (found,) = incidents(pets(test_data), CLOSED_HOURS)
    began_s = (found.latest.at_ns - START_NS) / 1e9 - found.latest.measure["lasted_s"]
    assert began_s == pytest.approx(2.8, abs=0.6)
    assert found.latest.measure["lasted_s"] == pytest.approx(14.9, abs=0.6)
    assert (found.opened_at_ns - START_NS) / 1e9 == pytest.approx(2.8 + 5.0, abs=0.6)
    assert np.hypot(found.latest.east_m + 7.5, found.latest.north_m + 7.0) < 2.5


def test_in_open_hours_nothing_of_pets_is_reported(test_data):
    assert incidents(pets(test_data), OPEN_HOURS) == []


@pytest.mark.parametrize(("name", "most"), [("zara02", 1), ("students03", 3)])
def test_ordinary_pedestrians_in_open_hours(test_data, name, most):
    """A shopping street (7 min), and a busy campus (3.6 min, up to 62 people, groups that stand about)."""
    assert len(incidents(ucy(test_data, name), OPEN_HOURS)) <= most
