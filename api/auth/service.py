"""Users and what they sign in with. Passwords are kept as argon2 hashes, random secrets as SHA-256."""

import asyncio
import hashlib
import re
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from pwdlib import PasswordHash
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth.models import CredentialKind, CredentialRecord, UserRecord
from api.auth.roles import Role
from patrol.domain.errors import UsageError

# NIST SP 800-63B-3 section 5.1.1.2: at least 8 characters, no rules of composition.
MIN_PASSWORD_CHARACTERS = 8
MAX_PASSWORD_CHARACTERS = 256
_SECRET_BYTES = 32
_USERNAME = re.compile(r"[\w.-]{1,64}")

# argon2 takes a core and 64 MiB for each guess, so guesses wait for each other.
_one_hash_at_a_time = ThreadPoolExecutor(max_workers=1, thread_name_prefix="password")


@dataclass(frozen=True)
class Principal:
    """Who makes a request, and by which credential."""

    username: str
    name: str
    role: Role
    secret_sha256: str


@cache
def _password_hash() -> PasswordHash:
    return PasswordHash.recommended()


@cache
def _nobodys_hash() -> str:
    """Compared with when the user does not exist, so that the answer takes as long."""
    return _password_hash().hash(secrets.token_urlsafe())


def normalise_username(username: str) -> str:
    """One spelling for one user, whatever the keyboard."""
    return unicodedata.normalize("NFKC", username).casefold()


async def add_user(
    session: AsyncSession,
    *,
    username: str,
    role: Role,
    password: str | None,
    name: str = "",
    now: datetime,
) -> None:
    """Add a user; without a password it can only use tokens.

    Raises:
        UsageError: the name is taken or malformed, or the password too short or too long.
    """
    if await find_user(session, username) is not None:
        raise UsageError(f"user {username} exists already; choose another name, or remove that user first")
    await put_user(session, username=username, role=role, password=password, name=name, now=now)


async def put_user(
    session: AsyncSession,
    *,
    username: str,
    role: Role,
    password: str | None,
    name: str = "",
    now: datetime,
) -> None:
    """Add a user, or give the one who is there this name, role and password.

    Raises:
        UsageError: the name is malformed, or the password too short or too long.
    """
    spelled = normalise_username(username)
    if not _USERNAME.fullmatch(spelled):
        raise UsageError(f"user name {username!r}: use 1 to 64 letters, digits, '.', '-' and '_'")
    if password is not None and not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise UsageError(
            f"password of {spelled}: it has {len(password)} characters; "
            f"use {MIN_PASSWORD_CHARACTERS} to {MAX_PASSWORD_CHARACTERS}"
        )
    user = await find_user(session, spelled)
    if user is None:
        user = UserRecord(username=spelled, created_at=now)
        session.add(user)
    user.name = name or username
    user.role = role
    user.password_hash = None if password is None else _password_hash().hash(password)
    await session.flush()


async def find_user(session: AsyncSession, username: str) -> UserRecord | None:
    """The user of that name, None when there is none."""
    return await session.get(UserRecord, normalise_username(username))


async def list_users(session: AsyncSession) -> list[UserRecord]:
    """All users in the order of their names."""
    return list((await session.scalars(select(UserRecord).order_by(UserRecord.username))).all())


async def count_users(session: AsyncSession) -> int:
    """How many users there are."""
    return (await session.execute(select(func.count()).select_from(UserRecord))).scalar_one()


async def remove_user(session: AsyncSession, username: str) -> None:
    """Remove a user with all logins and tokens; what they did stays in the alerts' history.

    Raises:
        UsageError: there is no such user.
    """
    user = await find_user(session, username)
    if user is None:
        raise UsageError(f"there is no user {username}; `patrol users list` shows those there are")
    await session.delete(user)


async def check_password(user: UserRecord | None, password: str) -> bool:
    """Whether the password is the user's. Takes the same time for a user who does not exist."""
    stored = None if user is None else user.password_hash

    def verify() -> bool:
        return _password_hash().verify(password, stored or _nobodys_hash())

    matches = await asyncio.get_running_loop().run_in_executor(_one_hash_at_a_time, verify)
    return matches and stored is not None


async def issue_credential(
    session: AsyncSession, user: UserRecord, kind: CredentialKind, *, lifetime: timedelta, now: datetime
) -> tuple[str, datetime]:
    """Give out a new secret; return it with the instant it stops working. Sweeps out expired ones."""
    await session.execute(delete(CredentialRecord).where(CredentialRecord.expires_at <= now))
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    expires_at = now + lifetime
    session.add(
        CredentialRecord(
            secret_sha256=_digest(secret),
            kind=kind,
            username=user.username,
            created_at=now,
            expires_at=expires_at,
        )
    )
    return secret, expires_at


async def find_principal(
    session: AsyncSession, secret: str, kind: CredentialKind, now: datetime
) -> Principal | None:
    """Who holds this secret, None when it is unknown, of another kind, or has expired."""
    return await _principal(session, _digest(secret), kind, now)


async def is_still_valid(session: AsyncSession, principal: Principal, now: datetime) -> bool:
    """Whether the credential by which a long request began has neither expired nor been revoked since."""
    return await _principal(session, principal.secret_sha256, None, now) is not None


async def revoke(session: AsyncSession, principal: Principal) -> None:
    """Make the credential of this request useless."""
    await session.execute(
        delete(CredentialRecord).where(CredentialRecord.secret_sha256 == principal.secret_sha256)
    )


async def _principal(
    session: AsyncSession, secret_sha256: str, kind: CredentialKind | None, now: datetime
) -> Principal | None:
    credential = await session.get(CredentialRecord, secret_sha256)
    if credential is None or credential.expires_at <= now or kind not in (None, credential.kind):
        return None
    user = credential.user
    return Principal(user.username, user.name, user.role, secret_sha256)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
