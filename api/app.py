"""The station's application: every feature's routers, behind the same limits and headers."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.middleware import Middleware

import patrol
from api import description, pages, problems
from api.alerts import routes as alerts
from api.auth import routes as auth
from api.auth.access import PREFIX, open_router
from api.body import BodyLimit
from api.evidence import routes as evidence
from api.headers import SecurityHeaders
from api.live import routes as live
from api.market import routes as market
from api.settings import StationSettings
from api.station import Station, utc_now
from api.stream import routes as stream

# A live report with a thousand tracks is about 100 kB, an alert 10 kB.
MAX_JSON_BYTES = 256 * 1024
MAX_EVIDENCE_BYTES = 5_000_000
MAX_LIVE_PICTURE_BYTES = 1_000_000


class Health(BaseModel):
    """The station answers."""

    status: Literal["ok"] = "ok"
    version: str


@open_router.get(f"{PREFIX}/health", tags=["health"])
async def read_health() -> Health:
    """Whether the station answers, and which version it is."""
    return Health(version=patrol.__version__)


def create_app(
    settings: StationSettings, now: Callable[[], datetime] = utc_now, static: Path = pages.STATIC
) -> FastAPI:
    """The station with these settings and its pages from `static`; it opens when the server starts it."""
    station = Station(settings, now)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await station.open()
        try:
            yield
        finally:
            await station.close()

    app = FastAPI(
        title="Night Patrol station",
        version=patrol.__version__,
        lifespan=lifespan,
        # The schema goes out by `python -m api.openapi`; a running station shows it to nobody.
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(
                BodyLimit,
                default_bytes=MAX_JSON_BYTES,
                by_prefix_bytes={
                    f"{PREFIX}/evidence/": MAX_EVIDENCE_BYTES,
                    f"{PREFIX}/live/": MAX_LIVE_PICTURE_BYTES,
                },
            ),
        ],
    )
    app.state.station = station
    problems.install(app)
    for router in (
        open_router,
        auth.signed_in,
        alerts.for_edges,
        alerts.for_people,
        evidence.for_edges,
        evidence.for_people,
        live.for_edges,
        live.for_operators,
        market.signed_in,
        stream.for_people,
    ):
        app.include_router(router)
    pages.install(app, static)
    description.install(app)
    return app
