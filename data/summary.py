"""From the lines of a run to one row a measurement: time, interval, rate, share of the ceiling, status."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from statistics import median
from typing import Any, NamedTuple, Protocol

from data.ceilings import hold_against_ceiling
from data.estimate import MINIMUM_CLEAN, Timings, estimate, noise_floor
from data.physics import batch_contradicts, below_empty_call, empty_call_ns
from data.records import Ceiling, Cell, Error, Measurement, Process, Run, Samples, Skipped, Work
from data.words import Status

__all__ = ["UNITS", "Document", "Key", "Summary", "key_of", "merge", "summarise", "work_per_unit"]

Key = tuple[str, str, str, str, str, int]
Measured = Measurement | Ceiling

#: unit → (field of the work, how much of it makes one unit per ns into one unit per s)
UNITS: dict[str, tuple[str, float]] = {
    "GFLOP/s": ("flop", 1.0),
    "GB/s": ("bytes", 1.0),
    "GElement/s": ("elements", 1.0),
    "token/s": ("tokens", 1e9),
}

#: No computer reaches this: a rate above it is impossible also where no ceiling stands beside it, or is a ceiling.
_BEYOND_ALL = {"GFLOP/s": 1e9, "GB/s": 1e7}

#: Of the ordered samples, the times at these shares are kept: the fastest, 10 % and 90 %.
_SHARES = (0.0, 0.1, 0.9)

#: The worst status that any process reports is that of the measurement.
_SEVERITY = (
    Status.WRONG,
    Status.FAILED,
    Status.TIMEOUT,
    Status.IMPOSSIBLE,
    Status.INTERRUPTED,
    Status.UNSUPPORTED,
    Status.UNAVAILABLE,
    Status.SKIPPED,
    Status.OK,
)


class Document(Protocol):
    """What :func:`summarise` needs of a run file that was read."""

    @property
    def run(self) -> Run:
        """The first line."""

    @property
    def lines(self) -> Sequence[Measured]:
        """Measurements and ceilings, one line a process, in the order of the file."""

    @property
    def processes(self) -> Sequence[Process]:
        """The worker processes."""

    @property
    def skipped(self) -> Sequence[Skipped]:
        """Cells that were not run."""

    @property
    def interrupted(self) -> bool:
        """Whether the file lacks its end."""


@dataclass(kw_only=True, slots=True)
class Summary:
    """One measurement of one run.  Times are ns per call; they and the rates are None unless ``status`` is ok."""

    case: str
    kernel: str
    variant: str
    condition: str
    backend: str
    device: str
    threads: int
    status: Status
    reason: str = ""
    install: str = ""
    is_ceiling: bool = False
    time_ns: float | None = None
    low_ns: float | None = None
    high_ns: float | None = None
    best_ns: float | None = None
    p10_ns: float | None = None
    p90_ns: float | None = None
    processes: int = 0
    samples: int = 0
    clean_share: float | None = None
    rate: float | None = None
    rate_low: float | None = None
    rate_high: float | None = None
    unit: str = "s"
    share_of_ceiling: float | None = None
    ceiling_case: str | None = None
    ceiling_rate: float | None = None
    ceiling_unit: str | None = None
    max_absolute_error: float | None = None
    max_relative_error: float | None = None
    tolerance: float | None = None
    first_call_ns: int | None = None
    noise_floor: float | None = None
    flags: list[str] = field(default_factory=list)
    flop: float | None = None
    bytes: float | None = None
    elements: float | None = None
    tokens: float | None = None
    footprint_bytes: int = 0
    store: str | None = None
    bound: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What makes it this measurement within its run."""
        return (self.case, self.variant, self.condition, self.backend, self.device, self.threads)

    def hide_speed(self, status: Status, reason: str) -> None:
        """Give a status other than ok: whatever was timed is no longer a speed."""
        self.status, self.reason = status, reason
        self.time_ns = self.low_ns = self.high_ns = self.best_ns = self.p10_ns = self.p90_ns = None
        self.rate = self.rate_low = self.rate_high = None
        self.share_of_ceiling = None


def key_of(cell: Mapping[str, Any], case: str = "case_id") -> Key:
    """Return the key that names of a row or a line make, where the one of its case is called ``case``."""
    names = (str(cell[name]) for name in (case, "variant", "condition", "backend", "device"))
    case_id, variant, condition, backend, device = names
    return case_id, variant, condition, backend, device, int(cell["threads"])


