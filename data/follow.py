"""From the ledger into the index: batches of bounded size, the next one read while the last one is written."""

import contextlib
import gc
import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

from data.ingest import Arrival, take
from data.ledger import Entry, Ledger, open_ledger
from data.processes import empty_main, end_with_parent
from data.store import Store

__all__ = ["SAMPLED_BYTES", "Ready", "follow"]

#: Memory for a batch is a few times its size.  Larger ones are written faster, smaller ones overlap better.
_BATCH_BYTES = 32 << 20
_BATCH_ENTRIES = 2000
_TURN_S = 0.0002
#: So many entries are one task for a reading process; with less to read than this, starting them takes longer.
_PIECE = 4
_WORTH_PROCESSES_BYTES = 64 << 20

Ready = Callable[[str], Arrival | None]
_Read = Callable[[Sequence[Entry], set[str]], Future[list[Arrival]]]

#: The index holds the raw samples of the newest run files up to this size together; all others stay in the ledger,
#: where those who ask find them.  This bounds the index, and the time to copy it.
SAMPLED_BYTES = 64 << 20


def follow(
    store: Store,
    ledger: Ledger,
    *,
    retry: bool = False,
    parallel: bool = False,
    ready: Ready = lambda sha256: None,
    sampled_bytes: int = sys.maxsize,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Index what the ledger got since the last time; return how many entries were new.

    With ``retry``, entries that were refused before are read again.  With ``parallel``, much is read by several
    processes.  ``ready`` may know entries that were read already.  Raw samples are indexed of the newest
    ``sampled_bytes`` at most.  ``progress`` is told how many are done, and of how many.  Raises StorageError where
    ledger or index fail; what was indexed until then stays.
    """
    before = store.setting("cursor")
    found, cursor = ledger.follow(before)
    new = store.unknown(found, retry=retry)
    newest = _within(new, min(SAMPLED_BYTES, sampled_bytes))
    parallel = parallel and sum(entry.size_bytes for entry in new) > _WORTH_PROCESSES_BYTES
    done = 0
    with _undisturbed(), _reading(ledger, parallel, ready) as read:
        for arrivals in _read_ahead(list(_batches(new)), newest, read):
            store.ingest(arrivals, ledger)
            done += len(arrivals)
            progress(done, len(new))
    if done:
        store.trim(SAMPLED_BYTES)
    if cursor != before:
        store.remember("cursor", cursor)
    return done


@contextlib.contextmanager
def _reading(ledger: Ledger, parallel: bool, ready: Ready) -> Iterator[_Read]:
    """Lend a function that begins to read entries, in a thread or in several processes."""
    if not parallel:
        with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as thread:
            yield lambda entries, sampled: thread.submit(_take, ledger, entries, sampled, ready)
        return
    processes = ProcessPoolExecutor(
        mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(ledger.address,)
    )

    def read(entries: Sequence[Entry], sampled: set[str]) -> Future[list[Arrival]]:
        with empty_main():
            return processes.submit(_take_here, entries, sampled)

    with processes:
        yield read


#: The ledger of a reading process.
_here: list[Ledger] = []


def _begin(address: str) -> None:
    gc.disable()
    _here.append(open_ledger(address))
    end_with_parent()


def _take_here(entries: Sequence[Entry], sampled: set[str]) -> list[Arrival]:
    return _take(_here[0], entries, sampled, lambda sha256: None)


def _take(ledger: Ledger, entries: Sequence[Entry], sampled: set[str], ready: Ready) -> list[Arrival]:
    return [_take_one(ledger, entry, entry.sha256 in sampled, ready) for entry in entries]


def _take_one(ledger: Ledger, entry: Entry, samples: bool, ready: Ready) -> Arrival:
    known = ready(entry.sha256)
    if known is None:
        return take(entry, ledger, samples=samples)
    return replace(known, entry=entry, sampled=known.sampled if samples else None)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave the search for cycles until later: reading makes millions of lists and no cycle.

    And let the two threads take turns quickly: each answer of DuckDB waits for the thread that reads.
    """
    enabled, interval_s = gc.isenabled(), sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(interval_s)
        if enabled:
            gc.enable()


def _within(entries: Sequence[Entry], limit_bytes: int) -> set[str]:
    """Return the digests of the newest entries that have so many bytes together."""
    newest: set[str] = set()
    for entry in reversed(entries):
        limit_bytes -= entry.size_bytes
        if limit_bytes < 0:
            break
        newest.add(entry.sha256)
    return newest


def _read_ahead(
    batches: Sequence[Sequence[Entry]], sampled: set[str], read: _Read
) -> Iterator[list[Arrival]]:
    """Read the next batch while the caller works on the last."""

    def begin(batch: Sequence[Entry]) -> list[Future[list[Arrival]]]:
        names = {entry.sha256 for entry in batch} & sampled
        return [read(batch[at : at + _PIECE], names) for at in range(0, len(batch), _PIECE)]

    ahead: list[Future[list[Arrival]]] = []
    for batch in batches:
        last, ahead = ahead, begin(batch)
        if last:
            yield [arrival for part in last for arrival in part.result()]
    if ahead:
        yield [arrival for part in ahead for arrival in part.result()]


def _batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size_bytes = 0
    for entry in entries:
        batch.append(entry)
        size_bytes += entry.size_bytes
        if size_bytes >= _BATCH_BYTES or len(batch) >= _BATCH_ENTRIES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch
