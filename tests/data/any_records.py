"""Hypothesis strategies for the records of a run file: any value that a record may hold."""

from typing import Any

from hypothesis import strategies as st

from data.records import Ceiling, Error, Line, Measurement, Note, Process, Samples, Skipped, Work
from data.words import Status

__all__ = ["ANY_LINE", "measured"]

_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)
_COUNTS = st.integers(0, 2**62)
_AMOUNTS = st.none() | st.floats(0, allow_nan=False, allow_infinity=False)
_MOMENTS = st.datetimes().map(lambda moment: moment.isoformat() + "Z")
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)
_ATTRIBUTES = st.dictionaries(_TEXTS, _JSON, max_size=3)


@st.composite
def _samples(draw: st.DrawFn) -> Samples:
    count = draw(st.integers(1, 6))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.just([]) | st.lists(values, min_size=count, max_size=count))

    return Samples(
        draw(st.lists(st.integers(1, 2**62), min_size=count, max_size=count)),
        draw(st.integers(1, 2**31)),
        *(column(_COUNTS), column(st.booleans()), column(_COUNTS), column(_COUNTS), column(_COUNTS)),
    )


_CELL: dict[str, Any] = {
    **dict.fromkeys(("case", "kernel", "variant", "condition", "backend", "device"), _NAMES),
    "threads": st.integers(0, 2**31 - 1),
    "status": st.sampled_from(Status),
}


def measured(**fields: Any) -> st.SearchStrategy[Measurement | Ceiling]:
    """Return any measurement or ceiling; ``fields`` fix some of its fields by strategies of their own."""
    known: dict[str, Any] = {
        **_CELL,
        "reason": _TEXTS,
        "process": st.none() | st.integers(0, 2**31 - 1),
        "work": st.builds(Work, _COUNTS, _AMOUNTS, _AMOUNTS, _AMOUNTS, _AMOUNTS),
        "unit": _NAMES,
        "bound": st.none() | _TEXTS,
        "footprint_bytes": _COUNTS,
        "store": st.none() | _TEXTS,
        "first_call_ns": st.none() | _COUNTS,
        "samples": st.none() | _samples(),
        "error": st.none() | st.builds(Error, _AMOUNTS, _AMOUNTS, _AMOUNTS),
        "flags": st.lists(_NAMES, max_size=3),
        "attributes": _ATTRIBUTES,
    }
    return st.sampled_from([Measurement, Ceiling]).flatmap(lambda kind: st.builds(kind, **known | fields))


ANY_LINE: st.SearchStrategy[Line] = st.one_of(
    measured(),
    st.builds(
        Process,
        index=st.integers(0, 2**31 - 1),
        block=st.integers(0, 2**31 - 1),
        started=_MOMENTS,
        backends=st.lists(_NAMES, max_size=3),
        threads=st.integers(0, 2**31 - 1),
        attributes=_ATTRIBUTES,
    ),
    st.builds(Skipped, **_CELL, reason=_TEXTS, install=_TEXTS),
    st.builds(Note, at=_MOMENTS, topic=_NAMES, text=_TEXTS, attributes=_ATTRIBUTES),
)