def merge(lines: Iterable[Measured]) -> dict[Key, list[Measured]]:
    """Group the lines of the processes by measurement, in the order of first appearance."""
    grouped: dict[Key, list[Measured]] = {}
    for line in lines:
        grouped.setdefault(line.key, []).append(line)
    return grouped


def work_per_unit(work: Work, unit: str) -> float | None:
    """Return the work such that ``work / time_ns`` is a rate in ``unit``, or None where the work has no such field."""
    if unit not in UNITS:
        return None
    name, factor = UNITS[unit]
    amount: float | None = getattr(work, name)
    return None if amount is None else amount * factor


def _largest(values: Iterable[float | None]) -> float | None:
    return max([value for value in values if value is not None], default=None)


class _Timed(NamedTuple):
    """What the samples of one measurement say."""

    samples: list[Samples]
    log_times: list[float]
    clean_counts: list[int]
    shown_ns: list[float]


def _time(groups: list[list[Measured]]) -> Iterator[_Timed | None]:
    """Return what the samples of each measurement say, or None where there are none: all at once, which is fast."""
    samples_of = [
        [
            samples
            for part in parts
            if (samples := part.samples) and samples.time_ns and part.status == Status.OK
        ]
        for parts in groups
    ]
    timings = Timings(list(chain.from_iterable(samples_of)))
    logs, clean_counts = timings.log_times(), timings.clean_counts
    shown = iter(timings.quantiles([len(held) for held in samples_of if held], _SHARES))
    begin = 0
    for held in samples_of:
        if not held:
            yield None
            continue
        end = begin + len(held)
        yield _Timed(held, logs[begin:end], clean_counts[begin:end], _of_one_call(held, next(shown)))
        begin = end


def _of_one_call(timed: list[Samples], times_ns: list[int]) -> list[float]:
    """Return the times at the shares that are shown for one call instead of a batch."""
    batch = timed[0].batch
    if {samples.batch for samples in timed} == {batch}:
        return [time_ns / batch for time_ns in times_ns]
    ordered = sorted([time_ns / samples.batch for samples in timed for time_ns in samples.time_ns])
    return [ordered[int(share * len(ordered))] for share in _SHARES]


def _summarise_one(parts: list[Measured], timed: _Timed | None, confidence: float) -> Summary:
    """Return the row of one measurement from the lines of its processes."""
    first = parts[0]
    status, reason = _worst(parts)
    row = Summary(
        case=first.case,
        kernel=first.kernel,
        variant=first.variant,
        condition=first.condition,
        backend=first.backend,
        device=first.device,
        threads=first.threads,
        status=status,
        reason=reason,
        is_ceiling=isinstance(first, Ceiling),
        unit=first.unit,
        bound=first.bound,
        store=first.store,
        footprint_bytes=first.footprint_bytes,
        flop=first.work.flop,
        bytes=first.work.bytes,
        elements=first.work.elements,
        tokens=first.work.tokens,
    )
    attributes = row.attributes
    for part in parts:
        if part.flags:
            row.flags += part.flags
        attributes.update(part.attributes)
    if row.flags:
        row.flags = sorted({*row.flags})
    _give_error(row, [part.error for part in parts if part.error])
    firsts = [part.first_call_ns for part in parts if part.first_call_ns is not None]
    row.first_call_ns = int(median(firsts)) if firsts else None
    if timed:
        row.processes = len(timed.samples)
        row.samples = sum([len(samples.time_ns) for samples in timed.samples])
    if status == Status.OK and not timed:
        row.hide_speed(Status.INTERRUPTED, "no process finished it")
    elif status == Status.OK and timed:
        row.best_ns, row.p10_ns, row.p90_ns = timed.shown_ns
        found = estimate(timed.log_times, confidence)
        row.time_ns, row.low_ns, row.high_ns = found.value, found.low, found.high
        _give_clean_share(row, timed)
        _give_rate(row, first.work)
        row.noise_floor = noise_floor(
            [(part.samples, part.twin) for part in parts if part.twin and part.samples]
        )
    return row


def _worst(parts: list[Measured]) -> tuple[Status, str]:
    """Return the worst status that a process reports, and the first reason given for it."""
    status = Status.OK
    for part in parts:
        if part.status != status:
            status = min(status, part.status, key=_SEVERITY.index)
    return status, next((part.reason for part in parts if part.status == status), "")


