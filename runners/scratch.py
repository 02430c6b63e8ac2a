"""The folder for files that cases write while they are measured."""

import shutil
import tempfile
from pathlib import Path

from data import places
from data.errors import NotStored

__all__ = ["Scratch"]


class Scratch:
    """A folder for files that cases write, removed when the run ends."""

    def __enter__(self) -> Path:
        """Make it; raises NotStored where nothing can be written."""
        try:
            places.scratch().mkdir(parents=True, exist_ok=True)
            self._path = Path(tempfile.mkdtemp(prefix="run-", dir=places.scratch()))
        except OSError as error:
            raise NotStored(
                f"cannot write to {places.scratch()}: {error.strerror}; nothing was measured. "
                "Free some space, or set FLOPWATCH_HOME to a folder that can be written"
            ) from error
        return self._path

    def __exit__(self, *_: object) -> None:
        """Remove it."""
        shutil.rmtree(self._path, ignore_errors=True)
