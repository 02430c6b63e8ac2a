"""What a run looks like in a terminal, and as JSON.  rich is imported only when something is drawn."""

import json
import sys
import time
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from data.estimate import process_log_time
from data.summary import Measured, Summary
from data.units import format_interval, format_rate, format_share, format_time
from data.words import Status
from runners.lines import Observer
from runners.remedies import as_typed_here

if TYPE_CHECKING:
    from rich.console import Console

    from runners.execute import Outcome

__all__ = ["Screen", "console", "print_listing", "print_summary"]

_SHOWN_LINES = 12
#: where output goes to a file or a pipe, no terminal limits it
_WIDTH_OF_FILES = 180


def console(*, stderr: bool = False) -> "Console":
    """Return where to print: as wide as the terminal, or wide enough for every table in a file."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else _WIDTH_OF_FILES)


class Screen(Observer):
    """A live table of the newest results with progress and time left; plain lines where there is no terminal."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Draw on standard error, so that standard output holds results only; ``quiet`` draws nothing."""
        self._quiet = quiet
        self._console = console(stderr=True)
        self._live: Any = None
        self._newest: dict[tuple[Any, ...], tuple[Measured, list[float]]] = {}
        self._started = time.monotonic()
        self._done = self._total = 0
        self._now = "starting"
        self._printed = 0.0

    def __enter__(self) -> Self:
        """Start drawing."""
        if not self._quiet and self._console.is_terminal:
            from rich.live import Live

            self._live = Live(
                console=self._console, refresh_per_second=4, transient=True, get_renderable=self._draw
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()

    def planned(self, cells: int, processes: int) -> None:
        """Say how much there is to do."""
        self._total = cells * processes
        self._say(f"measuring {cells} variants in {processes} processes each")

    def at(self, block: int, case: str) -> None:
        """Remember what is being measured."""
        self._now = f"block {block + 1}: {case}"

    def measured(self, line: Measured) -> None:
        """Take a line into the table; what is not ok is said at once."""
        if line.status != Status.OK:
            self._say(f"{line.status}: {line.case} {line.variant} on {line.backend}: {line.reason}")
            return
        _, values = self._newest.pop(line.key, (line, []))
        if line.samples is not None and line.samples.time_ns:
            self._newest[line.key] = (line, [*values, process_log_time(line.samples)])

    def progress(self, done: int, total: int) -> None:
        """Move the bar; without a terminal, print a line every ten seconds."""
        self._done, self._total = done, total
        now = time.monotonic()
        if self._live is None and now - self._printed > 10:
            self._printed = now
            self._say(self._bar())

    def remark(self, text: str) -> None:
        """Say something in passing."""
        self._say(text)

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(text, markup=False)

    def _bar(self) -> str:
        elapsed = time.monotonic() - self._started
        share = self._done / self._total if self._total else 0.0
        left = f"{_clock(elapsed / share - elapsed)} left" if share > 0.02 else "estimating the time left"
        return f"{share:4.0%}  {_clock(elapsed)} elapsed, {left}  {self._now}"

    def _draw(self) -> Any:
        from math import exp
        from statistics import median

        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for name in ("case", "variant", "backend", "threads", "time", "processes"):
            number = name in ("threads", "time", "processes")
            table.add_column(name, justify="right" if number else "left", no_wrap=True)
        for line, values in list(self._newest.values())[-_SHOWN_LINES:]:
            typical = format_time(exp(median(values)))
            table.add_row(
                line.case, _variant(line), line.backend, str(line.threads), typical, str(len(values))
            )
        return Group(
            table, ProgressBar(total=max(self._total, 1), completed=self._done, width=60), self._bar()
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes}:{rest:02d}"


def _where(backend: str, device: str) -> str:
    """Name a backend, with its device where that is no processor."""
    return backend if device == "cpu" else f"{backend} on {device}"


def _place(row: Summary) -> str:
    return _where(row.backend, row.device)


def print_listing(rows: list[dict[str, Any]]) -> None:
    """Print the workload: one line a case and variant with the backends, then what is missing and how to get it."""
    from rich.table import Table

    screen = console()
    table = Table(box=None, pad_edge=False)
    for name in ("case", "variant", "condition", "backends here", "not here"):
        table.add_column(name, overflow="fold")
    cells: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        cells.setdefault((row["case"], row["variant"], row["condition"]), []).append(row)
    for (case, variant, condition), found in cells.items():
        here = ", ".join(_where(row["backend"], row["device"]) for row in found if row["available"])
        absent = ", ".join(_where(row["backend"], row["device"]) for row in found if not row["available"])
        table.add_row(case, variant, condition, here, absent)
    screen.print(table)
    missing = {_where(row["backend"], row["device"]): row for row in rows if not row["available"]}
    for name, row in missing.items():
        how = f"; remedy: {as_typed_here(row['install'])}" if row["install"] else ""
        screen.print(f"{name}: {row['reason']}{how}", markup=False, soft_wrap=True)


def _measurement(row: Summary) -> dict[str, Any]:
    return {
        "case": row.case,
        "variant": row.variant,
        "condition": row.condition,
        "backend": row.backend,
        "device": row.device,
        "threads": row.threads,
        "status": row.status.value,
        "reason": row.reason,
        "time_ns": row.time_ns,
        "low_ns": row.low_ns,
        "high_ns": row.high_ns,
        "processes": row.processes,
        "rate": row.rate,
        "unit": row.unit,
        "share_of_ceiling": row.share_of_ceiling,
        "max_absolute_error": row.max_absolute_error,
        "max_relative_error": row.max_relative_error,
        "flags": row.flags,
    }


def print_summary(outcome: "Outcome", *, as_json: bool) -> None:
    """Print every measurement of a run with median, interval, rate, share of the ceiling and error."""
    if as_json:
        summary = {
            "run": outcome.run,
            "file": str(outcome.file),
            "elapsed_s": round(outcome.elapsed_s, 3),
            "stopped": outcome.stopped,
            "stored": outcome.stored,
            "measurements": [_measurement(row) for row in outcome.rows],
        }
        print(json.dumps(summary))
        return
    from rich.table import Table

    screen = console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, justify in _COLUMNS:
        table.add_column(name, justify=justify, no_wrap=justify == "right", overflow="fold")  # type: ignore[arg-type]
    ran = [row for row in outcome.rows if row.status not in (Status.UNAVAILABLE, Status.UNSUPPORTED)]
    for row in sorted(ran, key=lambda row: (not row.is_ceiling, row.case, row.threads, row.time_ns or 0)):
        table.add_row(*_columns(row))
    screen.print(table)
    _print_outcome(screen, outcome)


_COLUMNS = (
    ("case", "left"),
    ("variant", "left"),
    ("backend", "left"),
    ("threads", "right"),
    ("median", "right"),
    ("95 % interval", "right"),
    ("rate", "right"),
    ("of ceiling", "right"),
    ("max error", "right"),
)


def _variant(row: Summary | Measured) -> str:
    return row.variant if row.condition == "given" else f"{row.variant} ({row.condition})"


def _columns(row: Summary) -> list[str]:
    name = [row.case, _variant(row), row.backend, str(row.threads)]
    if row.status != Status.OK:
        return [*name, row.status.value, "–", "–", "–", _error(row)]
    return [
        *name,
        format_time(row.time_ns, row.low_ns, row.high_ns),
        format_interval(row.time_ns, row.low_ns, row.high_ns),
        format_rate(row.rate, row.unit, row.rate_low, row.rate_high),
        format_share(row.share_of_ceiling),
        _error(row),
    ]


def _error(row: Summary) -> str:
    error = row.max_relative_error if row.max_relative_error is not None else row.max_absolute_error
    return "–" if error is None else f"{error:.1e}"


def _print_outcome(screen: "Console", outcome: "Outcome") -> None:
    for row in outcome.rows:
        if row.status in (Status.WRONG, Status.FAILED, Status.TIMEOUT, Status.IMPOSSIBLE):
            screen.print(
                f"{row.status}: {row.case} {row.variant} on {row.backend}: {row.reason}", markup=False
            )
    rows = [row for row in outcome.rows if row.status == Status.UNAVAILABLE]
    for backend, count in Counter(map(_place, rows)).items():
        row = next(row for row in rows if _place(row) == backend)
        how = f"; remedy: {as_typed_here(row.install)}" if row.install else ""
        screen.print(
            f"{backend} is not here ({count} not run): {row.reason}{how}", markup=False, soft_wrap=True
        )
    few = sum(1 for row in outcome.rows if row.status == Status.OK and row.low_ns is None)
    if few:
        screen.print(f"{few} without an interval: fewer than 6 processes cannot give one")
    screen.print(f"run {outcome.run}, {_clock(outcome.elapsed_s)} min: {outcome.file}", markup=False)
    screen.print(f"stored: {outcome.stored}", markup=False)
