"""All that the views of an index say, in a form that two indexes can be compared by."""

from typing import Any, Protocol

__all__ = ["CONTRACT", "everything"]

#: Views whose rows are results: a withdrawn result is in none of them.
CONTRACT = (
    *(
        "board",
        "latest",
        "ceilings",
        "latest_ceilings",
        "problems",
        "absent",
        "runs",
        "machines",
        "environments",
    ),
    *("samples", "notes", "noise_floors"),
)
OTHERS = ("withdrawn", "withdrawals", "annotations", "decisions")


class Answers(Protocol):
    """What can be asked."""

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Return rows."""


def everything(index: Answers) -> dict[str, list[str]]:
    """Return each view's rows, sorted; without the numbers that mean something inside one index only."""
    found: dict[str, list[str]] = {}
    for view in (*CONTRACT, *OTHERS):
        hidden = {"run", "received"}
        rows = index.query(f"FROM {view}")
        found[view] = sorted(repr({name: row[name] for name in row if name not in hidden}) for row in rows)
    return found
