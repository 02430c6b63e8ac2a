"""What cannot be: times below what an empty call takes, and products that contradict each other.

Rates above a measured ceiling are held back where the ceiling is known (:mod:`data.summary`).  Whatever is found here
is hidden with its reason as well, and stays out of every table until somebody explains it.
"""

import re
from collections.abc import Iterable, Mapping

from data.records import Process

__all__ = ["IMPOSSIBLE_FACTOR", "batch_contradicts", "below_empty_call", "empty_call_ns"]

#: A figure beyond a bound by this factor cannot be true: one of the two is mismeasured.
IMPOSSIBLE_FACTOR = 1.1
_BATCHED = re.compile(r"(?P<kernel>[^/]+)/batched-(?P<count>\d+)x(?P<single>.+)")


def empty_call_ns(processes: Iterable[Process]) -> float | None:
    """Return the least time that an empty call took in any process of a run, or None where none told it."""
    told = [
        float(process.attributes["floor_ns"]) for process in processes if process.attributes.get("floor_ns")
    ]
    return min(told, default=None)


def below_empty_call(high_ns: float, empty_ns: float | None, batch: int) -> str:
    """Return why a time cannot be true, or an empty text.

    A call timed alone takes at least as long as an empty one; in a batch the clock is read once for all of them, so
    only a whole batch is held against it.
    """
    if empty_ns is None or high_ns * batch * IMPOSSIBLE_FACTOR >= empty_ns:
        return ""
    what = "a call" if batch == 1 else f"{batch} calls"
    return f"{what} took at most {high_ns * batch:.3g} ns, less than the {empty_ns:.3g} ns of an empty call"


def batch_contradicts(case: str, threads: int, high_ns: float, alone_ns: Mapping[str, float]) -> str:
    """Return why a batched product contradicts the single one of the same run, or an empty text.

    A processor works on a batch of k products with all of its threads at best, so it takes at least k / threads times
    as long as one product in one thread.  ``high_ns`` bounds the batch from above, ``alone_ns`` the single cases in
    one thread from below, both of one variant and backend.
    """
    match = _BATCHED.fullmatch(case)
    single = f"{match['kernel']}/{match['single']}" if match else ""
    if match is None or single not in alone_ns:
        return ""
    least = int(match["count"]) / max(1, threads) * alone_ns[single]
    if high_ns * IMPOSSIBLE_FACTOR >= least:
        return ""
    return (
        f"{match['count']} products took at most {high_ns / 1e6:.3g} ms, and {single} alone at least "
        f"{alone_ns[single] / 1e6:.3g} ms in one thread: with {threads} threads the batch needs {least / 1e6:.3g} ms"
    )
