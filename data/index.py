"""The way in and the way out: what is recorded goes to the ledger, what is asked is answered by the index.

One process at a time owns the index: it follows the ledger and publishes read-only copies.  Everybody else reads the
newest copy.  Nobody has to know which of the two it is.
"""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import duckdb

from data import entries, places, snapshots
from data.errors import FlopwatchError, IndexOwned, NotStored, StorageError
from data.follow import follow
from data.handover import Handover
from data.intake import Intake
from data.ledger import Entry, Ledger, open_ledger
from data.owner import Owner, Ownership
from data.receipts import Receipt, record_in_ledger
from data.rundocument import LIMIT_BYTES
from data.store import Store

__all__ = ["Index", "Receipt", "record", "record_in_ledger"]

#: How long to wait for an index that is owned, and how often to look.
WAIT_S = 10.0
_LOOK_S = 0.05
#: A reader looks for a newer copy, and a follower for new entries, this often.
_POLL_S = 1.0
#: A follower works for this share of the time: while very much arrives, those who send it go before.  But it rests no
#: longer than this.
_FOLLOWING_SHARE = 0.2
_LONGEST_REST_S = 10.0
#: While very much arrives, the samples of a run would leave the index seconds after they came: so many bytes of run
#: files a second have theirs indexed, and so many at once.
_SAMPLED_BYTES_PER_S = 2 << 20
_SAMPLED_BYTES_AT_ONCE = 4 << 20


