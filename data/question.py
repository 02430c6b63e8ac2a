"""One question in SQL by a person, answered in a process of its own: it reads a copy, and nothing else.

The copy is opened for reading, DuckDB's access to files and networks is off and its settings are locked; rows, memory
and time are bounded, and whoever asked is never left waiting: the process is ended when its time is over.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import snapshots
from data.errors import BadInput, IndexOwned

__all__ = ["ROWS", "SECONDS", "Answer", "answer"]

#: The most rows that are answered, and how long a question may take.
ROWS, SECONDS = 1_000, 10.0
_MEMORY = "512MiB"
#: The most characters of one value and of all values together.
_VALUE, _ALL = 10_000, 4_000_000


@dataclass(frozen=True)
class Answer:
    """Rows with the names and types of their columns; ``cut`` tells whether there were more, or longer, values."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    cut: bool
    seconds: float


def answer(database: Path, copies: Path, sql: str, *, rows: int = ROWS, seconds: float = SECONDS) -> Answer:
    """Answer a question about the newest copy of ``database`` in the folder ``copies``.

    Raises BadInput where the SQL is wrong, asks for what is not allowed, or takes too long, and IndexOwned where there
    is no copy yet.
    """
    if not sql.strip():
        raise BadInput("there is no question; write for example: FROM latest LIMIT 10")
    copy = snapshots.newest(database, copies)
    if copy is None:
        raise IndexOwned("the results are being indexed for the first time; ask again in a moment")
    started = time.monotonic()
    words = [sys.executable, "-I", "-m", "data.question"]
    asked = json.dumps({"copy": str(copy), "sql": sql, "rows": rows})
    try:
        # Nothing that the server was given may be asked for; Windows needs to know where its system is.
        bare = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
        done = subprocess.run(
            words, input=asked, capture_output=True, text=True, timeout=seconds, env=bare, check=False
        )
    except subprocess.TimeoutExpired:
        raise BadInput(
            f"the question took longer than {seconds:g} s and was stopped; narrow it, or ask on your own machine"
        ) from None
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise BadInput(
            f"the question could not be answered: its process ended with status {done.returncode}"
        ) from None
    if "error" in found:
        raise BadInput(found["error"])
    return Answer(**found, seconds=time.monotonic() - started)


def _shown(value: Any) -> tuple[Any, bool]:
    """Return a value as JSON can hold it, and whether it was cut."""
    if value is None or isinstance(value, bool | int):
        return value, False
    if isinstance(value, float):
        return (value if value - value == 0 else str(value)), False
    text = value if isinstance(value, str) else _text(value)
    return text[:_VALUE], len(text) > _VALUE


def _text(value: Any) -> str:
    return json.dumps(value, default=str) if isinstance(value, list | dict) else str(value)


def _take(relation: Any, most: int) -> tuple[list[list[Any]], bool]:
    """Return at most so many rows of a relation, and whether anything was left out."""
    taken: list[list[Any]] = []
    cut, size = False, 0
    for row in relation.limit(most + 1).fetchall():
        if len(taken) == most or size >= _ALL:
            return taken, True
        values = [_shown(value) for value in row]
        taken.append([value for value, _ in values])
        cut = cut or any(short for _, short in values)
        size += sum(len(str(value)) for value, _ in values)
    return taken, cut


def _ask(asked: dict[str, Any]) -> dict[str, Any]:
    import duckdb

    connection = duckdb.connect(
        asked["copy"],
        read_only=True,
        config={
            "enable_external_access": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": _MEMORY,
            "temp_directory": "",
            "threads": 1,
        },
    )
    connection.execute("SET TimeZone = 'UTC'").fetchall()
    connection.execute("SET lock_configuration = true").fetchall()
    try:
        relation = connection.sql(asked["sql"])
        if relation is None:  # a statement without rows, such as a table of this connection's own
            return {"columns": [], "types": [], "rows": [], "cut": False}
        names, types = list(relation.columns), [str(kind) for kind in relation.types]
        rows, cut = _take(_without_zones(relation, names, types), int(asked["rows"]))
    except (duckdb.Error, UnicodeError) as error:
        return {"error": str(error)[:2_000]}
    return {"columns": names, "types": types, "rows": rows, "cut": cut}


def _without_zones(relation: Any, names: list[str], types: list[str]) -> Any:
    """Return a relation whose moments are text: as objects of Python they would need a library of time zones."""
    if not any("TIME ZONE" in kind for kind in types):
        return relation
    if len(set(names)) < len(names):
        return relation.project("COLUMNS(*)::VARCHAR")
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    return relation.project(
        ", ".join(
            f"{name}::VARCHAR AS {name}" if "TIME ZONE" in kind else name
            for name, kind in zip(quoted, types, strict=True)
        )
    )


if __name__ == "__main__":
    print(json.dumps(_ask(json.load(sys.stdin))))  # noqa: T201 - the answer
