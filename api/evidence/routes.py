"""Pictures that go with alerts: from the edge, to operators and officers."""

from typing import Annotated

from fastapi import Depends, Path, Request, Response
from fastapi.responses import FileResponse

from api.auth.access import CurrentPrincipal, closed_router
from api.auth.roles import Role
from api.events import Topic
from api.evidence import service
from api.evidence.models import EvidenceRecord
from api.evidence.schemas import StoredEvidence
from api.pictures import JPEG, read_jpeg
from api.problems import ProblemError
from api.station import Station, get_station

for_edges = closed_router(Role.EDGE, tag="evidence")
for_people = closed_router(Role.OPERATOR, Role.OFFICER, tag="evidence")

EvidenceName = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the content.")]


@for_edges.put(
    "/evidence/{sha256}",
    status_code=201,
    responses={200: {"model": StoredEvidence, "description": "The station had it already."}},
    openapi_extra={"requestBody": {"content": {JPEG: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def put_evidence(
    sha256: EvidenceName,
    request: Request,
    response: Response,
    principal: CurrentPrincipal,
    station: Annotated[Station, Depends(get_station)],
) -> StoredEvidence:
    """Send a picture that an alert names: a redacted JPEG without metadata, up to 5 MB and 25 megapixels."""
    await service.check_expected(station.database, sha256)
    content = await read_jpeg(request)
    record, is_new = await service.keep(
        station.database, station.evidence, sha256, content, actor=principal.username, now=station.now()
    )
    if is_new:
        station.fanout.publish(Topic.ALERTS)
    else:
        response.status_code = 200
    return StoredEvidence(sha256=record.sha256, media_type=JPEG, size_bytes=record.size_bytes)


@for_people.get("/evidence/{sha256}", response_class=FileResponse, responses={200: {"content": {JPEG: {}}}})
async def read_evidence(
    sha256: EvidenceName, station: Annotated[Station, Depends(get_station)]
) -> FileResponse:
    """A picture; it never changes under its name."""
    path = station.evidence.path(sha256)
    async with station.database.reading() as session:
        record = await session.get(EvidenceRecord, sha256)
    if record is None or not path.is_file():
        raise ProblemError(404, "The station does not have this picture; the edge may still be sending it.")
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return FileResponse(path, media_type=record.media_type, headers=headers)
