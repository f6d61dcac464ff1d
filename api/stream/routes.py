"""One stream of server-sent events for each open page: alerts, and for operators the live state."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Header, Query
from sse_starlette import EventSourceResponse, ServerSentEvent

from api.alerts import service as alerts
from api.auth import service as auth
from api.auth.access import CurrentPrincipal, closed_router
from api.auth.roles import Role
from api.auth.service import Principal
from api.events import Topic
from api.station import Station, get_station

_PAGE = 100
# A client that takes nothing for so long is gone; it comes back with the id of the last event it saw.
_SEND_TIMEOUT_S = 30.0

for_people = closed_router(Role.OPERATOR, Role.OFFICER, tag="stream")


@for_people.get(
    "/stream",
    response_class=EventSourceResponse,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
            "description": (
                "Events `alert` (id: cursor, data: Alert) and, for operators, `live` (data: LiveState). "
                "Begins with every alert that changed after the cursor, with all of them when there is none."
            ),
        }
    },
)
async def open_stream(
    principal: CurrentPrincipal,
    station: Annotated[Station, Depends(get_station)],
    after: Annotated[str | None, Query(max_length=64, description="Cursor to begin at.")] = None,
    last_event_id: Annotated[str | None, Header(max_length=64, description="Sent by browsers.")] = None,
) -> EventSourceResponse:
    """Listen to changes as they come. A slow listener misses nothing of the alerts and skips live states."""
    cursor = last_event_id or after
    # Read once before answering, so that an unusable cursor is a problem document and no broken stream.
    async with station.database.reading() as session:
        await alerts.read_page(session, cursor, limit=1)
    return EventSourceResponse(
        _events(station, principal, cursor), ping=station.settings.keep_alive_s, send_timeout=_SEND_TIMEOUT_S
    )


async def _events(
    station: Station, principal: Principal, cursor: str | None
) -> AsyncIterator[ServerSentEvent]:
    topics = (Topic.ALERTS, Topic.LIVE) if principal.role is Role.OPERATOR else (Topic.ALERTS,)
    hints = frozenset(topics)
    seen_live = 0
    check_every = timedelta(seconds=station.settings.keep_alive_s)
    checked_at = station.now()
    with station.fanout.subscribe(*topics) as subscription:
        while not subscription.closed:
            more = False
            # By the clock too: among live states alone, the user may have lost the right to listen meanwhile.
            if Topic.ALERTS in hints or station.now() - checked_at >= check_every:
                checked_at = station.now()
                async with station.database.reading() as session:
                    if not await auth.is_still_valid(session, principal, checked_at):
                        return
                    page = await alerts.read_page(session, cursor, _PAGE)
                for at, alert in page.items:
                    yield ServerSentEvent(alert.model_dump_json(), event="alert", id=at)
                cursor, more = page.cursor, page.more
            if Topic.LIVE in hints:
                for number, state in station.live.states(after=seen_live):
                    seen_live = max(seen_live, number)
                    yield ServerSentEvent(state.model_dump_json(), event="live")
            if not more:
                hints = await subscription.wait(station.settings.keep_alive_s)
