"""The form of every answer: errors are JSON too, with a code for programs and a message for people."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

__all__ = ["METHODS", "endpoint", "error"]

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

Handler = Callable[[Request], Awaitable[Response]]


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
    return JSONResponse({"error": told}, status, headers=headers)


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
        return await handler(request)

    return Route(path, answer, methods=METHODS)
