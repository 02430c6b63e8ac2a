"""``GET /api/v1/health``: is the server up, and how far is its index?"""

import asyncio
from importlib.metadata import PackageNotFoundError, version

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app import reading
from app.api.answers import error
from data.errors import FlopwatchError

__all__ = ["get", "version_of_flopwatch"]

#: A question about health is answered soon or not at all.
WAIT_S = 1.0


def version_of_flopwatch() -> str:
    """Return the version of this program."""
    try:
        return version("flopwatch")
    except PackageNotFoundError:
        return "unknown"


def _state() -> dict[str, object]:
    index = reading.store(WAIT_S)
    return {
        "status": "ok",
        "version": version_of_flopwatch(),
        "index": "owner" if index.owned else "reader",
        "generation": index.generation,
        "problem": index.problem,
    }


async def get(request: Request) -> Response:
    """Answer 200 with the state of the index, or 503 while there is none."""
    del request
    try:
        return JSONResponse(await asyncio.to_thread(_state))
    except FlopwatchError as trouble:
        return error(503, "not-ready", str(trouble), headers={"Retry-After": "2"})
