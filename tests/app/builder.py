"""Run files made by the tests: real records through the real writer, with times that the test chooses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from data.records import (
    Ceiling,
    Environment,
    Error,
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

__all__ = ["ENVIRONMENT", "MACHINES", "PROCESSES", "Cell", "Plan", "standard_cells", "write_run"]

#: An odd number, so that the median over processes is the time that the test chose, exactly.
PROCESSES = 7
SAMPLES = 15
NOT_RUN = (Status.UNSUPPORTED, Status.UNAVAILABLE, Status.SKIPPED)

MACHINES = {
    "atlas": Machine(
        "a71a5a71a5a7",
        "atlas",
        "AMD EPYC 7B13",
        8,
        16,
        64 << 30,
        [],
        {"governor": "performance", "l3": "32 MiB"},
    ),
    "borealis": Machine(
        "b0b0b0b0b0b0",
        "borealis",
        "Intel Xeon Gold 6430",
        32,
        64,
        256 << 30,
        ["NVIDIA H200"],
        {"governor": "performance", "devices": [{"name": "NVIDIA H200", "power_limit_w": 700.0}]},
    ),
    "cirrus": Machine("c1c1c1c1c1c1", "cirrus", "Apple M3 Max", 16, 16, 48 << 30, ["Apple M3 Max GPU"]),
}
ENVIRONMENT = Environment(
    "e0e0e0e0e0e0",
    "CPython 3.11.7",
    {"numpy": "2.4.6", "numba": "0.68.0"},
    [{"library": "openblas", "version": "0.3.31", "core": "Haswell", "threads": 8}],
)


@dataclass(frozen=True)
class Cell:
    """One measurement: what ran and how long a call took; a status other than ok has a reason instead."""

    case: str
    variant: str
    backend: str
    time_ns: float = 1e6
    unit: str = "GFLOP/s"
    work: Work = field(default_factory=Work)
    bound: str | None = None
    footprint_bytes: int = 0
    threads: int = 8
    condition: str = "given"
    device: str = "cpu"
    status: Status = Status.OK
    reason: str = ""
    install: str = ""
    spread: float = 0.01
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def kernel(self) -> str:
        """The part of the case before the slash, which for the cases of these tests is the kernel."""
        return self.case.partition("/")[0]

    @property
    def rate(self) -> float:
        """The rate in the cell's unit, by the definition of the unit."""
        amount = {"GFLOP/s": self.work.flop, "GB/s": self.work.bytes, "GElement/s": self.work.elements}[
            self.unit
        ]
        assert amount is not None
        return amount / self.time_ns


@dataclass(frozen=True)
class Plan:
    """One run: where, when, what and why; ``repeats`` are the verdicts of a repetition, as ``reproduce`` notes them."""

    cells: Sequence[Cell]
    machine: Machine = MACHINES["atlas"]
    started: datetime = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    environment: Environment = ENVIRONMENT
    profile: str = "quick"
    effort: str = "standard"
    complete: bool = True
    purpose: str = "series"
    repeats: dict[str, Any] | None = None


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _offsets(spread: float) -> list[float]:
    """Return one factor for each process, symmetric about the middle one, which is 1."""
    middle = PROCESSES // 2
    return [(1 + spread) ** ((index - middle) / middle) for index in range(PROCESSES)]