def _give_error(row: Summary, errors: list[Error]) -> None:
    if errors:
        row.max_absolute_error = _largest([error.max_absolute for error in errors])
        row.max_relative_error = _largest([error.max_relative for error in errors])
        row.tolerance = _largest([error.tolerance for error in errors])


def _give_clean_share(row: Summary, timed: _Timed) -> None:
    """Set the share of clean samples, and flag a measurement with a process that has too few of them."""
    marked = [
        (count, len(samples.clean))
        for count, samples in zip(timed.clean_counts, timed.samples, strict=True)
        if samples.clean
    ]
    if marked:
        row.clean_share = sum([count for count, _ in marked]) / sum([length for _, length in marked])
    if any(count < min(MINIMUM_CLEAN, length) for count, length in marked):
        row.flags = sorted({*row.flags, "contended"})


def _give_rate(row: Summary, work: Work) -> None:
    amount = work_per_unit(work, row.unit)
    if amount is None or row.time_ns is None:
        return
    row.rate = amount / row.time_ns
    row.rate_low = amount / row.high_ns if row.high_ns else None
    row.rate_high = amount / row.low_ns if row.low_ns else None
    limit = _BEYOND_ALL.get(row.unit, math.inf)
    if row.rate > limit:
        row.hide_speed(Status.IMPOSSIBLE, f"{row.rate:.4g} {row.unit}, and no computer reaches {limit:.0e}")


def _hide_contradictions(
    rows: Sequence[Summary], groups: Sequence[Sequence[Measured]], empty_ns: float | None
) -> None:
    """Hide times that no call can take, and batches that took less time than their parts allow."""
    timed = [
        (row, parts)
        for row, parts in zip(rows, groups, strict=True)
        if row.status == Status.OK and row.time_ns is not None and not row.is_ceiling
    ]
    alone: dict[tuple[str, ...], dict[str, float]] = {}
    for row, _ in timed:
        if row.threads == 1:
            alone.setdefault(_way(row), {})[row.case] = row.low_ns or row.time_ns or 0.0
    for row, parts in timed:
        high_ns = row.high_ns or row.time_ns or 0.0
        batch = next((part.samples.batch for part in reversed(parts) if part.samples), 1)
        reason = below_empty_call(high_ns, empty_ns, batch)
        if not reason and row.device == "cpu":
            reason = batch_contradicts(row.case, row.threads, high_ns, alone.get(_way(row), {}))
        if reason:
            row.hide_speed(Status.IMPOSSIBLE, reason)


def _way(row: Summary) -> tuple[str, ...]:
    """Return how a case was computed: all of the key but the case and the threads."""
    return (row.variant, row.condition, row.backend, row.device)


def _not_run(skipped: Skipped) -> Summary:
    return Summary(
        case=skipped.case,
        kernel=skipped.kernel,
        variant=skipped.variant,
        condition=skipped.condition,
        backend=skipped.backend,
        device=skipped.device,
        threads=skipped.threads,
        status=skipped.status,
        reason=skipped.reason,
        install=skipped.install,
    )


def _never_reached(plan: Sequence[Cell], held: set[Key]) -> list[Summary]:
    """Return rows for planned cells that an interrupted run did not come to."""
    rows = []
    for cell in plan:
        row = Summary(
            status=Status.INTERRUPTED,
            reason="the run ended before it",
            **{name: getattr(cell, name) for name in Cell.__struct_fields__},
        )
        if row.key not in held:
            rows.append(row)
    return rows


def summarise(document: Document) -> list[Summary]:
    """Return one row for each measurement, ceiling and cell of a run that was not run, in the order of the file.

    An interrupted run keeps what its processes finished: those rows are ok with the processes they have (and without
    an interval where these are too few), and cells that it never reached are ``interrupted``.
    """
    confidence = float(document.run.protocol.get("confidence", 0.95))
    groups = list(merge(document.lines).values())
    rows = [
        _summarise_one(parts, timed, confidence) for parts, timed in zip(groups, _time(groups), strict=True)
    ]
    ceilings = [row for row in rows if row.is_ceiling and row.status == Status.OK]
    for row in rows:
        if not row.is_ceiling:
            hold_against_ceiling(row, ceilings)
    _hide_contradictions(rows, groups, empty_call_ns(document.processes))
    held = {row.key for row in rows}
    rows += [_not_run(skipped) for skipped in document.skipped if skipped.key not in held]
    if document.interrupted:
        rows += _never_reached(document.run.plan, {row.key for row in rows})
    return rows
