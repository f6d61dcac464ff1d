"""From a picture and its incident to what people read and see."""

import hashlib
import io
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from patrol.anomaly.incidents import ChangeKind, IncidentChange
from patrol.domain.alerts import AlertReport, AlertSource
from patrol.domain.detections import Detections, Track
from patrol.domain.incidents import Incident, Kind, Observation, Severity
from patrol.domain.resources import data_path
from patrol.edge.alert_desk import AlertDesk
from patrol.edge.pipeline import FrameResult
from patrol.plan.market import read_market
from patrol.uplink.outbox import EvidenceFile
from patrol.video.clock import Timing
from patrol.video.frames import Frame

AT_NS = 1_763_726_408_200_000_000
BOX = (200.0, 100.0, 240.0, 200.0)
SOURCE = AlertSource("drone-1", "night-1", "night-patrol-nano", "ab" * 32)


@pytest.fixture(scope="module")
def market():
    return read_market(data_path("flightplans") / "night-market.market.geojson")


@pytest.fixture
def desk(market):
    kept: list[tuple[AlertReport, list[EvidenceFile]]] = []
    return AlertDesk(market, SOURCE, lambda report, files: kept.append((report, files))), kept


def incident(revision: int = 1, **changes) -> Incident:
    seen = Observation(
        AT_NS, Kind.GATHERING, Severity.WATCH, "yard", 31.2999386, 120.6199241, -7.2, -6.8,
        (0.04, 0.01, 0.09), (1, 2, 3), {"people": 5.0, "radius_m": 1.2, "lasted_s": 5.04}, 0.93,
    )  # fmt: skip
    return replace(
        Incident("01a2013a-d47a-74af-9338-6543f145d5ad", revision, AT_NS, AT_NS, None, seen, (1, 2, 3)),
        **changes,
    )


def picture(*changes: IncidentChange) -> FrameResult:
    rng = np.random.default_rng(7)
    pixels = rng.integers(0, 255, (360, 480, 3), dtype=np.uint8)
    people = Detections(
        np.array([BOX], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int32), ("person",)
    )
    tracks = [Track(1, BOX, 0.9, 20, confirmed=True, observed=True)]
    frame = Frame(pixels, AT_NS, 1000, 0, Timing.STAMPED)
    return FrameResult(frame, None, None, people, tracks, [], list(changes), ())


def test_a_new_incident_becomes_an_alert_with_place_order_and_honest_position(desk):
    it, kept = desk
    it.handle(picture(IncidentChange(ChangeKind.OPENED, incident())))
    [(report, [file])] = kept
    assert report.raised_at == datetime(2025, 11, 21, 12, 0, 8, 200_000, tzinfo=UTC)
    assert (report.place.zone, report.place.name.zh) == ("yard", "夜市后院中部")
    assert "至少5人" in report.instruction.zh
    assert "at least 5 people" in report.instruction.en
    # Between the 90 % radius of the larger axis alone and of two such axes.
    assert 1.645 * 0.3 < report.position.radius_m_90 < 2.146 * 0.32
    assert report.position.ellipse_90.semi_major_m > report.position.ellipse_90.semi_minor_m
    assert report.evidence[0].sha256 == file.sha256 == hashlib.sha256(file.content).hexdigest()
    assert report.evidence[0].redacted


def test_the_picture_shows_no_head_and_carries_no_metadata(desk):
    it, kept = desk
    shown = picture(IncidentChange(ChangeKind.OPENED, incident()))
    it.handle(shown)
    stored = Image.open(io.BytesIO(kept[0][1][0].content))
    assert not stored.getexif()
    head = np.asarray(stored.convert("L"), dtype=float)[106:116, 210:230]
    before = shown.frame.pixels[106:116, 210:230].mean(axis=2)
    assert head.std() < 0.3 * before.std()
    body = np.asarray(stored.convert("L"), dtype=float)[160:190, 210:230]
    assert body.std() > 0.5 * shown.frame.pixels[160:190, 210:230].mean(axis=2).std()


def test_later_revisions_keep_the_first_picture(desk):
    it, kept = desk
    it.handle(picture(IncidentChange(ChangeKind.OPENED, incident())))
    it.handle(picture(IncidentChange(ChangeKind.UPDATED, incident(2))))
    (first, files), (second, more) = kept
    assert (len(files), more) == (1, [])
    assert second.evidence == first.evidence
    assert (first.id, second.revision) == (second.id, 2)


def test_who_belongs_to_an_open_incident_is_known_until_it_closes(desk):
    it, kept = desk
    it.handle(picture(IncidentChange(ChangeKind.OPENED, incident())))
    assert (it.open_incidents, it.members) == (1, {1, 2, 3})
    it.handle(picture(IncidentChange(ChangeKind.CLOSED, incident(2, closed_at_ns=AT_NS + 10**9))))
    assert (it.open_incidents, it.members) == (0, frozenset())
    assert kept[-1][0].ended_at == datetime(2025, 11, 21, 12, 0, 9, 200_000, tzinfo=UTC)


def test_a_picture_without_news_stores_nothing(desk):
    it, kept = desk
    it.handle(picture())
    assert kept == []
