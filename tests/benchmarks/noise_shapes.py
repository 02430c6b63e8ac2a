"""The shapes of the noise of real series: how heavy its tails are, how long it remembers, whether it has modes.

``python -m tests.benchmarks.noise_shapes FOLDER…`` fits every measurement and ceiling over the unchanged runs of a
folder of run files, and prints a line for each.  ``FITTED`` keeps what was fitted once, so that the evaluation of the
detectors is the same everywhere.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.rundocument import RunDocument, read
from data.summary import Key, summarise

__all__ = ["FITTED", "Shape", "draw", "fit"]

#: Fewer points say nothing about tails.
FEWEST = 30
#: Degrees of freedom that are tried; the last stands for a normal distribution.
FREEDOMS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 1000.0)
#: Two modes must be likelier than one with tails by so much (twice the logarithm), and less of a mode is none.
_LIKELIER, _LEAST_MODE = 10.0, 0.08


class Shape(NamedTuple):
    """Noise of unit robust size: Student's t, memory from point to point, and a second mode that some points are in.

    ``size`` is what one unit was, as a share of the level; ``gap`` is how far apart the modes are, in units.
    """

    size: float
    freedom: float
    memory: float
    share: float = 0.0
    gap: float = 0.0


#: What this program printed for the 32 unchanged runs of a history that tests/soak/history_of_runs.py measured in
#: November 2026 on a virtual machine with two cores of an AMD EPYC (numpy, one thread).  Left out are series that are
#: like one of these.
FITTED = {
    "matmul/256 given": Shape(0.0128, 1000.0, 0.514),
    "matmul/256 cold": Shape(0.0501, 1000.0, 0.158),
    "exp/1M given": Shape(0.00313, 1000.0, 0.48, 0.482, 2.79),
    "exp/1M fresh": Shape(0.00527, 2.0, 0.319),
    "ceiling/fma": Shape(0.00279, 1.0, 0.0497),
    "ceiling/copy-8MiB": Shape(0.0276, 1000.0, 0.395),
}


def draw(shape: Shape, rng: np.random.Generator, points: int) -> np.ndarray:
    """Return noise of a shape: about one unit large where it has no modes."""
    lead = 50
    moves = rng.standard_t(shape.freedom, points + lead) * math.sqrt(1 - shape.memory**2)
    noise = np.zeros(points + lead)
    for place in range(1, points + lead):
        noise[place] = shape.memory * noise[place - 1] + moves[place]
    return noise[lead:] + shape.gap * (rng.random(points) < shape.share)


def fit(times: Sequence[float]) -> Shape:
    """Return the shape of a series."""
    logs = np.log(np.asarray(times, dtype=float))
    rest = logs - np.median(logs)
    memory = _memory(rest)
    moves = (rest[1:] - memory * rest[:-1]) / math.sqrt(1 - memory**2)
    size, freedom, likely = max((_student(moves, one) for one in FREEDOMS), key=lambda found: found[2])
    within, share, gap, modes = _two_modes(rest)
    if 2 * (modes - likely) > math.log(len(rest)) + _LIKELIER and _LEAST_MODE <= share <= 1 - _LEAST_MODE:
        return Shape(within, FREEDOMS[-1], memory, share, gap / within)
    return Shape(size, freedom, memory)


def _memory(rest: np.ndarray) -> float:
    """Return the correlation of the ranks of successive points, which outliers do not move, without its bias."""
    ranks = np.argsort(np.argsort(rest)).astype(float)
    found = float(np.corrcoef(ranks[1:], ranks[:-1])[0, 1])
    return min(0.95, max(0.0, found + (1 + 3 * found) / len(rest)))


def _student(values: np.ndarray, freedom: float) -> tuple[float, float, float]:
    """Return the likeliest size for so many degrees of freedom (by weights), these, and the log-likelihood."""
    middle, square = float(np.median(values)), float(np.var(values))
    for _ in range(200):
        weights = (freedom + 1) / (freedom + (values - middle) ** 2 / square)
        middle = float((weights * values).sum() / weights.sum())
        square = float((weights * (values - middle) ** 2).mean())
    each = np.log1p((values - middle) ** 2 / (freedom * square)) * (freedom + 1) / 2
    constant = (
        math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi * square) / 2
    )
    return math.sqrt(square), freedom, float(constant * len(values) - each.sum())


def _two_modes(values: np.ndarray) -> tuple[float, float, float, float]:
    """Return size, share of the upper mode, distance and log-likelihood of two normal modes of one size."""
    low, high = np.quantile(values, (0.25, 0.9))
    share, square = 0.3, float(np.var(values)) / 4
    for _ in range(300):
        lower, upper = (
            weight * np.exp(-((values - middle) ** 2) / (2 * square))
            for weight, middle in ((1 - share, low), (share, high))
        )
        belongs = upper / np.maximum(lower + upper, 1e-300)
        share = min(0.99, max(0.01, float(belongs.mean())))
        low = ((1 - belongs) * values).sum() / (1 - belongs).sum()
        high = (belongs * values).sum() / belongs.sum()
        square = float(((1 - belongs) * (values - low) ** 2 + belongs * (values - high) ** 2).mean())
    likely = np.log(np.maximum(lower + upper, 1e-300) / math.sqrt(2 * math.pi * square)).sum()
    return math.sqrt(square), share, float(high - low), float(likely)


def unchanged(documents: Sequence[RunDocument]) -> Iterator[tuple[Key, list[float]]]:
    """Yield the times of each measurement over the runs that have the code and environment of the first."""
    same = [one for one in documents if _circumstances(one) == _circumstances(documents[0])]
    found: dict[Key, list[float]] = {}
    for document in same:
        for row in summarise(document):
            if row.time_ns:
                found.setdefault(row.key, []).append(row.time_ns)
    yield from ((key, times) for key, times in found.items() if len(times) >= FEWEST)


def _circumstances(document: RunDocument) -> tuple[object, object]:
    return document.run.environment.id, document.run.flopwatch.get("sources")


def main() -> int:
    """Fit the series of folders and print their shapes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    for folder in parser.parse_args().folders:
        documents = [read(file) for file in sorted(folder.glob("*.run.jsonl"))]
        for key, times in unchanged([one for one in documents if not one.interrupted]):
            text = ", ".join(f"{name}={value:.3g}" for name, value in fit(times)._asdict().items())
            sys.stdout.write(f"{' '.join(map(str, key[:4]))}, {len(times)} runs: {text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
