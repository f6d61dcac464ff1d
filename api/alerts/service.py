"""What happens to alerts. Every accepted change takes the next number in the transaction that makes it."""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.alerts import cursor as cursors
from api.alerts.models import Action, AlertRecord, EvidenceReferenceRecord, HistoryRecord, ReportRecord
from api.alerts.schemas import (
    Alert,
    AlertContent,
    AlertPosition,
    AlertReport,
    Bd09Position,
    Evidence,
    Gcj02Position,
    HistoryEntry,
)
from api.database import StationRecord, next_change
from api.problems import ProblemError
from patrol.domain.alerts import AlertState, Verification
from patrol.geo.datums import wgs84_to_bd09, wgs84_to_gcj02

EVIDENCE_PATH = "/api/v1/evidence/"


@dataclass(frozen=True)
class Page:
    """Alerts with the cursor after each, in cursor order; `cursor` stands after the last."""

    items: tuple[tuple[str, Alert], ...]
    cursor: str
    more: bool


async def take_in(
    session: AsyncSession, report: AlertReport, *, actor: str, now: datetime
) -> tuple[AlertRecord, bool]:
    """Keep a report; return its alert and whether the report was new.

    A newer revision changes the alert. One that comes late is kept and changes nothing that people see.

    Raises:
        ProblemError: 409 when this revision was reported before with other content.
    """
    body = _canonical(report)
    known = await session.get(ReportRecord, (report.id, report.revision))
    if known is not None and known.body != body:
        raise ProblemError(
            409,
            f"Revision {report.revision} of alert {report.id} is known with other content; "
            "report what changed under a higher revision.",
            kind="report-conflict",
        )
    alert = await session.get(AlertRecord, report.id)
    if known is not None and alert is not None:
        return alert, False
    if alert is None:
        alert = AlertRecord(
            id=report.id,
            change=await next_change(session),
            revision=1,
            report_revision=report.revision,
            state=AlertState.OPEN,
            verification=Verification.UNVERIFIED,
            received_at=now,
        )
        session.add(alert)
        _note(session, alert, Action.REPORTED, actor=actor, now=now)
    elif report.revision > alert.report_revision:
        alert.report_revision = report.revision
        await _change(session, alert, Action.UPDATED, actor=actor, now=now)
    await session.flush()
    session.add(ReportRecord(alert_id=report.id, revision=report.revision, body=body, received_at=now))
    redacted = {item.sha256: item.redacted for item in report.evidence}
    session.add_all(
        EvidenceReferenceRecord(
            alert_id=report.id, report_revision=report.revision, sha256=sha256, redacted=is_redacted
        )
        for sha256, is_redacted in redacted.items()
    )
    await session.flush()
    return alert, True


def is_acknowledged_by(alert: AlertRecord, username: str) -> bool:
    """Whether this user has acknowledged the alert and nothing has gone on since."""
    return alert.state is AlertState.ACKNOWLEDGED and alert.acknowledged_by == username


async def acknowledge(
    session: AsyncSession, alert: AlertRecord, *, actor: str, note: str | None, now: datetime
) -> None:
    """Note that `actor` knows of the alert.

    Raises:
        ProblemError: 409 when the alert is not open any more.
    """
    if alert.state is not AlertState.OPEN:
        by = f" by {alert.acknowledged_by}" if alert.state is AlertState.ACKNOWLEDGED else ""
        raise ProblemError(
            409,
            f"Only an open alert can be acknowledged; this one is {alert.state}{by}. Read it again.",
            kind="illegal-move",
        )
    alert.state = AlertState.ACKNOWLEDGED
    alert.acknowledged_by = actor
    alert.acknowledged_at = now
    await _change(session, alert, Action.ACKNOWLEDGED, actor=actor, now=now, note=note)
    await session.flush()


async def note_evidence(session: AsyncSession, sha256: str, *, actor: str, now: datetime) -> None:
    """A picture has come: every alert whose current report names it changes."""
    statement = (
        select(AlertRecord)
        .join(
            EvidenceReferenceRecord,
            (EvidenceReferenceRecord.alert_id == AlertRecord.id)
            & (EvidenceReferenceRecord.report_revision == AlertRecord.report_revision),
        )
        .where(EvidenceReferenceRecord.sha256 == sha256)
    )
    for alert in (await session.scalars(statement)).all():
        await _change(session, alert, Action.EVIDENCE_RECEIVED, actor=actor, now=now)
        await session.flush()


