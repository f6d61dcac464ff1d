"""No body is buffered beyond what its route takes."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import ProblemError, respond


class BodyLimit:
    """Answers 413 as soon as a body is known, or found while reading, to be longer than its path allows."""

    def __init__(self, app: ASGIApp, *, default_bytes: int, by_prefix_bytes: Mapping[str, int]) -> None:
        self._app = app
        self._default_bytes = default_bytes
        self._by_prefix_bytes = by_prefix_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a counting `receive`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        detail = f"The body is longer than the {limit} bytes that this address takes; send less."
        declared = Headers(scope=scope).get("content-length", "0")
        # A length that is not a number never gets past the HTTP parser.
        if declared.isdigit() and int(declared) > limit:
            await respond(scope["path"], 413, detail)(scope, receive, send)
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise ProblemError(413, detail)
            return message

        await self._app(scope, receive_within_limit, send)

    def _limit(self, path: str) -> int:
        for prefix, limit in self._by_prefix_bytes.items():
            if path.startswith(prefix):
                return limit
        return self._default_bytes
