"""Every error leaves the station as a problem document (RFC 9457) whose detail is a sentence."""

import errno
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.headers import add_headers

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_SHOWN_ERRORS = 5
_SHOWN_CHARACTERS = 120
_RETRY_AFTER_S = 5

_SENTENCES = {
    404: "There is nothing at this address; check the path.",
    405: "This address does not take this method; the Allow header lists those it takes.",
}


class FieldError(BaseModel):
    """What is wrong with one field of a request."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457. `detail` says what is wrong and how to mend it; `errors` names the refused fields."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] | None = None


class ProblemError(HTTPException):
    """The request cannot be carried out.

    `kind` makes the problem's type, `urn:night-patrol:KIND`, for clients that act on it.
    """

    def __init__(
        self, status: int, detail: str, *, kind: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, headers)
        self.type = "about:blank" if kind is None else f"urn:night-patrol:{kind}"


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem document."""
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(RequestValidationError)(_validation_error)
    app.exception_handler(ClientDisconnect)(_client_left)
    app.exception_handler(DBAPIError)(_storage_error)
    app.exception_handler(OSError)(_storage_error)
    # Of two writers in different processes one loses: it can simply try again.
    app.exception_handler(StaleDataError)(_storage_error)
    app.exception_handler(Exception)(_unexpected_error)


def respond(
    path: str,
    status: int,
    detail: str,
    *,
    type_: str = "about:blank",
    errors: list[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response that carries a problem."""
    problem = Problem(
        type=type_,
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=path,
        errors=errors,
    )
    return Response(problem.model_dump_json(exclude_none=True), status, dict(headers or {}), MEDIA_TYPE)


async def _http_error(request: Request, error: HTTPException) -> Response:
    if isinstance(error, ProblemError):
        detail, type_ = error.detail, error.type
    elif error.status_code == HTTPStatus.BAD_REQUEST:
        # FastAPI's word for JSON too deep, too big or too strange for its parser; to a client it is not JSON.
        return _refused(request, [FieldError(field="body", message="should be well-formed JSON in UTF-8")])
    else:
        detail, type_ = _SENTENCES.get(error.status_code, f"{error.detail}."), "about:blank"
    return respond(request.url.path, error.status_code, detail, type_=type_, headers=error.headers)


async def _validation_error(request: Request, error: RequestValidationError) -> Response:
    return _refused(request, [_field_error(item) for item in error.errors()])


def _refused(request: Request, errors: list[FieldError]) -> Response:
    shown = errors[:_SHOWN_ERRORS]
    faults = "; ".join(f"{item.field}: {item.message}" for item in shown)
    detail = f"The request was refused. {faults}. Correct this and send it again."
    return respond(request.url.path, 422, detail, type_="urn:night-patrol:invalid-request", errors=shown)


def _field_error(error: Mapping[str, Any]) -> FieldError:
    location: Sequence[str | int] = error["loc"]
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "json_invalid":
        return FieldError(
            field="body", message=f"not JSON at character {location[-1]}, {error['ctx']['error']}"
        )
    if tuple(location) == ("body",):
        message = "should be a JSON object sent with Content-Type: application/json"
    path = location[1:] if location[0] in ("body", "query", "path", "header") else location
    name = ".".join(str(part) for part in path) or str(location[0])
    if error["type"] == "extra_forbidden":
        message = "this field is unknown; leave it out"
    message = message.replace("Input should", "should", 1)
    return FieldError(field=name[:_SHOWN_CHARACTERS], message=message[:_SHOWN_CHARACTERS])


async def _client_left(request: Request, _error: ClientDisconnect) -> Response:
    return respond(request.url.path, 400, "The connection was closed before the whole body had come.")


async def _storage_error(request: Request, error: DBAPIError | OSError | StaleDataError) -> Response:
    """The disk or the database fails: not the client's fault, and worth another try."""
    logger.error("The station could not use its storage at %s", request.url.path, exc_info=error)
    cause = error.orig if isinstance(error, DBAPIError) else error
    full = getattr(cause, "errno", None) == errno.ENOSPC or "disk is full" in str(cause)
    what = "The station's disk is full" if full else "The station's storage cannot be used right now"
    status = 507 if full else 503
    detail = f"{what}; nothing of this request was kept. Send it again later."
    return respond(request.url.path, status, detail, headers={"Retry-After": str(_RETRY_AFTER_S)})


async def _unexpected_error(request: Request, _error: Exception) -> Response:
    # Starlette raises the error again after this answer, so the server's log has the traceback.
    response = respond(
        request.url.path, 500, "The station failed on this request; its log says why. Try again later."
    )
    # Starlette gives this one answer outside of every middleware, so also of the one that adds these.
    add_headers(response.headers, request.url.path, response.status_code)
    return response
