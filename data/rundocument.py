"""Run files as documents: read and checked as a whole, or refused with the line and field that are wrong.

A run file is JSON lines, optionally gzipped: ``run``, then processes, ceilings, measurements, skipped cells,
notes, then ``end``.  Without the end it is interrupted.  docs/run-file.md describes it for people.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta, Struct

from data.errors import RunFileError, StorageError
from data.packing import LIMIT_BYTES, pack, unpack
from data.records import (
    FORMAT,
    Ceiling,
    End,
    Line,
    Measurement,
    Nanoseconds,
    Note,
    Process,
    Run,
    Samples,
    Skipped,
)

__all__ = [
    "LIMIT_BYTES",
    "RunDocument",
    "RunFileError",
    "json_schema",
    "pack",
    "read",
    "read_bytes",
    "read_times",
    "unpack",
    "whole_lines",
]

KINDS = frozenset(kind.__struct_config__.tag for kind in get_args(Line))

Key = tuple[str, str, str, str, str, int]

_line: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
_encoder = msgspec.json.Encoder()
_encode = _encoder.encode
_decode_run: Callable[[bytes], Run] = msgspec.json.Decoder(Run).decode


class _Head(msgspec.Struct):
    """What can be told of a line of any kind and format."""

    kind: str
    format: int | None = None


_decode_head = msgspec.json.Decoder(_Head).decode


@dataclass
class RunDocument:
    """A run file that was read and is right.

    ``content`` is the file's uncompressed bytes without a torn last line.  ``unknown`` counts lines of kinds
    that this version does not know: they are kept in ``content``.  ``plain`` tells that every line is just what this
    version writes of it; :func:`read` looks, :func:`read_times` does not.
    """

    run: Run
    content: bytes = b""
    processes: list[Process] = field(default_factory=list)
    lines: list[Measurement | Ceiling] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    end: End | None = None
    unknown: int = 0
    plain: bool = False
    digest: str = ""

    @property
    def interrupted(self) -> bool:
        """Whether the end is missing: the run was stopped, or is still being written."""
        return self.end is None

    @property
    def sha256(self) -> str:
        """Digest of ``content``: the file's name in the ledger."""
        return self.digest or hashlib.sha256(self.content).hexdigest()

    @property
    def measurements(self) -> dict[Key, list[Measurement]]:
        """The measurements by key, each with the lines of its processes, in the order of first appearance."""
        grouped: dict[Key, list[Measurement]] = {}
        for line in self.lines:
            if isinstance(line, Measurement):
                grouped.setdefault(line.key, []).append(line)
        return grouped


class _Times(Struct):
    """Samples without their covariates, for whoever only needs the times."""

    time_ns: list[Nanoseconds]
    batch: Annotated[int, Meta(ge=1, le=2**62)] = 1
    clean: list[bool] = []
    round = cpu_ns = switches = probe_ns = ()


class _LightMeasurement(Measurement, tag_field="kind", tag="measurement", kw_only=True):
    samples: _Times | None = None  # type: ignore[assignment]


class _LightCeiling(Ceiling, tag_field="kind", tag="ceiling", kw_only=True):
    samples: _Times | None = None  # type: ignore[assignment]


_light: msgspec.json.Decoder[Line] = msgspec.json.Decoder(
    Run | Process | _LightMeasurement | _LightCeiling | Skipped | Note | End
)


def read_times(content: bytes) -> RunDocument:
    """Return the document of a run file that :func:`read` has accepted before, with samples that are times only.

    This is about twice as fast.  Where a call was measured against itself, the covariates are there, too.
    """
    document = _Reader(decoder=_light).read(content)
    return _Reader().read(content) if any(line.twin for line in document.lines) else document


def read(source: Path | bytes, limit_bytes: int = LIMIT_BYTES) -> RunDocument:
    """Return a run file that was checked as a whole; gzip is seen by itself.

    Raises RunFileError with line and field for what is no right run file or unpacks to more than the limit,
    and StorageError where the file cannot be read.
    """
    if isinstance(source, bytes):
        return _Reader(look=True).read(unpack(source, limit_bytes))
    return _Reader(source.name, look=True).read(unpack(read_bytes(source), limit_bytes, source.name))


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes; raises StorageError in words."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError.from_os(path, error) from error


