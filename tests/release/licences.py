"""The licences of all that the lock holds: ``python -m tests.release.licences`` prints ``docs/licences.md``.

They are those that each distribution states of itself, in its metadata as it is installed.
"""

import re
import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["locked", "page", "stated"]

ROOT = Path(__file__).resolve().parents[2]
#: what the lock holds for other systems than this one, and so cannot be asked here
_ELSEWHERE = {
    "colorama": "BSD License",
    "httpx2-jsfetch": "BSD-3-Clause",
    "onemkl-license": "Intel Simplified Software License (Other/Proprietary License)",
}
#: an extra is named where the ones before it do not bring a distribution already
_PARTS = ("base", "app", "blas", "dev")
_HEAD = """\
# Licences

flopwatch is under the MIT licence. What `requirements.lock` holds, with the licence that each distribution states of
itself and the part that brings it first: `base` is what `pip install flopwatch` installs, the others are extras, and
`dev` is for developing only. Written by `just licences`; a test holds it against the lock. MKL and what belongs to it
(`blas`) is not free software: leave that extra out where that matters, and the backend `mkl` is listed as absent.

| distribution | part | licence |
|---|---|---|
"""


def locked() -> list[str]:
    """Return the names of all that the lock holds."""
    text = (ROOT / "requirements.lock").read_text("utf-8")
    return sorted(set(re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==", text, re.MULTILINE)))


def _distribution(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def stated(name: str) -> str | None:
    """Return the licence that an installed distribution states, or None where it is not installed."""
    found = _distribution(name)
    if found is None:
        return _ELSEWHERE.get(name)
    metadata = found.metadata
    expression, short = metadata.get("License-Expression"), (metadata.get("License") or "").strip()
    classified = [
        text.rpartition(" :: ")[2]
        for text in metadata.get_all("Classifier", [])
        if text.startswith("License ::")
    ]
    proprietary = [text for text in classified if "Proprietary" in text]
    if proprietary and short:
        return f"{short} ({proprietary[0]})"
    return expression or "; ".join(classified) or short.splitlines()[0]


def _brought(wishes: list[str]) -> set[str]:
    """Return the names of distributions that requirements bring here, directly or not."""
    found: set[tuple[str, str]] = set()
    waiting = [(Requirement(wish), "") for wish in wishes]
    while waiting:
        wish, extra = waiting.pop()
        name = canonicalize_name(wish.name)
        if wish.marker is not None and not wish.marker.evaluate({"extra": extra}):
            continue
        held = _distribution(name)
        for asked in ("", *wish.extras):
            if held is not None and (name, asked) not in found:
                found.add((name, asked))
                waiting += [(Requirement(line), asked) for line in held.requires or ()]
    return {name for name, _ in found}


def page() -> str:
    """Return the text of ``docs/licences.md``.  Raises LookupError for a distribution whose licence is unknown."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wishes = {"base": project["dependencies"]} | project["optional-dependencies"]
    brought = {part: _brought(wishes[part]) for part in _PARTS}
    rows = []
    for name in locked():
        licence = stated(name)
        if licence is None:
            raise LookupError(f"{name} is not installed here: state its licence in {__file__}")
        part = next((part for part in _PARTS if name in brought[part]), "other systems")
        rows.append((_PARTS.index(part) if part in _PARTS else len(_PARTS), name, part, licence))
    return _HEAD + "".join(f"| {name} | {part} | {licence} |\n" for _, name, part, licence in sorted(rows))


if __name__ == "__main__":
    sys.stdout.write(page())
