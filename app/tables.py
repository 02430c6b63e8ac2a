"""Tables under the charts: numbers that sort as numbers and read with their unit and digits."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from app import texts
from app.formats import METRICS, SAVE_MEMORY
from app.rows import Row

__all__ = [
    "CEILINGS",
    "CLAIMS",
    "DIFFERENCES",
    "DOCUMENTED",
    "EVENTS",
    "EVENTS_TOGETHER",
    "FACTS",
    "FASTEST",
    "FORMATS",
    "HARDWARE",
    "JOBS",
    "MACHINES",
    "MEASUREMENT",
    "MOVED",
    "RECEIPTS",
    "REPRODUCED",
    "RUNS",
    "SPEEDUPS",
    "VERSIONS",
    "Column",
    "csv_of",
    "styled",
]


@dataclass(frozen=True)
class Column:
    """One column: what it sorts by, and how that reads; without ``text`` the value is shown as it is.

    ``moment`` marks a column of times of day, ``sparkline`` one of lists to draw; ``link`` is what stands before the
    shown text in a link's address.
    """

    title: str
    value: Callable[[Row], Any]
    text: Callable[[Row], str] | None = None
    moment: bool = False
    link: str = ""
    sparkline: bool = False


_RUN = "run?run="
_SPEEDUP = ("speedup", "speedup_low", "speedup_high")
_RATIO = ("ratio", "ratio_low", "ratio_high")
_CHANGE = ("ratio", "low", "high")
_TIME = ("time_ns", "low_ns", "high_ns")


def _number(name: str) -> Callable[[Row], float | None]:
    return lambda row: texts.finite(row.get(name))


def _plain(name: str) -> Callable[[Row], Any]:
    return lambda row: row.get(name)


def _rate(row: Row) -> str:
    if row.get("unit") == "s":
        return texts.ABSENT
    return texts.rate(row.get("rate"), row.get("unit"), row.get("rate_low"), row.get("rate_high"))


def _time(row: Row) -> str:
    return texts.time(row.get("time_ns"), row.get("low_ns"), row.get("high_ns"))


def _interval(row: Row) -> str:
    return texts.interval(row.get("time_ns"), row.get("low_ns"), row.get("high_ns"))


def _counted(name: str) -> Column:
    title = name.replace("_", " ").capitalize()
    return Column(title, _number(name), lambda row: f"{texts.finite(row.get(name)) or 0:.0f}")


#: What every table of measurements says, in this order.
MEASUREMENT = (
    Column("Case", _plain("case_id")),
    Column("Backend", _plain("backend")),
    Column("Variant", _plain("variant")),
    Column("Rate", _number("rate"), _rate),
    Column("Of ceiling", _number("share_of_ceiling"), lambda row: texts.share(row.get("share_of_ceiling"))),
    Column("Median time", _number("time_ns"), _time),
    Column("Interval", _interval),
    Column("Error", _number("max_relative_error"), lambda row: texts.error(row.get("max_relative_error"))),
    _counted("processes"),
    _counted("threads"),
    Column("Condition", _plain("condition")),
    Column("Measured", _plain("started"), moment=True),
)


def _pair(row: Row, prefix: str = "") -> str:
    return " · ".join(str(row.get(f"{prefix}{name}") or "?") for name in ("backend", "variant"))


def _listed(name: str) -> Callable[[Row], str]:
    return lambda row: ", ".join(str(item) for item in (row.get(name) or []))


#: The fastest result of each case and the one after it, as :func:`app.rows.podium` joins them.
FASTEST = (
    Column("Case", _plain("case_id")),
    Column("Fastest", _pair),
    *MEASUREMENT[3:7],
    Column("Next", lambda row: _pair(row, "next_") if row.get("next_backend") else texts.ABSENT),
    Column("Takes", _number("next_ratio"), lambda row: _behind(row)),
)

#: What changed between two runs, as :func:`app.rows.moved` finds it.
MOVED = (
    Column("Case", _plain("case_id")),
    Column("Backend", _plain("backend")),
    Column("Variant", _plain("variant")),
    Column("Verdict", _plain("verdict")),
    Column("New / old", _number("ratio"), lambda row: texts.ratio(*(row.get(name) for name in _RATIO))),
    Column("Interval", lambda row: texts.ratio_interval(*(row.get(name) for name in _RATIO))),
    Column("New", _number("time_ns"), _time),
    Column(
        "Old", _number("old_time_ns"), lambda row: texts.time(*(row.get(f"old_{name}") for name in _TIME))
    ),
    Column("Old run", _plain("old_started"), moment=True),
)

MACHINES = (
    Column("Machine", _plain("machine")),
    Column("Processor", _plain("cpu_model")),
    _counted("cores"),
    _counted("threads"),
    Column(
        "Memory",
        _number("memory_gib"),
        lambda row: texts.size((texts.finite(row.get("memory_gib")) or 0) * 2**30),
    ),
    Column("Devices", _listed("devices")),
    _counted("runs"),
    Column("Last run", _plain("last_seen"), moment=True),
    Column("Last received", _plain("last_upload"), moment=True),
    Column("flopwatch", _plain("flopwatch_version")),
    _counted("problems"),
)

#: How many of its results each machine measured again, beside :data:`MACHINES`; rows of the view ``reproduced``.
REPRODUCED = Column("Reproduced", _number("share"), lambda row: _again(row))

JOBS = (
    Column("State", _plain("state")),
    Column("Machine", _plain("machine")),
    Column("Job", _plain("job")),
    Column("Last begun", _plain("done"), moment=True),
    Column("Due", _plain("due"), moment=True),
    Column("Heard of", _plain("seen"), moment=True),
    Column("Outcome", _plain("outcome")),
    Column("What it said", _plain("text")),
    _counted("waiting"),
)

RUNS = (
    Column("Started", _plain("started"), moment=True),
    Column("Machine", _plain("machine")),
    Column("Profile", _plain("profile")),
    Column("Effort", _plain("effort")),
    Column("State", _plain("status")),
    _counted("ok"),
    _counted("not_ok"),
    Column(
        "flopwatch",
        lambda row: texts.program(row.get("flopwatch_version"), row.get("flopwatch_commit")),
    ),
    Column("Run", lambda row: f"{_RUN}{row.get('run_id')}", link=_RUN),
)


#: The ceilings of one machine.
CEILINGS = (
    Column("Ceiling", _plain("case_id")),
    Column("Rate", _number("rate"), _rate),
    Column(
        "Interval",
        lambda row: texts.rate_interval(
            *(row.get(name) for name in ("rate", "unit", "rate_low", "rate_high"))
        ),
    ),
    _counted("threads"),
    Column("Backend", _plain("backend")),
    Column("Condition", _plain("condition")),
    Column("Measured", _plain("started"), moment=True),
)

#: The fastest of each case on each machine, with what a watt of the device's limit gives where that is known.
HARDWARE = (
    Column("Case", _plain("case_id")),
    Column("Machine", _plain("machine")),
    Column("Fastest", _pair),
    *MEASUREMENT[3:7],
    Column("Per watt", _number("rate_per_watt"), lambda row: _per_watt(row)),
    _counted("threads"),
    Column("Measured", _plain("started"), moment=True),
)


def _per_watt(row: Row) -> str:
    unit = str(row.get("unit")).replace("/s", "/J") if str(row.get("unit")).endswith("/s") else ""
    return texts.rate(row.get("rate_per_watt"), unit)


#: What each format costs, as :func:`app.formats.table` joins it.
FORMATS = (
    Column("Format", _plain("format")),
    Column("Values", _plain("fill")),
    *(
        Column(metric.name, _number(metric.column), metric.text)
        for metric in (*METRICS.values(), SAVE_MEMORY)
    ),
)

#: What :func:`app.speedups.against` finds.
SPEEDUPS = (
    Column("Case", _plain("case_id")),
    Column("Series", _plain("series")),
    Column("Speedup", _number("speedup"), lambda row: texts.ratio(*(row.get(name) for name in _SPEEDUP))),
    Column("Interval", lambda row: texts.ratio_interval(*(row.get(name) for name in _SPEEDUP))),
    Column("Verdict", _plain("verdict")),
    Column("Compared in", _plain("pairing")),
    Column("Median time", _number("time_ns"), _time),
)

RECEIPTS = (
    Column("File", _plain("file")),
    Column("State", _plain("state")),
    Column("Run", lambda row: f"{_RUN}{row.get('run')}", link=_RUN),
    _counted("measurements"),
    Column("Received", _plain("received")),
    Column("SHA-256", _plain("sha256")),
)

DOCUMENTED = (
    Column("View", _plain("view")),
    Column("Column", _plain("column")),
    Column("Meaning", _plain("meaning")),
)

#: What :func:`app.events.of_machine` finds.
EVENTS = (
    Column("State", _plain("state")),
    Column("Since", _plain("at"), moment=True),
    Column("New / old", _number("ratio"), lambda row: texts.ratio(*(row.get(name) for name in _CHANGE))),
    Column("Case", _plain("case_id")),
    Column("Backend", _plain("backend")),
    Column("Variant", _plain("variant")),
    _counted("threads"),
    Column("Recent times", _plain("recent_ns"), sparkline=True),
    Column("Why", _plain("cause")),
    Column("Confidence", _number("confidence"), lambda row: texts.share(row.get("confidence"))),
)

#: What :func:`app.published.findings` finds.
CLAIMS = (
    Column("Claim", _plain("id")),
    Column("Verdict", _plain("verdict")),
    Column("Backend", _plain("backend")),
    Column("Measured", _number("estimate"), lambda row: _measured(row)),
    Column("Interval", lambda row: _claimed(row, row.get("low"), row.get("high"))),
    Column("Published", lambda row: _claimed(row, *(row.get("expected") or (None, None)))),
    Column("Statement", _plain("statement")),
    Column("In words", _plain("sentence")),
    Column("Source", _plain("source")),
)


def _measured(row: Row) -> str:
    return texts.rate(row.get("estimate"), row.get("unit"), row.get("low"), row.get("high"))


def _claimed(row: Row, low: Any, high: Any) -> str:
    ends = [texts.finite(end) for end in (low, high)]
    if None in ends:
        return texts.ABSENT
    shown = [f"{end:,.4g}" for end in ends]
    return f"{shown[0] if shown[0] == shown[1] else ' – '.join(shown)} {row.get('unit')}"


def _again(row: Row) -> str:
    again = row.get("measured_again")
    return f"{row.get('reproduced'):,} of {again:,}" if again else texts.ABSENT


#: The same, one row for all that changed at one time, as :func:`app.events.together` puts them together.
EVENTS_TOGETHER = (
    *EVENTS[:2],
    Column("What", _plain("what")),
    Column("Most", lambda row: f"{row.get('case_id')} · {row.get('backend')} · {row.get('variant')}"),
    EVENTS[2],
    *EVENTS[7:9],
)

VERSIONS = (Column("Version", _plain("version")), *MEASUREMENT)

FACTS = (Column("Fact", _plain("fact")), Column("Value", _plain("here")))
DIFFERENCES = (
    Column("Fact", _plain("fact")),
    Column("This run", _plain("here")),
    Column("The other", _plain("there")),
)


def _behind(row: Row) -> str:
    """Return how much longer the next one takes, where their intervals tell."""
    if not row.get("next_backend"):
        return texts.ABSENT
    if row.get("next_level") is None:
        return "not sure, no interval"
    return "about the same" if row["next_level"] else texts.ratio(row.get("next_ratio"))


def styled(board: Iterable[Row], columns: Sequence[Column]) -> Styler:
    """Return a table that shows each column's text and sorts by its value."""
    rows = list(board)
    styler = pd.DataFrame({column.title: [column.value(row) for row in rows] for column in columns}).style
    written = [(place, column.text) for place, column in enumerate(columns) if column.text is not None]
    body = [
        [{"id": f"row{line}_col{place}", "display_value": text(row)} for place, text in written]
        for line, row in enumerate(rows)
    ]
    # Streamlit asks a Styler for the text of each cell and nothing else; what pandas would do for that, a whole page
    # of HTML, takes most of the time of a page with a long table.
    styler._translate = lambda *_: {"body": body}
    return styler


def csv_of(board: Sequence[Row]) -> bytes:
    """Return rows as CSV with every column in full; text that a spreadsheet would run as a formula is quoted."""
    names = list(dict.fromkeys(name for row in board for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_safe(row.get(name)) for name in names] for row in board)
    return text.getvalue().encode()


def _safe(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
