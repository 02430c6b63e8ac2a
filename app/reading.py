"""Reading the store: one index for the whole process, and each question asked once for each state of it.

Streamlit's cache holds answers, never connections.  An answer belongs to a generation of the index: when new data
arrives the generation changes, and every question is asked anew.
"""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import streamlit as st

from app.rows import Row
from data.errors import IndexOwned
from data.index import Index

__all__ = ["ask", "close", "generation", "machines", "start", "store"]

#: How long a page waits for an index that is being brought up to date.
WAIT_S = 5.0

_MACHINES = "SELECT machine_id, machine FROM machines ORDER BY last_seen DESC, machine_id"

_lock = threading.Lock()
_opening: Future[Index] | None = None


def _open() -> Index:
    index = Index.open(wait_s=WAIT_S)
    index.follow()
    return index


def start() -> None:
    """Begin to open the index in the background, where that has not begun: as its owner if it is free.

    As the owner it follows the ledger and publishes copies, else it reads the newest copy.
    """
    global _opening
    with _lock:
        if _opening is not None and (not _opening.done() or _opening.exception() is None):
            return
        worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="index-open")
        _opening = worker.submit(_open)
        worker.shutdown(wait=False)


def store(wait_s: float = WAIT_S) -> Index:
    """Return the index; raises FlopwatchError, in words for people, where it cannot be had within ``wait_s``."""
    start()
    opening = _opening
    try:
        if opening is not None:
            return opening.result(timeout=wait_s)
    except TimeoutError:
        pass
    raise IndexOwned(
        "the results are being indexed, which takes a while the first time; this page follows by itself"
    )


def close() -> None:
    """Let go of the index; whoever waits for it can own it now."""
    global _opening
    with _lock:
        opening, _opening = _opening, None
    if opening is not None and opening.exception() is None:
        opening.result().close()


@st.cache_data(max_entries=256, show_spinner=False)
def _answer(
    _index: Index, place: str, generation: str, question: str, parameters: tuple[Any, ...]
) -> list[Any]:
    del place, generation  # they are the key only
    return _index.query(question, parameters)


def generation() -> str:
    """Return a name for the state of the store that pages now see."""
    return store().generation


def ask(question: str, *parameters: Any) -> list[Row]:
    """Return the rows that answer a question in SQL about the views."""
    index = store()
    return list(_answer(index, str(index.database), index.generation, question, parameters))


def machines() -> dict[str, str]:
    """Return the names of machines by id, the one that measured last first; equal names say their id, too."""
    found = {str(row["machine_id"]): str(row["machine"]) for row in ask(_MACHINES)}
    names = list(found.values())
    return {key: name if names.count(name) == 1 else f"{name} ({key})" for key, name in found.items()}
