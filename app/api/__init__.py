"""What programs ask over HTTP, in the same server as the pages: JSON in, JSON out, errors included."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api import health, heartbeats, machines, openapi, report, runs
from app.api.access import allowed
from app.api.answers import METHODS, endpoint, error
from data.tokens import READ, UPLOAD

__all__ = ["routes"]


def routes() -> list[Route]:
    """Return all routes under ``/api/``; a new one is a file here and a line before the last two."""
    return [
        endpoint("/api/v1/runs", post=allowed(UPLOAD, runs.post)),
        endpoint("/api/v1/runs/{id}", get=allowed(READ, runs.get)),
        endpoint("/api/v1/machines", get=allowed(READ, machines.get)),
        endpoint("/api/v1/report.md", get=allowed(READ, report.get)),
        endpoint("/api/v1/heartbeats", post=allowed(UPLOAD, heartbeats.post)),
        endpoint("/api/v1/health", get=health.get),
        endpoint("/api/v1/openapi.json", get=openapi.get),
        # Streamlit answers an unknown path with its page and 200; to a program that would look like success.
        Route("/api", _unknown, methods=METHODS),
        Route("/api/{rest:path}", _unknown, methods=METHODS),
    ]


async def _unknown(request: Request) -> Response:
    return error(404, "not-found", f"there is nothing at {request.url.path}")
