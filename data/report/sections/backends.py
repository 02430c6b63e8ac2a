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


def _expected(context: Context, rows: list[Row]) -> Table:
    table = Table(
        "backend-expectations",
        "Each kind of backend: expected, and the best measured here",
        ["kind", "published", "said to be", "best measured", "interval", "with", "verdict"],
        right=frozenset({"published", "best measured", "interval"}),
    )
    for kind in context.published.backends:
        fitting = [
            r for r in rows if r["variant"] in kind.variants and r["device"] in kind.devices and r["rate"]
        ]
        best = max(fitting, key=lambda row: (float(row["rate_low"] or 0.0), float(row["rate"])), default=None)
        low, high = kind.gflops
        published = f"{low:,.0f} GFLOP/s" if low == high else f"{low:,.0f} – {high:,.0f} GFLOP/s"
        if best is None:
            table.rows.append([kind.name, published, kind.kind, *[cells.NONE] * 3, "not measured"])
            continue
        value, least, most = cells.figures(best["rate"], best["rate_low"], best["rate_high"])
        table.rows.append(
            [
                *(kind.name, published, kind.kind, f"{value} GFLOP/s", f"{least} – {most}"),
                f"{best['case_id']}, {cells.label(best)}, {best['backend']}, threads: {best['threads']}",
                cells.verdict(best["rate_low"], best["rate_high"], kind.gflops),
            ]
        )
    return table


def section(context: Context) -> Section:
    """Two tables of backends."""
    rows = context.find("matmul", "attention-scores")
    found = Section("backends", "Backends")
    if rows:
        found.tables += [_side_by_side(context, rows), _expected(context, rows)]
        found.command = context.command("matmul/*", "attention-scores/*")
    return found
