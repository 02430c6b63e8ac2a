"""Backends side by side: the best of each on every matrix product, and what was expected of each kind."""

from data.report import cells
from data.report.context import Context, Row
from data.report.model import Section, Table

__all__ = ["section"]


def _side_by_side(context: Context, rows: list[Row]) -> Table:
    names = sorted({str(row["backend"]) for row in rows})
    table = Table(
        "backends",
        "Matrix products: the fastest variant of each backend, GFLOP/s",
        ["case", "threads", *names, "fastest"],
        right=frozenset({"threads", *names}),
    )
    for case in context.cases(rows):
        for threads in sorted({row["threads"] for row in rows if row["case_id"] == case}):
            best = {name: context.one(rows, case_id=case, threads=threads, backend=name) for name in names}
            fastest = min((row for row in best.values() if row), key=lambda row: float(row["time_ns"]))
            table.rows.append(
                [
                    *(case, str(threads), *(cells.rate_with_interval(best[name]) for name in names)),
                    f"{fastest['backend']}, {cells.label(fastest)}",
                ]
            )
    return table


def _expected(context: Context) -> Table:
    table = Table(
        "backend-expectations",
        "Rates that were published for kinds of backend, and the best of each here",
        ["kind", "published", "said to be", "backend", "measured", "interval", "verdict"],
        right=frozenset({"published", "measured", "interval"}),
    )
    for one in context.findings:
        claim = one.claim
        if claim.quantity != "rate" or not any(case.startswith("matmul/") for case in claim.cases):
            continue
        measured = interval = cells.NONE
        if one.estimate is not None:
            measured, low, high = cells.figures(one.estimate, one.low, one.high)
            measured, interval = (
                f"{measured} {claim.unit}",
                cells.NONE if one.low is None else f"{low} – {high}",
            )
        table.rows.append(
            [
                *(claim.statement, cells.expected(claim), claim.kind, one.backend or cells.NONE),
                *(measured, interval, one.verdict.value),
            ]
        )
    table.remarks.append(
        "Over several sizes, the measured rate is the geometric mean, its interval that of all of them."
    )
    return table


def section(context: Context) -> Section:
    """Two tables of backends."""
    rows = context.find("matmul", "attention-scores")
    found = Section("backends", "Backends")
    if rows:
        found.tables += [_side_by_side(context, rows), _expected(context)]
        found.command = context.command("matmul/*", "attention-scores/*")
    return found
