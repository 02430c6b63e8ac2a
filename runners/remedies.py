"""What gets a library that is missing, as it is typed where flopwatch runs."""

import importlib.util
import re
import sys
from pathlib import Path

__all__ = ["as_typed_here"]

_ROOT = Path(__file__).resolve().parent.parent


def as_typed_here(install: str) -> str:
    """Return a remedy in the words of this environment: one that uv made in a checkout has no pip.

    Anything but ``pip install …``, and any environment with a pip of its own, keeps its words.
    """
    what = install.removeprefix("pip install ")
    if what == install or _has_pip() or Path(sys.prefix) != _ROOT / ".venv":
        return install
    extra = re.fullmatch(r"flopwatch(\[\w+\])", what)
    wanted = f"-e '.{extra[1]}'" if extra else f"'{what}'"
    return f".tools/bin/uv pip install --python .venv {wanted}"


def _has_pip() -> bool:
    return importlib.util.find_spec("pip") is not None
