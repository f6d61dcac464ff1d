"""A station in a temporary folder, asked over ASGI with one client for each role."""

import asyncio
import io
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uuid_utils
from fastapi import FastAPI
from PIL import Image
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import TypeAdapter

from api.app import create_app
from api.auth.roles import Role
from api.bootstrap import prepare
from api.settings import StationSettings
from api.station import Station
from patrol.domain.alerts import AlertPosition, AlertReport, AlertSource, EvidenceReference
from patrol.domain.incidents import Kind, Severity
from patrol.domain.positions import ErrorEllipse, LocalText, Place

PASSWORD = "correct horse"
NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
ORIGIN = "http://station.test"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Asked:
    """The station under test and those who ask it."""

    app: FastAPI
    station: Station
    clock: Clock
    tokens: dict[str, str]
    anonymous: httpx.AsyncClient
    operator: httpx.AsyncClient
    officer: httpx.AsyncClient
    other_officer: httpx.AsyncClient
    edge: httpx.AsyncClient

    @property
    def data_dir(self) -> Path:
        return self.station.settings.data_dir

    async def until_somebody_waits(self) -> None:
        """Let the tasks run until one waits for news."""
        while not self.station.fanout.waiting:  # noqa: ASYNC110  nothing in the station tells of this
            await asyncio.sleep(0)

    def by_role(self, role: Role | None) -> httpx.AsyncClient:
        return self.anonymous if role is None else getattr(self, role.value)


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes() -> Iterator[None]:
    """argon2 with the least cost there is: the real one is slow on purpose."""
    cheap = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("api.auth.service._password_hash", lambda: cheap)
        yield


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A data folder with users, made once and copied for each test."""
    folder = tmp_path_factory.mktemp("prepared")
    users = [
        ("operator", Role.OPERATOR, PASSWORD),
        ("officer", Role.OFFICER, PASSWORD),
        ("other-officer", Role.OFFICER, None),
        ("edge", Role.EDGE, None),
    ]
    tokens = prepare(folder, users=users, tokens=[name for name, _, _ in users])
    return folder, tokens


@pytest.fixture
async def asked(prepared: tuple[Path, dict[str, str]], tmp_path: Path) -> AsyncIterator[Asked]:
    template, tokens = prepared
    data_dir = tmp_path / "station"
    shutil.copytree(template, data_dir)
    clock = Clock()
    clock.now = datetime.now(UTC)
    app = create_app(StationSettings(data_dir=data_dir, keep_alive_s=0.2), clock)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))

        async def client(name: str | None) -> httpx.AsyncClient:
            headers = {} if name is None else {"Authorization": f"Bearer {tokens[name]}"}
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            return await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers, trust_env=False)
            )

        yield Asked(
            app,
            app.state.station,
            clock,
            tokens,
            anonymous=await client(None),
            operator=await client("operator"),
            officer=await client("officer"),
            other_officer=await client("other-officer"),
            edge=await client("edge"),
        )


@pytest.fixture
def password() -> str:
    return PASSWORD


@pytest.fixture
def make_report() -> Callable[..., dict[str, Any]]:
    """Build the JSON of a report the way an edge does: from the domain's own dataclass."""

    def make(*, revision: int = 1, evidence: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
        report = AlertReport(
            id=str(uuid_utils.uuid7()),
            revision=revision,
            kind=Kind.GATHERING,
            severity=Severity.WARNING,
            raised_at=NOW,
            updated_at=NOW,
            ended_at=None,
            position=AlertPosition(31.3, 120.62, 2.5, ErrorEllipse(3.0, 2.0, 40.0)),
            place=Place("night-market", "yard", LocalText("庭院", "Yard")),
            instruction=LocalText("请前往查看", "Go and look"),
            measure={"people": 9.0, "radius_m": 2.4},
            confidence=0.8,
            evidence=tuple(
                EvidenceReference("picture", sha256, "image/jpeg", NOW, redacted=True) for sha256 in evidence
            ),
            source=AlertSource("drone-1", "sortie-1", "people", "0" * 64),
        )
        return {**json.loads(TypeAdapter(AlertReport).dump_json(report)), **changes}

    return make


@pytest.fixture
def make_jpeg() -> Callable[..., bytes]:
    """Build a small picture; options go to the encoder."""

    def make(colour: str = "red", size: tuple[int, int] = (32, 24), **options: Any) -> bytes:
        file = io.BytesIO()
        Image.new("RGB", size, colour).save(file, "JPEG", **options)
        return file.getvalue()

    return make
