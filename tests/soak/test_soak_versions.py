"""Versions at length: an injected slow-down in a long history, and an environment against itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.soak

ROOT = Path(__file__).resolve().parents[2]
#: A call over so many elements, and 5 % more from the bad commit on.
GOOD, BAD, FIRST_BAD, COMMITS = 200_000, 210_000, 11, 18

KERNELS = """
import numpy as np

from runners.workload import Case, Check, Kernel, Work

#: version {version}
ELEMENTS = {elements}


def _inputs(case, seed):
    return {{"x": np.random.default_rng(seed).standard_normal(250_000, dtype=np.float32)}}


def _check(case, inputs, result):
    expected = np.exp(inputs["x"][:200_000].astype(np.float64))
    worst = float(np.abs(result[:200_000] / expected - 1).max())
    return Check(worst < 1e-5, worst, worst, 1e-5)


EXP = Kernel(
    "grown",
    "A kernel with a history",
    (Case("grown/1", "grown", {{}}, Work(elements=2e5), "GElement/s", None, 1600000, 4000000, frozenset({{"full"}})),),
    _inputs,
    _check,
)


@EXP.variant("operator", "numpy", threads="one")
def _operator(job):
    x, out = job.inputs["x"][:ELEMENTS], np.empty(ELEMENTS, np.float32)
    return lambda: np.exp(x, out=out)


KERNELS = (EXP,)
"""

#: The short cells of the quick profile, 21 of them.
IDENTICAL = ("decode/*", "attention*/*", "relu/*", "layernorm/*", "matmul/*")
NOT_NAIVE = "[!n]*"


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", *identity, "-C", str(folder), *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def history(tmp_path):
    """A kernel file with 18 commits, and their hashes; the twelfth makes the call 5 % longer."""
    git(tmp_path, "init", "-q")
    commits = []
    for version in range(COMMITS):
        elements = BAD if version >= FIRST_BAD else GOOD
        (tmp_path / "kernels.py").write_text(KERNELS.format(version=version, elements=elements))
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-qm", f"version {version}")
        commits.append(git(tmp_path, "rev-parse", "HEAD"))
    return tmp_path / "kernels.py", commits


def flopwatch(home: Path, *words: str) -> dict:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("FLOPWATCH_")}
    done = subprocess.run(
        [sys.executable, "-m", "runners", *words, "--json"],
        env=variables | {"FLOPWATCH_HOME": str(home)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)  # noqa: T201 - the figures of the proof
    return json.loads(done.stdout)


def test_an_injected_slow_down_is_seen_and_located(history, tmp_path):
    """The matrix of both ends sees 5 %, and the bisection names the one commit of 18 that brought it."""
    file, commits = history
    ends = [f"kernels={file}@{commits[0]}", f"kernels={file}@{commits[-1]}"]
    choice = ("--case", "grown/1", "--backend", "numpy", "--threads", "1")
    found = flopwatch(tmp_path / "home", "matrix", "--with", ends[0], "--with", ends[1], *choice)
    (comparison,) = found["comparisons"]
    assert comparison["verdict"] == "slower"
    assert comparison["low"] <= 1.05 <= comparison["high"]
    located = flopwatch(tmp_path / "home", "bisect", "--good", ends[0], "--bad", ends[1], *choice)
    assert (located["good"], located["bad"]) == (commits[FIRST_BAD - 1][:12], commits[FIRST_BAD][:12])
    assert located["between"] == []
    assert len(located["steps"]) <= 5


def test_an_environment_is_the_same_as_itself(tmp_path):
    """Two environments with the same packages: none is faster or slower, and 95 % come out as the same."""
    cases = [word for pattern in IDENTICAL for word in ("--case", pattern)]
    found = flopwatch(
        tmp_path / "home", "matrix", "--with", "numpy==2.4.6", "--with", "numpy==2.4.6", "--profile", "quick",
        "--backend", "numpy", "--backend", "numba", "--threads", "1", *cases, "--variant", NOT_NAIVE,
    )  # fmt: skip
    verdicts = [one["verdict"] for one in found["comparisons"]]
    assert verdicts.count("same") >= 0.95 * len(verdicts), verdicts