class Index:
    """The index of one ledger, as its owner or as a reader of the owner's copies.  Safe for threads."""

    def __init__(
        self, database: Path | None = None, ledger: Ledger | None = None, copies: Path | None = None
    ) -> None:
        """Name the places (default: those of :mod:`data.places`); :meth:`open` makes it ready for questions."""
        self.database = database or places.database()
        beside = places.ledger() if database is None else database.parent / "ledger"
        self.ledger = ledger or open_ledger(beside)
        self.copies = copies or self.database.parent / "snapshots"
        #: why the answers may lack something, for people; empty if all is well
        self.problem = ""
        #: the way in for run files from elsewhere
        self.intake = Intake(self.ledger, self._held_by, self._hand_over)
        self._handover = Handover()
        self._ownership = Ownership(self.database)
        # Whoever writes takes turns; whoever asks waits only for the moment in which a store is exchanged.
        # The turn is taken before the lock, never while it is held.
        self._turn = threading.RLock()
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._borrowed: dict[Store, int] = {}
        self._looked = 0.0
        self._stop = threading.Event()
        self._follower: threading.Thread | None = None
        self._indexed = 0.0
        self._publishing_s = 0.0

    @classmethod
    def open(
        cls,
        database: Path | None = None,
        ledger: Ledger | None = None,
        copies: Path | None = None,
        *,
        wanted: Iterable[str] = (),
        wait_s: float = WAIT_S,
    ) -> Self:
        """Return the index ready for questions: as its owner where it is free, else on the newest copy.

        ``wanted`` are digests of entries that shall be in it; if they are not within ``wait_s`` seconds,
        ``problem`` says so.  Raises IndexOwned, naming the owner, where there is no copy to read either.
        """
        index = cls(database, ledger, copies)
        try:
            index._settle(list(wanted), time.monotonic() + wait_s)
        except BaseException:
            index.close()
            raise
        return index

    def _settle(self, wanted: Sequence[str], deadline: float) -> None:
        while True:
            if self.own():
                return
            with self._lock:
                self._refresh(now=True)
                if self._store and self._holds(self._store, wanted):
                    return
            if time.monotonic() > deadline:
                break
            time.sleep(_LOOK_S)
        if self._store is None:
            raise IndexOwned(
                f"the index {self.database} is owned by {self.owner or 'another process'}, which has published "
                f"no copy yet: try again, or end that process{self.problem and f' ({self.problem})'}"
            )
        self.problem = self.problem or f"the newest results are not indexed yet; the owner is {self.owner}"

    # -- ownership ---------------------------------------------------------------------------------------------

    @property
    def owned(self) -> bool:
        """Whether this process owns the index."""
        return self._ownership.held

    @property
    def owner(self) -> Owner | None:
        """Who owns the index, or did last."""
        return self._ownership.owner()

    def own(self) -> bool:
        """Become the owner if the index is free, and bring it up to date; return whether this is the owner.

        Where the disk refuses, the index stays readable as far as it is, and ``problem`` says why.
        """
        with self._turn:
            if self.owned:
                return True
            try:
                if not self._ownership.take():
                    return False
                self._use(Store(self.database))
            except (IndexOwned, StorageError) as error:
                self._ownership.release()
                self.problem = str(error)
                return False
            except BaseException:
                self._ownership.release()
                raise
            self.problem = ""
            self.sync(retry=True)
            return True

    def sync(self, *, retry: bool = False) -> int:
        """As the owner, index what is new in the ledger, then publish; return how many entries were new.

        With ``retry``, entries that were refused before are read again.
        """
        with self._turn:
            if not self.owned or self._store is None or not self._revive():
                return 0
            count, rest_s = 0, time.monotonic() - self._indexed
            sampled_bytes = max(_SAMPLED_BYTES_AT_ONCE, int(rest_s * _SAMPLED_BYTES_PER_S))
            try:
                count = follow(
                    self._store,
                    self.ledger,
                    retry=retry,
                    ready=self._handover.take,
                    sampled_bytes=sampled_bytes,
                )
                if count:
                    self._indexed = time.monotonic()
                self.problem = ""
                self.publish()
            except NotStored as error:
                self._revive()
                self.problem = str(error)
            return count

    def _revive(self) -> bool:
        """As the owner, open the index again where DuckDB has given it up, as it does on a full disk.

        Returns whether the index is open.  Until it is, the newest copy answers.
        """
        with self._lock:
            broken = self._store
            assert broken is not None
            if broken.path == self.database and broken.alive:
                return True
            try:
                if broken.path == self.database:
                    if self._borrowed[broken]:
                        return False  # their questions fail at once; then it can be opened again
                    del self._borrowed[broken]
                    broken.close()
                self._use(Store(self.database))
            except (IndexOwned, StorageError) as error:
                self.problem = str(error)
                self._refresh(now=True)
            assert self._store is not None
            return self._store.path == self.database and self._store.alive

    def publish(self) -> None:
        """As the owner, publish a copy of the index unless the newest one is of this state."""
        with self._turn:
            if not self.owned or self._store is None:
                return
            state = self._store.setting("generation")
            held = snapshots.newest(self.database, self.copies)
            if held and snapshots.generation(held) == state:
                return
            started = time.monotonic()
            with self._store.at_rest() as file:
                snapshots.publish(file, self.copies, state or "0")
            self._publishing_s = time.monotonic() - started

    def follow(self, poll_s: float = _POLL_S) -> None:
        """Keep following in the background: as the owner the ledger, else until the index is free."""
        if self._follower is None:
            self._follower = threading.Thread(target=self._follow, args=(poll_s,), name="index", daemon=True)
            self._follower.start()

    def _follow(self, poll_s: float) -> None:
        rest_s = poll_s
        while not self._stop.wait(rest_s):
            began = time.monotonic()
            try:
                if self.owned:
                    self.sync()
                else:
                    self.own()
            except (FlopwatchError, duckdb.Error, OSError) as error:
                self.problem = str(error)
            took_s = time.monotonic() - began
            rest_s = max(poll_s, min(took_s / _FOLLOWING_SHARE - took_s, _LONGEST_REST_S))

    # -- questions ---------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a DuckDB cursor for one unit of work; fetch what you execute to the end."""
        with self._borrow() as store, store.cursor() as cursor:
            yield cursor

    def query(
        self, sql: str, parameters: Sequence[Any] | dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of a SELECT as dicts; moments are aware datetimes in UTC."""
        with self._borrow() as store:
            return store.query(sql, parameters)

    def frame(self, sql: str, parameters: Sequence[Any] | dict[str, Any] | None = None) -> Any:
        """Return the rows of a SELECT as a pandas DataFrame (pandas must be installed)."""
        with self._borrow() as store:
            return store.frame(sql, parameters)

    @property
    def generation(self) -> str:
        """A name for the present state of the answers: as long as it is the same, so are they."""
        with self._borrow() as store:
            return store.setting("generation")

    @contextlib.contextmanager
    def _borrow(self) -> Iterator[Store]:
        with self._lock:
            if not self.owned:
                self._refresh()
            store = self._store
            if store is None:
                raise IndexOwned(f"the index {self.database} is not open")
            self._borrowed[store] = self._borrowed.get(store, 0) + 1
        try:
            yield store
        finally:
            with self._lock:
                self._borrowed[store] -= 1
                self._drop_unused()

    def _use(self, store: Store) -> None:
        with self._lock:
            self._store = store
            self._borrowed.setdefault(store, 0)
            self._drop_unused()

    def _drop_unused(self) -> None:
        """Close the copies that were replaced and that nobody reads any more."""
        for store in [
            store for store, users in self._borrowed.items() if not users and store is not self._store
        ]:
            del self._borrowed[store]
            store.close()

    def _refresh(self, *, now: bool = False) -> None:
        """As a reader, change to the newest copy if there is a newer one; without any, read the index itself."""
        if not now and self._store and time.monotonic() - self._looked < _POLL_S:
            return
        self._looked = time.monotonic()
        copy = snapshots.newest(self.database, self.copies)
        if copy is None or (self._store and self._store.path == copy):
            if copy is None and self._store is None and self.database.exists():
                with contextlib.suppress(FlopwatchError):
                    self._use(Store(self.database, read_only=True))
            return
        with contextlib.suppress(FlopwatchError):  # removed since, or not readable: the next one will be
            self._use(Store(copy, read_only=True))

    def _holds(self, store: Store, wanted: Sequence[str]) -> bool:
        if not wanted:
            return True
        rows = store.query(
            "SELECT count(*) AS held FROM entry WHERE sha256 IN (SELECT unnest(?))", [list(wanted)]
        )
        return int(rows[0]["held"]) == len(set(wanted))

    # -- recording ---------------------------------------------------------------------------------------------

    def accept(
        self, content: bytes, limit_bytes: int = LIMIT_BYTES, machine: str | None = None
    ) -> tuple[Receipt, bool]:
        """Check and record a run file, as :meth:`data.intake.Intake.accept` does it for this ledger."""
        return self.intake.accept(content, limit_bytes, machine)

    def _hand_over(self, sha256: str, arrival: bytes) -> None:
        if self.owned:
            self._handover.give(sha256, arrival)

    def _held_by(self, run_id: str) -> list[str]:
        return [row["sha256"] for row in self.query("SELECT sha256 FROM run WHERE run_id = ?", [run_id])]

    def state(self, record: entries.Record) -> Entry:
        """Append a statement (withdrawal, annotation, …) to the ledger; as the owner, index it at once."""
        entry = self.ledger.append(*entries.encode(record))
        self.sync()
        return entry

    def close(self) -> None:
        """Let go of everything; whoever waits can own the index now."""
        self._stop.set()
        if self._follower and self._follower is not threading.current_thread():
            self._follower.join()
        with self._turn, self._lock:
            self._store = None
            for store in self._borrowed:
                store.close()
            self._borrowed.clear()
            self._ownership.release()
        self.ledger.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def record(run_file: Path) -> Receipt:
    """Append a run file to the ledger, and index it if the index is free; else its owner will.

    Raises RunFileError for a file that is not right, StorageError where the ledger cannot be written.  What goes
    wrong after that is told by the receipt's note: the ledger has the file, and the index follows.
    """
    receipt = record_in_ledger(run_file)
    try:
        with Index() as index:
            if not index.own():
                return receipt.with_note(f"in the ledger; {index.problem or f'{index.owner} will index it'}")
            if index.problem:
                return receipt.with_note(f"in the ledger, but not indexed yet: {index.problem}")
            return receipt.with_note("stored and indexed", indexed=True)
    except FlopwatchError as error:
        return receipt.with_note(f"in the ledger, but not indexed: {error}")
