"""BLAS libraries against plain loops, beside what was expected of them."""

from data.report import cells
from data.report.context import Context
from data.report.model import Section, Table

__all__ = ["section"]


def section(context: Context) -> Section:
    """Expected against measured."""
    rows = context.find("matmul", "attention-scores")
    fast = [row for row in rows if row["variant"] == "blas" and row["condition"] == "given"]
    found = Section("blas", "BLAS: expected and measured")
    table = Table(
        "blas",
        "How many times faster than plain loops on one thread",
        [
            *("case", "backend", "threads", "plain loops", "BLAS", "speedup", "interval of speedup"),
            *("expected speedup", "verdict on speedup", "expected time", "verdict on time"),
        ],
        right=frozenset({"threads", "plain loops", "BLAS", "speedup", "interval of speedup"}),
    )
    for row in fast:
        case = row["case_id"]
        old = context.one(rows, case_id=case, variant="naive", threads=1)
        ratio = context.speedup(row, old)
        faster, quick = (context.claim(case, "blas", quantity) for quantity in ("speedup", "time"))
        low_ms, high_ms = (row[end] and row[end] / 1e6 for end in ("low_ns", "high_ns"))
        table.rows.append(
            [
                *(case, row["backend"], str(row["threads"]), cells.time(old), cells.times(row)),
                *cells.speedup(ratio),
                cells.expected(faster),
                cells.verdict(ratio.low, ratio.high, faster) if ratio else cells.NONE,
                *(cells.expected(quick), cells.verdict(low_ms, high_ms, quick)),
            ]
        )
    if table.rows:
        found.text.append(
            "The expectations are the published ones, which are about one thread of plain loops. A verdict holds an "
            "interval against them: holds (inside), exceeded (better), falls short (worse), else inconclusive."
        )
        found.tables.append(table)
        found.command = context.command("matmul/*", "attention-scores/*")
    return found
