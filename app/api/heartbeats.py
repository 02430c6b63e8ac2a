"""``POST /api/v1/heartbeats``: a machine that measures unattended says what its job did, and when it is due again."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from app import jobs
from app.api.answers import SAFE, Refusal
from data.errors import Forbidden
from data.heartbeats import Heartbeat
from data.tokens import Token

__all__ = ["LIMIT_BYTES", "post"]

#: A sign of life is a few hundred bytes.
LIMIT_BYTES = 8192


async def post(request: Request, token: Token) -> Response:
    """Answer 204 when it is kept, 400 for what is no sign of life, 403 for that of another machine than the token's."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > LIMIT_BYTES:
            raise Refusal(413, "too-large", f"a sign of life has at most {LIMIT_BYTES} bytes")
    heartbeat = Heartbeat.parse(bytes(content))
    if token.machine and heartbeat.machine != token.machine:
        raise Forbidden(
            f"this token is for machine {token.machine}, and the sign of life is of machine {heartbeat.machine}",
            "machine",
        )
    await asyncio.to_thread(jobs.heartbeats().note, heartbeat)
    return Response(status_code=204, headers=SAFE)