class _Reader:
    """Turns bytes into a document, or refuses them with line and field."""

    def __init__(
        self, source: str = "", decoder: msgspec.json.Decoder[Line] = _line, *, look: bool = False
    ) -> None:
        self._source = source
        self._decoder = decoder
        self._look = look
        self._plain = False
        self._number = 0
        self._cells: dict[Key, tuple[bool, str, str, set[int | None]]] = {}

    def read(self, content: bytes) -> RunDocument:
        """Check everything and return the document."""
        self._require_text(content)
        whole, torn = _split(content)
        if not whole:
            raise self._error("there is no whole line in it" if torn else "the file is empty")
        self._number = 1
        first, total = whole.index(b"\n"), whole.count(b"\n")
        document = RunDocument(self._first(whole[:first]), whole)
        processes: set[int] = set()
        for record in self._records(whole, first + 1, total - 1):
            if isinstance(record, End) and self._number < total:
                self._number += 1
                raise self._error("nothing may follow the end")
            self._take(document, record, processes)
        document.plain = self._plain and _encode(document.run) == whole[:first]
        return document

    def _records(self, whole: bytes, begin: int, count: int) -> Iterator[Line | None]:
        """Decode so many lines from ``begin`` on: all at once; where that fails one by one, to tell which is wrong."""
        try:
            records = self._decoder.decode_lines(memoryview(whole)[begin:])
        except (msgspec.MsgspecError, RecursionError):
            records = []
        if len(records) == count:  # else a line holds no value, or a value several lines
            self._plain = self._look and _is_plain(whole, begin, records)
            for record in records:
                self._number += 1
                yield record
        else:
            for piece in whole[begin:].split(b"\n")[:-1]:
                self._number += 1
                yield self._decode(piece)

    def _error(self, message: str, field: str | None = None) -> RunFileError:
        return RunFileError(message, self._number or None, field, self._source)

    def _require_text(self, content: bytes) -> None:
        try:
            if not content.isascii():
                content.decode()
        except UnicodeDecodeError as error:
            self._number = content.count(b"\n", 0, error.start) + 1
            raise self._error("is not UTF-8 text, so this is no run file") from None

    def _first(self, piece: bytes) -> Run:
        head = self._head(piece)
        if head.kind != "run":
            raise self._error(f'the first line must be of kind "run", not {head.kind!r}', "kind")
        if head.format is not None and head.format > FORMAT:
            raise self._error(
                f"written in format {head.format}, this flopwatch reads up to {FORMAT}: upgrade flopwatch",
                "format",
            )
        try:
            run = _decode_run(piece)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise self._explained(piece, error) from None
        if run.format < 1:
            raise self._error(f"there is no format {run.format}", "format")
        self._require_moment(run.started, "started")
        return run

    def _head(self, piece: bytes) -> _Head:
        try:
            return _decode_head(piece)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise self._explained(piece, error) from None

    def _decode(self, piece: bytes) -> Line | None:
        """Return the record of a line, or None for a kind that this version does not know."""
        try:
            return self._decoder.decode(piece)
        except (msgspec.MsgspecError, RecursionError) as error:
            if isinstance(error, msgspec.ValidationError) and self._head(piece).kind not in KINDS:
                self._require_object(piece)
                return None
            raise self._explained(piece, error) from None

    def _require_object(self, piece: bytes) -> None:
        """A line of an unknown kind is kept if it is an object that JSON can hold."""
        try:
            msgspec.json.decode(piece, type=dict)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise self._explained(piece, error) from None

    def _explained(self, piece: bytes, error: Exception) -> RunFileError:
        if isinstance(error, RecursionError):
            return self._error("is nested too deeply")
        if not piece.strip():
            return self._error("is empty; each line holds one JSON object")
        message, _, place = str(error).partition(" - at `")
        field = place.rstrip("`").removeprefix("$").lstrip(".") or None
        if not isinstance(error, msgspec.ValidationError):
            message = f"is no JSON object ({message})"
        return self._error(message, field)

    def _require_moment(self, text: str, field: str) -> None:
        try:
            datetime.fromisoformat(text)
        except ValueError as error:
            raise self._error(f"{text!r} is no moment in time ({error})", field) from None

    def _take(self, document: RunDocument, record: Line | None, processes: set[int]) -> None:
        match record:
            case Measurement() | Ceiling():
                self._require_consistent(record)
                document.lines.append(record)
            case Process():
                self._require_moment(record.started, "started")
                if record.index in processes:
                    raise self._error(f"process {record.index} was described before", "index")
                processes.add(record.index)
                document.processes.append(record)
            case Skipped():
                document.skipped.append(record)
            case Note():
                self._require_moment(record.at, "at")
                document.notes.append(record)
            case End():
                self._require_whole(document, record)
                document.end = record
            case Run():
                raise self._error("a second line of kind run; each file holds one run", "kind")
            case None:
                document.unknown += 1

    def _require_consistent(self, line: Measurement | Ceiling) -> None:
        """Lines of one measurement agree on what it is, and each process times it once."""
        key, ceiling = line.key, isinstance(line, Ceiling)
        held = self._cells.get(key)
        if held is None:
            held = self._cells[key] = (ceiling, line.kernel, line.unit, set())
        elif held[0] is not ceiling or held[1] != line.kernel or held[2] != line.unit:
            raise self._error(
                f"disagrees with an earlier line on kind, kernel or unit of {line.case} {line.variant}"
            )
        if line.samples is None:
            return
        self._require_equal_lengths(line.samples, "samples")
        if line.twin:
            self._require_equal_lengths(line.twin, "twin")
        if line.process in held[3]:
            raise self._error(
                f"process {line.process} has timed {line.case} {line.variant} before", "process"
            )
        held[3].add(line.process)

    def _require_equal_lengths(self, samples: Samples, field: str) -> None:
        count = len(samples.time_ns)
        for name, values in (
            ("round", samples.round),
            ("clean", samples.clean),
            ("cpu_ns", samples.cpu_ns),
            ("switches", samples.switches),
            ("probe_ns", samples.probe_ns),
        ):
            if values and len(values) != count:
                raise self._error(f"holds {len(values)} values for {count} times", f"{field}.{name}")

    def _require_whole(self, document: RunDocument, end: End) -> None:
        content = document.content
        self._require_moment(end.ended, "ended")
        if end.lines != self._number - 1:
            raise self._error(
                f"promises {end.lines} lines before it and there are {self._number - 1}", "lines"
            )
        last = content.rindex(b"\n", 0, -1) + 1
        digest = hashlib.sha256(memoryview(content)[:last])
        if end.sha256 != digest.hexdigest():
            raise self._error(
                "the lines before it are not those that were written (SHA-256 differs)", "sha256"
            )
        digest.update(content[last:])
        document.digest = digest.hexdigest()


def _is_plain(whole: bytes, begin: int, records: Sequence[Line]) -> bool:
    """Whether the lines from ``begin`` on are byte for byte what this version writes of the records in them."""
    lines = _encoder.encode_lines(records)
    return len(lines) == len(whole) - begin and whole.endswith(lines)


def whole_lines(content: bytes) -> bytes:
    """Return what is kept of an uncompressed run file: everything but a torn last line."""
    return _split(content)[0]


def _split(content: bytes) -> tuple[bytes, bytes]:
    """Return the whole lines and the torn rest; an end that only lacks its newline is whole."""
    whole, torn = content[: content.rfind(b"\n") + 1], content[content.rfind(b"\n") + 1 :]
    if torn and whole:
        try:
            msgspec.json.decode(torn, type=End)
        except (msgspec.MsgspecError, RecursionError):
            return whole, torn
        return content + b"\n", b""
    return whole, torn


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one line of a run file."""
    (schema,), components = msgspec.json.schema_components([Line], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"One line of a flopwatch run file, format {FORMAT}",
        **schema,
        "$defs": components,
    }
