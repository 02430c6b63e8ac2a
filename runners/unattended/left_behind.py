"""Runs of a job that were cut: by a reboot, a full disk, a kill.  The next job completes them."""

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
    """Return the run file of a job that was begun since then and cut, or None; where there are copies, the longest.

    A run that the disk had no room for is kept in the folder for temporary files.
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
        if ours and document.interrupted and size_bytes > found.get(run.id, (0, path))[0]:
            found[run.id] = (size_bytes, path)
        if ours and not document.interrupted:
            found[run.id] = (2**62, path)  # complete: nothing is left to do for it
    open_ones = [path for run, (size_bytes, path) in sorted(found.items()) if size_bytes < 2**62]
    return open_ones[-1] if open_ones else None


def _candidates(since: datetime) -> Iterator[Path]:
    for folder in (places.runs(), Path(tempfile.gettempdir())):
        for path in sorted(folder.glob("*.run.jsonl")):
            if path.stat().st_mtime >= since.timestamp() - 60:
                yield path
