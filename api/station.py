"""What the routes share: the settings, the database, those who wait, and what is kept in memory."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from sqlalchemy import select

from api.auth import service as auth
from api.auth.limiter import LoginLimiter
from api.database import Database, StationRecord
from api.events import Fanout
from api.evidence.store import EvidenceStore
from api.live.board import LiveBoard
from api.settings import StationSettings, make_data_dir
from patrol.domain.errors import NightPatrolError
from patrol.plan.market import read_market

logger = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The station's clock."""
    return datetime.now(UTC)


class Station:
    """One station. `open` before the first request, `stop_waiting` when it goes down, `close` at last."""

    def __init__(self, settings: StationSettings, now: Callable[[], datetime] = utc_now) -> None:
        self.settings = settings
        self.now = now
        self.database = Database(settings.effective_database_url)
        self.evidence = EvidenceStore(settings.data_dir / "evidence")
        self.fanout = Fanout()
        self.live = LiveBoard()
        self.logins = LoginLimiter()
        self.market_geojson: dict[str, Any] | None = None
        self.station_id = ""

    async def open(self) -> None:
        """Bring the database up to date and add the users of the settings. Opening twice is harmless.

        Raises:
            NightPatrolError: the market, the data folder or the database cannot be used.
        """
        if self.station_id:
            return
        await asyncio.to_thread(self._read_files)
        await self.database.migrate()
        async with self.database.writing() as session:
            for user in self.settings.users:
                if await auth.find_user(session, user.username) is None:
                    password = None if user.password is None else user.password.get_secret_value()
                    await auth.add_user(
                        session,
                        username=user.username,
                        role=user.role,
                        password=password,
                        name=user.name,
                        now=self.now(),
                    )
            if await auth.count_users(session) == 0:
                logger.warning(
                    "There are no users yet, so nobody can sign in. Add the first one: "
                    "patrol users add NAME --role operator --data %s",
                    self.settings.data_dir,
                )
            self.station_id = (await session.scalars(select(StationRecord.station_id))).one()

    def _read_files(self) -> None:
        settings = self.settings
        if settings.market is not None:
            self.market_geojson = read_market(settings.market).geojson
        make_data_dir(settings.data_dir)
        try:
            self.evidence.prepare()
        except OSError as error:
            raise NightPatrolError(
                f"{settings.data_dir}: the data folder cannot be written ({error.strerror}); "
                "choose another with --data or make it writable"
            ) from error

    def stop_waiting(self) -> None:
        """End long polls and streams, so that their connections can close."""
        self.fanout.close()

    async def close(self) -> None:
        """Let go of the database."""
        self.stop_waiting()
        await self.database.close()


def get_station(request: Request) -> Station:
    """The station that serves this request."""
    station: Station = request.app.state.station
    return station
