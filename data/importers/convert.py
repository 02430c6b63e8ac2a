"""From what another tool measured to a run file: the unit that travels, whoever measured.

The id of the run follows from the content, so that importing a file twice changes nothing.
"""

import hashlib
import math
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from data.importers.results import Imported, Result, Timing
from data.records import End, Environment, Line, Machine, Measurement, Note, Process, Run, Samples, Work
from data.words import Status

__all__ = ["CaseOf", "Place", "to_run_file"]

#: A sample is kept as whole ns; where calls are short it stands for so many more of them that it has 7 digits.
_DIGITS = 1e6
_NAME = 200


class Place(NamedTuple):
    """Which case of the workload a result is: case, kernel, variant, and its work, unit and ceiling."""

    case: str
    kernel: str
    variant: str
    work: Work | None = None
    unit: str | None = None
    bound: str | None = None


#: Tells which case of the workload a name of the tool means, or None for a case of its own.
CaseOf = Callable[[str], Place | None]


def to_run_file(
    imported: Imported,
    content: bytes,
    when: datetime,
    *,
    machine: Machine | None = None,
    case_of: CaseOf = lambda _name: None,
) -> bytes:
    """Return the run file of what was imported from ``content``.

    ``when`` stands for the start where the source has none; ``machine`` is the computer if a person names it.
    """
    started = imported.started or when
    # Timestamps of run files carry microseconds.
    stamp = started.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    lines = [
        msgspec.json.encode(line) + b"\n"
        for line in _lines(imported, content, started, stamp, machine, case_of)
    ]
    body = b"".join(lines)
    end = End(ended=stamp, lines=len(lines), sha256=hashlib.sha256(body).hexdigest())
    return body + msgspec.json.encode(end) + b"\n"


def _lines(
    imported: Imported,
    content: bytes,
    started: datetime,
    stamp: str,
    machine: Machine | None,
    case_of: CaseOf,
) -> Iterator[Line]:
    flags = _flags_of_run(imported, machine)
    labels = {"tool": imported.tool, "tool-version": imported.tool_version, "commit": imported.commit}
    yield Run(
        id=_run_id(imported, content, started, machine),
        started=stamp,
        flopwatch={"imported": True},
        machine=machine or _machine(imported),
        environment=_environment(imported),
        profile=imported.tool,
        effort="imported",
        seed=0,
        labels={name: text for name, text in labels.items() if text},
    )
    processes = max((len(result.timings) for result in imported.results), default=0)
    for index in range(processes):
        yield Process(index=index, block=index, started=stamp, backends=[imported.tool], threads=0)
    taken: dict[tuple[object, ...], int] = {}
    for result in imported.results:
        yield from _measurements(imported.tool, result, flags, case_of(result.name), taken)
    text = f"imported from {imported.tool} {imported.tool_version}".rstrip()
    yield Note(at=stamp, topic="source", text=text, attributes=imported.metadata)


def _run_id(imported: Imported, content: bytes, started: datetime, machine: Machine | None) -> str:
    """Return a UUID of version 7 from the start and the content: the same file gives the same run."""
    said = f"{imported.tool}\0{imported.commit}\0{started.isoformat()}\0{machine.id if machine else ''}\0"
    digest = hashlib.sha256(said.encode() + content).digest()
    random = int.from_bytes(digest[:10], "big")
    milliseconds = int(started.timestamp() * 1000)
    value = (
        (milliseconds & (2**48 - 1)) << 80
        | 0x7 << 76
        | (random >> 68) << 64
        | 0b10 << 62
        | random & (2**62 - 1)
    )
    return str(uuid.UUID(int=value))


def _hash(*parts: object) -> str:
    return hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=6).hexdigest()


