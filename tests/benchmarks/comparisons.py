"""Contenders side by side: a process for each, short bursts in random order, the median of the bursts' medians."""

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytest

from runners import workload
from runners.backends.backend_numba import FLAG_SETTINGS
from runners.compiled import source_digest

__all__ = ["Contender", "Outcome", "Script", "compare"]

#: bursts of each contender, and seconds for each; more of both on a machine that others use
BURSTS = int(os.environ.get("FLOPWATCH_BENCH_BURSTS", "9"))
SECONDS = float(os.environ.get("FLOPWATCH_BENCH_SECONDS", "0.15"))


class Contender(NamedTuple):
    """One variant of a case on a backend."""

    case: str
    variant: str
    backend: str
    condition: str = "given"

    @property
    def label(self) -> str:
        """Name it for people."""
        return f"{self.variant} ({self.backend})"


class Script(NamedTuple):
    """The same call as a person writes it who knows nothing of us: arrays made by the library, a plain loop."""

    backend: str
    setup: str
    call: str


#: serves bursts like a contender's process, with nothing of ours in it
_PLAIN = """
import json, sys, time
{setup}
def call():
    return {call}
call()
print("{{}}", flush=True)
for line in sys.stdin:
    times, end = [], time.perf_counter() + float(line)
    while not times or time.perf_counter() < end:
        start = time.perf_counter_ns()
        returned = call()
        times.append(time.perf_counter_ns() - start)
        del returned
    print(json.dumps(times), flush=True)
"""


@dataclass
class Outcome:
    """Times of one contender: medians of bursts in seconds, the best call, and its facts."""

    attributes: dict[str, Any]
    medians: list[float] = field(default_factory=list)
    best: float = float("inf")

    @property
    def typical(self) -> float:
        """The median of the medians, in seconds."""
        return median(self.medians)


def _environment(contender: Contender, threads: int) -> dict[str, str]:
    """Return the environment of a contender's process; Numba's cache is apart for each set of flags."""
    (case,) = workload.cases((contender.case,))
    wanted = (contender.variant, contender.backend, contender.condition)
    variant = next(v for v in workload.variants(case) if (v.name, v.backend, v.condition) == wanted)
    flags = "-".join(variant.flags) or "plain"
    cache = Path(tempfile.gettempdir()) / f"flopwatch-benchmarks-{source_digest()}" / flags
    settings = {"NUMBA_CACHE_DIR": str(cache)} | workload.backends()["numpy"].settings(threads)
    settings |= workload.backends()[contender.backend].settings(threads)
    for flag in variant.flags:
        settings |= FLAG_SETTINGS[flag]
    return os.environ | settings


def _command(contender: Contender | Script, threads: int, scratch: Path) -> tuple[list[str], dict[str, str]]:
    """Return the words that start a contender's process, and its environment."""
    if isinstance(contender, Script):
        text = _PLAIN.format(setup=contender.setup, call=contender.call)
        settings = workload.backends()["numpy"].settings(threads)
        settings |= workload.backends()[contender.backend].settings(threads)
        return [sys.executable, "-c", text], os.environ | settings
    words = ["tests.benchmarks.kernel_process", contender.backend, *contender[:2]]
    words += [contender.condition, str(threads), str(scratch)]
    return [sys.executable, "-m", *words], _environment(contender, threads)


@contextlib.contextmanager
def _process(contender: Contender | Script, threads: int, scratch: Path) -> Iterator[subprocess.Popen[str]]:
    command, environment = _command(contender, threads, scratch)
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _answer(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a contender ended early: {process.args!r}")
    return json.loads(line)


def compare(contenders: Sequence[Contender | Script], threads: int) -> list[Outcome]:
    """Measure contenders with the same number of threads; skip the comparison where a backend is missing."""
    for contender in contenders:
        availability = workload.backends()[contender.backend].probe()
        if not availability.available:
            pytest.skip(availability.reason)
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = [stack.enter_context(_process(contender, threads, scratch)) for contender in contenders]
        outcomes = [Outcome(_answer(process)) for process in processes]
        for burst in range(BURSTS + 1):
            for i in random.sample(range(len(processes)), len(processes)):
                stdin = processes[i].stdin
                assert stdin is not None
                stdin.write(f"{SECONDS}\n")
                stdin.flush()
                times = [nanoseconds * 1e-9 for nanoseconds in _answer(processes[i])]
                # the first burst warms caches and clocks
                if burst:
                    outcomes[i].medians.append(median(times))
                    outcomes[i].best = min(outcomes[i].best, *times)
    return outcomes
