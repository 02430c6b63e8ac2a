"""Results on their way out: the documented views as tables, Bencher's format, a badge.

A whole board as one archive is the ledger's backup: see :mod:`data.maintenance`.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb

from data.errors import BadInput, NotFound, StorageError
from data.index import Index
from data.report.selection import Selection
from data.rundocument import read
from data.units import format_rate, format_time

__all__ = ["FORMATS", "badge", "bencher", "export_view", "views"]

Row = dict[str, Any]

#: suffix of a file → how DuckDB writes it
FORMATS = {
    "parquet": "FORMAT parquet, COMPRESSION zstd",
    "csv": "FORMAT csv, HEADER",
    "json": "FORMAT json, ARRAY true",
    "jsonl": "FORMAT json",
}

_SAMPLES = "samples"
_TEMPORARY = "exported_samples"


def views(index: Index) -> dict[str, str]:
    """Return the documented views with what each holds."""
    rows = index.query("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal ORDER BY view_name")
    return {str(row["view_name"]): str(row["comment"] or "") for row in rows}


def export_view(index: Index, view: str, path: Path, format_: str, selection: Selection | None = None) -> int:
    """Write the rows of a view that belong to the choice, in a fixed order; return how many there are.

    Raises BadInput for an unknown view or format, StorageError where the file cannot be written.
    """
    known = views(index)
    if view not in known:
        raise BadInput(f"there is no view {view!r}: {', '.join(known)}")
    if format_ not in FORMATS:
        raise BadInput(f"there is no format {format_!r}: {', '.join(FORMATS)}")
    runs = (selection or Selection()).run_ids(index)
    with index.cursor() as cursor:
        source = _all_samples(cursor, index, runs) if view == _SAMPLES else view
        columns = {name for name, *_ in cursor.execute(f"DESCRIBE {view}").fetchall()}
        conditions = []
        if runs is not None and "run_id" in columns:
            cursor.execute(
                "CREATE OR REPLACE TEMP TABLE chosen AS SELECT unnest(?::VARCHAR[]) AS run_id", [runs]
            ).fetchall()
            conditions.append("run_id IN (FROM chosen)")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return _copy(cursor, f"FROM {source}{where} ORDER BY ALL", path, format_)


def _copy(cursor: duckdb.DuckDBPyConnection, query: str, path: Path, format_: str) -> int:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    quoted = str(aside).replace("'", "''")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        count: int = cursor.execute(f"COPY ({query}) TO '{quoted}' ({FORMATS[format_]})").fetchall()[0][0]
        aside.replace(path)
    except OSError as error:
        raise StorageError.from_os(path, error) from error
    except duckdb.IOException as error:
        raise StorageError(path, str(error).splitlines()[0]) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()
    return count


def _all_samples(cursor: duckdb.DuckDBPyConnection, index: Index, runs: list[str] | None) -> str:
    """Return where all raw samples are: the view, or a copy with those that only the ledger holds."""
    rows = index.query(
        "SELECT run, run_id, sha256 FROM run WHERE NOT samples_indexed AND NOT withdrawn ORDER BY run"
    )
    missing = [row for row in rows if runs is None or row["run_id"] in set(runs)]
    if not missing:
        return _SAMPLES
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE {_TEMPORARY} AS FROM {_SAMPLES}").fetchall()
    appender = cursor.appender(_TEMPORARY)
    for row in missing:
        appender.append_rows(list(_from_ledger(index, row)))
    appender.flush()
    return _TEMPORARY


def _from_ledger(index: Index, row: Row) -> Iterator[tuple[Any, ...]]:
    from data.rows import measurement_id

    document = read(index.ledger.read(row["sha256"]))
    blocks = {process.index: process.block for process in document.processes}
    withdrawn = {
        one["measurement_id"]
        for one in index.query("SELECT measurement_id FROM withdrawn WHERE run_id = ?", [row["run_id"]])
    }
    for line in document.lines:
        name = measurement_id(str(row["run_id"]), line.key)
        if line.samples is None or name in withdrawn:
            continue
        held = line.samples
        yield (
            *(name, row["run_id"], row["run"], line.process),
            None if line.process is None else blocks.get(line.process),
            *(
                str(line.status),
                line.first_call_ns,
                held.batch,
                held.time_ns,
                held.clean,
                held.cpu_ns,
                held.switches,
            ),
            *(held.probe_ns, held.round, json.dumps(line.attributes)),
        )


def _name(row: Row) -> str:
    condition = "" if row["condition"] == "given" else f" ({row['condition']})"
    return f"{row['case_id']} {row['variant']}{condition} {row['backend']} {row['device']} threads={row['threads']}"


def _metric(value: float, low: float | None, high: float | None) -> dict[str, float]:
    found = {"value": value}
    if low is not None and high is not None:
        found |= {"lower_value": low, "upper_value": high}
    return found


def bencher(index: Index, selection: Selection | None = None) -> str:
    """Return the newest results in Bencher Metric Format: latency in ns, throughput in calls a second, and the rate.

    With several machines, the machine stands before each name.  Raises NotFound where there is no result.
    """
    rows = [row for row in (selection or Selection()).newest(index) if row["time_ns"] is not None]
    if not rows:
        raise NotFound("no result with a time is in this choice")
    several = len({row["machine_id"] for row in rows}) > 1
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        low, high = row["low_ns"], row["high_ns"]
        measures = {
            "latency": _metric(row["time_ns"], low, high),
            "throughput": _metric(
                1e9 / row["time_ns"], 1e9 / high if high else None, 1e9 / low if low else None
            ),
        }
        if row["rate"] is not None:
            slug = str(row["unit"]).lower().replace("/", "-per-")
            measures[slug] = _metric(row["rate"], row["rate_low"], row["rate_high"])
        found[f"{row['machine']} {row['machine_id']} {_name(row)}" if several else _name(row)] = measures
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def badge(
    index: Index, selection: Selection, wanted: Callable[[Row], bool] = lambda row: True, label: str = ""
) -> str:
    """Return a badge (SVG) of the fastest result in the choice; raises NotFound where there is none."""
    rows = [row for row in selection.newest(index) if row["time_ns"] is not None and wanted(row)]
    if not rows:
        raise NotFound(
            "no result with a time is in this choice; flopwatch export board -o board.csv lists them"
        )
    best = min(rows, key=lambda row: (row["time_ns"], _name(row)))
    if best["rate"] is None:
        value = format_time(best["time_ns"], best["low_ns"], best["high_ns"])
    else:
        value = format_rate(best["rate"], best["unit"], best["rate_low"], best["rate_high"])
    return _drawn(
        label or f"{best['case_id']} {best['variant']}", value, f"{_name(best)}, {best['machine']}: {value}"
    )


def _drawn(label: str, value: str, title: str) -> str:
    from data.report.render import environment

    def width(text: str) -> int:
        return 14 + round(6.3 * len(text))  # textLength makes the text as wide as this says

    template = environment("html").get_template("badge.svg.j2")
    return template.render(label=label, value=value, title=title, left=width(label), right=width(value))
