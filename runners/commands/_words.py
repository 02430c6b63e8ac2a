"""What several commands read from their options."""

import argparse
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.index import Index

__all__ = ["author", "machine_id", "moment", "share"]


def share(text: str) -> float:
    """Return a share from ``2%`` or ``0.02``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", text.strip())
    value = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write for example 2% or 0.02")
    return value


def moment(text: str) -> datetime:
    """Return a moment from an ISO 8601 date or time; UTC if it does not say."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write for example 2026-11-24") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def machine_id(index: "Index", wish: str | None) -> str | None:
    """Return the id of the machine that a person named, or None for all; raises NotFound."""
    from data import queries
    from data.errors import NotFound

    if wish is None:
        return None
    held = queries.machines(index)
    for row in held:
        if wish in (row["machine"], row["machine_id"]):
            return str(row["machine_id"])
    known = ", ".join(str(row["machine"]) for row in held) or "none yet"
    raise NotFound(f"no machine is called {wish!r}; there is {known}")


def author() -> str:
    """Return who speaks: what FLOPWATCH_AUTHOR says, else the name of the user."""
    import getpass
    import os

    try:
        return os.environ.get("FLOPWATCH_AUTHOR") or getpass.getuser()
    except (OSError, KeyError):
        return ""