def _samples(time_ns: float, process: int) -> Samples:
    """Return samples whose median is ``time_ns``, with a slow tail that is marked as disturbed."""
    quiet = [round(time_ns * (1 + 0.0004 * (index - SAMPLES // 2))) for index in range(SAMPLES)]
    slow = [round(time_ns * (1.3 + 0.2 * (process % 3))), round(time_ns * 2.1)]
    times = quiet + slow
    return Samples(
        time_ns=times,
        round=list(range(len(times))),
        clean=[True] * len(quiet) + [False] * len(slow),
        cpu_ns=[round(time * 0.99) for time in times],
        switches=[0] * len(quiet) + [1] * len(slow),
        probe_ns=[1_400_000] * len(times),
    )


def _lines(cell: Cell) -> Iterable[Measurement | Ceiling | Skipped]:
    common: dict[str, Any] = {
        "case": cell.case,
        "kernel": cell.kernel,
        "variant": cell.variant,
        "condition": cell.condition,
        "backend": cell.backend,
        "device": cell.device,
        "threads": cell.threads,
        "status": cell.status,
        "reason": cell.reason,
    }
    if cell.status in NOT_RUN:
        yield Skipped(**common, install=cell.install)
        return
    kind = Ceiling if cell.kernel == "ceiling" else Measurement
    common |= {
        "work": cell.work,
        "unit": cell.unit,
        "bound": cell.bound,
        "footprint_bytes": cell.footprint_bytes,
        "error": Error(max_absolute=3e-6, max_relative=1.5e-6, tolerance=1e-4),
    }
    if cell.status is not Status.OK:
        yield kind(**common, process=0)
        return
    for process, factor in enumerate(_offsets(cell.spread)):
        yield kind(
            **common,
            process=process,
            first_call_ns=round(cell.time_ns * 3),
            attributes=cell.attributes,
            samples=_samples(cell.time_ns * factor, process),
        )


def write_run(path: Path, plan: Plan) -> str:
    """Write a run file to ``path`` and return the run's id."""
    run = Run(
        id=uuid7(),
        started=_stamp(plan.started),
        flopwatch={"version": "0.1.0", "commit": "0123456789ab", "dirty": False},
        machine=plan.machine,
        environment=plan.environment,
        profile=plan.profile,
        effort=plan.effort,
        seed=7,
        command=["flopwatch", "run", "--profile", plan.profile],
        labels={"site": "test"},
        protocol={"confidence": 0.95, "purpose": plan.purpose}
        | ({"reproduces": {"run": plan.repeats["original"]}} if plan.repeats else {}),
    )
    with RunFileWriter(path) as file:
        file.write(run)
        for index in range(PROCESSES):
            began = plan.started + timedelta(seconds=5 * index)
            file.write(
                Process(index=index, block=index, started=_stamp(began), backends=["numpy"], threads=8)
            )
        for cell in plan.cells:
            for line in _lines(cell):
                file.write(line)
        file.write(Note(at=_stamp(plan.started), topic="noise", text="The machine was quiet."))
        if plan.repeats is not None:
            file.write(
                Note(at=_stamp(plan.started), topic="reproduction", text="repeated", attributes=plan.repeats)
            )
        if plan.complete:
            file.end()
    return run.id


def _matmul(size: int, variant: str, backend: str, gflops: float, threads: int = 8) -> Cell:
    flop = 2.0 * size**3
    return Cell(
        f"matmul/{size}",
        variant,
        backend,
        flop / gflops,
        "GFLOP/s",
        Work(flop=flop),
        "flop",
        12 * size * size,
        threads,
    )


def _elements(case: str, variant: str, backend: str, count: float, rate: float) -> Cell:
    """Return an element-wise cell; it reads and writes four bytes an element and is held against the copy bandwidth."""
    work = Work(elements=count, bytes=8 * count)
    return Cell(case, variant, backend, count / rate, "GElement/s", work, "bytes", round(8 * count))


def _file(
    case: str, variant: str, backend: str, rate: float, condition: str = "warm", share: float = 1.0
) -> Cell:
    """Return a cell that saves or loads 193 MiB as a file of so large a share of it."""
    size = 193 * 2**20
    work = Work(bytes=float(size))
    bound = "write" if case.startswith("save") else "read"
    held = {"file_bytes": round(size * share), "peak_resident_increase_bytes": round(1.1 * size)}
    return Cell(case, variant, backend, size / rate, "GB/s", work, bound, size, 1, condition, attributes=held)


def _ceilings() -> list[Cell]:
    cells = [
        Cell("ceiling/fma", "chains", "numba", 1e9 / 620.0, "GFLOP/s", Work(flop=1e9), threads=8),
        Cell("ceiling/fma", "chains", "numba", 1e9 / 88.0, "GFLOP/s", Work(flop=1e9), threads=1),
        Cell(
            "ceiling/write-193MiB",
            "raw",
            "numpy",
            1e9 / 2.4,
            "GB/s",
            Work(bytes=1e9),
            threads=1,
            condition="warm",
        ),
        Cell(
            "ceiling/read-193MiB",
            "raw",
            "numpy",
            1e9 / 7.9,
            "GB/s",
            Work(bytes=1e9),
            threads=1,
            condition="warm",
        ),
    ]
    for name, footprint, rate in (
        ("8MiB", 8 << 20, 212.0),
        ("96MiB", 96 << 20, 61.0),
        ("384MiB", 384 << 20, 54.0),
    ):
        cells.append(
            Cell(
                f"ceiling/copy-{name}",
                "regular",
                "numba",
                1e9 / rate,
                "GB/s",
                Work(bytes=1e9),
                footprint_bytes=footprint,
            )
        )
    return cells


def standard_cells(factor: float = 1.0) -> list[Cell]:
    """Return what one run of the slice holds on a machine ``factor`` times as fast as the first.

    Among it a wrong answer, two absent backends and a case that timed out.
    """
    speeds = {
        ("blas", "numpy"): (210.0, 455.0, 512.0),
        ("blas", "openblas"): (214.0, 461.0, 518.0),
        ("blocked", "numba"): (96.0, 188.0, 221.0),
        ("naive-parallel", "numba"): (58.0, 71.0, 66.0),
    }
    cells = _ceilings()
    for (variant, backend), rates in speeds.items():
        cells += [_matmul(n, variant, backend, rate) for n, rate in zip((128, 512, 1024), rates, strict=True)]
    cells += [_matmul(n, "naive", "numba", rate, 1) for n, rate in ((128, 18.0), (1024, 9.0))]
    cells.append(
        Cell(
            "matmul/512",
            "naive",
            "numba",
            work=Work(flop=2.0 * 512**3),
            status=Status.WRONG,
            threads=1,
            reason="differs from the reference: largest relative error 0.31, tolerance 0.0001",
        )
    )
    for count, label in ((1e6, "1M"), (1e7, "10M")):
        rates = (("scalar", "numba", 0.9), ("parallel-simd", "numba", 6.1), ("operator", "numpy", 1.6))
        cells += [
            _elements(f"relu/{label}", variant, backend, count, rate) for variant, backend, rate in rates
        ]
    shape = 32 * 512 * 768
    cells += [
        _elements("layernorm/32x512x768", variant, backend, shape, rate)
        for variant, backend, rate in (
            ("two-pass", "numba", 2.2),
            ("welford", "numba", 2.9),
            ("operator", "numpy", 0.4),
        )
    ]
    cells += [
        _file("save/small-normal", "safetensors", "safetensors", 1.9),
        _file("save/small-normal", "json-compact", "orjson", 0.07),
        _file("load/small-normal", "safetensors", "safetensors", 4.1),
        _file("load/small-normal", "safetensors-mmap", "numpy", 6.3),
        _file("load/small-normal", "json-compact", "orjson", 0.03),
        _file("save/small-constant", "safetensors", "safetensors", 1.95),
        _file("save/small-constant", "json-compact", "orjson", 0.12, share=0.6),
        _file("load/small-constant", "json-compact", "orjson", 0.05, share=0.6),
    ]
    cells = [_faster(cell, factor) for cell in cells]
    cells.append(Cell("matmul/1024", "blas", "blis", status=Status.TIMEOUT, reason="no answer within 60 s"))
    cells += [
        Cell(
            f"matmul/{n}",
            "blas",
            "mkl",
            status=Status.UNAVAILABLE,
            reason="the package mkl is not installed",
            install="pip install 'flopwatch[blas]'",
        )
        for n in (128, 512, 1024)
    ]
    cells.append(
        Cell(
            "matmul/1024",
            "blas",
            "cupy",
            status=Status.UNAVAILABLE,
            reason="no CUDA device was found",
            install="pip install 'flopwatch[cuda13]'",
            device="cuda:0",
        )
    )
    return cells


def _faster(cell: Cell, factor: float) -> Cell:
    from dataclasses import replace

    return replace(cell, time_ns=cell.time_ns / factor)
