"""The lines of a run file as typed records.

A run file is the unit that travels: one JSON object a line, each with a ``kind``.  Decoding a line into these
records validates it; the published JSON Schema is generated from them.
"""

import os
import time
import uuid
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from data.words import Status

__all__ = [
    "FORMAT",
    "Ceiling",
    "Cell",
    "End",
    "Environment",
    "Error",
    "Line",
    "Machine",
    "Measurement",
    "Note",
    "Process",
    "Run",
    "Samples",
    "Skipped",
    "Work",
    "uuid7",
]

FORMAT = 1

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=20_000)]
Count = Annotated[int, Meta(ge=0, le=2**62)]
#: A number of threads, processes or blocks.
Number = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Nanoseconds = Annotated[int, Meta(ge=0, le=2**62)]
Amount = Annotated[float, Meta(ge=0)]
Identifier = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
#: UTC, as ``2026-11-22T19:11:00.123456Z``.
Timestamp = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$")]


def uuid7() -> str:
    """Return a new UUID of version 7 (RFC 9562, section 5.7): its text sorts by time of creation."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (
        (milliseconds & (2**48 - 1)) << 80
        | 0x7 << 76
        | (random >> 68) << 64
        | 0b10 << 62
        | random & (2**62 - 1)
    )
    return str(uuid.UUID(int=value))


class Machine(Struct, omit_defaults=True):
    """The computer that measured.  ``id`` hashes model, cores, memory in GiB and devices; all is kept in full."""

    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{12}$")]
    name: Name
    cpu_model: Name
    cores: Count
    threads: Count
    memory_bytes: Count
    devices: list[Name] = []
    attributes: dict[str, Any] = {}


class Environment(Struct, omit_defaults=True):
    """The software that measured: interpreter, packages as resolved, BLAS libraries, settings that matter."""

    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{12}$")]
    interpreter: Name
    packages: dict[str, str] = {}
    blas: list[dict[str, Any]] = []
    attributes: dict[str, Any] = {}


class Cell(Struct, omit_defaults=True):
    """One measurement that a run means to make."""

    case: Name
    kernel: Name
    variant: Name
    condition: Name
    backend: Name
    device: Name
    threads: Number


class Run(Struct, tag_field="kind", tag="run", kw_only=True, omit_defaults=True):
    """First line: what is measured, where, with what and why."""

    format: int = FORMAT
    id: Identifier
    started: Timestamp
    flopwatch: dict[str, Any]
    machine: Machine
    environment: Environment
    profile: Name
    effort: Name
    seed: Count
    command: list[Text] = []
    labels: dict[Name, Text] = {}
    protocol: dict[str, Any] = {}
    plan: list[Cell] = []


class Process(Struct, tag_field="kind", tag="process", kw_only=True, omit_defaults=True):
    """One worker process: the unit of replication, and the conditions it ran under."""

    index: Number
    block: Number
    started: Timestamp
    backends: list[Name]
    threads: Number
    attributes: dict[str, Any] = {}


class Work(Struct, omit_defaults=True):
    """What one call does, by the convention of its kernel; ``version`` counts changes of the formula."""

    version: Count = 1
    flop: Amount | None = None
    bytes: Amount | None = None
    elements: Amount | None = None
    tokens: Amount | None = None


class Samples(Struct, omit_defaults=True):
    """Raw timings of one process, one element a sample.

    ``time_ns`` is the wall time of ``batch`` calls; ``cpu_ns`` the processor time of the thread (or of the process,
    for several threads); ``switches`` the involuntary context switches; ``probe_ns`` the noise probe of the same
    round; ``round`` pairs samples of variants that ran together; ``clean`` says that no cause of disturbance was seen.
    """

    time_ns: list[Nanoseconds]
    batch: Annotated[int, Meta(ge=1, le=2**62)] = 1
    round: list[Count] = []
    clean: list[bool] = []
    cpu_ns: list[Nanoseconds] = []
    switches: list[Count] = []
    probe_ns: list[Nanoseconds] = []


class Error(Struct, omit_defaults=True):
    """The answer against the float64 reference."""

    max_absolute: Amount | None = None
    max_relative: Amount | None = None
    tolerance: Amount | None = None


class _Measured(Struct, kw_only=True, omit_defaults=True):
    """What one process contributed to one measurement; lines with the same key are one measurement."""

    case: Name
    kernel: Name
    variant: Name
    condition: Name
    backend: Name
    device: Name
    threads: Number
    status: Status
    reason: Text = ""
    process: Number | None = None
    work: Work = field(default_factory=Work)
    unit: Name = "s"
    bound: str | None = None
    footprint_bytes: Count = 0
    store: str | None = None
    first_call_ns: Nanoseconds | None = None
    samples: Samples | None = None
    twin: Samples | None = None
    error: Error | None = None
    flags: list[Name] = []
    attributes: dict[str, Any] = {}

    @property
    def key(self) -> tuple[str, str, str, str, str, int]:
        """What makes two lines the same measurement."""
        return (self.case, self.variant, self.condition, self.backend, self.device, self.threads)


class Measurement(_Measured, tag_field="kind", tag="measurement", kw_only=True, omit_defaults=True):
    """One process's samples of one case, variant, condition, backend, device and thread count."""


class Ceiling(_Measured, tag_field="kind", tag="ceiling", kw_only=True, omit_defaults=True):
    """The same for a limit of the machine (``ceiling/fma``, ``ceiling/copy-256MiB``)."""


class Skipped(Struct, tag_field="kind", tag="skipped", kw_only=True, omit_defaults=True):
    """A cell of the plan that was not run, and why: not run is a result too."""

    case: Name
    kernel: Name
    variant: Name
    condition: Name
    backend: Name
    device: Name
    threads: Number
    status: Status
    reason: Text
    install: Text = ""

    @property
    def key(self) -> tuple[str, str, str, str, str, int]:
        """What makes two lines the same measurement."""
        return (self.case, self.variant, self.condition, self.backend, self.device, self.threads)


class Note(Struct, tag_field="kind", tag="note", kw_only=True, omit_defaults=True):
    """Something worth knowing about the run as a whole."""

    at: Timestamp
    topic: Name
    text: Text
    attributes: dict[str, Any] = {}


class End(Struct, tag_field="kind", tag="end", kw_only=True, omit_defaults=True):
    """Last line: the file is whole.  ``sha256`` is over the uncompressed bytes of all lines before this one."""

    ended: Timestamp
    lines: Count
    sha256: Digest


Line = Run | Process | Measurement | Ceiling | Skipped | Note | End
