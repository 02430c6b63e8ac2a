"""Who may do what: a bearer token with the scope, within its rate."""

import asyncio
import functools
import logging
import math
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import Handler, Refusal, refusal_of
from data import places
from data.errors import Forbidden, Unauthorized
from data.tokens import Token, Tokens

__all__ = ["allowed", "flush", "reset", "tokens"]

#: Requests a minute for each token, and wrong tokens a minute from each address before they are no longer looked at.
PER_MINUTE = 240
WRONG_PER_MINUTE = 30

Holder = Callable[[Request, Token], Awaitable[Response]]

_log = logging.getLogger("flopwatch.api")
_limiter = MovingWindowRateLimiter(MemoryStorage())


@functools.cache
def _tokens(path: str) -> Tokens:
    return Tokens(Path(path))


def tokens() -> Tokens:
    """Return the tokens of this server."""
    return _tokens(str(places.tokens()))


def flush() -> None:
    """Write down what was seen of tokens."""
    tokens().flush()


def reset() -> None:
    """Forget who asked how often."""
    _limiter.storage.reset()


def allowed(scope: str, handler: Holder) -> Handler:
    """Return a handler that lets in who holds a token with the scope, and calls ``handler`` with the token."""

    async def answer(request: Request) -> Response:
        token = await asyncio.to_thread(_known, request)
        if scope not in token.scopes:
            raise Forbidden(
                f"the token {token.name!r} may {' and '.join(token.scopes)}, this needs {scope}; "
                f"make another: flopwatch token create NAME --scope {scope}"
            )
        _within(f"token {token.id}", int(os.environ.get("FLOPWATCH_REQUESTS_PER_MINUTE") or PER_MINUTE))
        return await handler(request, token)

    return answer


def _known(request: Request) -> Token:
    """Return the token that a request shows; raises Unauthorized, or 429 for an address that keeps guessing."""
    shown = request.headers.getlist("authorization")
    kind, _, text = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
    try:
        if len(shown) > 1:
            raise Unauthorized("there is more than one Authorization header; send one: Bearer TOKEN")
        if kind.lower() != "bearer":
            raise Unauthorized("a token is needed, in the header Authorization: Bearer TOKEN")
        token = tokens().find(text.strip())
    except Unauthorized as trouble:
        address = request.client.host if request.client else "unknown"
        _within(f"wrong {address}", WRONG_PER_MINUTE)
        _log.warning("refused %s %r from %s: %s", request.method, request.url.path, address, trouble)
        raise refusal_of(trouble) from None
    tokens().note(token)
    return token


def _within(who: str, per_minute: int) -> None:
    """Count a request of somebody; raises 429 with the time to wait where there were too many."""
    rate = RateLimitItemPerMinute(per_minute)
    if _limiter.hit(rate, who):
        return
    wait_s = max(1, math.ceil(_limiter.get_window_stats(rate, who).reset_time - time.time()))
    raise Refusal(
        429,
        "too-many-requests",
        f"more than {per_minute} requests a minute; wait {wait_s} s",
        headers={"Retry-After": str(wait_s)},
    )
