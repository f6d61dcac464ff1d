"""Alerts: from the edge, to operators and officers, and back what they make of them."""

import asyncio
import hashlib
from typing import Annotated

from fastapi import Depends, Header, Query, Request, Response

from api.alerts import service
from api.alerts.schemas import Acknowledgement, Alert, AlertId, AlertPage, AlertReport
from api.auth.access import CurrentPrincipal, closed_router
from api.auth.roles import Role
from api.events import Topic
from api.problems import ProblemError
from api.station import Station, get_station

# Proxies and phone networks commonly cut a silent request at 60 s.
MAX_WAIT_S = 55
_MAX_PAGE = 500

for_edges = closed_router(Role.EDGE, tag="alerts")
for_people = closed_router(Role.OPERATOR, Role.OFFICER, tag="alerts")


@for_edges.post(
    "/alerts",
    status_code=201,
    responses={200: {"model": Alert, "description": "Known already, or late."}},
)
async def post_alert(
    report: AlertReport,
    response: Response,
    principal: CurrentPrincipal,
    station: Annotated[Station, Depends(get_station)],
) -> Alert:
    """Report a revision of an alert. Sending the same report again is harmless."""
    async with station.database.writing() as session:
        alert, is_new = await service.take_in(session, report, actor=principal.username, now=station.now())
        is_current = alert.report_revision == report.revision
        answer = service.present(await service.get(session, report.id))
    if is_new and is_current:
        station.fanout.publish(Topic.ALERTS)
    else:
        response.status_code = 200
    response.headers["ETag"] = _etag(answer)
    return answer


@for_people.get("/alerts", response_model=AlertPage, responses={304: {"description": "Nothing has changed."}})
async def list_alerts(
    request: Request,
    station: Annotated[Station, Depends(get_station)],
    after: Annotated[str | None, Query(max_length=64, description="Cursor of the answer before.")] = None,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT_S, description="Seconds to wait for news.")] = 0,
    limit: Annotated[int, Query(ge=1, le=_MAX_PAGE)] = _MAX_PAGE,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Alerts that changed after the cursor (all without one), oldest change first, each in its newest form.

    With `wait` the answer comes as soon as there is something, and empty after that many seconds.
    """
    page = await _wait_for_page(station, after, limit, wait)
    body = AlertPage(items=[alert for _, alert in page.items], cursor=page.cursor, more=page.more)
    content = body.model_dump_json().encode()
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if if_none_match is not None and _matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


@for_people.get("/alerts/{alert_id}")
async def read_alert(
    alert_id: AlertId, response: Response, station: Annotated[Station, Depends(get_station)]
) -> Alert:
    """One alert. The ETag is its revision, for If-Match."""
    async with station.database.reading() as session:
        answer = service.present(await service.get(session, alert_id))
    response.headers["ETag"] = _etag(answer)
    return answer


@for_people.post("/alerts/{alert_id}/acknowledge")
async def acknowledge_alert(
    alert_id: AlertId,
    response: Response,
    principal: CurrentPrincipal,
    station: Annotated[Station, Depends(get_station)],
    body: Acknowledgement | None = None,
    if_match: Annotated[str | None, Header(description='The revision seen, for example "3".')] = None,
) -> Alert:
    """Take note of an open alert. Doing it again changes nothing."""
    async with station.database.writing() as session:
        alert = await service.get(session, alert_id)
        # Asked first: when only the answer was lost, the same request succeeds though the revision has risen.
        if not service.is_acknowledged_by(alert, principal.username):
            _check_revision(if_match, service.present(alert))
            note = None if body is None else body.note
            await service.acknowledge(session, alert, actor=principal.username, note=note, now=station.now())
        answer = service.present(await service.get(session, alert_id))
    station.fanout.publish(Topic.ALERTS)
    response.headers["ETag"] = _etag(answer)
    return answer


async def _wait_for_page(station: Station, after: str | None, limit: int, wait_s: float) -> service.Page:
    deadline_s = asyncio.get_running_loop().time() + wait_s
    with station.fanout.subscribe(Topic.ALERTS) as subscription:
        while True:
            async with station.database.reading() as session:
                page = await service.read_page(session, after, limit)
            left_s = deadline_s - asyncio.get_running_loop().time()
            if page.items or left_s <= 0 or subscription.closed:
                return page
            await subscription.wait(left_s)


def _etag(alert: Alert) -> str:
    return f'"{alert.revision}"'


def _matches(header: str, etag: str) -> bool:
    candidates = [candidate.strip().removeprefix("W/") for candidate in header.split(",")]
    return "*" in candidates or etag in candidates


def _check_revision(if_match: str | None, alert: Alert) -> None:
    if if_match is not None and not _matches(if_match, _etag(alert)):
        raise ProblemError(
            412,
            f"The alert has changed: it is at revision {alert.revision} now. Read it again, then decide.",
            kind="revision",
        )
