"""From entries of the ledger to rows of the index: a batch happens as a whole or not at all.

The order of arrival does not matter.  Of several files of one run the complete one counts, then the longest (so that
an interrupted file is superseded by its continuation), and statements hold for runs before and after them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from data import derived
from data.entries import Record, decode
from data.errors import FlopwatchError
from data.ledger import RUN, Entry, Ledger
from data.rows import Loaded, insert_runs, insert_statements, longest_line, measurement_rows
from data.rundocument import RunDocument, read_times, whole_lines
from data.summary import Summary, summarise

__all__ = ["APPLIED", "CONFLICT", "REFUSED", "SUPERSEDED", "Arrival", "apply", "arrival_of", "take"]

APPLIED, SUPERSEDED, CONFLICT, REFUSED = "applied", "superseded", "conflict", "refused"

Cursor = duckdb.DuckDBPyConnection


@dataclass
class Arrival:
    """An entry that was read: a run with rows for its measurements, a statement, or what is wrong with it.

    ``document`` is without its content and its measured lines, which the rows stand for; ``sampled`` counts those with
    samples, or is None if the samples shall stay in the ledger, and ``longest`` bounds the length of a line in bytes.
    """

    entry: Entry
    document: RunDocument | None = None
    rows: Sequence[tuple[Any, ...]] = ()
    sampled: int | None = 0
    longest: int = 0
    statement: Record | None = None
    state: str = APPLIED
    message: str | None = None

    @property
    def subject(self) -> str | None:
        """The run it holds, or the id of the statement."""
        if self.document:
            return self.document.run.id
        return self.statement.id if self.statement else None

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Of two files of one run, the one with the higher rank counts."""
        complete = self.document is not None and not self.document.interrupted
        return (complete, self.entry.size_bytes, self.entry.sha256)


def take(entry: Entry, ledger: Ledger, *, samples: bool = True) -> Arrival:
    """Read an entry, with or without its raw samples for the index.

    What cannot be used is refused with the reason, and stops nothing else.
    """
    try:
        content = ledger.read(entry.sha256)
        if entry.kind != RUN:
            return Arrival(entry, statement=decode(content))
        document = read_times(content)
        arrival = arrival_of(entry, document, summarise(document))
        return arrival if samples else replace(arrival, sampled=None)
    except FlopwatchError as error:
        return Arrival(entry, state=REFUSED, message=str(error))
    except (ArithmeticError, TypeError, ValueError) as error:
        return Arrival(entry, state=REFUSED, message=f"cannot be summarised: {error}")


def arrival_of(entry: Entry, document: RunDocument, summaries: Sequence[Summary]) -> Arrival:
    """Return a run that was read, with the summaries of its measurements, as the index takes it."""
    rows = measurement_rows(document.run, summaries)
    sampled = len([line for line in document.lines if line.samples])
    bare = replace(document, lines=[], content=b"")
    return Arrival(entry, bare, rows, sampled, longest_line(document.content))


def apply(cursor: Cursor, arrivals: Sequence[Arrival], ledger: Ledger) -> None:
    """Bring arrivals into the index, inside the transaction of the caller."""
    statements = [arrival for arrival in arrivals if arrival.statement]
    runs, replaced = _resolve(cursor, [arrival for arrival in arrivals if arrival.document], ledger)
    changed = derived.remove_runs(cursor, replaced)
    insert_statements(
        cursor, [(arrival.entry, arrival.statement) for arrival in statements if arrival.statement]
    )
    loaded = [Loaded(a.entry, a.document, a.rows, a.sampled, a.longest) for a in runs if a.document]
    first = insert_runs(cursor, loaded, ledger)
    _remember(cursor, arrivals)
    derived.name_machines(cursor)
    changed |= derived.withdraw(
        cursor, first, [arrival.statement for arrival in statements if arrival.statement]
    )
    derived.add_newest(cursor, first)
    derived.find_newest(cursor, changed)
    derived.count(cursor, first)


def _resolve(cursor: Cursor, arrivals: Sequence[Arrival], ledger: Ledger) -> tuple[list[Arrival], list[int]]:
    """Decide which files of each run count: return these, and the numbers of held runs that they replace."""
    best: dict[str, Arrival] = {}
    for arrival in arrivals:
        run_id = arrival.subject or ""
        best[run_id] = max(best.get(run_id, arrival), arrival, key=lambda candidate: candidate.rank)
    replaced: list[int] = []
    held = cursor.execute(
        "SELECT run, run_id, sha256, interrupted, size_bytes FROM run JOIN entry USING (sha256) "
        "WHERE run_id IN (SELECT unnest(?))",
        [list(best)],
    ).fetchall()
    for number, run_id, sha256, interrupted, size_bytes in held:
        if best[run_id].rank > (not interrupted, size_bytes, sha256):
            replaced.append(number)
        else:
            best[run_id] = take(Entry(sha256, RUN, best[run_id].entry.received, size_bytes), ledger)
    for arrival in arrivals:
        _judge(arrival, best[arrival.subject or ""], ledger)
    _judge_held(cursor, best, replaced, ledger)
    return [arrival for arrival in best.values() if any(arrival is new for new in arrivals)], replaced


def _judge(arrival: Arrival, winner: Arrival, ledger: Ledger) -> None:
    """Say what becomes of a file beside the one that counts."""
    if arrival.entry.sha256 == winner.entry.sha256:
        return
    if _continues(winner, arrival, ledger):
        arrival.state, arrival.message = SUPERSEDED, f"continued in {winner.entry.sha256}"
    else:
        arrival.state = CONFLICT
        arrival.message = f"another file of run {winner.subject} counts: {winner.entry.sha256}"


def _continues(winner: Arrival, arrival: Arrival, ledger: Ledger) -> bool:
    """Whether the file that counts begins with all whole lines of the other; the unreadable begins with nothing."""
    try:
        shorter = whole_lines(ledger.read(arrival.entry.sha256))
        return whole_lines(ledger.read(winner.entry.sha256)).startswith(shorter)
    except FlopwatchError:
        return False


def _judge_held(cursor: Cursor, best: dict[str, Arrival], replaced: Iterable[int], ledger: Ledger) -> None:
    rows: list[tuple[str, str]] = cursor.execute(
        "SELECT sha256, run_id FROM run WHERE run IN (SELECT unnest(?::INTEGER[]))", [list(replaced)]
    ).fetchall()
    for sha256, run_id in rows:
        known = best[run_id]
        arrival = take(Entry(sha256, RUN, known.entry.received, 0), ledger)
        _judge(arrival, known, ledger)
        cursor.execute(
            "UPDATE entry SET state = ?, message = ? WHERE sha256 = ?",
            [arrival.state, arrival.message, sha256],
        ).fetchall()


def _remember(cursor: Cursor, arrivals: Sequence[Arrival]) -> None:
    rows: list[tuple[Any, ...]] = [
        (
            arrival.entry.sha256,
            arrival.entry.kind,
            arrival.entry.received.isoformat(),
            arrival.entry.size_bytes,
            arrival.state,
            arrival.subject,
            arrival.message,
        )
        for arrival in arrivals
    ]
    cursor.execute(
        "DELETE FROM entry WHERE sha256 IN (SELECT unnest(?))", [[row[0] for row in rows]]
    ).fetchall()
    appender = cursor.appender("entry")
    appender.append_rows(rows)
    appender.flush()
