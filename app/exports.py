"""Results as files: a view, narrowed, written by DuckDB as CSV, Parquet or JSON."""

import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from app import reading
from data.errors import BadInput

__all__ = ["FORMATS", "MOST_ROWS", "Narrowing", "count", "export", "views"]

#: format → (suffix, media type, options of COPY)
FORMATS: Mapping[str, tuple[str, str, str]] = {
    "CSV": ("csv", "text/csv", "FORMAT csv, HEADER true"),
    "Parquet": ("parquet", "application/vnd.apache.parquet", "FORMAT parquet, COMPRESSION zstd"),
    "JSON": ("json", "application/json", "FORMAT json, ARRAY true"),
}
#: A browser takes so many rows at once; for more there is the command.
MOST_ROWS = 200_000

#: machine ids (empty: all) and the earliest start of a run.
Narrowing = tuple[tuple[str, ...], datetime | None]

_VIEWS = """
    SELECT v.view_name AS view, v.comment, list(c.column_name ORDER BY c.column_index) AS columns,
           list(coalesce(c.comment, '') ORDER BY c.column_index) AS comments
    FROM duckdb_views() AS v JOIN duckdb_columns() AS c ON c.table_name = v.view_name AND c.schema_name = v.schema_name
    WHERE NOT v.internal GROUP BY ALL ORDER BY v.view_name
"""


def views() -> dict[str, dict[str, str]]:
    """Return the documented views, each with its columns and their sentences; its own is under ``""``."""
    return {
        str(row["view"]): {"": str(row["comment"] or "")}
        | dict(zip(row["columns"], row["comments"], strict=True))
        for row in reading.ask(_VIEWS)
    }


def _select(view: str, narrowing: Narrowing) -> tuple[str, list[object]]:
    held = views()
    if view not in held:
        raise BadInput(f"there is no view {view!r}; there are {', '.join(held)}")
    machines, start = narrowing
    conditions, parameters = [], list[object]()
    if machines and "machine_id" in held[view]:
        conditions.append("machine_id IN (SELECT unnest(?::VARCHAR[]))")
        parameters.append(list(machines))
    if start is not None and "started" in held[view]:
        conditions.append("started >= ?")
        parameters.append(start)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f'FROM "{view}"{where}', parameters  # the name is that of a view that exists


def count(view: str, narrowing: Narrowing) -> int:
    """Return how many rows an export would have."""
    sql, parameters = _select(view, narrowing)
    with reading.store().cursor() as cursor:
        ((rows,),) = cursor.execute(f"SELECT count(*) {sql}", parameters).fetchall()
    return int(rows)


def export(view: str, form: str, narrowing: Narrowing) -> bytes:
    """Return at most MOST_ROWS rows of a view as a file of format ``form``; raises BadInput for an unknown view."""
    suffix, _, options = FORMATS[form]
    sql, parameters = _select(view, narrowing)
    with tempfile.TemporaryDirectory(prefix="flopwatch-") as folder, reading.store().cursor() as cursor:
        path = Path(folder) / f"export.{suffix}"
        place = str(path).replace("'", "''")
        cursor.execute(f"COPY ({sql} LIMIT {MOST_ROWS}) TO '{place}' ({options})", parameters).fetchall()
        return path.read_bytes()
