"""Whether two results may be compared: the same, with caveats that are named, or not at all, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from data.attribution import Difference
from data.words import Status

__all__ = ["Comparability", "Comparable", "compare_circumstances"]

Row = Mapping[str, Any]


class Comparability(StrEnum):
    """The three answers."""

    SAME = "same"
    CAVEATS = "with caveats"
    NO = "no"


@dataclass(frozen=True)
class Comparable:
    """An answer with its reasons."""

    answer: Comparability
    reasons: Sequence[str]


#: Another value of these makes it another question.
_DECISIVE = {"case_id": "case", "unit": "unit"}
#: Another value of these is what a comparison may be about, and must be said.
_CAVEATS = {
    "machine": "machine",
    "device": "device",
    "threads": "threads",
    "condition": "condition",
    "backend": "backend",
    "variant": "variant",
    "effort": "effort",
}
#: The work of a call: other work under one name means that its formula or its inputs changed.
_WORK = ("flop", "bytes", "elements", "tokens")
#: Remarks of a measurement that doubt its time.
_DOUBTS = ("below_floor", "contended", "disturbed", "not_steady", "ungated", "unfiltered")


def compare_circumstances(new: Row, old: Row, differences: Sequence[Difference] = ()) -> Comparable:
    """Return whether two rows of the view ``board`` may be compared.

    ``differences`` are those of their runs (:func:`data.attribution.differences`).  Where the answer is no, the reasons
    are those against it; else they are what a reader has to know.
    """
    against = [
        f"{name}: {old[column]} and {new[column]}"
        for column, name in _DECISIVE.items()
        if new[column] != old[column]
    ]
    against += [
        f"{side} is {row['status']}: {row['reason']}".removesuffix(": ").removesuffix(": None")
        for side, row in (("the old one", old), ("the new one", new))
        if row["status"] != Status.OK
    ]
    against += [
        f"one call does other work: {old[name]:g} and {new[name]:g} {name}"
        for name in _WORK
        if new[name] is not None and old[name] is not None and new[name] != old[name]
    ]
    if any("below_floor" in row["flags"] for row in (new, old)):
        against.append("a call is too short to be told from an empty one")
    if against:
        return Comparable(Comparability.NO, against)
    caveats = [
        f"{name}: {old[column]} and {new[column]}"
        for column, name in _CAVEATS.items()
        if new[column] != old[column]
    ]
    caveats += [str(one) for one in differences]
    caveats += [
        f"{flag.replace('_', ' ')}" for flag in _DOUBTS if flag in new["flags"] or flag in old["flags"]
    ]
    return Comparable(Comparability.CAVEATS if caveats else Comparability.SAME, caveats)
