"""Rows of the index from documents: everything is appended in bulk, the raw samples by DuckDB's own JSON reader."""

# ruff: noqa: S608 - names of tables and columns are constants of this module
import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import duckdb
import msgspec

from data import places
from data.entries import Record
from data.errors import BadInput
from data.ledger import Entry, Ledger
from data.records import Run
from data.rundocument import KINDS, RunDocument, whole_lines
from data.summary import Key, Summary

__all__ = [
    "insert_runs",
    "insert_statements",
    "longest_line",
    "measurement_id",
    "measurement_rows",
    "series_id",
]

Cursor = duckdb.DuckDBPyConnection

_CELL = ("kernel", "case_id", "variant", "condition", "backend", "device", "threads")
#: Columns of the table measurement that are fields of a summary under the same name.
_FIELDS = tuple(field.name for field in fields(Summary) if field.name not in (*_CELL, "case", "attributes"))
_fields_of = attrgetter(*_FIELDS)
#: Longer lines must be announced to DuckDB's JSON reader.
_USUAL_LINE = 16 << 20

_SAMPLE_COLUMNS = {
    "kind": "VARCHAR",
    "case": "VARCHAR",
    "variant": "VARCHAR",
    "condition": "VARCHAR",
    "backend": "VARCHAR",
    "device": "VARCHAR",
    "threads": "INTEGER",
    "process": "INTEGER",
    "status": "VARCHAR",
    "first_call_ns": "BIGINT",
    "samples": "STRUCT(batch BIGINT, time_ns BIGINT[], clean BOOLEAN[], cpu_ns BIGINT[], switches BIGINT[], "
    "probe_ns BIGINT[], round BIGINT[])",
    "attributes": "JSON",
}


class Loaded(NamedTuple):
    """A run to insert: its entry, what its file says besides measured lines, and the rows of these.

    ``sampled`` is how many lines have samples, or None if those stay in the ledger; ``longest`` bounds a line's length.
    """

    entry: Entry
    document: RunDocument
    rows: Sequence[tuple[Any, ...]]
    sampled: int | None
    longest: int


Numbered = tuple[int, Loaded]


def _hash(*parts: object) -> str:
    return hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).hexdigest()


def measurement_id(run_id: str, key: Key) -> str:
    """Return the name of a measurement: 16 hexadecimal digits from its run and what it measures."""
    return _hash(run_id, *key)


def series_id(machine_id: str, key: Key) -> str:
    """Return the name of a series: 16 hexadecimal digits from the machine and what is measured."""
    return _hash(machine_id, *key)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _append(cursor: Cursor, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        appender = cursor.appender(table)
        appender.append_rows(rows)
        appender.flush()


def insert_statements(cursor: Cursor, statements: Sequence[tuple[Entry, Record]]) -> None:
    """Insert statements; one that is held under the same id (sent twice in other words) is left as it is."""
    for entry, record in statements:
        subject = next(
            (
                value
                for name in ("withdrawal", "run", "series", "machine")
                if isinstance(value := getattr(record, name, None), str)
            ),
            None,
        )
        cursor.execute(
            "INSERT INTO statement VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [record.id, entry.kind, entry.sha256, record.at, record.by, subject, _json(record)],
        ).fetchall()


def insert_runs(cursor: Cursor, loaded: Sequence[Loaded], ledger: Ledger) -> int:
    """Insert runs with all that belongs to them; return the first number given, which later runs exceed."""
    first: int = cursor.execute("SELECT coalesce(max(run), 0) + 1 FROM run").fetchall()[0][0]
    numbered = list(enumerate(loaded, first))
    if not numbered:
        return first
    _insert_descriptions(cursor, [one.document.run for one in loaded])
    _append(cursor, "run", [_run_row(number, one) for number, one in numbered])
    _append(
        cursor, "process", [row for number, one in numbered for row in _process_rows(number, one.document)]
    )
    _append(cursor, "note", [row for number, one in numbered for row in _note_rows(number, one.document)])
    _insert_measurements(cursor, numbered)
    _insert_samples(cursor, numbered, ledger)
    return first


def _insert_descriptions(cursor: Cursor, runs: Sequence[Run]) -> None:
    """Keep the description of each machine and environment that its newest run gives."""
    newest = sorted(runs, key=lambda run: (run.started, run.id))
    machines = {run.machine.id: run for run in newest}
    environments = {run.environment.id: run for run in newest}
    cursor.execute("CREATE OR REPLACE TEMP TABLE new_machine AS FROM machine LIMIT 0").fetchall()
    cursor.execute("CREATE OR REPLACE TEMP TABLE new_environment AS FROM environment LIMIT 0").fetchall()
    _append(cursor, "new_machine", [_machine_row(run) for run in machines.values()])
    _append(cursor, "new_environment", [_environment_row(run) for run in environments.values()])
    for table, key in (("machine", "machine_id"), ("environment", "environment_id")):
        cursor.execute(
            f"DELETE FROM new_{table} AS n USING {table} AS o WHERE n.{key} = o.{key} AND n.described < o.described"
        ).fetchall()
        cursor.execute(f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM new_{table})").fetchall()
        cursor.execute(f"INSERT INTO {table} FROM new_{table}").fetchall()


def _machine_row(run: Run) -> tuple[Any, ...]:
    machine = run.machine
    return (
        *(machine.id, machine.name, None, None, machine.cpu_model, machine.cores, machine.threads),
        *(machine.memory_bytes, machine.devices, _json(machine.attributes), run.started),
    )


def _environment_row(run: Run) -> tuple[Any, ...]:
    found = run.environment
    return (
        *(found.id, found.interpreter, _json(found.packages), _json(found.blas)),
        *(_json(found.attributes), run.started),
    )


def _run_row(number: int, loaded: Loaded) -> tuple[Any, ...]:
    document = loaded.document
    run, end = document.run, document.end
    version, commit = run.flopwatch.get("version"), run.flopwatch.get("commit")
    return (
        *(number, run.id, loaded.entry.sha256, run.started, end.ended if end else None, document.interrupted),
        *(run.machine.id, run.environment.id, run.profile, run.effort, run.seed, run.command),
        *(_json(run.labels), _json(run.protocol), _json(run.flopwatch)),
        *(None if version is None else str(version), None if commit is None else str(commit)),
        *(0, 0, 0, False, loaded.sampled is not None),
    )


def _process_rows(number: int, document: RunDocument) -> Iterator[tuple[Any, ...]]:
    for process in document.processes:
        yield (
            *(number, process.index, process.block, process.started, process.backends, process.threads),
            _json(process.attributes),
        )


def _note_rows(number: int, document: RunDocument) -> Iterator[tuple[Any, ...]]:
    for note in document.notes:
        yield (number, note.at, note.topic, note.text, _json(note.attributes))


def _insert_measurements(cursor: Cursor, numbered: Sequence[Numbered]) -> None:
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE staged AS "
        f"SELECT run, series_id, machine_id, {', '.join(_CELL)}, measurement_id, {', '.join(_FIELDS)}, attributes "
        "FROM measurement CROSS JOIN series LIMIT 0"
    ).fetchall()
    _append(cursor, "staged", [(number, *row) for number, one in numbered for row in one.rows])
    cursor.execute(
        "INSERT INTO series SELECT (SELECT coalesce(max(series), 0) FROM series) + row_number() OVER (), * FROM ("
        "SELECT series_id, min(machine_id), min(kernel), min(case_id), min(variant), min(condition), min(backend), "
        "min(device), min(threads) FROM staged WHERE series_id NOT IN (SELECT series_id FROM series) "
        "GROUP BY series_id)"
    ).fetchall()
    fields = ", ".join(("run", "series", "measurement_id", "withdrawn", *_FIELDS, "attributes"))
    values = ", ".join(("run", "series", "measurement_id", "false", *_FIELDS, "attributes"))
    cursor.execute(
        f"INSERT INTO measurement ({fields}) SELECT {values} FROM staged JOIN series USING (series_id) "
        "ORDER BY run, series"
    ).fetchall()


