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


def _published(context: Context, row: Row, baseline: str) -> str:
    """Return the range that was published for a variant over another, for this case if there is one of its own."""
    claims = [finding.claim for finding in context.findings if finding.claim.quantity == "speedup"]
    fitting = [
        claim
        for claim in claims
        if claim.subject.variant == row["variant"]
        and claim.baseline
        and claim.baseline.variant == baseline
        and any(case.partition("/")[0] == row["kernel"] for case in claim.cases)
    ]
    exact = [claim for claim in fitting if row["case_id"] in claim.cases]
    if row["kernel"] in ("save", "load"):
        fitting = exact  # what was published of constant weights says nothing of others
    return cells.expected(min(exact or fitting, key=lambda claim: len(claim.cases), default=None))


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
    ("BLAS over plain loops", "matmul", "blas", "naive"),
    ("fused over unfused attention", "attention", "fused", "unfused-fresh"),
    ("fused over unfused attention, buffers reused", "attention", "fused", "unfused-inplace"),
    ("decoding with a cache over recomputing", "decode", "kv-cache", "recompute"),
    ("LayerNorm in one pass over two", "layernorm", "welford", "two-pass"),
    ("vector loops over scalar ones", "relu", "simd", "scalar"),
    ("fused over unfused GELU", "gelu", "fused", "unfused"),
    ("saving: safetensors over indented JSON", "save", "safetensors", "json-pretty"),
    ("loading: safetensors over indented JSON", "load", "safetensors", "json-pretty"),
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
        ("fastest matrix product", "matmul", "77 GFLOP/s, naive"),
        ("fastest relu", "relu", "0.7 – 1.0 GElement/s"),
    ):
        best = _best(context.find(kernel))
        if best:
            value, low, high = cells.figures(best["rate"], best["rate_low"], best["rate_high"])
            where = f"{best['case_id']}, {cells.label(best)}, {best['backend']}, threads: {best['threads']}"
            interval = f"{low} – {high}" if best["rate_low"] else cells.NONE
            table.rows.append([name, f"{value} {best['unit']}", interval, published, where])
    for name, kernel, new, old in _COMPARED:
        pair = _against(context, kernel, new, old)
        if pair:
            value, interval = cells.speedup(context.speedup(*pair))
            published = _published(context, pair[0], old)
            where = f"{pair[0]['case_id']}, {pair[0]['backend']}, threads: {pair[0]['threads']}"
            table.rows.append([name, value, interval, published, where])
    return table


def highlights(context: Context) -> list[str]:
    """What a reader must know before any number: claims, results that went wrong, and how wide the intervals are."""
    name = context.machine["machine"]
    lines = []
    verdicts = Counter(finding.verdict.value for finding in context.findings) if context.native else Counter()
    if verdicts:
        told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
        lines.append(f"{name}: published claims: {told}.")
    bad = [row for row in context.rows if row["status"] not in ("ok", *_ABSENT)]
    if bad:
        worst = cells.listed(f"{row['case_id']} {row['variant']}: {row['status']}" for row in bad[:3])
        lines.append(
            f"{name}: no valid time: {len(bad)} of {len(context.rows)} ({worst}{' …' if len(bad) > 3 else ''})."
        )
    bounded = [row for row in context.rows if row["low_ns"]]
    wide = [row for row in bounded if row["high_ns"] > 1.5 * row["low_ns"]]
    if wide:
        lines.append(
            f"{name}: {len(wide)} of {len(bounded)} intervals span more than a factor of 1.5; "
            "the machine was busy, or too few processes ran."
        )
    return lines
