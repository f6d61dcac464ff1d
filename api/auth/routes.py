"""Signing in and out."""

import math
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request, Response

from api.auth import service
from api.auth.access import COOKIE_NAME, PREFIX, CurrentPrincipal, closed_router, open_router
from api.auth.models import CredentialKind
from api.auth.roles import Role
from api.auth.schemas import AccessToken, LoggedIn, Login, User
from api.problems import ProblemError
from api.station import Station, get_station

signed_in = closed_router(*Role, tag="auth")


@open_router.post(f"{PREFIX}/auth/login", tags=["auth"])
async def login(
    body: Login, request: Request, response: Response, station: Annotated[Station, Depends(get_station)]
) -> LoggedIn:
    """Sign a browser in: the session comes as a cookie that scripts cannot read."""
    user, secret, lifetime = await _sign_in(body, request, station, CredentialKind.COOKIE)
    response.set_cookie(
        COOKIE_NAME,
        secret.access_token,
        max_age=int(lifetime.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return LoggedIn(user=user)


@open_router.post(f"{PREFIX}/auth/token", tags=["auth"])
async def create_token(
    body: Login, request: Request, station: Annotated[Station, Depends(get_station)]
) -> AccessToken:
    """Sign a program in: the token goes into the Authorization header."""
    _, token, _ = await _sign_in(body, request, station, CredentialKind.BEARER)
    return token


@signed_in.post("/auth/logout", status_code=204)
async def logout(
    response: Response, principal: CurrentPrincipal, station: Annotated[Station, Depends(get_station)]
) -> None:
    """Make the session or the token of this request useless; streams that it opened end soon after."""
    async with station.database.writing() as session:
        await service.revoke(session, principal)
    response.delete_cookie(COOKIE_NAME, httponly=True, samesite="strict")


@signed_in.get("/auth/me")
async def read_me(principal: CurrentPrincipal) -> User:
    """Who is signed in."""
    return User(username=principal.username, role=principal.role, name=principal.name)


async def _sign_in(
    body: Login, request: Request, station: Station, kind: CredentialKind
) -> tuple[User, AccessToken, timedelta]:
    address = request.client.host if request.client is not None else ""
    username = service.normalise_username(body.username)
    wait_s = station.logins.seconds_to_wait(username, address)
    if wait_s > 0:
        seconds = math.ceil(wait_s)
        raise ProblemError(
            429,
            f"Too many attempts to sign in as {username}; try again in {seconds} s.",
            headers={"Retry-After": str(seconds)},
        )
    async with station.database.reading() as session:
        user = await service.find_user(session, username)
    if not await service.check_password(user, body.password) or user is None:
        raise ProblemError(401, "The user name or the password is wrong.", kind="sign-in")
    station.logins.succeeded(username, address)
    lifetime = timedelta(hours=station.settings.session_hours)
    async with station.database.writing() as session:
        secret, expires_at = await service.issue_credential(
            session, user, kind, lifetime=lifetime, now=station.now()
        )
    public = User(username=user.username, role=user.role, name=user.name)
    return public, AccessToken(access_token=secret, expires_at=expires_at), lifetime
