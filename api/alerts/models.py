"""Tables of alerts: one row for what people see, every report as it came, and the history."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Enum, ForeignKey, Index, String, Text, and_
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from api.database import Base, UtcDateTime
from api.evidence.models import EvidenceRecord
from patrol.domain.alerts import AlertState, Verification


class Action(StrEnum):
    """What happened to an alert."""

    REPORTED = "reported"
    UPDATED = "updated"
    EVIDENCE_RECEIVED = "evidence_received"
    ACKNOWLEDGED = "acknowledged"


def _words(enum: type[StrEnum]) -> Enum:
    """A column that holds the words of `enum` as text, so that a new word needs no migration."""
    return Enum(
        enum, native_enum=False, length=32, values_callable=lambda members: [m.value for m in members]
    )


class ReportRecord(Base):
    """One revision from the edge; `body` is its JSON in canonical form, for comparing and for reading."""

    __tablename__ = "alert_reports"

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EvidenceReferenceRecord(Base):
    """A report names a picture, which may not have come yet."""

    __tablename__ = "alert_evidence"
    __table_args__ = (Index("ix_alert_evidence_sha256", "sha256"),)

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id"), primary_key=True)
    report_revision: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    redacted: Mapped[bool]

    stored: Mapped[EvidenceRecord | None] = relationship(
        primaryjoin=lambda: foreign(EvidenceReferenceRecord.sha256) == EvidenceRecord.sha256,
        viewonly=True,
        lazy="joined",
    )


class HistoryRecord(Base):
    """One step in an alert's life; `revision` is the one that the step made."""

    __tablename__ = "alert_history"

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(64))
    action: Mapped[Action] = mapped_column(_words(Action))
    note: Mapped[str | None] = mapped_column(Text)


class AlertRecord(Base):
    """An alert as people see it now.

    `change` is the station-wide number of its latest change, which cursors follow. `revision` counts the
    changes of this alert; every update compares it, so that of two writers one fails and nothing is lost.
    """

    __tablename__ = "alerts"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    change: Mapped[int] = mapped_column(BigInteger, unique=True)
    revision: Mapped[int] = mapped_column()
    report_revision: Mapped[int]
    state: Mapped[AlertState] = mapped_column(_words(AlertState))
    verification: Mapped[Verification] = mapped_column(_words(Verification))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    acknowledged_by: Mapped[str | None] = mapped_column(String(64))
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    report: Mapped[ReportRecord] = relationship(
        primaryjoin=lambda: and_(
            foreign(ReportRecord.alert_id) == AlertRecord.id,
            foreign(ReportRecord.revision) == AlertRecord.report_revision,
        ),
        viewonly=True,
        uselist=False,
        lazy="joined",
    )
    evidence: Mapped[list[EvidenceReferenceRecord]] = relationship(
        primaryjoin=lambda: and_(
            foreign(EvidenceReferenceRecord.alert_id) == AlertRecord.id,
            foreign(EvidenceReferenceRecord.report_revision) == AlertRecord.report_revision,
        ),
        viewonly=True,
        lazy="selectin",
    )
    history: Mapped[list[HistoryRecord]] = relationship(
        order_by=HistoryRecord.revision, viewonly=True, lazy="selectin"
    )

    __mapper_args__ = {"version_id_col": revision, "version_id_generator": False}  # noqa: RUF012
