"""Running Python programs from tests and measurements."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["python"]


def python(*words: str | Path, cwd: Path, **variables: str) -> str:
    """Run Python with further environment variables; return what it printed, or raise RuntimeError with all it said."""
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout
