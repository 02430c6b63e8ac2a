"""BLAS libraries against plain loops, beside what was expected of them."""

from data.report import cells
from data.report.context import Context, Row
from data.report.model import Section, Table

__all__ = ["section"]


def _baseline(context: Context, rows: list[Row], row: Row) -> Row | None:
    """The loops with as many threads: the naive ones for one thread, the parallel ones for several."""
    variant = "naive" if row["threads"] == 1 else "naive-parallel"
    return context.one(
        rows, case_id=row["case_id"], variant=variant, threads=row["threads"], device=row["device"]
    )


def section(context: Context) -> Section:
    """Expected against measured."""
    rows = context.find("matmul", "attention-scores")
    fast = [row for row in rows if row["variant"] == "blas" and row["condition"] == "given"]
    found = Section("blas", "BLAS: expected and measured")
    table = Table(
        "blas",
        "How many times faster than plain loops with as many threads",
        [
            *("case", "backend", "threads", "plain loops", "BLAS", "speedup", "interval of speedup"),
            *("expected speedup", "expected time", "verdict"),
        ],
        right=frozenset({"threads", "plain loops", "BLAS", "speedup", "interval of speedup"}),
    )
    for row in fast:
        old = _baseline(context, rows, row)
        ratio = context.ratios.speedup(row, old) if old else None
        value, interval = cells.speedup(ratio)
        expected = context.published.expectation(row["case_id"])
        judged = cells.verdict(ratio.low, ratio.high, expected.speedup) if ratio and expected else cells.NONE
        table.rows.append(
            [
                *(row["case_id"], row["backend"], str(row["threads"]), cells.time(old), cells.times(row)),
                *(value, interval),
                "{:g} – {:g}x".format(*expected.speedup) if expected else cells.NONE,
                "{:g} – {:g} ms".format(*expected.time_ms) if expected and expected.time_ms else cells.NONE,
                judged,
            ]
        )
    if table.rows:
        found.text.append(
            "The expectation is the published one; a verdict holds the interval of the measured speedup against it: "
            "holds (inside), exceeded (above), falls short (below), else inconclusive."
        )
        found.tables.append(table)
        found.command = context.command("matmul/*", "attention-scores/*")
    return found
