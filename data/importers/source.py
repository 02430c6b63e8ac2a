"""A file or folder to import: read once, decoded with the place of what is wrong."""

from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from data.errors import BadInput, StorageError

__all__ = ["ImportedFileError", "Source"]

T = TypeVar("T")


class ImportedFileError(BadInput):
    """A file of another tool that is refused as a whole, with the place that is wrong."""

    code = "bad-import"

    def __init__(self, source: str, message: str, line: int | None = None, field: str | None = None) -> None:
        """Name the file, the line (from 1) or the field, and what is wrong there."""
        place = ", ".join(part for part in (source, f"line {line}" if line else "", field or "") if part)
        super().__init__(f"{place}: {message}")
        self.line, self.field = line, field


class Source:
    """A file or folder that a person names."""

    def __init__(self, path: Path) -> None:
        """Raise BadInput where nothing is there."""
        if not path.exists():
            raise BadInput(f"{path} does not exist")
        self.path = path

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.path.is_dir()

    @cached_property
    def content(self) -> bytes:
        """The bytes of the file; nothing for a folder.  Raises StorageError."""
        if self.is_folder:
            return b""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise StorageError.from_os(self.path, error) from error

    @property
    def text(self) -> str:
        """The file as text; raises ImportedFileError where it is none."""
        try:
            return self.content.decode()
        except UnicodeDecodeError as error:
            line = self.content.count(b"\n", 0, error.start) + 1
            raise self.error("is not UTF-8 text", line) from None

    @property
    def looks_like_json(self) -> bool:
        """Whether the file begins as JSON does."""
        return self.content.lstrip()[:1] in (b"{", b"[")

    @cached_property
    def _loose(self) -> Any:
        try:
            return msgspec.json.decode(self.content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def peek(self) -> Any:
        """Return the JSON of the file if it is right, else None."""
        return self._loose if self.looks_like_json else None

    def json(self) -> Any:
        """Return the JSON of the file; raises ImportedFileError with the line that is wrong."""
        return self.decode(Any)

    def decode(self, kind: type[T], content: bytes | None = None, first_line: int = 1) -> T:
        """Return the JSON (of the file, or of a part that begins at a line) as records.

        Raises ImportedFileError with the line of broken JSON, or the field that is missing or of another type.
        """
        held = self.content if content is None else content
        try:
            return msgspec.json.decode(held, type=kind, strict=False)
        except msgspec.ValidationError as error:
            message, _, place = str(error).partition(" - at `")
            field = place.rstrip("`").removeprefix("$").lstrip(".") or None
            line = first_line if content is not None and first_line > 1 else None
            raise self.error(message[0].lower() + message[1:], line, field) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self.error(
                f"is no JSON: {_reason(str(error))}", first_line + _line_of(held, str(error))
            ) from None
        except RecursionError:
            raise self.error("is nested too deeply") from None

    def error(self, message: str, line: int | None = None, field: str | None = None) -> ImportedFileError:
        """Return the error that says what is wrong where."""
        return ImportedFileError(self.path.name, message, line, field)


def _reason(message: str) -> str:
    if "truncated" in message:
        return "it ends early; transfer the file again"
    return message.removeprefix("JSON is malformed: ")


def _line_of(content: bytes, message: str) -> int:
    """Return how many lines lie before the place that a message of msgspec names."""
    digits = message.rpartition("(byte ")[2].rstrip(")")
    end = int(digits) if digits.isdigit() else len(content.rstrip())
    return content.count(b"\n", 0, end)
