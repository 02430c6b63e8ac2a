"""Others start to burn processors in the middle of a run: are the processes labelled, and does the ratio still hold?

``python -m tests.soak.noise_challenge --processes 24 --out FILE`` measures identical code in that many processes; from
the middle on a program on each processor does nothing but turn.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from data.estimate import ratio
from runners.lines import Observer
from tests.soak.known_truth import log_ratios, measure

#: what a label of a disturbed measurement is called
LABELS = {"disturbed", "ungated", "contended"}


class Burners(Observer):
    """Starts a program that turns on every processor when a run comes to a block."""

    def __init__(self, block: int, count: int) -> None:
        """Start ``count`` programs at ``block``."""
        self.block, self.count = block, count
        self.started: list[subprocess.Popen] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for burner in self.started:
            burner.kill()
            burner.wait()

    def at(self, block: int, case: str) -> None:
        """Burn from the wished block on."""
        if block >= self.block and not self.started:
            burn = "while True: pass"
            self.started = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(self.count)]


def challenge(processes: int, folder: Path, case: str = "injected/sort-60k") -> dict:
    """Return what became of identical code: labels of both halves, intervals, verdict."""
    half = processes // 2
    with Burners(half, os.cpu_count() or 1) as burners:
        lines = measure(processes, folder, (case,), ("plain", "again"), burners)
    labelled = {line.process for line in lines if LABELS & set(line.flags)}
    (logs,) = log_ratios(lines, "again", "plain").values()
    whole, quiet, noisy = (ratio(part) for part in (logs, logs[:half], logs[half:]))
    clean = [
        [mark for line in lines if (line.process >= half) == late for mark in line.samples.clean]
        for late in (False, True)
    ]
    return {
        "processes": len(logs),
        "quiet_processes_labelled": len(labelled & set(range(half))),
        "noisy_processes_labelled": len(labelled - set(range(half))),
        "clean_share": [sum(marks) / len(marks) for marks in clean],
        "interval": [whole.low, whole.high],
        "verdict": str(whole.verdict),
        "differs": whole.differs,
        "half_widths": [math.log(part.high / part.low) / 2 for part in (quiet, noisy) if part.low],
        "p_value": whole.p_value,
    }


def main() -> int:
    """Measure all subjects in turn and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=24)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = {}
    for case in ("injected/sort-60k", "injected/matmul-512", "injected/relu-4M"):
        with tempfile.TemporaryDirectory() as folder:
            found[case] = challenge(options.processes, Path(folder), case)
    text = json.dumps(found, indent=1)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
