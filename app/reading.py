"""Reading the store: one index for the whole process, and each question asked once for each state of it.

An answer belongs to a generation of the index: when new data arrives the generation changes, all answers are
forgotten, and every question is asked anew.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from data.errors import IndexOwned
from data.index import Index

__all__ = ["Question", "ask", "close", "generation", "machines", "start", "store"]

#: How long a page waits for an index that is being brought up to date.
WAIT_S = 5.0

#: And how much longer, so that the reason why it cannot be had comes before the end of patience.
_GRACE_S = 2.0

#: So many answers are held; a page has about ten questions, and each choice of filters is another.
MOST_ANSWERS = 500

#: SQL about the views, or a function of the index such as those of :mod:`data.queries`.
Question = str | Callable[..., Any]

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


def store(wait_s: float | None = None) -> Index:
    """Return the index; raises FlopwatchError, in words for people, where it cannot be had within ``wait_s``."""
    wait_s = WAIT_S if wait_s is None else wait_s
    start()
    opening = _opening
    try:
        if opening is not None:
            return opening.result(timeout=wait_s + _GRACE_S)
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
    _answers.forget()


class _Answers:
    """The answers of one generation of one index; sessions share them, so nobody may change them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: tuple[Index, str] | None = None
        self._held: dict[tuple[Question, tuple[Any, ...]], Any] = {}

    def get(self, index: Index, question: Question, parameters: tuple[Any, ...]) -> Any:
        key, state = (question, parameters), (index, index.generation)
        with self._lock:
            if self._state != state or len(self._held) >= MOST_ANSWERS:
                self._state, self._held = state, {}
            if key in self._held:
                return self._held[key]
        answer = (
            index.query(question, parameters) if isinstance(question, str) else question(index, *parameters)
        )
        with self._lock:
            if self._state == state:
                self._held[key] = answer
        return answer

    def forget(self) -> None:
        with self._lock:
            self._state, self._held = None, {}


_answers = _Answers()


def generation() -> str:
    """Return a name for the state of the store that pages now see."""
    return store().generation


def ask(question: Question, *parameters: Any) -> Any:
    """Return the answer to a question: the rows of SQL about the views, or what a function makes of the index.

    The answer is shared: copy what you want to change.  Raises FlopwatchError, in words for people.
    """
    return _answers.get(store(), question, parameters)


def machines() -> dict[str, str]:
    """Return the names of machines by id, the one that measured last first; equal names say their id, too."""
    found = {str(row["machine_id"]): str(row["machine"]) for row in ask(_MACHINES)}
    names = list(found.values())
    return {key: name if names.count(name) == 1 else f"{name} ({key})" for key, name in found.items()}
