"""Taking in a run file from elsewhere: checked as a whole, stored once, always answered with the same receipt."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from data.checking import Checked, check
from data.errors import Conflict, Forbidden
from data.ledger import RUN, Entry, Ledger
from data.receipts import Receipt, receipt_of
from data.rundocument import LIMIT_BYTES, unpack, whole_lines

__all__ = ["CLOCK_TOLERANCE", "Intake"]

#: Clocks of machines may differ by so much before a start lies in the future.
CLOCK_TOLERANCE = timedelta(minutes=5)
#: So many runs are remembered until the index knows them, which takes seconds.
_REMEMBERED = 20_000
_TURNS = 64


class Intake:
    """One way into a ledger, safe for threads: files of one run take turns, those of other runs do not wait.

    ``held_by`` tells which entries the index holds for a run.  The index follows the ledger by seconds, therefore
    what came in lately is remembered here.
    """

    def __init__(
        self,
        ledger: Ledger,
        held_by: Callable[[str], Sequence[str]],
        hand_over: Callable[[str, bytes], None] = lambda sha256, arrival: None,
    ) -> None:
        """Take in for ``ledger``; ``hand_over`` is given what is for the index, before the ledger shows the entry."""
        self._ledger, self._held_by, self._hand_over = ledger, held_by, hand_over
        self._turns = [threading.Lock() for _ in range(_TURNS)]
        self._guard = threading.Lock()
        self._recent: OrderedDict[str, list[str]] = OrderedDict()

    def accept(
        self,
        content: bytes,
        limit_bytes: int = LIMIT_BYTES,
        machine: str | None = None,
        check: Callable[[bytes, int], Checked] = check,
    ) -> tuple[Receipt, bool]:
        """Check and record a run file (optionally gzipped); return the receipt and whether it is new.

        When this returns, the ledger has it on disk, and the index follows.  ``machine`` is the only one whose runs
        are taken, where it is given; ``check`` may do its work elsewhere.  Raises RunFileError for a file that is not
        right, Forbidden for a run of another machine, Conflict if another file is held under its run id, StorageError
        where it cannot be stored.
        """
        found = check(content, limit_bytes)
        if machine and found.machine != machine:
            raise Forbidden(
                f"this token is for machine {machine}, and the run is of machine {found.machine}; "
                "use the token of that machine",
                "machine.id",
            )
        with self._turns[hash(found.run) % _TURNS]:
            entry = self._ledger.find(found.sha256)
            new = entry is None
            if entry is None:
                entry = self._append(found, whole_lines(unpack(content, limit_bytes)))
            self._remember(found.run, found.sha256)
        remarks = (*_about_time(found.started, entry), *found.remarks)
        return receipt_of(found.run, found.measurements, entry, remarks), new

    def _append(self, found: Checked, content: bytes) -> Entry:
        self._refuse_other(found.run, content)
        self._hand_over(found.sha256, found.arrival)
        return self._ledger.append(RUN, content)

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

    def _refuse_other(self, run: str, content: bytes) -> None:
        """Raise Conflict if the run is held in a file that is neither a part nor a continuation of this one."""
        with self._guard:
            recent = list(self._recent.get(run, ()))
        for sha256 in {*recent, *self._held_by(run)}:
            other = self._ledger.read(sha256)
            if not (other.startswith(content) or content.startswith(other)):
                raise Conflict(
                    f"run {run} is held with other content ({sha256}); "
                    "withdraw it and measure again under a new id"
                )


def _about_time(started: str, entry: Entry) -> list[str]:
    """Say that a run starts in the future; the same for the same entry, whenever it is sent."""
    ahead = datetime.fromisoformat(started).astimezone(UTC) - entry.received
    if ahead <= CLOCK_TOLERANCE:
        return []
    return [f"started {_span(ahead)} after it arrived: the machine's clock is ahead, its results are marked"]


def _span(time: timedelta) -> str:
    seconds = time.total_seconds()
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
