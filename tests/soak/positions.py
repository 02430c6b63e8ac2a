"""Does it matter at which place of a round a call stands?  Copies of one call take turns, and only the place differs.

``python -m tests.soak.positions --copies 4 --processes 60`` measures in that many fresh processes and prints, for each
place, by how much a call there differs from the mean of its round, with the interval over processes.
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path
from statistics import fmean, median

from data.estimate import sign_interval
from data.family import simultaneous
from tests.soak.injected_kernels import SUBJECTS

_FOLDER = Path(__file__).parents[2]


def effects_of_one_process(copies: int, subject: str, rounds: int) -> list[float]:
    """Return for each place the median over rounds of ln(time there / mean of the round), less that of all places.

    Preempted calls draw the mean of their round up: what all places have in common says nothing of a place.
    """
    import numpy as np

    from runners.clocks import Covariates
    from runners.rounds import Protocol, Subject, run_rounds, warm_up

    x = np.random.default_rng(1).standard_normal(4_000_000, dtype=np.float32)
    order: list[int] = []

    def recorded(call, number):
        def both():
            order.append(number)
            return call()

        return both

    subjects = [Subject(recorded(SUBJECTS[subject](x), number)) for number in range(copies)]
    for one in subjects:
        warm_up(one, Protocol(window_ns=100_000_000))
    order.clear()
    run_rounds(subjects, Protocol(), Covariates(1), random.Random(), rounds)
    logs = [[math.log(time_ns) for time_ns in one.time_ns] for one in subjects]
    places: list[list[float]] = [[] for _ in range(copies)]
    for round_, start in enumerate(range(0, len(order), copies)):
        there = [logs[number][round_] for number in order[start : start + copies]]
        for place, value in enumerate(there):
            places[place].append(value - fmean(there))
    middles = [median(values) for values in places]
    return [middle - fmean(middles) for middle in middles]


def effects(copies: int, processes: int, subject: str = "sort-60k", confidence: float = 0.95) -> list[dict]:
    """Return the effect of each place with an interval; all intervals hold together at ``confidence``."""
    found = []
    for _ in range(processes):
        words = [sys.executable, "-m", "tests.soak.positions", "--one", subject, "--copies", str(copies)]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(words, cwd=_FOLDER, env=environment, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    level = simultaneous(confidence, copies)
    rows = []
    for place, values in enumerate(zip(*found, strict=True)):
        low, high = sign_interval(values, level)
        rows.append({"place": place, "effect": median(values), "low": low, "high": high})
    return rows


def main() -> int:
    """Print the effects of several subjects as JSON, or those of one process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--processes", type=int, default=60)
    parser.add_argument("--one", metavar="SUBJECT", help="measure one subject in this process")
    options = parser.parse_args()
    if options.one:
        sys.stdout.write(json.dumps(effects_of_one_process(options.copies, options.one, 8 * options.copies)))
        return 0
    report = {
        subject: effects(options.copies, options.processes, subject)
        for subject in ("sort-60k", "matmul-512", "relu-4M")
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
