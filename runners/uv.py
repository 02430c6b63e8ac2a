"""Running uv, which resolves, makes and fills environments."""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from data.errors import BadInput

__all__ = ["Refused", "interpreter", "run_uv"]

_ROOT = Path(__file__).resolve().parent.parent
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_LIMIT_S = 900


class Refused(Exception):
    """uv could not do it; the text is its reason in one line."""


@cache
def _program() -> str:
    """Return uv: on the path, beside this interpreter or in the checkout's tools.  Raises BadInput without it."""
    places = (os.environ.get("PATH", ""), str(Path(sys.executable).parent), str(_ROOT / ".tools" / "bin"))
    for place in places:
        found = shutil.which("uv", path=place)
        if found:
            return found
    raise BadInput("environments are built by uv, which is not here: pip install uv")


def run_uv(*words: str, folder: Path | None = None) -> str:
    """Run uv and return what it printed.  Raises Refused with its reason."""
    variables = {
        name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")
    }
    if (
        _AUTHORITIES.exists()
    ):  # a network may have an authority of its own: believe those that the system believes
        variables.setdefault("UV_SYSTEM_CERTS", "true")
    try:
        done = subprocess.run(
            [_program(), "--no-progress", "--color", "never", *words],
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            env=variables,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"uv {words[0]} took longer than {_LIMIT_S} s") from None
    if done.returncode:
        raise Refused(_reason(done.stderr))
    return done.stdout


def _reason(text: str) -> str:
    """Return what uv said in one line, without its words for the layout of a terminal."""
    text = re.sub(r"^\s*(×|╰─▶|├─▶|│|error:|cause:|Caused by:)\s*", " ", text, flags=re.MULTILINE)
    return re.sub(r"\s+", " ", text).strip() or "uv gave no reason"


@cache
def interpreter(wish: str = "") -> tuple[str, str]:
    """Return path and full version text of an interpreter here: ``3.12``, a path, or by default our own.

    Raises Refused where there is none; nothing is downloaded.
    """
    path = (
        run_uv("python", "find", "--no-python-downloads", "--no-project", wish).strip()
        if wish
        else sys.executable
    )
    done = subprocess.run(
        [path, "-c", "import sys; print(sys.version)"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode:
        raise Refused(f"the interpreter {path} does not start: {done.stderr.strip()[-200:]}")
    return path, " ".join(done.stdout.split())
