"""The built pages."""

import asyncio
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse

from api.auth.access import open_router

STATIC = Path(__file__).parent / "static"

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
