"""Change points on data with known truth: ours beside apache-otava, ruptures, asv's step detection and a threshold.

``python -m tests.benchmarks.change_points --series 40 --out FILE`` prints precision, recall and F1 (a change counts as
found within five points), false alarms per 1,000 points of unchanged series, and the time for 1,000 series of 500
points.  The others come from PyPI and are left out where they are not installed:
``uv pip install apache-otava ruptures asv``.

The shapes of the noise are those that repeated processes of this workload showed: normal; 15 % of processes slowed by
an exponential of four standard deviations; two memory layouts, 65 to 35; heavy tails (Student's t with three degrees
of freedom); memory from run to run; a coarse clock; single outliers; slow drift.  Its size is 1, 3 or 10 %.  Besides
come the shapes and sizes that were fitted to a real history (:mod:`tests.benchmarks.noise_shapes`), three times each.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.changes import change_points, change_points_of
from tests.benchmarks.noise_shapes import FITTED, draw

__all__ = ["detectors", "false_alarms", "made", "score", "sets", "speed"]

NEAR = 5
STEPS = (1.02, 1.05, 1.10, 1.20)
SIZES = (0.01, 0.03, 0.10)


def _memory(rng: np.random.Generator, points: int) -> np.ndarray:
    noise = rng.standard_normal(points + 60)
    return np.convolve(noise, 0.5 ** np.arange(60), "valid")[:points] * math.sqrt(1 - 0.25)


def _outliers(rng: np.random.Generator, points: int) -> np.ndarray:
    return rng.standard_normal(points) + 10 * (rng.random(points) < 0.02)


SHAPES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "slowed": lambda rng, n: 0.5 * rng.standard_normal(n) + rng.exponential(2.0, n) * (rng.random(n) < 0.15),
    "layouts": lambda rng, n: 0.3 * rng.standard_normal(n) + 2.0 * (rng.random(n) < 0.35),
    "heavy": lambda rng, n: rng.standard_t(3, n) / math.sqrt(3),
    "memory": _memory,
    "ticks": lambda rng, n: 1.5 * np.round(rng.standard_normal(n) / 1.5),
    "outliers": _outliers,
    "drift": lambda rng, n: rng.standard_normal(n) + np.linspace(0, 4, n),
}


#: The shapes and sizes of the evaluation.
KINDS = [(shape, size) for shape in SHAPES for size in SIZES] + [
    (name, shape.size) for name, shape in FITTED.items() for _ in SIZES
]


class Made(NamedTuple):
    """A series, where it changed, and whether its noise was fitted to a real one."""

    values: np.ndarray
    truth: list[int]
    fitted: bool = False


def made(rng: np.random.Generator, shape: str, size: float, points: int, changes: list[int]) -> Made:
    """Return a series of about a millisecond with steps of 2 to 20 % at the given places."""
    fitted = shape in FITTED
    logs = size * (draw(FITTED[shape], rng, points) if fitted else SHAPES[shape](rng, points))
    for place in changes:
        logs[place:] += rng.choice([-1, 1]) * math.log(rng.choice(STEPS))
    return Made(1e6 * np.exp(logs), changes, fitted)


def sets(series: int, seed: int = 1) -> Iterator[tuple[str, Made]]:
    """Yield named series: with shifts, with a shift at the very end, and unchanged; ``series`` of each kind."""
    rng = np.random.default_rng(seed)
    for shape, size in KINDS:
        for _ in range(series):
            points = int(rng.choice([40, 100, 250, 500]))
            count = 1 if points < 100 else int(rng.integers(1, 4))
            places = sorted(rng.choice(np.arange(10, points - 10, 15), count, replace=False).tolist())
            yield "shifts", made(rng, shape, size, points, places)
            yield "end", made(rng, shape, size, points, [points - int(rng.integers(3, 9))])
            yield "unchanged", made(rng, shape, size, points, [])


def score(found: list[int], truth: list[int]) -> tuple[int, int, int]:
    """Return hits, false alarms and misses; each true change takes the nearest unused one within ``NEAR``."""
    unused = sorted(found)
    hits = 0
    for place in truth:
        near = min(unused, key=lambda one: abs(one - place), default=None)
        if near is not None and abs(near - place) <= NEAR:
            unused.remove(near)
            hits += 1
    return hits, len(unused), len(truth) - hits


Detector = Callable[[np.ndarray], list[int]]


def _ours(values: np.ndarray) -> list[int]:
    return [change.index for change in change_points(values)]


def _threshold(values: np.ndarray) -> list[int]:
    moved = np.abs(np.diff(np.log(values))) > math.log(1.1)
    return (np.flatnonzero(moved) + 1).tolist()


def detectors() -> tuple[dict[str, Detector], dict[str, str]]:
    """Return the detectors that are here, and why others are not."""
    found: dict[str, Detector] = {"flopwatch": _ours, "10 % threshold": _threshold}
    missing = {}
    for package, make in (("otava", _otava), ("ruptures", _ruptures), ("asv", _asv)):
        try:
            found |= make()
        except ImportError as error:
            missing[package] = str(error)
    return found, missing


def _otava() -> dict[str, Detector]:
    from otava.analysis import compute_change_points

    def detector(window: int, chance: float, least: float) -> Detector:
        return lambda values: [
            one.index for one in compute_change_points(values.tolist(), window, chance, least)[0]
        ]

    return {"otava": detector(50, 0.001, 0.0), "otava, 120 and 1e-6": detector(120, 1e-6, 0.01)}


def _ruptures() -> dict[str, Detector]:
    import ruptures

    def standard(values: np.ndarray) -> np.ndarray:
        logs = np.log(values)
        return logs / (1.4826 * np.median(np.abs(np.diff(logs))) / math.sqrt(2) or 1e-9)

    def pelt(values: np.ndarray) -> list[int]:
        model = ruptures.Pelt("l2", min_size=3).fit(standard(values))
        return model.predict(pen=3 * math.log(len(values)))[:-1]

    def linear(values: np.ndarray) -> list[int]:
        """The model of PELT, in C, with the penalty that serves it best here."""
        model = ruptures.KernelCPD("linear", min_size=3).fit(standard(values)[:, None])
        return model.predict(pen=15 * math.log(len(values)))[:-1]

    def kernel(values: np.ndarray) -> list[int]:
        model = ruptures.KernelCPD("rbf", min_size=3).fit(np.log(values)[:, None])
        return model.predict(pen=2 * math.log(len(values)))[:-1]

    return {"ruptures PELT": pelt, "ruptures kernel": kernel, "ruptures linear kernel": linear}


def _asv() -> dict[str, Detector]:
    from asv.step_detect import detect_steps

    return {"asv steps": lambda values: [int(step[0]) for step in detect_steps(values.tolist())[1:]]}


def evaluate(detector: Detector, series: int) -> dict[str, float]:
    """Return precision, recall, F1 of shifts, F1 of shifts at the end, and false alarms per 1,000 unchanged points.

    F1 and false alarms come for the fitted shapes alone as well.
    """
    counts = {
        (name, fitted): np.zeros(4) for name in ("shifts", "end", "unchanged") for fitted in (False, True)
    }
    for name, one in sets(series):
        counts[name, one.fitted] += (*score(detector(one.values), one.truth), len(one.values))
    shifts, ends, unchanged = (
        counts[name, False] + counts[name, True] for name in ("shifts", "end", "unchanged")
    )
    return {
        "precision": shifts[0] / max(1, shifts[0] + shifts[1]),
        "recall": shifts[0] / max(1, shifts[0] + shifts[2]),
        "f1": _f1(shifts),
        "f1_end": _f1(ends),
        "f1_fitted": _f1(counts["shifts", True]),
        "false_alarms_per_1000": 1000 * unchanged[1] / unchanged[3],
        "false_alarms_per_1000_fitted": 1000 * counts["unchanged", True][1] / counts["unchanged", True][3],
    }


def _f1(counts: np.ndarray) -> float:
    hits, alarms, misses, _ = counts
    return float(2 * hits / max(1, 2 * hits + alarms + misses))


def false_alarms(series: int) -> float:
    """Return our false alarms per 1,000 points of unchanged series."""
    return evaluate(_ours, series)["false_alarms_per_1000"]


def speed(detector: Detector | None, series: int) -> float:
    """Return seconds for 1,000 series of 500 points, of which half have a step; None is ours for many at once."""
    rng = np.random.default_rng(2)
    shapes = list(SHAPES)
    values = [
        made(rng, shapes[number % len(shapes)], 0.03, 500, [250] if number % 2 else []).values
        for number in range(series)
    ]
    started = time.perf_counter()
    if detector is None:
        change_points_of(values)
    else:
        for one in values:
            detector(one)
    return (time.perf_counter() - started) * 1000 / series


def main() -> int:
    """Evaluate all that are here and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=20, help="of each kind, shape and size")
    parser.add_argument("--timed", type=int, default=100, help="series that time the others")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    held, missing = detectors()
    report: dict[str, object] = {"missing": missing}
    for name, detector in held.items():
        figures = evaluate(detector, options.series)
        figures["seconds_per_1000_of_500"] = speed(detector, options.timed)
        report[name] = {key: round(value, 4) for key, value in figures.items()}
    report["flopwatch, many at once"] = {"seconds_per_1000_of_500": round(speed(None, 1000), 4)}
    text = json.dumps(report, indent=1)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
