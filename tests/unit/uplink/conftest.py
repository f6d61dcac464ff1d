"""What the tests of the uplink share."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from patrol.domain.alerts import AlertPosition, AlertReport, AlertSource, EvidenceReference
from patrol.domain.incidents import Kind, Severity
from patrol.domain.positions import ErrorEllipse, LocalText, Place
from patrol.uplink.outbox import EvidenceFile

AT = datetime(2025, 6, 15, 13, 0, tzinfo=UTC)


@pytest.fixture
def picture() -> EvidenceFile:
    content = b"\xff\xd8 a picture \xff\xd9"
    return EvidenceFile(hashlib.sha256(content).hexdigest(), "image/jpeg", content)


@pytest.fixture
def report(picture: EvidenceFile) -> Callable[..., AlertReport]:
    """Makes a revision of an alert that refers to `picture`."""

    def make(
        revision: int = 1, alert_id: str = "alert-1", sortie: str = "sortie-1", people: float = 8
    ) -> AlertReport:
        return AlertReport(
            id=alert_id,
            revision=revision,
            kind=Kind.GATHERING,
            severity=Severity.WATCH,
            raised_at=AT,
            updated_at=AT,
            ended_at=None,
            position=AlertPosition(31.3, 120.62, 1.5, ErrorEllipse(2.0, 1.0, 30.0)),
            place=Place("market", "yard", LocalText("广场", "Yard")),
            instruction=LocalText("请查看", "Please look"),
            measure={"people": people},
            confidence=0.9,
            evidence=(EvidenceReference("snapshot", picture.sha256, "image/jpeg", AT, redacted=True),),
            source=AlertSource("drone-1", sortie, "model", "0" * 64),
        )

    return make
