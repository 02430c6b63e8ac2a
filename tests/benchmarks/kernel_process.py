"""One contender of a comparison: prepares one variant, checks its answer, and makes calls when it is told to.

``python -m tests.benchmarks.kernel_process BACKEND CASE VARIANT CONDITION THREADS SCRATCH`` answers with facts in a
line, then, for each line with a number of seconds, with the times of its calls in nanoseconds.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from runners import workload
from runners.workload import Job, Ready


def _prepare(
    backend_name: str, case_id: str, name: str, condition: str, threads: int, scratch: Path
) -> Ready:
    """Build the variant and check the answer of its first call."""
    backend = workload.backends()[backend_name]
    backend.load(threads)
    (case,) = workload.cases((case_id,))
    wanted = (name, backend_name, condition)
    variant = next(v for v in workload.variants(case) if (v.name, v.backend, v.condition) == wanted)
    kernel = workload.kernels()[case.kernel]
    inputs = kernel.inputs(case, 1)
    built = variant.build(Job(case, backend, threads, 1, inputs, scratch, condition))
    ready = built if isinstance(built, Ready) else Ready(built)
    if ready.before is not None:
        ready.before()
    outcome = kernel.check(case, inputs, ready.result(ready.call()))
    if not outcome.ok:
        raise SystemExit(f"{case_id} {name} on {backend_name}: wrong answer, {outcome}")
    return ready


def _burst(ready: Ready, seconds: float) -> list[int]:
    """Call for some time, at least once."""
    times: list[int] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        if ready.before is not None:
            ready.before()
        start = time.perf_counter_ns()
        returned = ready.call()
        times.append(time.perf_counter_ns() - start)
        del returned
    return times


def _say(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    """Serve until the input ends."""
    backend, case, name, condition, threads, scratch = arguments
    ready = _prepare(backend, case, name, condition, int(threads), Path(scratch))
    attributes: dict[str, Any] = ready.attributes() if ready.attributes is not None else {}
    _say(attributes)
    for line in sys.stdin:
        _say(_burst(ready, float(line)))


if __name__ == "__main__":
    main(sys.argv[1:])