def _machine(imported: Imported) -> Machine:
    known = (imported.cpu_model, imported.cores, imported.threads, imported.memory_bytes, imported.devices)
    name = imported.host or (f"unknown ({imported.tool})" if not imported.cpu_model else imported.cpu_model)
    return Machine(
        id=_hash("imported", name, *known),
        name=_short(name),
        cpu_model=_short(imported.cpu_model or "unknown"),
        cores=imported.cores,
        threads=imported.threads,
        memory_bytes=imported.memory_bytes,
        devices=[_short(device) for device in imported.devices],
        attributes={imported.tool: imported.machine} if imported.machine else {},
    )


def _environment(imported: Imported) -> Environment:
    known = (
        imported.interpreter,
        sorted(imported.packages.items()),
        msgspec.json.encode(imported.environment),
    )
    return Environment(
        id=_hash("imported", imported.tool, imported.tool_version, *known),
        interpreter=_short(imported.interpreter or "unknown"),
        packages=imported.packages,
        attributes=imported.environment,
    )


def _flags_of_run(imported: Imported, machine: Machine | None) -> list[str]:
    flags = ["imported", "unchecked"]
    if machine is None and not imported.cpu_model and not imported.devices:
        flags.append("no-machine")
    if not (imported.interpreter or imported.packages or imported.environment):
        flags.append("no-environment")
    return flags


def _measurements(
    tool: str, result: Result, flags: list[str], place: Place | None, taken: dict[tuple[object, ...], int]
) -> Iterator[Line]:
    # Without a mapping a name means nothing outside its tool: "matmul/512" need not be our product of 512.
    place = place or Place(f"{tool}:{result.name}", f"{tool}:{_kernel(result.name)}", "default")
    case = _short(place.case)
    key = (case, place.variant, result.condition, result.device, result.threads)
    taken[key] = taken.get(key, 0) + 1
    if taken[key] > 1:
        case = _short(f"{place.case}#{taken[key]}")
    common: dict[str, Any] = {
        "case": case,
        "kernel": _short(place.kernel),
        "variant": _short(place.variant),
        "condition": result.condition,
        "backend": tool,
        "device": result.device,
        "threads": result.threads,
        "work": place.work or result.work,
        "unit": place.unit or result.unit,
        "bound": place.bound,
        "flags": [*flags, *_flags(result)],
        "attributes": _attributes(result),
    }
    if not result.timings:
        status = Status.FAILED if result.failed else Status.UNSUPPORTED
        yield Measurement(status=status, reason=result.reason, **common)
        return
    for process, timing in enumerate(result.timings):
        if process:  # what belongs to the whole result is told once
            common |= {"attributes": {}}
        common["attributes"] = common["attributes"] | timing.attributes
        yield Measurement(status=Status.OK, process=process, samples=_samples(timing), **common)


def _flags(result: Result) -> Iterator[str]:
    if len(result.timings) == 1:
        yield "single-process"
    if result.summary:
        yield "no-samples"
    if result.summary == "mean":
        yield "mean-only"


def _attributes(result: Result) -> dict[str, Any]:
    found = dict(result.attributes)
    if len(result.name) > _NAME:
        found["name"] = result.name
    if result.interval:
        found["interval"] = {
            "low_ns": result.interval.low_ns,
            "high_ns": result.interval.high_ns,
            "what": result.interval.what,
        }
    return found


def _samples(timing: Timing) -> Samples:
    """Keep each sample as whole ns of so many calls that seven digits are kept."""
    least = min((value for value in timing.call_ns if value > 0), default=1.0) * timing.batch
    batch = timing.batch * max(1, 10 ** math.ceil(math.log10(_DIGITS / least)) if least < _DIGITS else 1)
    return Samples(time_ns=[round(value * batch) for value in timing.call_ns], batch=batch)


def _kernel(name: str) -> str:
    """Return the part of a name that its parameters do not belong to."""
    for separator in ("[", "(", "/"):
        name = name.partition(separator)[0] or name
    return name


def _short(name: str) -> str:
    """Return a name that a run file can hold; a long one ends in its hash."""
    return name if 0 < len(name) <= _NAME else f"{name[: _NAME - 14]}… {_hash(name)}"
