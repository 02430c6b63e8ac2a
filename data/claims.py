"""Claims and what was measured here: one verdict for each claim, machine and backend."""

import fnmatch
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from data.estimate import MARGIN
from data.published import Cells, Claim, Publication
from data.speedups import Compare, speedup, timed
from data.words import Status

__all__ = ["ClaimVerdict", "Finding", "Part", "judge_claims", "judge_range"]

Row = Mapping[str, Any]


class ClaimVerdict(StrEnum):
    """What the measurements of a machine say about a claim."""

    HOLDS = "holds"
    EXCEEDED = "exceeded"
    FALLS_SHORT = "falls short"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not comparable here"
    NOT_MEASURED = "not measured"


#: Of the verdicts on the cases of a claim, the first that is there is that of the claim.
_WORST_FIRST = (
    ClaimVerdict.FALLS_SHORT,
    ClaimVerdict.INCONCLUSIVE,
    ClaimVerdict.HOLDS,
    ClaimVerdict.EXCEEDED,
)
#: Less is better for these, so a value below the range exceeds the claim.
_LESS_IS_BETTER = frozenset({"time", "memory", "format"})


@dataclass(frozen=True)
class Part:
    """One case of a claim; ``decides`` is false where it is shown for context only."""

    case: str
    estimate: float
    low: float | None
    high: float | None
    verdict: ClaimVerdict
    pairing: str
    threads: int
    decides: bool = True


@dataclass(frozen=True)
class Finding:
    """The verdict on one claim for one machine and backend (empty where nothing could be compared)."""

    claim: Claim
    source: str
    machine_id: str
    machine: str
    backend: str
    verdict: ClaimVerdict
    sentence: str
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    parts: Sequence[Part] = field(default_factory=tuple)
    missing: Sequence[str] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """Return it with the stable names that ``flopwatch claims --json`` prints."""
        claim = self.claim
        return {
            "id": claim.id,
            "machine": self.machine,
            "backend": self.backend,
            "verdict": self.verdict.value,
            "estimate": self.estimate,
            "low": self.low,
            "high": self.high,
            "expected": list(claim.expected),
            "source": self.source,
            "unit": claim.unit,
            "statement": claim.statement,
            "kind": claim.kind,
            "sentence": self.sentence,
            "machine_id": self.machine_id,
            "missing": list(self.missing),
            "parts": [
                {"case": part.case, "estimate": part.estimate, "low": part.low, "high": part.high}
                | {"verdict": part.verdict.value, "pairing": part.pairing, "threads": part.threads}
                | {"decides": part.decides}
                for part in self.parts
            ],
        }


def judge_range(
    low: float | None, high: float | None, expected: tuple[float, float], *, less_is_better: bool = False
) -> ClaimVerdict:
    """Return what an interval says about an expected range, whose ends have the margin of every verdict (2 %)."""
    if low is None or high is None:
        return ClaimVerdict.INCONCLUSIVE
    least, most = expected[0] / (1 + MARGIN), expected[1] * (1 + MARGIN)
    if least <= low and high <= most:
        return ClaimVerdict.HOLDS
    if high < least:
        return ClaimVerdict.EXCEEDED if less_is_better else ClaimVerdict.FALLS_SHORT
    if low > most:
        return ClaimVerdict.FALLS_SHORT if less_is_better else ClaimVerdict.EXCEEDED
    return ClaimVerdict.INCONCLUSIVE


def judge_claims(
    publications: Iterable[Publication],
    rows: Iterable[Row],
    machines: Iterable[Row],
    compare: Compare,
) -> list[Finding]:
    """Return the verdicts on all claims, machine by machine.

    ``rows`` are those of the view ``latest``, of every status; ``machines`` those of the view ``machines``; ``compare``
    pairs two rows of one run (:func:`data.speedups.pairs_of_runs`).
    """
    by_machine: dict[str, list[Row]] = {}
    for row in rows:
        by_machine.setdefault(str(row["machine_id"]), []).append(row)
    held = list(publications)
    return [
        finding
        for machine in machines
        for publication in held
        for claim in publication.claim
        for finding in _judge_claim(
            claim, publication.source.id, machine, by_machine.get(str(machine["machine_id"]), []), compare
        )
    ]


