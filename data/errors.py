"""Errors whose message is meant for people: what happened, with the offending value, and what to do next."""

from pathlib import Path
from typing import Any

__all__ = [
    "BadInput",
    "Conflict",
    "FlopwatchError",
    "Forbidden",
    "IndexOwned",
    "NotFound",
    "NotStored",
    "NothingMeasured",
    "RunFileError",
    "SchemaError",
    "StorageError",
    "TooLarge",
    "Unauthorized",
]


class FlopwatchError(Exception):
    """Any error whose message is meant for people."""

    code = "error"

    def describe(self) -> dict[str, Any]:
        """Return the error as programs read it: code, message and, where they are known, line and field."""
        return {
            "code": self.code,
            "message": str(self),
            "line": getattr(self, "line", None),
            "field": getattr(self, "field", None),
        }


class BadInput(FlopwatchError):
    """What was given cannot be used; nothing was changed."""

    code = "bad-input"


class NothingMeasured(FlopwatchError):
    """No case could be measured here."""

    code = "nothing-measured"


class NotStored(FlopwatchError):
    """What was given is right, but could not be stored or sent; whoever holds it still has it."""

    code = "not-stored"


class RunFileError(BadInput):
    """A run file that is refused as a whole, with the line (from 1) and the field that are wrong."""

    code = "bad-run-file"

    def __init__(
        self, message: str, line: int | None = None, field: str | None = None, source: str = ""
    ) -> None:
        """Say what is wrong and where; ``source`` is the file's name where there is one."""
        place = ", ".join(part for part in (source, f"line {line}" if line else "", field or "") if part)
        super().__init__(f"{place}: {message}" if place else message)
        self.message, self.line, self.field = message, line, field


class TooLarge(RunFileError):
    """A run file that holds more than is taken."""

    code = "too-large"


class NotFound(BadInput):
    """Nothing is stored under the given name."""

    code = "not-found"


class SchemaError(BadInput):
    """A database that this version of flopwatch cannot use; the message says what to do."""

    code = "schema"


class StorageError(NotStored):
    """The file system or the ledger's server refused to read or write ``path``; ``reason`` says why.

    ``full`` tells that there was no room left.
    """

    code = "storage"
    full = False

    def __init__(self, path: Path | str, reason: str) -> None:
        """Name the place and the reason."""
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason

    @classmethod
    def from_os(cls, path: Path | str, error: OSError) -> "StorageError":
        """Turn an error of the operating system into words, with the remedy where one is known."""
        import errno

        remedies = {
            errno.ENOSPC: "the disk is full; free some space and repeat",
            errno.EDQUOT: "the disk quota is used up; free some space and repeat",
            errno.EROFS: "the file system is read-only; choose another place",
            errno.EACCES: "permission denied; choose another place or change its permissions",
            errno.EPERM: "permission denied; choose another place or change its permissions",
            errno.EIO: "the disk reports an input/output error",
            errno.ENOENT: "no such file or folder",
            errno.EISDIR: "this is a folder, not a file",
            errno.ENOTDIR: "a part of this path is a file, not a folder",
            errno.EMFILE: "too many open files; close some programs or raise the limit (ulimit -n)",
        }
        found = cls(path, remedies.get(error.errno or 0, error.strerror or str(error)))
        found.full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return found


class IndexOwned(NotStored):
    """Another process owns the index, and waiting for it took too long; the message says who."""

    code = "index-owned"


class Conflict(BadInput):
    """Another file is held under the same run id, and neither continues the other."""

    code = "conflict"


class Unauthorized(BadInput):
    """There is no token, or none that counts."""

    code = "unauthorized"


class Forbidden(BadInput):
    """The token is known and does not allow this."""

    code = "forbidden"

    def __init__(self, message: str, field: str | None = None) -> None:
        """Say what is not allowed, and which field of a run file says so."""
        super().__init__(message)
        self.field = field
