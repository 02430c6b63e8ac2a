"""Where things lie on this machine.  Nothing is created here; whoever writes makes its own folder."""

import os
import sys
from pathlib import Path

__all__ = [
    "database",
    "environments",
    "heartbeats",
    "home",
    "ledger",
    "numba",
    "outbox",
    "runs",
    "scratch",
    "snapshots",
    "tokens",
]

_ROOT = Path(__file__).resolve().parent.parent


def _user_data() -> Path:
    """Return the folder for an application's data by the convention of the platform."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "flopwatch"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "flopwatch"
    chosen = os.environ.get("XDG_DATA_HOME", "")
    return (Path(chosen) if Path(chosen).is_absolute() else Path.home() / ".local" / "share") / "flopwatch"


def _from_environment(name: str) -> Path | None:
    value = os.environ.get(name, "").strip()
    return Path(value).expanduser().absolute() if value else None


def home() -> Path:
    """Return ``FLOPWATCH_HOME``, else ``data/local`` in a checkout, else the user's data folder."""
    given = _from_environment("FLOPWATCH_HOME")
    if given:
        return given
    return _ROOT / "data" / "local" if (_ROOT / "pyproject.toml").is_file() else _user_data()


def database() -> Path:
    """Return the index: ``FLOPWATCH_DB`` or ``flopwatch.duckdb`` in :func:`home`."""
    return _from_environment("FLOPWATCH_DB") or home() / "flopwatch.duckdb"


def ledger() -> str:
    """Return ``FLOPWATCH_LEDGER`` (a folder or ``postgresql://…``), else the folder beside the database."""
    given = os.environ.get("FLOPWATCH_LEDGER", "").strip()
    if given.startswith(("postgresql://", "postgres://")):
        return given
    return str(_from_environment("FLOPWATCH_LEDGER") or database().parent / "ledger")


def runs() -> Path:
    """Return the folder of run files that are being written."""
    return home() / "runs"


def scratch() -> Path:
    """Return the folder for files that live as long as a measurement."""
    return home() / "scratch"


def outbox() -> Path:
    """Return the folder of run files that have no receipt yet."""
    return home() / "outbox"


def snapshots() -> Path:
    """Return the folder of read-only copies of the index."""
    return database().parent / "snapshots"


def heartbeats() -> Path:
    """Return the folder of the signs of life that this server has had."""
    return home() / "heartbeats"


def numba() -> Path:
    """Return the folder of compiled loops, one subfolder for each environment and set of flags."""
    return home() / "numba"


def tokens() -> Path:
    """Return the private file of the tokens that this server accepts."""
    return home() / "tokens.json"


def environments() -> Path:
    """Return the folder of isolated environments and worktrees; each can be made again."""
    return home() / "environments"
