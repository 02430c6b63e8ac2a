"""What the product should reach, and the table of what it does reach."""

from dataclasses import dataclass
from typing import Any

__all__ = ["TARGETS", "Target", "table"]

Kept = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Target:
    """A figure of a part, what it should be at most, or at least where ``floor`` is set; None where nobody has said."""

    part: str
    figure: str
    what: str
    unit: str
    limit: float | None
    floor: bool = False

    def value(self, kept: Kept) -> float | None:
        """Return what was measured, or None."""
        found = kept.get(self.part, {}).get("figures", {}).get(self.figure)
        return None if found is None else float(found)

    def ratio(self, kept: Kept) -> float | None:
        """Return how many times as good as its target a figure is: 1 and more meets it."""
        value = self.value(kept)
        if value is None or not self.limit:
            return None
        better, worse = (value, self.limit) if self.floor else (self.limit, value)
        return better / worse if worse else None

    def met(self, kept: Kept) -> bool | None:
        """Say whether the target is met, or None where it has no target or was not measured."""
        value = self.value(kept)
        if value is None or self.limit is None:
            return None
        return value >= self.limit if self.floor else value <= self.limit


TARGETS = (
    Target("start", "start.help", "`flopwatch --help`, beside a bare Python", "times", 6),
    Target("start", "start.list", "`flopwatch list --json`, beside a bare Python", "times", None),
    Target("start", "start.data", "importing the store and the report, beside a bare Python", "times", None),
    Target(
        "store",
        "ingest.share",
        "making the index, as a share of the speed of parsing and hashing",
        "",
        1 / 3,
        True,
    ),
    Target("store", "ingest.microseconds", "making the index, a measurement of 8 × 25 samples", "µs", None),
    Target("store", "ingest.one_more_s", "one more run of 100 measurements: indexed and published", "s", 1.0),
    Target(
        "store",
        "query.worst_median_ms",
        "the slowest of 23 questions to 1,000,000 measurements, median",
        "ms",
        None,
    ),
    Target(
        "store",
        "query.worst_p95_ms",
        "the slowest of 23 questions to 1,000,000 measurements, p95",
        "ms",
        None,
    ),
    Target(
        "pages", "page.worst_warm_ms", "the slowest page at 1,000,000 measurements, processor time", "ms", 150
    ),
    Target(
        "pages", "page.median_warm_ms", "the median page at 1,000,000 measurements, processor time", "ms", 150
    ),
    Target(
        "pages",
        "page.worst_after_upload_ms",
        "the slowest page after a new upload, processor time",
        "ms",
        None,
    ),
    Target(
        "report",
        "report.one_machine_s",
        "the report of one machine of 50, out of 1,000,000 measurements",
        "s",
        None,
    ),
    Target("detection", "detect.seconds", "change points of 1,000 series of 500 points", "s", 1.0),
    Target("detection", "detect.false_alarms", "false alarms in 1,000 points where nothing changed", "", 0.1),
    Target(
        "overhead", "overhead.matmul", "timed kernel time, as a share of measuring: matmul", "", None, True
    ),
    Target("overhead", "overhead.relu", "timed kernel time, as a share of measuring: relu", "", None, True),
    Target(
        "overhead",
        "overhead.run",
        "timed kernel time, as a share of a whole run with the effort quick",
        "",
        None,
        True,
    ),
    Target("uploads", "upload.per_s", "uploads of 50 clients", "/s", 30, True),
    Target("uploads", "upload.p99_ms", "an upload, p99 with 50 clients at once", "ms", 1000),
    Target("uploads", "upload.lost", "uploads lost or held twice", "", 0),
)

_HEAD = """\
# The product, measured

Written by `just bench`, which measures start-up, ingest, queries, pages, the report, detection, the overhead of
measuring and uploads, and holds each figure against its target. The ratio says how many times as good as its target a
figure is: 1 and more meets it. A figure without a target is there to be watched. `just bench --part store` measures one
part anew and leaves the others; `just benchmarks` runs the single benchmarks, those of the kernels among them.
"""


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _row(target: Target, kept: Kept) -> str:
    value, ratio, met = target.value(kept), target.ratio(kept), target.met(kept)
    limit = (
        "" if target.limit is None else f"{'≥' if target.floor else '≤'} {_text(target.limit)} {target.unit}"
    )
    words = {True: "met", False: "**short**", None: "not measured" if value is None else ""}
    measured = f"{_text(value)} {target.unit if value is not None else ''}"
    cells = (target.what, measured, limit, "" if ratio is None else f"{ratio:.2f}", words[met])
    return "| " + " | ".join(cell.strip() for cell in cells) + " |"


def table(kept: Kept) -> str:
    """Return the document: every figure with its target, what falls short, and when and where it was measured."""
    lines = [_HEAD, "| what | measured | target | ratio | |", "|---|---|---|---|---|"]
    lines += [_row(target, kept) for target in TARGETS]
    short = [target for target in TARGETS if target.met(kept) is False]
    lines += ["", "## What falls short", ""]
    lines += [f"- {one.what}: {_text(one.value(kept))} {one.unit}".rstrip() for one in short] or [
        "Nothing that was measured."
    ]
    lines += [f"- not measured yet: {one.what}" for one in TARGETS if one.value(kept) is None]
    lines += [
        "",
        "## When and where",
        "",
        "| part | date (UTC) | took | machine | beside it |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {part} | {one['date']} | {one['seconds']} s | {one['machine']} | {one['beside']} |"
        for part, one in kept.items()
    ]
    return "\n".join(lines) + "\n"