def _judge_claim(
    claim: Claim, source: str, machine: Row, rows: Sequence[Row], compare: Compare
) -> list[Finding]:
    about = [row for row in rows if row["case_id"] in claim.cases and _fits(row, claim.subject)]
    backends = sorted({str(row["backend"]) for row in about if timed(row)})
    where = (claim, source, str(machine["machine_id"]), str(machine["machine"]))
    found = [
        finding
        for backend in backends
        if (finding := _judge_backend(where, [row for row in rows if timed(row)], backend, compare))
    ]
    return found or [_nothing(where, about, rows)]


def _fits(row: Row, cells: Cells) -> bool:
    return (
        fnmatch.fnmatchcase(str(row["variant"]), cells.variant)
        and (not cells.condition or row["condition"] == cells.condition)
        and (cells.backend in ("", "same") or row["backend"] == cells.backend)
        and (not cells.device or str(row["device"]).partition(":")[0] == cells.device)
    )


def _pick(rows: Sequence[Row], cells: Cells, case: str, backend: str, threads: int | None) -> Row | None:
    """Return the row that stands for one side at one case: the fastest of those that fit, at the threads asked for."""
    fitting = [row for row in rows if row["case_id"] == case and _fits(row, cells)]
    if backend:
        fitting = [row for row in fitting if row["backend"] == backend]
    if cells.threads == "one":
        fitting = [row for row in fitting if row["threads"] == 1]
    elif threads is not None:
        fitting = [row for row in fitting if row["threads"] == threads]
    most = max((int(row["threads"]) for row in fitting), default=0)
    return min(
        (row for row in fitting if row["threads"] == most),
        key=lambda row: float(row["time_ns"]),
        default=None,
    )


def _judge_backend(
    where: tuple[Claim, str, str, str], rows: Sequence[Row], backend: str, compare: Compare
) -> Finding | None:
    claim = where[0]
    parts, missing = [], []
    for case in (*claim.cases, *claim.context):
        part = _part(claim, rows, case, backend, compare)
        if part:
            parts.append(part)
        elif case in claim.cases:
            missing.append(case)
    deciding = [part for part in parts if part.decides]
    if not deciding:
        return None
    verdicts = {part.verdict for part in deciding}
    verdict = next(word for word in _WORST_FIRST if word in verdicts)
    estimate = _mean([part.estimate for part in deciding])
    lows, highs = [part.low for part in deciding], [part.high for part in deciding]
    low = None if None in lows else min(value for value in lows if value is not None)
    high = None if None in highs else max(value for value in highs if value is not None)
    sentence = _sentence(claim, verdict, parts, missing)
    return Finding(*where, backend, verdict, sentence, estimate, low, high, tuple(parts), tuple(missing))


def _mean(values: Sequence[float]) -> float:
    if min(values) <= 0:
        return sum(values) / len(values)
    return math.exp(sum(map(math.log, values)) / len(values))


def _part(claim: Claim, rows: Sequence[Row], case: str, backend: str, compare: Compare) -> Part | None:
    row = _pick(rows, claim.subject, case, backend, None)
    if row is None:
        return None
    threads, pairing = int(row["threads"]), "one result"
    if claim.baseline is None:
        values = _alone(claim, row)
    else:
        other = backend if claim.baseline.backend == "same" else ""
        wanted = threads if claim.baseline.threads != "one" else None
        old = _pick(rows, claim.baseline, case, other, wanted)
        if old is None:
            return None
        if claim.quantity == "size":
            values = _sizes(row, old)
        else:
            found = speedup(row, old, compare)
            values, pairing = (found.ratio, found.low, found.high), found.pairing
    if values is None:
        return None
    verdict = judge_range(*values[1:], claim.expected, less_is_better=claim.quantity in _LESS_IS_BETTER)
    return Part(case, *values, verdict, pairing, threads, case in claim.cases)


