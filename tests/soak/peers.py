"""Identical code compared by three tools on one machine: how long each takes, how far from 1 it lands, its alarms.

``python -m tests.soak.peers --trials 12 --out FILE`` compares ``numpy.matmul`` of 512 with itself, in turns, by

* flopwatch: one run of two copies in six processes; an alarm is an interval that excludes 1;
* pyperf: two files of ``timeit`` and its ``compare_to``; an alarm is what that calls significant;
* pytest-benchmark: two runs of one test; an alarm is a median that moved by more than 2 %, as its
  ``--benchmark-compare-fail=median:2%`` would.

One thread everywhere.  There is nothing to find, so every alarm is false.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.programs import python

SETUP = (
    "import numpy as np; r = np.random.default_rng(1); a = r.standard_normal((512, 512), dtype=np.float32); "
    "b = r.standard_normal((512, 512), dtype=np.float32); c = np.empty((512, 512), np.float32)"
)
STATEMENT = "np.matmul(a, b, out=c)"
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
TEST = f"""
{SETUP.replace("; ", chr(10))}
def test_matmul(benchmark):
    benchmark(lambda: {STATEMENT})
"""


def command(*words: str | Path, cwd: Path) -> str:
    """Run a program with one BLAS thread and return what it printed."""
    return python(*words, cwd=cwd, **ONE_THREAD)


def by_flopwatch(folder: Path) -> tuple[float, bool]:
    """Return ratio and alarm of one run of two copies."""
    from data.estimate import ratio
    from tests.soak.known_truth import log_ratios, measure

    lines = measure(6, folder, cases=("injected/matmul-512",), variants=("plain", "again"))
    (logs,) = log_ratios(lines, "again", "plain").values()
    found = ratio(logs)
    return found.ratio, found.differs


def by_pyperf(folder: Path) -> tuple[float, bool]:
    """Return ratio of means and alarm of pyperf's comparison."""
    means = []
    for name in ("old.json", "new.json"):
        (folder / name).unlink(missing_ok=True)
        inherit = "--inherit-environ=OPENBLAS_NUM_THREADS,OMP_NUM_THREADS"
        command("-m", "pyperf", "timeit", "-q", inherit, "-o", name, "-s", SETUP, STATEMENT, cwd=folder)
        held = json.loads((folder / name).read_text())
        values = [value for run in held["benchmarks"][0]["runs"] for value in run.get("values", [])]
        means.append(sum(values) / len(values))
    told = command("-m", "pyperf", "compare_to", "old.json", "new.json", cwd=folder)
    return means[1] / means[0], "not significant" not in told.lower()


def by_pytest_benchmark(folder: Path) -> tuple[float, bool]:
    """Return ratio of medians and alarm of a threshold of two percent."""
    (folder / "test_it.py").write_text(TEST)
    medians = []
    for name in ("old.json", "new.json"):
        command(
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--benchmark-json={name}",
            "test_it.py",
            cwd=folder,
        )
        medians.append(json.loads((folder / name).read_text())["benchmarks"][0]["stats"]["median"])
    ratio = medians[1] / medians[0]
    return ratio, ratio > 1.02 or ratio < 1 / 1.02


TOOLS = {"flopwatch": by_flopwatch, "pyperf": by_pyperf, "pytest-benchmark": by_pytest_benchmark}


def report(rows: list[tuple[float, float, bool]]) -> dict:
    """Return the figures of one tool from (seconds, ratio, alarm) of each trial.

    ``seconds_to_2_percent`` is the time after which 95 % of its ratios would lie within 2 % of the truth, if its error
    fell with the square root of the time, which is kind to tools whose error does not fall at all.
    """
    seconds = median(seconds for seconds, _, _ in rows)
    error = math.sqrt(sum(math.log(ratio) ** 2 for _, ratio, _ in rows) / len(rows))
    return {
        "trials": len(rows),
        "seconds_median": round(seconds, 2),
        "rmse_of_ratio": error,
        "seconds_to_2_percent": round(seconds * (1.96 * error / math.log(1.02)) ** 2, 2),
        "within_2_percent": sum(abs(math.log(ratio)) <= math.log(1.02) for _, ratio, _ in rows),
        "false_alarms": sum(alarm for _, _, alarm in rows),
        "ratios": [round(ratio, 4) for _, ratio, _ in rows],
    }


def main() -> int:
    """Compare in turns and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found: dict[str, list[tuple[float, float, bool]]] = {name: [] for name in TOOLS}
    for _ in range(options.trials):
        for name, tool in TOOLS.items():
            with tempfile.TemporaryDirectory() as folder:
                started = time.monotonic()
                ratio, alarm = tool(Path(folder))
                found[name].append((time.monotonic() - started, ratio, alarm))
    text = json.dumps({name: report(rows) for name, rows in found.items()}, indent=1)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
