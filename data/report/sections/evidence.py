"""What went wrong, what was not measured, how noisy it was, and how it was measured."""

from collections.abc import Sequence
from itertools import groupby

from data.report import cells
from data.report.context import Context
from data.report.model import Section, Table

__all__ = ["absent", "method", "noise", "problems"]

_WRONG = ("wrong", "impossible", "failed", "timeout", "interrupted")
_ABSENT = ("unsupported", "unavailable", "skipped")


def problems(context: Context) -> Section:
    """Results that are no speeds."""
    rows = [row for row in context.rows if row["status"] in _WRONG]
    found = Section("problems", "What went wrong")
    if rows:
        table = Table(
            "problems",
            "Measurements without a time",
            ["case", "variant", "backend", "threads", "status", "reason"],
        )
        table.rows = [
            [
                *(row["case_id"], cells.label(row), row["backend"], str(row["threads"]), row["status"]),
                row["reason"] or cells.NONE,
            ]
            for row in rows
        ]
        found.tables.append(table)
    return found


def absent(context: Context) -> Section:
    """What was not measured, and why, gathered by reason."""
    rows = [row for row in context.rows if row["status"] in _ABSENT]
    found = Section("absent", "What was not measured, and why")
    if not rows:
        if any("imported" not in row["flags"] for row in context.rows):
            found.text.append("Everything that the runs planned was measured.")
        return found

    def why(row: dict[str, object]) -> tuple[str, str, str, str]:
        return str(row["backend"]), str(row["status"]), str(row["reason"] or ""), str(row["install"] or "")

    table = Table(
        "absent",
        "Not measured",
        ["backend", "status", "cells", "cases", "reason", "how to get it"],
        right=frozenset({"cells"}),
    )
    for key, group in groupby(sorted(rows, key=why), key=why):
        members = list(group)
        kernels = sorted({str(row["kernel"]) for row in members})
        backend, status, reason, install = key
        table.rows.append(
            [
                *(backend, status, str(len(members)), cells.listed(kernels)),
                *(reason or cells.NONE, install or cells.NONE),
            ]
        )
    found.tables.append(table)
    return found


def noise(context: Context) -> Section:
    """How wide the intervals are, how much was disturbed, and the noise floor where it was measured."""
    rows = [row for row in context.rows if row["time_ns"] is not None and row["processes"]]
    found = Section("noise", "Noise")
    if not rows:
        return found
    widths = sorted(
        (row["high_ns"] - row["low_ns"]) / 2 / row["time_ns"] for row in rows if row["low_ns"] is not None
    )
    clean = sorted(row["clean_share"] for row in rows if row["clean_share"] is not None)
    floors = [row for row in rows if row["noise_floor"] is not None]
    if widths:
        found.text.append(
            f"Half of the {len(widths)} intervals are narrower than ±{widths[len(widths) // 2]:.1%} of their time, "
            f"nine of ten narrower than ±{widths[int(0.9 * len(widths))]:.1%}."
        )
    if len(widths) < len(rows):
        found.text.append(f"{len(rows) - len(widths)} results have too few processes for an interval.")
    if clean:
        found.text.append(
            f"In the median result, {clean[len(clean) // 2]:.0%} of the samples showed no cause of disturbance."
        )
    if not floors:
        found.text.append("No call was measured against itself; flopwatch run --aa measures the noise floor.")
        return found
    table = Table(
        "noise-floor",
        "Noise floor: how far from 1 the ratio of a call to itself lay (A/A)",
        ["case", "variant", "backend", "threads", "noise floor"],
        right=frozenset({"threads", "noise floor"}),
    )
    for row in sorted(floors, key=lambda row: -float(row["noise_floor"])):
        floor = f"{row['noise_floor']:.1%}"
        table.rows.append([row["case_id"], cells.label(row), row["backend"], str(row["threads"]), floor])
    found.tables.append(table)
    return found


def method(contexts: Sequence[Context]) -> Section:
    """How these numbers came about."""
    checked = [row for one in contexts for row in one.rows if row["max_relative_error"] is not None]
    text = [
        (
            "Each number is the median over fresh processes of the median of each process's undisturbed calls; its "
            "interval is the Hettmansperger-Sheather interval over processes, since samples of one process are no "
            "independent replicates."
        ),
        (
            "Variants that can share a process are timed in interleaved, randomised rounds and compared pair by pair; "
            "a speedup is the median of these ratios, which is why it can differ from the ratio of the two times."
        ),
    ]
    if checked:
        text.append(
            f"{len(checked)} answers were compared with a float64 reference before they were timed; "
            "a wrong answer has no time."
        )
    text.append("docs/method.md describes the method in full.")
    return Section("method", "Method", text)
