"""Reading the store: one index for the whole process, and each question asked once for each state of it.

An answer belongs to a generation of the index: when new data arrives the generation changes, all answers are
forgotten, and every question is asked anew.  What takes long and is about one machine alone is kept for longer, until
something new is known of that machine.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from data.errors import IndexOwned
from data.index import Index

__all__ = ["Question", "ask", "ask_of_machine", "close", "generation", "machines", "start", "store"]

#: How long a page waits for an index that is being brought up to date.
WAIT_S = 5.0

#: And how much longer, so that the reason why it cannot be had comes before the end of patience.
_GRACE_S = 2.0

#: So many answers are held; a page has about ten questions, and each choice of filters is another.
MOST_ANSWERS = 500
#: And so many of those that are kept for longer, which may be large.
MOST_LASTING = 100

#: SQL about the views, or a function of the index such as those of :mod:`data.queries`.
Question = str | Callable[..., Any]

_MACHINES = "SELECT machine_id, machine FROM machines ORDER BY last_seen DESC, machine_id"

#: What can change an answer about one machine: its runs, and what people stated since.
_STATE = """
    SELECT count(*) AS runs, max(received) AS received, (SELECT count(*) FROM decisions) AS decisions,
           (SELECT count(*) + count(undone_at) FROM withdrawals) AS withdrawals
    FROM runs WHERE machine_id = ?
"""

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
    _lasting.forget()


class _Answers:
    """Answers to questions, each of one state; sessions share them, so nobody may change them.

    Who asks while another session asks the same waits for that answer.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._state: Any = None
        self._held: dict[tuple[Question, tuple[Any, ...]], tuple[Any, Future[Any]]] = {}

    def begin(self, state: Any) -> None:
        """Forget all answers where the state is another than before."""
        with self._lock:
            if self._state != state:
                self._state, self._held = state, {}

    def get(self, index: Index, state: Any, question: Question, parameters: tuple[Any, ...]) -> Any:
        """Return the answer that is held for ``state``, or ask the index; the oldest answer makes room."""
        key, state = (question, parameters), (index, state)
        with self._lock:
            held = self._held.pop(key, None)
            answer: Future[Any] = held[1] if held and held[0] == state else Future()
            known = held is not None and answer is held[1]
            self._held[key] = (state, answer)
            if len(self._held) > self._most:
                del self._held[next(iter(self._held))]
        if not known:
            self._ask(index, key, answer)
        return answer.result()

    def _ask(self, index: Index, key: tuple[Question, tuple[Any, ...]], answer: Future[Any]) -> None:
        question, parameters = key
        try:
            answer.set_result(
                index.query(question, parameters)
                if isinstance(question, str)
                else question(index, *parameters)
            )
        except BaseException as error:
            with self._lock:
                if self._held.get(key, (None, None))[1] is answer:
                    del self._held[key]
            answer.set_exception(error)

    def forget(self) -> None:
        with self._lock:
            self._state, self._held = None, {}


_answers, _lasting = _Answers(MOST_ANSWERS), _Answers(MOST_LASTING)


def generation() -> str:
    """Return a name for the state of the store that pages now see."""
    return store().generation


def ask(question: Question, *parameters: Any) -> Any:
    """Return the answer to a question: the rows of SQL about the views, or what a function makes of the index.

    The answer is shared: copy what you want to change.  Raises FlopwatchError, in words for people.
    """
    index = store()
    state = index.generation
    _answers.begin((index, state))
    return _answers.get(index, state, question, parameters)


def ask_of_machine(question: Question, machine: str, *parameters: Any) -> Any:
    """Return the answer to a question that only what is known of one machine can change, as :func:`ask` does.

    It is kept while others upload.  The question is asked with ``machine`` before ``parameters``.
    """
    state = ask(_STATE, machine)
    return _lasting.get(store(), state, question, (machine, *parameters))


def machines() -> dict[str, str]:
    """Return the names of machines by id, the one that measured last first; equal names say their id, too."""
    found = {str(row["machine_id"]): str(row["machine"]) for row in ask(_MACHINES)}
    names = list(found.values())
    return {key: name if names.count(name) == 1 else f"{name} ({key})" for key, name in found.items()}
