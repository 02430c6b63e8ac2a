"""A board in the network: one run file is sent until there is a receipt, or until trying again cannot help."""

import random
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import tenacity

from data.errors import BadInput, NotStored
from data.heartbeats import Heartbeat
from runners import __version__

__all__ = ["Board", "Refused", "Unusable", "board_address"]

_CONNECT_S, _ANSWER_S = 10.0, 90.0
#: The first pause is up to a second, then up to twice as long each time, and a minute at most.
_FIRST_S, _LONGEST_S = 1.0, 60.0
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 507})
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _TryAgain(NotStored):
    """It did not work and may work later; ``after_s`` is what the board asked for."""

    code = "try-again"

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


class Refused(BadInput):
    """The board does not want this file; another may be welcome."""

    code = "refused"


class Unusable(NotStored):
    """No file can be sent to this board as things are: the address, the certificate or the token is wrong."""

    code = "unusable"


def board_address(text: str, *, plain: bool = False) -> str:
    """Return the address of a board without what belongs to its interface; raises BadInput.

    Without ``plain``, an unencrypted connection is for this machine only: it would show the token to the network.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise BadInput(f"{text!r} is no address of a board ({error})") from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise BadInput(f"{text!r} is no address of a board; write for example https://bench.example.org")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BadInput(
            "the address of a board holds no password and no question; the token is FLOPWATCH_TOKEN"
        )
    if parts.scheme == "http" and host not in _LOOPBACK and not plain:
        raise BadInput(
            f"http://{host} would show the token to the network; use https, or --plain where you trust all between"
        )
    shown = f"[{host}]" if ":" in host else host
    path = parts.path.rstrip("/").removesuffix("/runs").removesuffix("/api/v1").rstrip("/")
    return f"{parts.scheme}://{shown}{f':{port}' if port else ''}{path}"


class Board:
    """Sends run files to one address; use it as a context."""

    def __init__(
        self, url: str, token: str, *, patience_s: float, remark: Callable[[str], None] = lambda text: None
    ) -> None:
        """Send to ``url`` with ``token``; each file is tried for ``patience_s``, and ``remark`` is told of waits."""
        if not token:
            raise BadInput(
                "no token: set FLOPWATCH_TOKEN to one that was made on the board: flopwatch token create NAME"
            )
        if not token.isascii() or not token.isprintable() or " " in token:
            raise BadInput("FLOPWATCH_TOKEN holds characters that no token has; copy it again")
        self.url, self._remark, self._patience_s = url, remark, patience_s
        # The environment names proxies (HTTPS_PROXY, NO_PROXY) and authorities (SSL_CERT_FILE); httpx heeds both.
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token}", "User-Agent": f"flopwatch/{__version__}"},
            timeout=httpx.Timeout(_ANSWER_S, connect=_CONNECT_S),
        )

    def __enter__(self) -> "Board":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._client.close()

    def send(self, packed: bytes, sha256: str) -> tuple[dict[str, Any], bool]:
        """Send a gzipped run file; return the receipt for content ``sha256`` and whether it was new to the board.

        Raises Refused, Unusable, or NotStored where the patience has ended.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            wait=_pause,
            stop=tenacity.stop_before_delay(self._patience_s),
            before_sleep=self._tell,
            reraise=True,
        )
        return retrying(self._send_once, packed, sha256)

    def tell(self, heartbeat: Heartbeat) -> None:
        """Give a sign of life, once and without patience.  Raises Unusable or NotStored."""
        try:
            answer = self._client.post(
                f"{self.url}/api/v1/heartbeats",
                content=msgspec.json.encode(heartbeat),
                headers={"Content-Type": "application/json"},
                timeout=_CONNECT_S,
            )
        except httpx.HTTPError as error:
            raise NotStored(f"{self.url} cannot be reached ({str(error) or type(error).__name__})") from error
        if answer.status_code != 204:
            raise Unusable(f"{self.url} answers {answer.status_code}")

    def _tell(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        pause_s = state.next_action.sleep if state.next_action else 0.0
        self._remark(f"{error}; trying again in {pause_s:.0f} s")

    def _send_once(self, packed: bytes, sha256: str) -> tuple[dict[str, Any], bool]:
        try:
            answer = self._client.post(
                f"{self.url}/api/v1/runs",
                content=packed,
                headers={"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"},
            )
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            if _distrusted(error):
                raise Unusable(
                    f"the certificate of {self.url} is not trusted ({reason}); "
                    "SSL_CERT_FILE names the authority of your network"
                ) from error
            raise _TryAgain(f"{self.url} cannot be reached ({reason})") from error
        except httpx.HTTPError as error:
            raise _TryAgain(f"{self.url} does not answer as it should ({error})") from error
        return self._receipt(answer, sha256)

    def _receipt(self, answer: httpx.Response, sha256: str) -> tuple[dict[str, Any], bool]:
        status, told = answer.status_code, _json(answer)
        if status in (200, 201):
            if told.get("sha256") == sha256:
                return told, status == 201
            raise Unusable(f"{self.url} answers {status} without a receipt; is a flopwatch board there?")
        said = told.get("error") if isinstance(told.get("error"), dict) else {}
        assert isinstance(said, dict)
        message = str(said.get("message") or answer.reason_phrase or "no reason given")[:500]
        if status in _AGAIN:
            raise _TryAgain(f"{self.url} answers {status} ({message})", _retry_after(answer))
        of_the_file = status in (400, 409, 413, 415) or (status == 403 and said.get("field") == "machine.id")
        if of_the_file:
            raise Refused(f"{self.url} refuses it with {status}: {message}")
        if answer.is_redirect:
            message = f"it redirects to {answer.headers.get('location', '?')[:200]}; give that address"
        raise Unusable(f"{self.url} answers {status}: {message}")


def _pause(state: tenacity.RetryCallState) -> float:
    """Return how long to wait: what the board asked for and a little more, else longer each time, at random."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, _TryAgain) and error.after_s is not None:
        return error.after_s + random.uniform(0, 1 + error.after_s / 10)
    return tenacity.wait_random_exponential(multiplier=_FIRST_S, max=_LONGEST_S)(state)


def _retry_after(answer: httpx.Response) -> float | None:
    """Return the seconds of Retry-After, at most an hour; a date is as good as nothing said."""
    text = answer.headers.get("retry-after", "").strip()
    return min(float(text), 3600.0) if text.isdecimal() and len(text) < 10 else None


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _distrusted(error: BaseException | None) -> bool:
    """Whether a certificate was the cause: waiting makes none better."""
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False