Values = tuple[float, float | None, float | None]


def _attributes(row: Row) -> dict[str, Any]:
    held = row["attributes"]
    found: dict[str, Any] = json.loads(held) if isinstance(held, str) else dict(held or {})
    return found


def _alone(claim: Claim, row: Row) -> Values | None:
    """Return what a claim about one side compares: rate, time in ms, memory as a share of the file, or nothing."""
    if claim.quantity == "rate":
        return (
            None
            if row["rate"] is None or row["unit"] != claim.unit
            else _row(row, "rate", "rate_low", "rate_high")
        )
    if claim.quantity == "time":
        return _row(row, "time_ns", "low_ns", "high_ns", 1e-6)
    if claim.quantity == "format":
        return 0.0, 0.0, 0.0  # the loader of this format ran here, and its answer was right
    held = _attributes(row)
    taken, size = held.get("anonymous_increase_bytes"), held.get("file_bytes")
    if taken is None or not size:
        return None
    return taken / size, taken / size, taken / size


def _row(row: Row, name: str, low: str, high: str, factor: float = 1.0) -> Values:
    ends = [None if row[end] is None else float(row[end]) * factor for end in (low, high)]
    return float(row[name]) * factor, ends[0], ends[1]


def _sizes(row: Row, old: Row) -> Values | None:
    new_bytes, old_bytes = (_attributes(one).get("file_bytes") for one in (row, old))
    if not new_bytes or not old_bytes:
        return None
    ratio = old_bytes / new_bytes
    return ratio, ratio, ratio


def _nothing(where: tuple[Claim, str, str, str], about: Sequence[Row], rows: Sequence[Row]) -> Finding:
    """Say why there is no figure: what it needs is not here, it went wrong, or nobody measured it."""
    claim, _, _, machine = where
    device = claim.subject.device
    absent = [row for row in about if row["status"] in (Status.UNAVAILABLE, Status.UNSUPPORTED)]
    devices = {str(row["device"]).partition(":")[0] for row in rows if timed(row)}
    if device not in ("", "cpu") and device not in devices:
        told = next((str(row["reason"]) for row in absent if row["reason"]), f"it has no {device} device")
        verdict, why = ClaimVerdict.NOT_COMPARABLE, f"{machine}: {told}"
    elif absent and len(absent) == len(about):
        verdict, why = ClaimVerdict.NOT_COMPARABLE, f"{machine}: {absent[0]['reason']}"
    else:
        failed = [f"{row['case_id']} is {row['status']}" for row in about if not timed(row)]
        verdict = ClaimVerdict.NOT_MEASURED
        why = (
            "; ".join(dict.fromkeys(failed))
            if failed
            else f"measure it: flopwatch run --case {claim.cases[0]}"
        )
    return Finding(*where, "", verdict, f"{verdict.value}: {why}", missing=tuple(claim.cases))


def _sentence(claim: Claim, verdict: ClaimVerdict, parts: Sequence[Part], missing: Sequence[str]) -> str:
    """Return one sentence with the figures of every case, what was expected, and what is missing."""
    if claim.quantity == "format":
        return f"{verdict.value}: {', '.join(part.case for part in parts)} loaded right; {claim.note}"
    deciding = [_figures(part, claim.unit) for part in parts if part.decides]
    beside = [_figures(part, claim.unit) for part in parts if not part.decides]
    low, high = claim.expected
    text = f"{verdict.value}: {'; '.join(deciding)}; {claim.kind} {low:g} to {high:g} {claim.unit}"
    if beside:
        text += f"; for context {'; '.join(beside)}"
    if missing:
        text += f"; not measured: {', '.join(missing)}"
    return text


def _figures(part: Part, unit: str) -> str:
    interval = "no interval"
    if part.low is not None and part.high is not None:
        interval = f"{part.low:.3g} to {part.high:.3g}"
    threads = "1 thread" if part.threads == 1 else f"{part.threads} threads"
    return f"{part.case} {part.estimate:.3g} {unit} ({interval}, {threads})"