async def find_references(session: AsyncSession, sha256: str) -> list[EvidenceReferenceRecord]:
    """Every mention of a picture in a report."""
    statement = select(EvidenceReferenceRecord).where(EvidenceReferenceRecord.sha256 == sha256)
    return list((await session.scalars(statement)).all())


async def get(session: AsyncSession, alert_id: str) -> AlertRecord:
    """The alert of that id, as the database has it now.

    Raises:
        ProblemError: 404 when there is none.
    """
    alert = await session.get(AlertRecord, alert_id, populate_existing=True)
    if alert is None:
        raise ProblemError(404, f"There is no alert {alert_id} at this station; check the id.")
    return alert


async def read_page(session: AsyncSession, after: str | None, limit: int) -> Page:
    """Up to `limit` alerts whose latest change lies after the cursor, in the order of these changes.

    Raises:
        ProblemError: 400 when the cursor cannot be used here.
    """
    station = (await session.scalars(select(StationRecord))).one()
    start = 0
    if after is not None:
        start = cursors.decode(station.station_id, after, last_change=station.last_change)
    statement = (
        select(AlertRecord).where(AlertRecord.change > start).order_by(AlertRecord.change).limit(limit + 1)
    )
    found = (await session.scalars(statement)).all()
    items = tuple(
        (cursors.encode(station.station_id, alert.change), present(alert)) for alert in found[:limit]
    )
    end = items[-1][0] if items else cursors.encode(station.station_id, start)
    return Page(items, end, more=len(found) > limit)


def present(alert: AlertRecord) -> Alert:
    """The alert as people see it."""
    report = AlertReport.model_validate_json(alert.report.body)
    position = report.position
    available = {reference.sha256 for reference in alert.evidence if reference.stored is not None}
    lat_gcj02, lon_gcj02 = wgs84_to_gcj02(position.lat, position.lon)
    lat_bd09, lon_bd09 = wgs84_to_bd09(position.lat, position.lon)
    return Alert(
        **{name: getattr(report, name) for name in AlertContent.model_fields},
        revision=alert.revision,
        report_revision=alert.report_revision,
        state=alert.state,
        verification=alert.verification,
        position=AlertPosition(**dict(position), datum="WGS-84"),
        position_gcj02=Gcj02Position(datum="GCJ-02", lat=float(lat_gcj02), lon=float(lon_gcj02)),
        position_bd09=Bd09Position(datum="BD-09", lat=float(lat_bd09), lon=float(lon_bd09)),
        received_at=alert.received_at,
        acknowledged_by=alert.acknowledged_by,
        acknowledged_at=alert.acknowledged_at,
        evidence=[
            Evidence(
                kind=item.kind,
                url=EVIDENCE_PATH + item.sha256,
                sha256=item.sha256,
                media_type=item.media_type,
                captured_at=item.captured_at,
                redacted=item.redacted,
                available=item.sha256 in available,
            )
            for item in report.evidence
        ],
        history=[
            HistoryEntry(
                at=entry.at, actor=entry.actor, action=entry.action, note=entry.note, revision=entry.revision
            )
            for entry in alert.history
        ],
    )


async def _change(
    session: AsyncSession,
    alert: AlertRecord,
    action: Action,
    *,
    actor: str,
    now: datetime,
    note: str | None = None,
) -> None:
    alert.change = await next_change(session)
    alert.revision += 1
    _note(session, alert, action, actor=actor, now=now, note=note)


def _note(
    session: AsyncSession,
    alert: AlertRecord,
    action: Action,
    *,
    actor: str,
    now: datetime,
    note: str | None = None,
) -> None:
    session.add(
        HistoryRecord(
            alert_id=alert.id, revision=alert.revision, at=now, actor=actor, action=action, note=note
        )
    )


def _canonical(report: AlertReport) -> str:
    """The one way to write this report as JSON, whatever order and zone the edge used."""
    return json.dumps(
        report.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )
