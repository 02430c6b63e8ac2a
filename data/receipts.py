"""Recording a run file in the ledger, and the receipt for it.  This needs no DuckDB."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data import places
from data.ledger import RUN, Entry, Ledger, open_ledger
from data.rundocument import read

__all__ = ["Receipt", "receipt_of", "record_in_ledger"]


@dataclass(frozen=True)
class Receipt:
    """The ledger has a run file on disk: which run, its digest, how many measurements, since when (UTC).

    ``indexed`` tells whether it is in the index already, ``note`` where it is otherwise.  ``notes`` are what the
    server found worth saying about what it took in.
    """

    run: str
    sha256: str
    measurements: int
    received: str
    indexed: bool = False
    note: str = "in the ledger"
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say for people where it is."""
        return "stored and indexed" if self.indexed else self.note

    def to_json(self) -> dict[str, str | int | list[str]]:
        """Return it as programs read it."""
        return {
            "run": self.run,
            "sha256": self.sha256,
            "measurements": self.measurements,
            "received": self.received,
            "notes": list(self.notes),
        }

    def with_note(self, note: str, *, indexed: bool = False) -> "Receipt":
        """Return the receipt with another remark."""
        return replace(self, note=note, indexed=indexed)


def receipt_of(run: str, measurements: int, entry: Entry, notes: Sequence[str] = ()) -> Receipt:
    """Return the receipt for a run file that is in the ledger as ``entry``."""
    received = entry.received.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return Receipt(run, entry.sha256, measurements, received, notes=tuple(notes))


def record_in_ledger(run_file: Path, ledger: Ledger | None = None) -> Receipt:
    """Append a run file to the ledger (default: places.ledger()); an owner of the index will find it there.

    Raises RunFileError for a file that is not right, StorageError where it cannot be stored.
    """
    document = read(run_file)
    target = ledger or open_ledger(places.ledger())
    try:
        entry = target.append(RUN, document.content)
        return receipt_of(document.run.id, len(document.measurements), entry)
    finally:
        if ledger is None:
            target.close()
