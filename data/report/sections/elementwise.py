"""Functions of each element in GElement/s, fused against unfused GELU, and softmax."""

from data.report import cells, charts
from data.report.context import Context, Row
from data.report.model import Section, Table

__all__ = ["OPERATIONS", "section"]

OPERATIONS = ("relu", "exp", "sigmoid", "tanh", "gelu", "square", "log", "add", "mul")
_WAYS = ("scalar", "parallel", "simd", "parallel-simd")


def _column(row: Row) -> str:
    """Our own loops are named by how they work, everything else with its library."""
    variant, backend = str(row["variant"]), str(row["backend"])
    return variant if variant in _WAYS and backend == "numba" else f"{variant} {backend}"


def _rates(context: Context, rows: list[Row], condition: str) -> Table:
    others = sorted({_column(row) for row in rows if _column(row) not in _WAYS})
    table = Table(
        f"elementwise-{condition}",
        f"GElement/s with interval, output {condition}",
        ["case", "threads", *_WAYS, *others, "published", "published time"],
        right=frozenset({"threads", *_WAYS, *others, "published", "published time"}),
    )
    for case in context.cases(rows):
        figure = context.published(case, "parallel")
        mine = [row for row in rows if row["case_id"] == case]
        for threads in sorted({row["threads"] for row in mine}):
            here = [row for row in mine if row["threads"] == threads]
            named = {_column(row): row for row in here}
            table.rows.append(
                [
                    *(case, str(threads)),
                    *(cells.rate_with_interval(named.get(name)) for name in (*_WAYS, *others)),
                    f"{figure.rate:g}" if figure and figure.rate else cells.NONE,
                    cells.published_time(figure),
                ]
            )
    return table


def _gelu(context: Context) -> Table:
    table = Table(
        "gelu",
        "GELU in one pass against a chain of array operations",
        [
            "case",
            "condition",
            "threads",
            "unfused",
            "fused",
            "speedup",
            "interval of speedup",
            "published claim",
        ],
        right=frozenset({"threads", "unfused", "fused", "speedup", "interval of speedup"}),
    )
    rows = context.find("gelu")
    for new in [row for row in rows if row["variant"] == "fused"]:
        wanted = {name: new[name] for name in ("case_id", "condition", "threads")}
        old = context.one(rows, variant="unfused", **wanted)
        if old:
            value, interval = cells.speedup(context.speedup(new, old))
            table.rows.append(
                [
                    *(
                        new["case_id"],
                        new["condition"],
                        str(new["threads"]),
                        cells.time(old),
                        cells.time(new),
                    ),
                    *(value, interval, cells.expected(context.claim("gelu/10M", "fused", "speedup"))),
                ]
            )
    return table


def _softmax(context: Context) -> Table:
    table = Table(
        "softmax",
        "Softmax by row",
        ["case", "variant", "backend", "threads", "time", "interval", "rate", "of ceiling"],
        right=frozenset({"threads", "time", "interval", "rate", "of ceiling"}),
    )
    for row in context.find("softmax"):
        table.rows.append(
            [
                *(row["case_id"], cells.label(row), row["backend"], str(row["threads"]), cells.time(row)),
                *(cells.interval(row), cells.rate(row), cells.share(row)),
            ]
        )
    return table


def section(context: Context) -> Section:
    """Rates by operation, then GELU and softmax."""
    rows = context.find(*OPERATIONS)
    found = Section("elementwise", "Functions of each element")
    for condition in ("given", "fresh"):
        mine = [row for row in rows if row["condition"] == condition]
        if mine:
            found.tables.append(_rates(context, mine, condition))
    found.tables += [table for table in (_gelu(context), _softmax(context)) if table.rows]
    if found.tables:
        found.text.append(
            "Scalar is one thread with vectorisation off, parallel the same with threads (the published rows), simd "
            "and parallel-simd use vector instructions, operator is the library's own. Given: the output array is "
            "reused; fresh: a new one each time. Only rows with the same output can be compared."
        )
        found.charts += charts.elementwise(context)
        cases = {f"{row['kernel']}/*" for row in [*rows, *context.find("softmax")]}
        found.command = context.command(*sorted(cases))
    return found
