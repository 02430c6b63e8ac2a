"""Tokens: who may send and read over HTTP.  Only digests are kept, in a file that nobody else can read.

A token is ``fw_<id>_<secret>``: the id finds it, the secret (256 random bits) proves it.  With that much randomness a
plain SHA-256 cannot be reversed by trying.
"""

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
from filelock import FileLock
from msgspec import Meta, Struct

from data import places
from data.errors import BadInput, Conflict, NotFound, StorageError, Unauthorized
from data.runfile import now

__all__ = ["READ", "SCOPES", "UPLOAD", "Refused", "Token", "Tokens"]

UPLOAD, READ = "upload", "read"
SCOPES = (UPLOAD, READ)

#: What was seen of tokens is written down at most this often.
_FLUSH_S = 10.0
_LOCK_WAIT_S = 10.0
_FORM = re.compile(r"fw_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_MACHINE = re.compile(r"[0-9a-f]{12}")


class Refused(Struct):
    """The last upload with a token that was refused."""

    at: str
    code: str
    message: str


class Token(Struct, omit_defaults=True):
    """A token without its secret.  Moments are UTC; ``machine`` is the only one whose runs it may send."""

    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{12}$")]
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    scopes: list[str]
    created: str
    machine: str | None = None
    expires: str | None = None
    revoked: str | None = None
    last_used: str | None = None
    last_refused: Refused | None = None

    @property
    def state(self) -> str:
        """``valid``, ``revoked`` or ``expired``."""
        if self.revoked:
            return "revoked"
        if self.expires and datetime.fromisoformat(self.expires) <= datetime.now(UTC):
            return "expired"
        return "valid"


class _File(Struct):
    tokens: list[Token] = []
    format: int = 1


class Tokens:
    """The tokens in a file.  Safe for threads and processes; a change by another process is seen at once."""

    def __init__(self, path: Path | None = None) -> None:
        """Use ``path`` (default: :func:`data.places.tokens`), which need not exist."""
        self.path = path or places.tokens()
        self._lock = threading.RLock()
        self._stamp: tuple[int, int, int] | None = None
        self._held: dict[str, Token] = {}
        self._seen: dict[str, tuple[str | None, Refused | None]] = {}
        self._flushed = 0.0

    # -- for people ----------------------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        scopes: tuple[str, ...] = SCOPES,
        machine: str | None = None,
        valid_for: timedelta | None = None,
    ) -> tuple[Token, str]:
        """Add a token; return it, and the text that is shown this once.

        Raises BadInput for what cannot be, Conflict where a valid token has the name, StorageError where the file
        cannot be written.
        """
        name = " ".join(name.split())
        if not 1 <= len(name) <= 100 or not name.isprintable():
            raise BadInput(f"{name[:120]!r} cannot name a token; give 1 to 100 printable characters")
        unknown = set(scopes) - set(SCOPES)
        if unknown or not scopes:
            raise BadInput(f"{', '.join(unknown) or 'nothing'} is no scope; there are {' and '.join(SCOPES)}")
        if machine is not None and not _MACHINE.fullmatch(machine):
            raise BadInput(f"{machine!r} is no id of a machine; it has 12 digits of 0-9 and a-f")
        secret = secrets.token_urlsafe(32)
        expires = datetime.now(UTC) + valid_for if valid_for else None
        token = Token(
            id=secrets.token_hex(6),
            name=name,
            sha256=_digest(secret),
            scopes=list(scopes),
            created=now(),
            machine=machine,
            expires=expires.strftime("%Y-%m-%dT%H:%M:%SZ") if expires else None,
        )
        with self._change() as held:
            if any(other.name == name and other.state == "valid" for other in held.values()):
                raise Conflict(f"a valid token is called {name!r}; revoke it first, or choose another name")
            held[token.id] = token
        return token, f"fw_{token.id}_{secret}"

    def revoke(self, wish: str) -> Token:
        """Revoke the token with an id or a name; raises NotFound."""
        with self._change() as held:
            found = [token for token in held.values() if wish in (token.id, token.name) and not token.revoked]
            if not found:
                raise NotFound(f"no token that could be revoked has the id or name {wish!r}")
            found[0].revoked = now()
        return found[0]

    def all(self) -> list[Token]:
        """Return all tokens, the oldest first."""
        with self._lock:
            self._load()
            for key, token in self._held.items():
                self._mark(key, token)
            return sorted(self._held.values(), key=lambda token: (token.created, token.id))

    # -- for the server ------------------------------------------------------------------------------------------

    def find(self, text: str) -> Token:
        """Return the token whose text this is; raises Unauthorized if there is none or it counts no more."""
        with self._lock:
            self._load()
            if not self._held:
                raise Unauthorized(
                    "this server has no token yet; make one there: flopwatch token create NAME"
                )
            match = _FORM.fullmatch(text)
            key, secret = match.groups() if match else ("", "")
            token = self._held.get(key)
        # A digest is compared in any case, so that the time tells nothing about which ids there are.
        right = hmac.compare_digest(_digest(secret), token.sha256 if token else "0" * 64)
        if token is None or not right:
            raise Unauthorized("the token is not known here; make one: flopwatch token create NAME")
        if token.state != "valid":
            raise Unauthorized(
                f"the token {token.name!r} is {token.state}; make another: flopwatch token create"
            )
        return token

    def note(self, token: Token, refused: Refused | None = None) -> None:
        """Remember that a token was used, and what was refused; it is written down within seconds."""
        with self._lock:
            _, before = self._seen.get(token.id, (None, None))
            self._seen[token.id] = (now(), refused or before)
            due = time.monotonic() - self._flushed > _FLUSH_S
        if due:
            self.flush()

    def flush(self) -> None:
        """Write down what was seen; where that cannot be, it is kept for the next time."""
        with self._lock, contextlib.suppress(StorageError):
            self._flushed = time.monotonic()
            if self._seen:
                with self._change() as held:
                    for key, token in held.items():
                        self._mark(key, token)
                self._seen.clear()

    def _mark(self, key: str, token: Token) -> None:
        used, refused = self._seen.get(key, (None, None))
        token.last_used = max(token.last_used or "", used or "") or None
        token.last_refused = refused or token.last_refused

    # -- the file ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _change(self) -> Iterator[dict[str, Token]]:
        """Lend the tokens of the file to be changed, while no other process does."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock, FileLock(f"{self.path}.lock", timeout=_LOCK_WAIT_S, mode=0o600):
                self._stamp = None
                self._load()
                yield self._held
                self._save()
        except OSError as error:  # filelock's Timeout is one, too
            raise StorageError.from_os(self.path, error) from error

    def _load(self) -> None:
        try:
            status = self.path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp:
                return
            if os.name == "posix" and status.st_mode & 0o077:
                raise StorageError(
                    self.path, f"can be read by others (mode {status.st_mode & 0o777:o}); chmod 600 it"
                )
            self._held = {token.id: token for token in _decode(self.path.read_bytes()).tokens}
            self._stamp = stamp
        except FileNotFoundError:
            self._held, self._stamp = {}, None
        except OSError as error:
            raise StorageError.from_os(self.path, error) from error
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
            raise StorageError(
                self.path, f"is damaged ({error}); move it away and make new tokens"
            ) from error

    def _save(self) -> None:
        aside = self.path.with_name(f"{self.path.name}.{os.getpid()}.aside")
        try:
            handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(
                    msgspec.json.format(msgspec.json.encode(_File(list(self._held.values()))), indent=1)
                )
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.path)
        finally:
            aside.unlink(missing_ok=True)
        self._stamp = None


_decode: Callable[[bytes], _File] = msgspec.json.Decoder(_File).decode


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