def measurement_rows(run: Run, summaries: Iterable[Summary]) -> list[tuple[Any, ...]]:
    """Return what a run measured as rows of plain values, without the number that the index gives the run."""
    rows = []
    for one in summaries:
        key = one.key
        names = (
            series_id(run.machine.id, key),
            run.machine.id,
            one.kernel,
            *key,
            measurement_id(run.id, key),
        )
        rows.append((*names, *_fields_of(one), _json(one.attributes)))
    return rows


def _insert_samples(cursor: Cursor, numbered: Sequence[Numbered], ledger: Ledger) -> None:
    """Insert the raw samples straight from the run files, and check that none was missed."""
    sampled = [(number, one) for number, one in numbered if one.sampled]
    if not sampled:
        return
    expected = sum(one.sampled or 0 for _, one in sampled)
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in _SAMPLE_COLUMNS.items())
    with contextlib.ExitStack() as stack:
        files = [(str(_file(stack, one, ledger)), number) for number, one in sampled]
        cursor.execute("CREATE OR REPLACE TEMP TABLE file (filename VARCHAR, run INTEGER)").fetchall()
        _append(cursor, "file", files)
        inserted: int = cursor.execute(
            "INSERT INTO sample SELECT f.run, s.series, j.process, j.status, j.first_call_ns, "
            "coalesce(j.samples.batch, 1), j.samples.time_ns, j.samples.clean, j.samples.cpu_ns, "
            "j.samples.switches, j.samples.probe_ns, j.samples.round, j.attributes "
            "FROM read_json(?, format = 'newline_delimited', filename = true, maximum_object_size = ?, "
            f"columns = {{{columns}}}) AS j "
            "JOIN file AS f USING (filename) JOIN staged AS t ON t.run = f.run AND t.case_id = j.case "
            "AND t.variant = j.variant AND t.condition = j.condition AND t.backend = j.backend "
            "AND t.device = j.device AND t.threads = j.threads JOIN series AS s ON s.series_id = t.series_id "
            "WHERE j.kind IN ('measurement', 'ceiling') AND j.samples IS NOT NULL",
            [[name for name, _ in files], max(one.longest for _, one in sampled)],
        ).fetchall()[0][0]
    if inserted != expected:
        raise BadInput(
            f"{expected} lines hold samples and {inserted} could be told apart (a field is given twice?)"
        )


def longest_line(content: bytes) -> int:
    """Return a bound on the length of a line that is worth telling the JSON reader."""
    if len(content) <= _USUAL_LINE:
        return _USUAL_LINE
    return max(_USUAL_LINE, *(len(line) + 1 for line in content.split(b"\n")))


def _file(stack: contextlib.ExitStack, loaded: Loaded, ledger: Ledger) -> Path:
    """Return a file of the lines of kinds that are known here: the ledger's own where it is one and has no others."""
    path = ledger.path(loaded.entry.sha256)
    if path and not loaded.document.unknown:
        return path
    places.scratch().mkdir(parents=True, exist_ok=True)
    copy = Path(stack.enter_context(TemporaryDirectory(dir=places.scratch()))) / "known.jsonl"
    content = whole_lines(ledger.read(loaded.entry.sha256))
    if loaded.document.unknown:
        lines = content.split(b"\n")[:-1]
        content = b"".join(line + b"\n" for line in lines if msgspec.json.decode(line)["kind"] in KINDS)
    copy.write_bytes(content)
    return copy
