"""The station as the edge knows it: what can be posted there and how that can fail."""

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter

from patrol.domain.errors import NightPatrolError, UsageError
from patrol.domain.live import LiveReport

TOKEN_VARIABLE = "NIGHT_PATROL_STATION_TOKEN"  # noqa: S105 the name of it

_TIMEOUTS = httpx.Timeout(10.0, connect=5.0)
_LIVE = TypeAdapter(LiveReport)
# These say that this very body can never be taken: malformed, in conflict with what is there, too large, of a
# wrong type, not valid. Any other failure is of the station, the network or the settings, and passes.
_NEVER = frozenset({400, 409, 413, 415, 422})


class StationUnavailable(NightPatrolError):
    """The station cannot be reached; try again later."""


class StationFailed(NightPatrolError):
    """The station answered and could not do it now; try again later."""


class TokenRefused(NightPatrolError):
    """The station does not accept our token; it must be renewed."""


class DeliveryRefused(NightPatrolError):
    """The station will never take this."""


class Station(Protocol):
    """What the edge asks of a station. Every method may raise the errors of this module."""

    def post_alert(self, body: bytes) -> None:
        """Hand in a revision of an alert, the JSON of an `AlertReport`. Handing in twice does no harm."""

    def put_evidence(self, sha256: str, media_type: str, content: bytes) -> None:
        """Hand in a picture that a known alert refers to."""

    def post_live(self, report: LiveReport) -> None:
        """Show the state of a patrol."""

    def put_picture(self, drone: str, jpeg: bytes) -> None:
        """Show the newest picture of a patrol."""


def token_source(path: Path | None, environment: Mapping[str, str] = os.environ) -> Callable[[], str]:
    """Return what reads the token anew each time, from a file or else from the environment.

    Raises:
        UsageError: there is none, or others than its owner can read the file. So does what is returned.
    """

    def read() -> str:
        if path is None:
            token = environment.get(TOKEN_VARIABLE, "")
            source = TOKEN_VARIABLE
        else:
            source = str(path)
            try:
                if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise UsageError(f"{path}: others can read this token; run `chmod 600 {path}`")
                token = path.read_text(encoding="ascii")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"{path}: the station's token cannot be read: {error}") from error
        if not token.strip():
            raise UsageError(f"{source}: holds no token; get one with `patrol users token` on the station")
        return token.strip()

    read()
    return read


class StationClient:
    """A station over HTTP. Use one object a thread: each keeps a connection of its own."""

    def __init__(
        self, url: str, token: Callable[[], str], transport: httpx.BaseTransport | None = None
    ) -> None:
        """Talk to the station at `url`, for example http://127.0.0.1:8400.

        Raises:
            UsageError: `url` is no http address.
        """
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"{url}: a station's address begins with http:// or https://")
        self._url = url.rstrip("/")
        self._token = token
        self._client = httpx.Client(base_url=f"{self._url}/api/v1", timeout=_TIMEOUTS, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def post_alert(self, body: bytes) -> None:
        """Hand in a revision of an alert, the JSON of an `AlertReport`."""
        self._send("POST", "/alerts", body, "application/json")

    def put_evidence(self, sha256: str, media_type: str, content: bytes) -> None:
        """Hand in a picture that a known alert refers to."""
        self._send("PUT", f"/evidence/{sha256}", content, media_type)

    def post_live(self, report: LiveReport) -> None:
        """Show the state of a patrol."""
        self._send("POST", "/live", _LIVE.dump_json(report), "application/json")

    def put_picture(self, drone: str, jpeg: bytes) -> None:
        """Show the newest picture of a patrol."""
        self._send("PUT", f"/live/{quote(drone, safe='')}/picture", jpeg, "image/jpeg")

    def _send(self, method: str, path: str, content: bytes, media_type: str) -> None:
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": media_type}
        try:
            response = self._client.request(method, path, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise StationUnavailable(f"{self._url}: the station cannot be reached: {error}") from error
        if response.is_success:
            return
        reason = f"{response.status_code} {response.reason_phrase}, {_detail(response)}"
        if response.status_code in (401, 403):
            raise TokenRefused(f"{self._url}: the station does not accept our token ({reason}); renew it")
        if response.status_code in _NEVER:
            raise DeliveryRefused(f"{self._url}: the station refuses {method} {path} for good: {reason}")
        if response.status_code == 404:
            raise StationFailed(
                f"{self._url}: there is no station at this address ({reason}); check the address"
            )
        raise StationFailed(f"{self._url}: the station could not do {method} {path}: {reason}")


def _detail(response: httpx.Response) -> str:
    """Return the sentence of an RFC 9457 problem, else the beginning of the body."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
