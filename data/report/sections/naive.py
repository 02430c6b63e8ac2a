"""Matrix products with plain loops, as the published table had them."""

from data.report import cells, charts
from data.report.context import Context
from data.report.model import Section, Table

__all__ = ["section"]

_NAIVE = ("naive", "naive-parallel")


def section(context: Context) -> Section:
    """Measured loops beside the published ones."""
    rows = context.find("matmul", "attention-scores", where=lambda row: row["variant"] in _NAIVE)
    found = Section("naive", "Matrix products with plain loops")
    if not rows:
        return found
    table = Table(
        "naive",
        "Naive loops (no BLAS): measured here, and published",
        [
            "case",
            "variant",
            "backend",
            "threads",
            "time",
            "interval",
            "rate",
            "of ceiling",
            "published time",
            "published rate",
        ],
        right=frozenset(
            {"threads", "time", "interval", "rate", "of ceiling", "published time", "published rate"}
        ),
    )
    for row in rows:
        figure = context.published(row["case_id"], "naive")
        table.rows.append(
            [
                *(row["case_id"], cells.label(row), row["backend"], str(row["threads"])),
                *(cells.time(row), cells.interval(row)),
                *(
                    cells.rate(row),
                    cells.share(row),
                    cells.published_time(figure),
                    cells.published_rate(figure),
                ),
            ]
        )
    table.remarks.append(
        "Published figures are of one unnamed processor with as many threads as it had; "
        "they stand beside each variant of their case."
    )
    found.text.append("Three loops in i-k-j order, compiled, without fast-math; one thread, and all cores.")
    found.tables.append(table)
    found.charts += charts.matmul(context)
    found.command = context.command("matmul/*", "attention-scores/*")
    return found
