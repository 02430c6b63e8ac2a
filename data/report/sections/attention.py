"""Attention with and without a table of scores, and decoding with and without a cache."""

from data.report import cells
from data.report.context import Context
from data.report.model import Section, Table

__all__ = ["section"]

_SPEEDUP = ("speedup", "interval of speedup")


def published(context: Context, case: str, variant: str) -> str:
    """The speedup that was published for a variant, and how sure the source was."""
    claim = context.claim(case, variant, "speedup")
    return f"{cells.expected(claim)} ({claim.kind})" if claim else cells.NONE


def _attention(context: Context) -> Table:
    rows = context.find("attention")
    table = Table(
        "attention",
        "softmax(Q·Kᵀ/√d)·V",
        [
            "case",
            "variant",
            "backend",
            "threads",
            "time",
            "interval",
            "rate",
            "of ceiling",
            *_SPEEDUP,
            "against",
        ],
        right=frozenset({"threads", "time", "interval", "rate", "of ceiling", *_SPEEDUP}),
    )
    for row in rows:
        old = None
        for variant in ("unfused-fresh", "unfused-inplace"):
            old = old or context.one(
                rows, case_id=row["case_id"], threads=row["threads"], device=row["device"], variant=variant
            )
        if old and row["variant"].startswith("unfused"):
            old = None
        value, interval = cells.speedup(context.speedup(row, old) if old else None)
        table.rows.append(
            [
                *(row["case_id"], row["variant"], row["backend"], str(row["threads"]), cells.time(row)),
                *(cells.interval(row), cells.rate(row), cells.share(row), value, interval),
                f"{old['variant']}, {old['backend']}" if old else cells.NONE,
            ]
        )
    table.remarks.append(
        f"Published for fused over unfused attention: {published(context, 'attention/8x512x64', 'fused')}."
    )
    return table


def _decoding(context: Context) -> Table:
    rows = context.find("decode")
    table = Table(
        "decode",
        "Decoding 64 tokens one at a time",
        ["case", "variant", "backend", "threads", "time", "interval", "rate", *_SPEEDUP],
        right=frozenset({"threads", "time", "interval", "rate", *_SPEEDUP}),
    )
    for row in rows:
        wanted = {name: row[name] for name in ("case_id", "threads", "backend", "device")}
        old = context.one(rows, variant="recompute", **wanted) if row["variant"] == "kv-cache" else None
        value, interval = cells.speedup(context.speedup(row, old) if old else None)
        table.rows.append(
            [
                *(row["case_id"], row["variant"], row["backend"], str(row["threads"]), cells.time(row)),
                *(cells.interval(row), cells.rate(row), value, interval),
            ]
        )
    table.remarks.append(
        "The speedup is that of the cache over computing all keys and values again at each token; "
        f"published: {published(context, 'decode/512+64', 'kv-cache')}."
    )
    return table


def section(context: Context) -> Section:
    """Attention and decoding."""
    tables = [table for table in (_attention(context), _decoding(context)) if table.rows]
    if not tables:
        return Section("attention", "Attention")
    return Section(
        "attention", "Attention", tables=tables, command=context.command("attention/*", "decode/*")
    )
