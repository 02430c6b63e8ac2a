"""Processes that serve, and those that help them: these start with an empty main module, and end with their parent."""

import contextlib
import gc
import multiprocessing
import os
import sys
import threading
import types
from collections.abc import Iterator

__all__ = ["collect_rarely", "empty_main", "end_with_parent"]

#: A run file is thousands of objects without a cycle; looking for cycles every 700 took a seventh of all time.
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def collect_rarely() -> None:
    """Look for cycles less often, and no more among what is there already."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)


@contextlib.contextmanager
def empty_main() -> Iterator[None]:
    """Show processes that are started meanwhile an empty main module.

    They would run the caller's again, to find what was defined there.  Nothing of ours is, and a server of pages
    has put its last page there, which cannot run by itself.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def end_with_parent() -> None:
    """Let this process end when the one that it works for was killed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
