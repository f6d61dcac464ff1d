"""The built pages, and the headers that keep a browser from doing what they do not need."""

import asyncio
import re
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth.access import open_router

STATIC = Path(__file__).parent / "static"

# MapLibre runs its workers from blobs and draws pictures from blobs and data URLs.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; "
    "img-src 'self' blob: data:; "
    "worker-src 'self' blob:; "
    "object-src 'none'; "
    "base-uri 'none'; "
    "form-action 'self'; "
    "frame-ancestors 'none'"
)
_SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(self)",
}
# The build puts a hash of the content into the names of scripts and styles: these never change.
_HASHED_NAME = re.compile(r"/assets/.+-[\w-]{8}\.(js|css)")
_CACHE_FOR_EVER = "public, max-age=31536000, immutable"

_CHOICE = """<!doctype html>
<html lang="zh-CN">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>夜巡 Night Patrol</title>
<h1>夜巡 Night Patrol</h1>
<p><a href="/terminal">警员终端 Officer terminal</a></p>
<p><a href="/console">指挥台 Operator console</a></p>
</html>
"""
_NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Night Patrol</title>
<h1>The pages are not built</h1>
<p>This is a source checkout. Run <code>make setup</code> in it, then load this page again.</p>
</html>
"""


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
                headers = MutableHeaders(scope=message)
                headers.update(_SECURITY_HEADERS)
                headers.setdefault("Cache-Control", _caching(scope["path"], message["status"]))
            await send(message)

        await self._app(scope, receive, send_with_headers)


def install(app: FastAPI, static: Path) -> None:
    """Serve the built pages: every file at its own path, and the one page that draws console and terminal."""
    app.state.static = static
    # Low priority: asked only when no route matches. Files are public; they say nothing of any alert.
    app.frontend("/", directory=static, fallback=None, check_dir=False)


@open_router.get("/", include_in_schema=False)
async def choose_page() -> HTMLResponse:
    """Ask which page is wanted."""
    return HTMLResponse(_CHOICE)


@open_router.get("/console", include_in_schema=False)
@open_router.get("/console/{path:path}", include_in_schema=False)
@open_router.get("/terminal", include_in_schema=False)
@open_router.get("/terminal/{path:path}", include_in_schema=False)
async def show_page(request: Request) -> Response:
    """The page; it asks to sign in by itself and finds its way from the address."""
    index = Path(request.app.state.static) / "index.html"
    if not await asyncio.to_thread(index.is_file):
        return HTMLResponse(_NOT_BUILT, 503)
    return FileResponse(index, media_type="text/html")


def _caching(path: str, status: int) -> str:
    if path.startswith("/api/"):
        return "no-store"
    if status in (200, 206, 304) and _HASHED_NAME.fullmatch(path):
        return _CACHE_FOR_EVER
    return "no-cache"
