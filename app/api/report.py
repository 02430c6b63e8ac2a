"""``GET /api/v1/report.md``: all that is stored, as one document for people."""

import asyncio
import threading

from starlette.requests import Request
from starlette.responses import Response

from app import exports
from app.api.answers import SAFE
from data.report.selection import Selection
from data.tokens import Token

__all__ = ["get"]

#: The report asks many questions: whoever comes meanwhile waits for the same answer.
_turn = threading.Lock()


def _report() -> str:
    with _turn:
        return exports.markdown(Selection())


async def get(request: Request, token: Token) -> Response:
    """Answer with the report as Markdown, or 404 while nothing is stored."""
    del request, token
    text = await asyncio.to_thread(_report)
    return Response(text, media_type="text/markdown; charset=utf-8", headers=SAFE)
