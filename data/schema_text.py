"""What docs/ says of views and run files, written from schema.sql and the records: ``python -m data.schema_text``."""

# ruff: noqa: S608 - what is put into the SQL is a constant of this module
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from data.rundocument import json_schema
from data.store import Store

__all__ = ["describe_columns", "publish", "schema_markdown"]

_HEAD = """# The index: views and tables

`flopwatch.duckdb` is a DuckDB file made from the ledger. It can be thrown away and made again: `flopwatch db rebuild`.
While a process owns it, open the newest file in `snapshots/` instead, which is a whole copy:

```sql
ATTACH 'snapshots/….duckdb' AS f (READ_ONLY); USE f;
SELECT case_id, variant, backend, rate, unit FROM latest WHERE status = 'ok' ORDER BY case_id, rate DESC;
```

The views are the contract: columns may be added, and none is renamed or removed without a new version of the schema.
The tables behind them are described for the curious. Times are in nanoseconds, sizes in bytes, moments in UTC.
`at` is a word of DuckDB's SQL: write `"at"`.
"""

#: Where a column of a view gets its sentence from, if it has none of its own.
_SOURCES = ("board", "measurement", "series", "run", "machine", "environment", "sample", "note", "process")
_TABLE = "| column | type | meaning |\n| --- | --- | --- |\n"


def describe_columns(store: Store) -> dict[str, list[tuple[str, str, str]]]:
    """Return (column, type, sentence) for each table and view; the sentence is empty where nobody wrote one."""
    rows = store.query(
        "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal "
        "ORDER BY table_name, column_index"
    )
    written = {(row["table_name"], row["column_name"]): row["comment"] for row in rows if row["comment"]}
    found: dict[str, list[tuple[str, str, str]]] = {}
    for row in rows:
        table, column = row["table_name"], row["column_name"]
        sentences = (written.get((source, column)) for source in (table, *_SOURCES))
        sentence = next((text for text in sentences if text), "")
        found.setdefault(table, []).append((column, row["data_type"], sentence))
    return found


def schema_markdown(store: Store) -> str:
    """Return docs/schema.md."""
    columns = describe_columns(store)
    parts = [_HEAD]
    for title, kind in (("Views", "views"), ("Tables", "tables")):
        parts.append(f"\n## {title}\n")
        rows = store.query(
            f"SELECT {kind[:-1]}_name AS name, comment FROM duckdb_{kind}() WHERE NOT internal"
        )
        for row in sorted(rows, key=lambda row: str(row["name"])):
            parts.append(
                f"\n### {row['name']}\n\n{row['comment']}\n\n| column | type | meaning |\n| --- | --- | --- |\n"
            )
            parts += [f"| {name} | {kind} | {text} |\n" for name, kind, text in columns[row["name"]]]
    return "".join(parts)


def publish(folder: Path) -> None:
    """Write schema.md and run-file.schema.json into ``folder``."""
    with TemporaryDirectory() as scratch, Store(Path(scratch) / "index.duckdb") as store:
        (folder / "schema.md").write_text(schema_markdown(store), encoding="utf-8")
    schema = msgspec.json.format(msgspec.json.encode(json_schema()), indent=2)
    (folder / "run-file.schema.json").write_bytes(schema + b"\n")


if __name__ == "__main__":
    publish(Path(__file__).parents[1] / "docs")
