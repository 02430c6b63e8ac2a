"""From the schema of an older index to the present one, in order and all or nothing."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from data.errors import SchemaError

__all__ = ["MIGRATIONS", "Migration", "migrate", "require_current"]

_SCHEMA = Path(__file__).with_name("schema.sql")


@dataclass(frozen=True)
class Migration:
    """One step: SQL that brings the schema from ``version - 1`` to ``version``."""

    version: int
    name: str
    sql: str = ""


#: The first is schema.sql itself, which is always the newest schema; a step is added below it for each change.
MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, "beginning"),
    Migration(2, "purposes and reproductions"),
)

#: Where the views begin in schema.sql: they hold nothing, and every migration makes them anew.
_VIEWS = "-- Views:"


def migrate(cursor: duckdb.DuckDBPyConnection, steps: tuple[Migration, ...] = MIGRATIONS) -> int:
    """Bring the schema up to date and return the version it had (0 for a new file).

    Raises SchemaError for an index of a newer version; then, and on any other error, nothing was changed.
    """
    held = _version(cursor)
    newest = steps[-1].version
    if held > newest:
        raise SchemaError(
            f"the index was made by a newer flopwatch (schema {held}, this one knows {newest}): upgrade flopwatch, "
            "or set FLOPWATCH_DB to a new file, which is filled from the ledger"
        )
    if held == newest:
        return held
    cursor.execute("BEGIN").fetchall()
    try:
        if held:
            _drop_views(cursor)
        else:
            cursor.execute(_SCHEMA.read_text(encoding="utf-8")).fetchall()
        for step in steps:
            if step.version > held:
                if held and step.sql:
                    cursor.execute(step.sql).fetchall()
                cursor.execute(
                    "INSERT INTO schema_version VALUES (?, ?, now())", [step.version, step.name]
                ).fetchall()
        if held:
            text = _SCHEMA.read_text(encoding="utf-8")
            cursor.execute(text[text.index(_VIEWS) :]).fetchall()
        cursor.execute("COMMIT").fetchall()
    except BaseException:
        cursor.execute("ROLLBACK").fetchall()
        raise
    return held


def _drop_views(cursor: duckdb.DuckDBPyConnection) -> None:
    for (name,) in cursor.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
        cursor.execute(f'DROP VIEW "{name}"').fetchall()
    cursor.execute("DROP MACRO TABLE IF EXISTS described").fetchall()


def require_current(cursor: duckdb.DuckDBPyConnection) -> None:
    """Raise SchemaError unless the schema is the present one, as where nothing may be changed."""
    held = _version(cursor)
    if held != MIGRATIONS[-1].version:
        raise SchemaError(
            f"the index has schema {held}, and {MIGRATIONS[-1].version} is needed: run flopwatch db info"
        )


def _version(cursor: duckdb.DuckDBPyConnection) -> int:
    tables = cursor.execute(
        "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND database_name = current_database()"
    ).fetchall()
    if not tables:
        return 0
    if ("schema_version",) not in tables:
        raise SchemaError("this DuckDB file is not an index of flopwatch: set FLOPWATCH_DB to another file")
    return int(cursor.execute("SELECT max(version) FROM schema_version").fetchall()[0][0])
