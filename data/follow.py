"""From the ledger into the index: batches of bounded size, the next one read while the last one is written."""

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from data.ingest import Arrival, take
from data.ledger import Entry, Ledger
from data.store import Store

__all__ = ["SAMPLED_BYTES", "follow"]

#: Memory for a batch is a few times its size.  Larger ones are written faster, smaller ones overlap better.
_BATCH_BYTES = 16 << 20
_BATCH_ENTRIES = 2000
_TURN_S = 0.0002

#: The index holds the raw samples of the newest run files up to this size together; all others stay in the ledger,
#: where those who ask find them.  This bounds the index, and the time to copy it.
SAMPLED_BYTES = 64 << 20


def follow(
    store: Store,
    ledger: Ledger,
    *,
    retry: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Index what the ledger got since the last time; return how many entries were new.

    With ``retry``, entries that were refused before are read again.  ``progress`` is told how many are done, and of
    how many.  Raises StorageError where ledger or index fail; what was indexed until then stays.
    """
    before = store.setting("cursor")
    found, cursor = ledger.follow(before)
    new = store.unknown(found, retry=retry)
    newest = _within(new, SAMPLED_BYTES)
    done = 0
    with _undisturbed():
        for arrivals in _read_ahead(list(_batches(new)), ledger, newest):
            store.ingest(arrivals, ledger)
            done += len(arrivals)
            progress(done, len(new))
    if done:
        store.trim(SAMPLED_BYTES)
    if cursor != before:
        store.remember("cursor", cursor)
    return done


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
    batches: Sequence[Sequence[Entry]], ledger: Ledger, sampled: set[str]
) -> Iterator[list[Arrival]]:
    """Read the next batch while the caller works on the last: DuckDB leaves the interpreter free meanwhile."""

    def take_all(batch: Sequence[Entry]) -> list[Arrival]:
        return [take(entry, ledger, samples=entry.sha256 in sampled) for entry in batch]

    if len(batches) == 1:
        yield take_all(batches[0])
        return
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
        ahead: Future[list[Arrival]] | None = None
        for batch in batches:
            last, ahead = ahead, reader.submit(take_all, batch)
            if last:
                yield last.result()
        if ahead:
            yield ahead.result()


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
