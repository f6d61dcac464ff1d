"""Live state and live picture: from the edge, to the console."""

import logging
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.responses import StreamingResponse

from api.auth import service as auth
from api.auth.access import CurrentPrincipal, closed_router
from api.auth.roles import Role
from api.auth.service import Principal
from api.events import Topic
from api.live.schemas import DroneId, LiveReport, LiveStates
from api.pictures import JPEG, check_jpeg, read_jpeg
from api.problems import ProblemError
from api.station import Station, get_station

logger = logging.getLogger(__name__)

_BOUNDARY = "night-patrol-picture"

for_edges = closed_router(Role.EDGE, tag="live")
# The live state tells where every tracked person is, and the live picture is clear, heads are not blurred:
# operators only, and each look at the picture is logged.
for_operators = closed_router(Role.OPERATOR, tag="live")


@for_edges.post("/live", status_code=204)
async def post_live(report: LiveReport, station: Annotated[Station, Depends(get_station)]) -> None:
    """Say how a drone is doing; the newest report replaces the one before."""
    station.live.put_report(report, station.now())
    station.fanout.publish(Topic.LIVE)


@for_operators.get("/live")
async def read_live(station: Annotated[Station, Depends(get_station)]) -> LiveStates:
    """The newest state of every drone, with the people it tracks."""
    return LiveStates(drones=[state for _, state in station.live.states()])


@for_edges.put(
    "/live/{drone}/picture",
    status_code=204,
    openapi_extra={"requestBody": {"content": {JPEG: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def put_live_picture(
    drone: DroneId, request: Request, station: Annotated[Station, Depends(get_station)]
) -> None:
    """Replace a drone's live picture."""
    jpeg = await read_jpeg(request)
    await check_jpeg(jpeg)
    station.live.put_picture(drone, jpeg, station.now())
    station.fanout.publish(Topic.PICTURES)


@for_operators.get(
    "/live/{drone}/picture.jpg", response_class=Response, responses={200: {"content": {JPEG: {}}}}
)
async def read_live_picture(
    drone: DroneId, principal: CurrentPrincipal, station: Annotated[Station, Depends(get_station)]
) -> Response:
    """A drone's newest picture; the Age header says how old it is, in seconds."""
    _log_opening(principal, drone)
    picture = station.live.picture(drone)
    if picture is None:
        raise ProblemError(404, f"Drone {drone} has sent no picture; check that its camera is ready.")
    return Response(picture.content, media_type=JPEG, headers={"Age": str(int(picture.age_s))})


@for_operators.get(
    "/live/{drone}/picture.mjpeg",
    response_class=StreamingResponse,
    responses={200: {"content": {"multipart/x-mixed-replace": {}}}},
)
async def stream_live_picture(
    drone: DroneId, principal: CurrentPrincipal, station: Annotated[Station, Depends(get_station)]
) -> StreamingResponse:
    """A drone's pictures as they come, for an `img` element; a slow viewer skips pictures.

    It begins with the newest picture there is. `X-Age-Ms` in the head of each part says how long ago it came.
    """
    _log_opening(principal, drone)
    return StreamingResponse(
        _pictures(station, principal, drone), media_type=f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
    )


async def _pictures(station: Station, principal: Principal, drone: str) -> AsyncIterator[bytes]:
    shown = 0
    # Ending each part with the next boundary makes browsers show it at once instead of one picture late.
    yield f"--{_BOUNDARY}\r\n".encode()
    with station.fanout.subscribe(Topic.PICTURES) as subscription:
        checked_at = station.now()
        while not subscription.closed:
            picture = station.live.picture(drone)
            if picture is not None and picture.number > shown:
                shown = picture.number
                head = (
                    f"Content-Type: {JPEG}\r\nContent-Length: {len(picture.content)}\r\n"
                    f"X-Age-Ms: {picture.age_s * 1000:.0f}\r\n\r\n"
                )
                yield head.encode() + picture.content + f"\r\n--{_BOUNDARY}\r\n".encode()
            await subscription.wait(station.settings.keep_alive_s)
            if (station.now() - checked_at).total_seconds() >= station.settings.keep_alive_s:
                checked_at = station.now()
                async with station.database.reading() as session:
                    if not await auth.is_still_valid(session, principal, checked_at):
                        return


def _log_opening(principal: Principal, drone: str) -> None:
    logger.info("%s opened the live picture of drone %s", principal.username, drone)
