"""A history of real runs on this machine, into which real work is put, judged as anybody's board is.

``python -m tests.soak.history_of_runs --runs 48 --step 32 --share 0.15 --out FILE`` measures a short choice of cases
again and again.  After ``--step`` runs of unchanged code the program is asked what changed: nothing should have.  From
then on a copy of the program measures whose matrix product does ``--share`` of its rows twice.  At the end it is asked
again, then told to ``--confirm``, and its gate is read.  ``--folder`` keeps the board, and goes on with the runs that
it holds.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CASES = ("--case", "matmul/256", "--case", "exp/1M", "--variant", "blas", "--variant", "operator")
CHOICE = (*CASES, "--backend", "numpy", "--threads", "1", "--effort", "smoke", "--budget", "60s", "--json")
#: What the slower copy has instead of the last line of the product's builder.
ORDINARY = "    return lambda: np.matmul(a, b, out=c)\n"
SLOWER = """    rows = max(1, round({share} * a.shape[-2]))
    part, again = np.ascontiguousarray(a[..., :rows, :]), fresh_output((*a.shape[:-2], rows, b.shape[-1]))

    def call() -> Any:
        np.matmul(part, b, out=again)
        return np.matmul(a, b, out=c)

    return call
"""


def copy_program(folder: Path, share: float) -> Path:
    """Copy the program, once; with a share above 0, let the copy do that much more work in a product."""
    if folder.exists():
        return folder
    for package in ("runners", "data"):
        ignored = shutil.ignore_patterns("__pycache__", "local")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored, dirs_exist_ok=True)
    if share:
        source = folder / "runners" / "backends" / "operators_numpy.py"
        text = source.read_text("utf-8")
        assert text.count(ORDINARY) == 1
        source.write_text(text.replace(ORDINARY, SLOWER.format(share=share)), "utf-8")
    return folder


def flopwatch(program: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of a copy of the program on a board of its own."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("FLOPWATCH_")}
    return subprocess.run(
        [sys.executable, "-m", "runners", *words],
        cwd=program,
        env=variables | {"FLOPWATCH_HOME": str(home), "PYTHONPATH": str(program)},
        capture_output=True,
        text=True,
        check=False,
    )


def measure(folder: Path, runs: int, step: int, share: float, until: float) -> int:
    """Measure until the board has so many runs or the clock says ``until``; return how many it has."""
    home = folder / "home"
    ordinary = copy_program(folder / "ordinary", 0.0)
    slower = copy_program(folder / "slower", share)
    held = len(list((home / "runs").glob("*.run.jsonl")))
    while held < runs and time.monotonic() < until:
        if held == step:
            (folder / "unchanged.json").write_text(json.dumps(changes(ordinary, home)), "utf-8")
        done = flopwatch(slower if held >= step else ordinary, home, "run", *CHOICE)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        held += 1
        sys.stderr.write(f"run {held} of {runs}\n")
    return held


def changes(program: Path, home: Path, *options: str) -> list[dict[str, object]]:
    """Return what the program finds on the board."""
    done = flopwatch(program, home, "regressions", "--json", "--all", *options)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stdout + done.stderr)
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def judge(folder: Path) -> dict[str, object]:
    """Return what the program says of the board before the step, after it, and after measuring again."""
    home, program = folder / "home", folder / "slower"
    unchanged = folder / "unchanged.json"
    return {
        "before_the_step": json.loads(unchanged.read_text("utf-8")) if unchanged.exists() else None,
        "after_the_step": changes(program, home),
        "confirmed": changes(program, home, "--confirm"),
        "gate": flopwatch(program, home, "regressions", "--fail-on", "regression").returncode,
        "summary": flopwatch(program, home, "regressions", "--markdown").stdout,
    }


def main() -> int:
    """Measure, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=48)
    parser.add_argument("--step", type=int, default=32)
    parser.add_argument("--share", type=float, default=0.15)
    parser.add_argument("--seconds", type=float, default=540.0, help="measure no longer in one go")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        until = time.monotonic() + options.seconds
        loads = [os.getloadavg()[0]]
        held = measure(folder, options.runs, options.step, options.share, until)
        loads.append(os.getloadavg()[0])
        report: dict[str, object] = {"runs": held, "share": options.share, "load_before_after": loads}
        if held == options.runs:
            report |= judge(folder)
    text = json.dumps(report, indent=1)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
