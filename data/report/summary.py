"""The first screen of a report: where, what, how many, and the figures that matter most."""

from collections import Counter
from typing import Any

from data.report import cells
from data.report.context import Context, Row
from data.report.model import Table

__all__ = ["counts", "highlights", "key_figures"]

_ABSENT = ("unsupported", "unavailable", "skipped")


def counts(contexts: list[Context]) -> Table:
    """One row a machine: what was measured there, and how it went."""
    table = Table(
        "summary",
        "What was measured",
        ["machine", "processor", "cores", "memory", "newest run", "ok", "wrong or failed", "not measured"],
        right=frozenset({"cores", "memory", "ok", "wrong or failed", "not measured"}),
    )
    for context in contexts:
        machine = context.machine
        states = Counter(str(row["status"]) for row in context.rows)
        absent = sum(states[name] for name in _ABSENT)
        bad = sum(states.values()) - states["ok"] - absent
        table.rows.append(
            [
                *(machine["machine"], machine["cpu_model"], str(machine["cores"] or "unknown")),
                f"{machine['memory_gib']:g} GiB" if machine["memory_gib"] else "unknown",
                cells.moment(context.runs[0]["started"] if context.runs else None),
                *(str(states["ok"]), str(bad), str(absent)),
            ]
        )
    return table


def _gain(context: Context, new: Row | None, old: Row | None) -> tuple[str, str]:
    return cells.speedup(context.ratios.speedup(new, old) if new and old else None)


def _best(rows: list[Row]) -> Row | None:
    """The row with the highest rate that its interval vouches for."""
    rated = [row for row in rows if row["rate"]]
    return max(rated, key=lambda row: (float(row["rate_low"] or 0.0), float(row["rate"])), default=None)


def _against(context: Context, kernel: str, new: str, old: str, **wanted: Any) -> tuple[Row, Row] | None:
    """Return the pair (new, old) of the largest case that has both with equally many threads; one thread first."""
    rows = [row for row in context.find(kernel) if all(row[name] == value for name, value in wanted.items())]
    cases = context.cases(rows)
    plain = [case for case in cases if case.rpartition("/")[2].isdigit()]
    for case in reversed(plain or cases):
        for threads in sorted({row["threads"] for row in rows if row["case_id"] == case}):
            pair = [context.one(rows, case_id=case, threads=threads, variant=name) for name in (new, old)]
            if pair[0] and pair[1]:
                return pair[0], pair[1]
    return None


_COMPARED = (
    ("BLAS over plain loops", "matmul", "blas", "naive", "2 – 50x by size"),
    ("fused over unfused attention", "attention", "fused", "unfused-fresh", "2 – 10x"),
    ("fused over unfused attention, buffers reused", "attention", "fused", "unfused-inplace", "2 – 10x"),
    ("decoding with a cache over recomputing", "decode", "kv-cache", "recompute", "3 – 10x"),
    ("LayerNorm in one pass over two", "layernorm", "welford", "two-pass", "2 – 4x"),
    ("vector loops over scalar ones", "relu", "simd", "scalar", "8 – 16x with threads"),
    ("fused over unfused GELU", "gelu", "fused", "unfused", "2 – 4x"),
    ("saving: safetensors over indented JSON", "save", "safetensors", "json-pretty", "5 – 10x"),
    ("loading: safetensors over indented JSON", "load", "safetensors", "json-pretty", "8 – 10x"),
)


def key_figures(context: Context) -> Table:
    """The rates and ratios that the published document spoke of, as they are on this machine."""
    table = Table(
        f"figures-{context.machine['machine_id']}",
        f"Key figures of {context.machine['machine']}",
        ["figure", "measured", "interval", "published", "with"],
        right=frozenset({"measured", "interval", "published"}),
    )
    for name, kernel, published in (
        ("fastest matrix product", "matmul", "naive 77 GFLOP/s"),
        ("fastest relu", "relu", "0.7 – 1.0 GElement/s"),
    ):
        best = _best(context.find(kernel))
        if best:
            value, low, high = cells.figures(best["rate"], best["rate_low"], best["rate_high"])
            where = f"{best['case_id']}, {cells.label(best)}, {best['backend']}, threads: {best['threads']}"
            interval = f"{low} – {high}" if best["rate_low"] else cells.NONE
            table.rows.append([name, f"{value} {best['unit']}", interval, published, where])
    for name, kernel, new, old, published in _COMPARED:
        pair = _against(context, kernel, new, old)
        if pair:
            value, interval = _gain(context, *pair)
            where = f"{pair[0]['case_id']}, {pair[0]['backend']}, threads: {pair[0]['threads']}"
            table.rows.append([name, value, interval, published, where])
    return table


def highlights(context: Context) -> list[str]:
    """What a reader must know before any number: results that went wrong, and how wide the intervals are."""
    name = context.machine["machine"]
    lines = []
    bad = [row for row in context.rows if row["status"] not in ("ok", *_ABSENT)]
    if bad:
        worst = cells.listed(f"{row['case_id']} {row['variant']}: {row['status']}" for row in bad[:3])
        lines.append(
            f"{name}: no valid time: {len(bad)} of {len(context.rows)} ({worst}{' …' if len(bad) > 3 else ''})."
        )
    wide = [row for row in context.rows if row["low_ns"] and row["high_ns"] > 1.5 * row["low_ns"]]
    if wide:
        lines.append(
            f"{name}: {len(wide)} of {len(context.rows)} intervals span more than a factor of 1.5; "
            "the machine was busy, or too few processes ran."
        )
    return lines
