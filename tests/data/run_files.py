"""Run files for the tests of the data room: real records through the real writer."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.records import (
    Ceiling,
    Environment,
    Error,
    Line,
    Machine,
    Measurement,
    Note,
    Process,
    Run,
    Samples,
    Skipped,
    Work,
    uuid7,
)
from data.runfile import RunFileWriter
from data.words import Status

__all__ = ["MACHINE", "lines", "run_bytes", "write_run"]

MACHINE = Machine("0123456789ab", "testbox", "Model 7", 4, 8, 16 << 30, [], {"governor": "performance"})
ENVIRONMENT = Environment("ba9876543210", "CPython 3.11.7", {"numpy": "2.4.6"}, [{"library": "openblas"}])


def _samples(rng: random.Random, time_ns: float, count: int) -> Samples:
    times = [round(time_ns * rng.lognormvariate(0, 0.02)) for _ in range(count)]
    return Samples(
        times,
        1,
        list(range(count)),
        [rng.random() > 0.1 for _ in times],
        [time - 900 for time in times],
        [rng.randrange(2) for _ in times],
        [round(1.5e6 * rng.lognormvariate(0, 0.02)) for _ in times],
    )


def lines(
    *,
    run_id: str | None = None,
    cells: int = 3,
    processes: int = 7,
    samples: int = 12,
    seed: int = 0,
    started: str = "2026-11-22T10:00:00.000000Z",
    machine: Machine = MACHINE,
    time_ns: float = 1e6,
    **fields: Any,
) -> Iterator[Line]:
    """All records of a run but the end: ceilings, measurements of several statuses, a skipped cell and a note."""
    rng = random.Random(seed)
    yield Run(
        id=run_id or uuid7(),
        started=started,
        flopwatch={"version": "0.1.0", "commit": "abcdef1"},
        machine=machine,
        environment=ENVIRONMENT,
        profile="quick",
        effort="quick",
        seed=seed,
        command=["flopwatch", "run"],
        labels=fields.pop("labels", {"purpose": "test"}),
        **fields,
    )
    cell = {"condition": "given", "backend": "numpy", "device": "cpu", "threads": 1, "status": Status.OK}
    yield Skipped(
        case="matmul/0", kernel="matmul", variant="blas", reason="no GPU", install="pip install cupy",
        **cell | {"status": Status.UNAVAILABLE, "device": "cuda:0", "backend": "cupy"},
    )  # fmt: skip
    for index in range(processes):
        yield Process(index=index, block=index, started=started, backends=["numpy"], threads=1)
        yield Ceiling(
            case="ceiling/fma", kernel="ceiling", variant="chains", process=index, work=Work(flop=4e9),
            unit="GFLOP/s", samples=_samples(rng, 1e8, samples), **cell,
        )  # fmt: skip
        for number in range(cells):
            yield Measurement(
                case=f"matmul/{number}", kernel="matmul", variant="blas", process=index, work=Work(flop=1e7),
                unit="GFLOP/s", bound="flop", footprint_bytes=3 << 20, first_call_ns=2_000_000,
                samples=_samples(rng, time_ns * (number + 1), samples), error=Error(1e-5, 1e-6, 1e-3),
                attributes={"load": {"steal": 0.0}, "position": number}, **cell,
            )  # fmt: skip
    yield Measurement(
        case="matmul/0", kernel="matmul", variant="broken", process=0, reason="differs by 3e-2",
        error=Error(3e-2, 3e-2, 1e-3), **cell | {"status": Status.WRONG},
    )  # fmt: skip
    yield Note(at=started, topic="machine", text="quiet")


def write_run(path: Path, *, end: bool = True, **options: Any) -> Path:
    """Write a run file and return its path."""
    with RunFileWriter(path) as writer:
        for line in lines(**options):
            writer.write(line)
        if end:
            writer.end()
    return path


def run_bytes(folder: Path, **options: Any) -> bytes:
    """Return the bytes of a run file that is made in ``folder`` and removed."""
    path = write_run(folder / f"{uuid7()}.run.jsonl", **options)
    content = path.read_bytes()
    path.unlink()
    return content
