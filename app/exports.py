"""Results as files for a browser: a documented view, narrowed, or the whole report."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from app import reading
from data import export
from data.errors import BadInput
from data.index import Index
from data.report.build import build
from data.report.render import render
from data.report.selection import Selection

__all__ = ["FORMATS", "MOST_ROWS", "count", "file_of", "markdown", "report", "views"]

#: format → (suffix, media type)
FORMATS: Mapping[str, tuple[str, str]] = {
    "CSV": ("csv", "text/csv"),
    "Parquet": ("parquet", "application/vnd.apache.parquet"),
    "JSON": ("json", "application/json"),
}
#: A browser takes so many rows at once; for more there is the command.
MOST_ROWS = 1_000_000

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


def _count(index: Index, view: str, selection: Selection) -> int:
    held = views()
    if view not in held:
        raise BadInput(f"there is no view {view!r}; there are {', '.join(held)}")
    runs = selection.run_ids(index) if "run_id" in held[view] else None
    # The name is that of a view that exists.
    sql = f'SELECT count(*) AS rows FROM "{view}"'  # noqa: S608
    if runs is not None:
        sql += " WHERE run_id IN (SELECT unnest(?::VARCHAR[]))"
    return int(index.query(sql, None if runs is None else [runs])[0]["rows"])


def count(view: str, selection: Selection) -> int:
    """Return how many rows an export would have."""
    found: int = reading.ask(_count, view, selection)
    return found


def file_of(view: str, form: str, selection: Selection) -> bytes:
    """Return a view as a file; raises BadInput for an unknown view, and where it has more rows than MOST_ROWS."""
    if count(view, selection) > MOST_ROWS:
        raise BadInput(f"{view} has more than {MOST_ROWS:,} rows; narrow it, or use flopwatch export")
    suffix, _ = FORMATS[form]
    with tempfile.TemporaryDirectory(prefix="flopwatch-") as folder:
        path = Path(folder) / f"export.{suffix}"
        export.export_view(reading.store(), view, path, suffix, selection)
        return path.read_bytes()


def _markdown(index: Index, selection: Selection) -> str:
    """Return the report as Markdown without its charts."""
    return render(build(index, selection, draw=False))


def _report(index: Index, selection: Selection) -> tuple[str, str]:
    """Return the report as Markdown without its charts, and whole as HTML."""
    return _markdown(index, selection), render(build(index, selection), "html")


def markdown(selection: Selection) -> str:
    """Return the report as Markdown without its charts; raises NotFound where nothing is chosen."""
    found: str = reading.ask(_markdown, selection)
    return found


def report(selection: Selection) -> tuple[str, str]:
    """Return the report as Markdown for a preview, and as one file of HTML; raises NotFound where nothing is chosen."""
    found: tuple[str, str] = reading.ask(_report, selection)
    return found
