"""Checking a run file from elsewhere as a whole: what it is, what stands out in it, and the rows that it makes.

This is arithmetic alone, without ledger or index, so that other processes can do it as well (:mod:`data.checkers`).
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from data.errors import RunFileError
from data.handover import pack
from data.ingest import arrival_of
from data.ledger import RUN, Entry
from data.rundocument import LIMIT_BYTES, RunDocument, read
from data.summary import Summary, summarise
from data.words import Status

__all__ = ["Checked", "check"]

_NAMES = re.compile(rb'"([^"\\]*)"\s*:')


@dataclass(frozen=True)
class Checked:
    """A run file that is right: what the way in has to know of it, and for the index what it came to (packed)."""

    run: str
    machine: str
    started: str
    sha256: str
    measurements: int
    remarks: tuple[str, ...]
    arrival: bytes


def check(content: bytes, limit_bytes: int = LIMIT_BYTES) -> Checked:
    """Return what a run file (optionally gzipped) is; raises RunFileError for one that is not right."""
    document = read(content, limit_bytes)
    if not document.plain:  # what we would write ourselves has no name twice
        _refuse_repeated_names(document.content)
    rows = _summarised(document)
    sha256 = document.sha256
    coming = Entry(sha256, RUN, datetime.now(UTC), len(document.content))
    return Checked(
        document.run.id,
        document.run.machine.id,
        document.run.started,
        sha256,
        len(document.measurements),
        tuple(_remarks(document, rows)),
        pack(arrival_of(coming, document, rows)),
    )


def _refuse_repeated_names(content: bytes) -> None:
    """Raise RunFileError for an object that gives one name two values: readers differ in which of them counts."""
    for number, line in enumerate(content.splitlines(), 1):
        names = _NAMES.findall(line)
        if len(names) == len(set(names)) and b"\\" not in line:
            continue  # no name twice in the whole line, so none in any of its objects
        try:
            json.loads(line, object_pairs_hook=_unique)
        except RecursionError:
            raise RunFileError("is nested too deeply", number) from None
        except ValueError as error:
            raise RunFileError(str(error), number) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {repeated[:100]!r} is there twice in one object")
    return found


def _summarised(document: RunDocument) -> list[Summary]:
    """Summarise a run as the index will: what cannot be summarised must not come in."""
    try:
        return summarise(document)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise RunFileError(f"the numbers in it cannot be summarised: {error}") from error


def _remarks(document: RunDocument, rows: Sequence[Summary]) -> list[str]:
    """Say what the sender should know."""
    remarks = []
    if document.interrupted:
        remarks.append("the run was interrupted: send the file again when it is complete")
    impossible = [row for row in rows if row.status == Status.IMPOSSIBLE]
    if impossible:
        first = impossible[0]
        remarks.append(
            f"{len(impossible)} of {len(rows)} are impossible and are kept out, such as {first.case} "
            f"{first.variant} on {first.backend}: {first.reason}"
        )
    unbounded = sum(1 for row in rows if row.status == Status.OK and row.bound and row.ceiling_rate is None)
    if unbounded:
        remarks.append(
            f"{unbounded} stand beside no ceiling: nothing in the run says whether they are possible"
        )
    if document.unknown:
        remarks.append(f"{document.unknown} lines of a kind that this server does not know are kept unread")
    return remarks
