"""The headers that keep a browser from doing what the pages do not need, and from storing what it reads."""

import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# MapLibre runs its workers from blobs and draws pictures from blobs and data URLs.
_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; "
    "img-src 'self' blob: data:; "
    "worker-src 'self' blob:; "
    "object-src 'none'; "
    "base-uri 'none'; "
    "form-action 'self'; "
    "frame-ancestors 'none'"
)
_SECURITY_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(self)",
}
# The build puts a hash of the content into the names of scripts and styles: these never change.
_HASHED_NAME = re.compile(r"/assets/.+-[\w-]{8}\.(js|css)")
_CACHE_FOR_EVER = "public, max-age=31536000, immutable"


class SecurityHeaders:
    """Adds the security headers to every response; answers are not stored anywhere unless they say so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a `send` that adds headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(scope=message), scope["path"], message["status"])
            await send(message)

        await self._app(scope, receive, send_with_headers)


def add_headers(headers: MutableHeaders, path: str, status: int) -> None:
    """Add them to the headers of one response."""
    headers.update(_SECURITY_HEADERS)
    headers.setdefault("Cache-Control", _caching(path, status))


def _caching(path: str, status: int) -> str:
    if path.startswith("/api/"):
        return "no-store"
    if status in (200, 206, 304) and _HASHED_NAME.fullmatch(path):
        return _CACHE_FOR_EVER
    return "no-cache"
