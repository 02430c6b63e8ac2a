"""Taking in a run file from elsewhere: checked as a whole, stored once, always answered with the same receipt."""

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from data.errors import Conflict, Forbidden, RunFileError
from data.ingest import Arrival, arrival_of
from data.ledger import RUN, Entry, Ledger
from data.receipts import Receipt, receipt_of
from data.rundocument import LIMIT_BYTES, RunDocument, read
from data.summary import Summary, summarise
from data.words import Status

__all__ = ["CLOCK_TOLERANCE", "Intake"]

#: Clocks of machines may differ by so much before a start lies in the future.
CLOCK_TOLERANCE = timedelta(minutes=5)
#: So many runs are remembered until the index knows them, which takes seconds.
_REMEMBERED = 20_000
_TURNS = 64
_NAMES = re.compile(rb'"([^"\\]*)"\s*:')


class Intake:
    """One way into a ledger, safe for threads: files of one run take turns, those of other runs do not wait.

    ``held_by`` tells which entries the index holds for a run.  The index follows the ledger by seconds, therefore
    what came in lately is remembered here.
    """

    def __init__(
        self,
        ledger: Ledger,
        held_by: Callable[[str], Sequence[str]],
        hand_over: Callable[[Arrival], None] | None = None,
    ) -> None:
        """Take in for ``ledger``; ``hand_over`` is given what was read, before the ledger shows it."""
        self._ledger, self._held_by, self._hand_over = ledger, held_by, hand_over
        self._turns = [threading.Lock() for _ in range(_TURNS)]
        self._guard = threading.Lock()
        self._recent: OrderedDict[str, list[str]] = OrderedDict()

    def accept(
        self, content: bytes, limit_bytes: int = LIMIT_BYTES, machine: str | None = None
    ) -> tuple[Receipt, bool]:
        """Check and record a run file (optionally gzipped); return the receipt and whether it is new.

        When this returns, the ledger has it on disk, and the index follows.  ``machine`` is the only one whose runs
        are taken, where it is given.  Raises RunFileError for a file that is not right, Forbidden for a run of
        another machine, Conflict if another file is held under its run id, StorageError where it cannot be stored.
        """
        document = read(content, limit_bytes)
        if machine and document.run.machine.id != machine:
            raise Forbidden(
                f"this token is for machine {machine}, and the run is of machine {document.run.machine.id}; "
                "use the token of that machine",
                "machine.id",
            )
        if not document.plain:  # what we would write ourselves has no name twice
            _refuse_repeated_names(document.content)
        rows = _summarised(document)
        sha256 = document.sha256
        with self._turns[hash(document.run.id) % _TURNS]:
            entry = self._ledger.find(sha256)
            new = entry is None
            if entry is None:
                self._refuse_other(document)
                if self._hand_over:
                    coming = Entry(sha256, RUN, datetime.now(UTC), len(document.content))
                    self._hand_over(arrival_of(coming, document, rows))
                entry = self._ledger.append(RUN, document.content)
            self._remember(document.run.id, sha256)
        return receipt_of(document, entry, _remarks(document, rows, entry)), new

    def recent(self, run_id: str) -> str | None:
        """Return the entry that came in last for a run, also before the index knows it; None if none did lately."""
        with self._guard:
            return self._recent.get(run_id, [None])[-1]

    def _remember(self, run_id: str, sha256: str) -> None:
        with self._guard:
            held = self._recent.setdefault(run_id, [])
            if sha256 not in held:
                held.append(sha256)
            self._recent.move_to_end(run_id)
            if len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)

    def _refuse_other(self, document: RunDocument) -> None:
        """Raise Conflict if the run is held in a file that is neither a part nor a continuation of this one."""
        with self._guard:
            recent = list(self._recent.get(document.run.id, ()))
        for sha256 in {*recent, *self._held_by(document.run.id)}:
            other = self._ledger.read(sha256)
            if not (other.startswith(document.content) or document.content.startswith(other)):
                raise Conflict(
                    f"run {document.run.id} is held with other content ({sha256}); "
                    "withdraw it and measure again under a new id"
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


def _remarks(document: RunDocument, rows: Sequence[Summary], entry: Entry) -> list[str]:
    """Say what the sender should know; the same for the same entry, whenever it is sent."""
    remarks = []
    ahead = datetime.fromisoformat(document.run.started).astimezone(UTC) - entry.received
    if ahead > CLOCK_TOLERANCE:
        remarks.append(
            f"started {_span(ahead)} after it arrived: the machine's clock is ahead, its results are marked"
        )
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


def _span(time: timedelta) -> str:
    seconds = time.total_seconds()
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
