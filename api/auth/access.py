"""Closed by default: a router asks for roles when it is made, and there is one open router."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from api.auth import service
from api.auth.models import CredentialKind
from api.auth.roles import Role
from api.auth.service import Principal
from api.problems import ProblemError
from api.station import Station, get_station

PREFIX = "/api/v1"
COOKIE_NAME = "night_patrol_session"
# A page of another site can make a browser send our cookie, but not this header.
CSRF_HEADER = "X-Night-Patrol"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_bearer = HTTPBearer(
    auto_error=False, description="For programs: `POST /api/v1/auth/token` or `patrol users token`."
)
_cookie = APIKeyCookie(
    name=COOKIE_NAME,
    auto_error=False,
    description=f"For browsers; unsafe methods also carry `{CSRF_HEADER}: 1`.",
)

# The one open router: whoever reaches the station may ask for its health and the pages, and may sign in.
# Nothing that tells of an alert, a drone or a person belongs here.
open_router = APIRouter()


async def current_principal(
    request: Request,
    station: Annotated[Station, Depends(get_station)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    cookie: Annotated[str | None, Security(_cookie)],
) -> Principal:
    """Who makes this request.

    Raises:
        ProblemError: 401 without a valid credential, 403 when a browser's request may be forged.
    """
    if bearer is not None:
        secret, kind = bearer.credentials, CredentialKind.BEARER
    elif cookie is not None:
        secret, kind = cookie, CredentialKind.COOKIE
    else:
        raise _sign_in("You are not signed in; sign in, or send a bearer token.")
    async with station.database.reading() as session:
        principal = await service.find_principal(session, secret, kind, station.now())
    if principal is None:
        raise _sign_in("Your sign-in is unknown or has expired; sign in again.")
    if (
        kind is CredentialKind.COOKIE
        and request.method not in _SAFE_METHODS
        and request.headers.get(CSRF_HEADER) != "1"
    ):
        raise ProblemError(403, f"A browser must send the header {CSRF_HEADER}: 1 with this.", kind="forgery")
    return principal


CurrentPrincipal = Annotated[Principal, Depends(current_principal)]


def closed_router(*roles: Role, tag: str) -> APIRouter:
    """A router whose every route is for these roles alone."""
    return APIRouter(prefix=PREFIX, tags=[tag], dependencies=[Depends(_require(frozenset(roles)))])


def _require(roles: frozenset[Role]) -> Callable[[Principal], None]:
    allowed = " or ".join(sorted(roles))

    def check_role(principal: CurrentPrincipal) -> None:
        if principal.role not in roles:
            raise ProblemError(
                403, f"This needs the role {allowed}; {principal.username} has the role {principal.role}."
            )

    return check_role


def _sign_in(detail: str) -> ProblemError:
    return ProblemError(401, detail, kind="sign-in", headers={"WWW-Authenticate": "Bearer"})
