"""Runs of a job that were cut: by a reboot, a full disk, a kill.  The next job completes or stores them."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from data import places
from data.errors import FlopwatchError
from data.rundocument import read
from data.runfile import is_being_written

__all__ = ["JOB_LABEL", "left_behind"]

#: The label of a run that says which job made it.
JOB_LABEL = "job"


def left_behind(job: str, since: datetime) -> Path | None:
    """Return the newest run file of a job that was begun since then, or None; where there are copies, the longest.

    It is interrupted, or whole if the job was cut before it was stored.  A run that the disk had no room for is kept in
    the folder for temporary files.
    """
    found: dict[str, tuple[int, Path]] = {}
    for path in _candidates(since):
        try:
            if is_being_written(path):
                continue
            document = read(path)
        except (OSError, FlopwatchError):
            continue
        run, size_bytes = document.run, len(document.content)
        began = datetime.fromisoformat(run.started)
        ours = run.labels.get(JOB_LABEL) == job and began >= since - timedelta(seconds=1)
        if ours and size_bytes > found.get(run.id, (0, path))[0]:
            found[run.id] = (size_bytes, path)
    return found[max(found)][1] if found else None


def _candidates(since: datetime) -> Iterator[Path]:
    """Yield run files written since then by this user: others can write to the folder for temporary files as well."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    for folder in (places.runs(), Path(tempfile.gettempdir())):
        for path in sorted(folder.glob("*.run.jsonl")):
            with contextlib.suppress(OSError):  # removed by somebody just now
                found = path.stat()
                if found.st_uid == user and found.st_mtime >= since.timestamp() - 60:
                    yield path
