"""Users and tokens on a station's database without a running station, for the command line and the demo."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import service
from api.auth.models import CredentialKind
from api.auth.roles import Role
from api.database import Database
from api.settings import StationSettings, make_data_dir, read_settings
from api.station import utc_now
from patrol.domain.errors import UsageError

# An edge box is visited about once a year.
TOKEN_LIFETIME = timedelta(days=365)

Result = TypeVar("Result")


def prepare(
    data_dir: Path,
    *,
    users: Iterable[tuple[str, Role, str | None]] = (),
    tokens: Iterable[str] = (),
    token_lifetime: timedelta = TOKEN_LIFETIME,
) -> dict[str, str]:
    """Make the station's database in `data_dir` ready before the station starts.

    Args:
        data_dir: the station's data folder; made when missing.
        users: name, role and password of each user who must exist; those who are there already get this role
            and password. Without a password a user can only use tokens.
        tokens: names of users to give a new bearer token.
        token_lifetime: how long the tokens work.

    Returns:
        The token of each name in `tokens`. The database keeps only their hashes.

    Raises:
        NightPatrolError: the database cannot be used.
        UsageError: a name or a password is not acceptable, or a token is asked for a user that is not there.
    """

    async def work(session: AsyncSession) -> dict[str, str]:
        for username, role, password in users:
            await service.put_user(session, username=username, role=role, password=password, now=utc_now())
        return {username: await issue_token(session, username, token_lifetime) for username in tokens}

    return on_database(read_settings(data_dir=data_dir), work)


def on_database(
    settings: StationSettings, work: Callable[[AsyncSession], Coroutine[Any, Any, Result]]
) -> Result:
    """Run `work` in one writing transaction on the station's database, brought up to date first.

    Raises:
        NightPatrolError: the database cannot be used.
    """
    make_data_dir(settings.data_dir)

    async def run() -> Result:
        database = Database(settings.effective_database_url)
        try:
            await database.migrate()
            async with database.writing() as session:
                return await work(session)
        finally:
            await database.close()

    return asyncio.run(run())


def write_token(path: Path, token: str) -> None:
    """Write a token to a new file that only its owner may read.

    Raises:
        UsageError: the file exists already or cannot be written.
    """
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(token + "\n", encoding="ascii")
    except FileExistsError:
        raise UsageError(f"{path}: the file exists already; remove it or name another") from None
    except OSError as error:
        raise UsageError(f"{path}: the token cannot be written there ({error.strerror})") from error


async def issue_token(session: AsyncSession, username: str, lifetime: timedelta) -> str:
    """Give a user a new bearer token.

    Raises:
        UsageError: there is no such user.
    """
    user = await service.find_user(session, username)
    if user is None:
        raise UsageError(
            f"there is no user {username}; add it first: patrol users add {username} --role edge"
        )
    token, _ = await service.issue_credential(
        session, user, CredentialKind.BEARER, lifetime=lifetime, now=utc_now()
    )
    return token
