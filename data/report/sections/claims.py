"""Published claims and plans, each with what this machine says about it."""

from data.report import cells
from data.report.context import Context
from data.report.model import Section, Table

__all__ = ["section"]


def section(context: Context) -> Section:
    """Every claim with its verdict, then the items of the publication's own plan."""
    found = Section("claims", "Published claims, and their verdicts here")
    if not context.native:
        return found
    table = Table(
        "claims",
        "Claims",
        [
            *("claim", "statement", "verdict", "backend", "measured", "interval"),
            *("published", "said to be", "in detail"),
        ],
        right=frozenset({"published", "measured", "interval"}),
    )
    for one in context.findings:
        claim = one.claim
        measured = interval = cells.NONE
        if one.estimate is not None:
            value, low, high = cells.figures(one.estimate, one.low, one.high)
            measured = f"{value}{cells.unit(claim)}"
            interval = cells.NONE if one.low is None else f"{low} – {high}"
        table.rows.append(
            [
                *(claim.id, claim.statement, one.verdict.value, one.backend or cells.NONE),
                *(measured, interval, cells.expected(claim), claim.kind),
                one.sentence.partition(": ")[2],
            ]
        )
    found.tables.append(table)
    items = [item for publication in context.publications for item in publication.item]
    if items:
        plan = Table("plan", "The publication's own status and plan", ["said to be", "item"])
        plan.rows = [[item.state, item.text] for item in items]
        plan.remarks.append("Each item that can be measured is one of the claims above.")
        found.tables.append(plan)
    found.text.append(
        "Of several cases, the worst verdict counts. Not comparable here: this machine lacks what the claim is about."
    )
    return found
