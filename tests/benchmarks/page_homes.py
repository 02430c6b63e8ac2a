"""Homes with long histories for benchmarks of the pages: the index of 50 machines, and run files of the newest runs."""

import os
from collections.abc import Callable
from pathlib import Path

from data import places
from data.index import Index
from data.ledger import RUN
from data.store import Store
from tests.benchmarks.histories import fill_summaries, run_file

__all__ = ["home"]

#: So many machines have a newest run whose file the ledger holds; its samples can be opened.
_WITH_FILES = 3
#: Runs with files begin so many hours after the first of all, later than the longest history ends.
_HOURS = 2000


def home(size: int, otherwise: Path) -> Path:
    """Return a home with so many measurements, made anew where there is none yet.

    FLOPWATCH_BENCH_STORES names the folder where homes are kept for the next time, else ``otherwise`` is filled.
    FLOPWATCH_HOME must name the returned folder while it is used.
    """
    kept = os.environ.get("FLOPWATCH_BENCH_STORES")
    folder = Path(kept or otherwise) / f"{size}"
    os.environ["FLOPWATCH_HOME"] = str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _once(folder / "filled", lambda: _fill(size))
    _once(folder / "made", lambda: _newest_runs(folder))
    return folder


def _once(mark: Path, make: Callable[[], None]) -> None:
    if not mark.exists():
        make()
        mark.touch()


def _fill(size: int) -> None:
    places.database().unlink(missing_ok=True)
    with Store(places.database()) as store:
        fill_summaries(store, size)


def _newest_runs(folder: Path) -> None:
    with Index.open() as index:
        for seed in range(_HOURS, _HOURS + _WITH_FILES):
            path = run_file(folder / "next.run.jsonl", seed)
            index.ledger.append(RUN, path.read_bytes())
            path.unlink()
        index.sync()
