"""The form of every answer: errors are JSON too, with a code for programs and a message for people."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from data.errors import (
    BadInput,
    Conflict,
    FlopwatchError,
    Forbidden,
    NotFound,
    StorageError,
    TooLarge,
    Unauthorized,
)

__all__ = ["METHODS", "SAFE", "Refusal", "endpoint", "error", "refusal_of"]

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

#: No browser guesses a type and no cache keeps an answer.
SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}

#: What is wrong with the request → status; the first class that fits counts.
_STATUSES: tuple[tuple[type[BadInput], int], ...] = (
    (Unauthorized, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (TooLarge, 413),
    (BadInput, 400),
)
_RETRY_FULL_S, _RETRY_STORAGE_S, _RETRY_SOON_S = "600", "30", "2"

Handler = Callable[[Request], Awaitable[Response]]

_log = logging.getLogger("flopwatch.api")


class Refusal(Exception):
    """An answer that is no success: status, code for programs, message for people."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        line: int | None = None,
        field: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Say what it is."""
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.line, self.field, self.headers = line, field, headers or {}

    def response(self) -> Response:
        """Return it as an answer."""
        return error(
            self.status, self.code, self.message, line=self.line, field=self.field, headers=self.headers
        )


def refusal_of(trouble: FlopwatchError) -> Refusal:
    """Return what an error means to a client; places on this server's disk stay in its log."""
    if isinstance(trouble, StorageError):
        _log.error("storage: %s", trouble)
        if trouble.full:
            message = "the server's disk is full; nothing was stored, send it again later"
            return Refusal(507, "disk-full", message, headers={"Retry-After": _RETRY_FULL_S})
        message = "the server cannot read or write its storage; nothing was stored, send it again later"
        return Refusal(503, "storage", message, headers={"Retry-After": _RETRY_STORAGE_S})
    for kind, status in _STATUSES:
        if isinstance(trouble, kind):
            told = trouble.describe()
            headers = {"WWW-Authenticate": 'Bearer realm="flopwatch"'} if status == 401 else {}
            return Refusal(
                status, told["code"], told["message"], line=told["line"], field=told["field"], headers=headers
            )
    return Refusal(503, "not-ready", str(trouble), headers={"Retry-After": _RETRY_SOON_S})


def error(
    status: int,
    code: str,
    message: str,
    *,
    line: int | None = None,
    field: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return an error as ``{"error": {code, message, line, field}}``."""
    told: dict[str, Any] = {"code": code, "message": message, "line": line, "field": field}
    return JSONResponse({"error": told}, status, headers=SAFE | (headers or {}))


def endpoint(path: str, **handlers: Handler) -> Route:
    """Return a route that answers the given methods (``get=…``), and any other with 405 and what is allowed."""
    by_method = {method.upper(): handler for method, handler in handlers.items()}
    if "GET" in by_method:
        by_method.setdefault("HEAD", by_method["GET"])
    allowed = ", ".join(sorted(by_method))

    async def answer(request: Request) -> Response:
        handler = by_method.get(request.method)
        if handler is None:
            message = f"{request.method} is not possible at {path}; possible are {allowed}"
            return error(405, "method-not-allowed", message, headers={"Allow": allowed})
        return await _answered(handler, request)

    return Route(path, answer, methods=METHODS)


async def _answered(handler: Handler, request: Request) -> Response:
    """Return the answer of a handler; whatever happens, it is JSON."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return refusal.response()
    except FlopwatchError as trouble:
        return refusal_of(trouble).response()
    except ClientDisconnect:
        return error(400, "disconnected", "the connection ended before the request did; send it again")
    except Exception:
        _log.exception("%s %r failed", request.method, request.url.path)
        message = "the server failed, which is its fault; its log says why. Nothing was stored, send it again"
        return error(500, "internal", message, headers={"Retry-After": _RETRY_STORAGE_S})
