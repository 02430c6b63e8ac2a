"""What is farthest from what the machine allows."""

from data.report import cells, charts
from data.report.context import Context
from data.report.model import Section, Table

__all__ = ["section"]

_SHOWN = 20


def section(context: Context) -> Section:
    """The best result of each case, ranked by its distance to the ceiling."""
    found = Section("bottlenecks", "Bottlenecks, by distance to the ceiling")
    rows = [row for row in context.rows if row["share_of_ceiling"] is not None]
    best = [context.one(rows, case_id=case) for case in context.cases(rows)]
    ranked = sorted((row for row in best if row), key=lambda row: (row["share_of_ceiling"], row["case_id"]))
    if not ranked:
        return found
    table = Table(
        "bottlenecks",
        "The fastest result of each case, the farthest from its ceiling first",
        ["", "case", "fastest", "rate", "of ceiling", "could be faster", "ceiling", "ceiling's rate"],
        right=frozenset({"", "rate", "of ceiling", "could be faster", "ceiling's rate"}),
    )
    for place, row in enumerate(ranked[:_SHOWN], 1):
        factor = 1 / row["share_of_ceiling"]
        table.rows.append(
            [
                *(str(place), row["case_id"]),
                f"{cells.label(row)}, {row['backend']}, threads: {row['threads']}",
                *(cells.rate(row), cells.share(row), f"{factor:.1f}x" if factor > 1.05 else cells.NONE),
                *(row["ceiling_case"], f"{row['ceiling_rate']:.3g} {row['ceiling_unit']}"),
            ]
        )
    if len(ranked) > _SHOWN:
        table.remarks.append(f"{len(ranked) - _SHOWN} more cases are nearer to their ceilings.")
    found.text.append(
        "A ceiling is the arithmetic or bandwidth that this machine reached in the same run with as many threads and "
        "a like footprint. Above 100 %, the ceiling itself was disturbed, or the data stayed in a cache."
    )
    found.tables.append(table)
    found.charts += charts.shares(context, ranked[:_SHOWN])
    found.command = context.command(*sorted({f"{row['kernel']}/*" for row in ranked}))
    return found
