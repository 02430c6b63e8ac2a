"""``POST /api/v1/runs`` takes in a run file, ``GET /api/v1/runs/{id}`` gives it back as it came."""

import asyncio
import logging
import re
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app import reading
from app.api import access, bodies
from app.api.answers import SAFE, Refusal, refusal_of
from data import queries
from data.checkers import Checkers
from data.errors import FlopwatchError, NotFound
from data.ledger import digest
from data.receipts import Receipt
from data.runfile import now
from data.tokens import Refused, Token

__all__ = ["checkers", "get", "post"]

#: Checking is arithmetic, storing is waiting for the disk: a few at a time use both, and memory stays bounded.
_CHECKING = 4
#: A question waits so long for an index that is being opened.
_WAIT_S = 5.0
_RUN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

_pool = ThreadPoolExecutor(_CHECKING, thread_name_prefix="upload")
checkers = Checkers()
_log = logging.getLogger("flopwatch.api")


async def post(request: Request, token: Token) -> Response:
    """Answer 201 with a receipt when the ledger has the file, 200 with the same one if it had it before."""
    try:
        bodies.require_type(request)
        async with bodies.room(token.id) as body:
            await bodies.receive(request, body, bodies.packed_limit())
            receipt, new = await asyncio.get_running_loop().run_in_executor(_pool, _accept, body, token)
    except FlopwatchError as trouble:
        raise await asyncio.to_thread(_told, refusal_of(trouble), token) from trouble
    except Refusal as refusal:
        raise await asyncio.to_thread(_told, refusal, token) from None
    return JSONResponse(
        receipt.to_json(),
        201 if new else 200,
        headers=SAFE | ({"Location": f"runs/{receipt.run}"} if new else {}),
    )


def _accept(body: bytearray, token: Token) -> tuple[Receipt, bool]:
    intake = reading.store(_WAIT_S).intake
    return intake.accept(bytes(body), bodies.unpacked_limit(), token.machine, checkers.check)


def _told(refusal: Refusal, token: Token) -> Refusal:
    """Remember a refusal with its token, so that whoever looks after the machines sees it."""
    _log.warning("refused a file of token %s (%r): %r", token.id, token.name, refusal.message)
    access.tokens().note(token, Refused(now(), refusal.code, refusal.message[:500]))
    return refusal


async def get(request: Request, token: Token) -> Response:
    """Answer with the run file, byte for byte, or 404."""
    del token
    run_id = str(request.path_params["id"])
    sha256, content = await asyncio.to_thread(_file, run_id)
    headers = {"Content-Disposition": f'attachment; filename="{run_id}.run.jsonl"', "ETag": f'"{sha256}"'}
    return Response(content, media_type="application/x-ndjson", headers=SAFE | headers)


def _file(run_id: str) -> tuple[str, bytes]:
    if not _RUN.fullmatch(run_id):
        raise NotFound(
            f"no run is called {run_id[:80]!r}; ids look like 01a1b2c3-d4e5-7000-8000-000000000000"
        )
    index = reading.store(_WAIT_S)
    try:
        content = queries.run_file(index, run_id)
    except NotFound:
        recent = index.intake.recent(run_id)  # the index has not come to it yet
        if recent is None:
            raise
        content = index.ledger.read(recent)
    return digest(content), content
