"""Filters whose choices live in the URL, so that a link reopens exactly what was seen.

Every page asks for the same things under the same names: machine, kernel, case, backend, variant, device, threads,
since, version, scale.  Streamlit leaves a value out of the URL while it equals the widget's default.  A choice that has
to be made (the machine, the unit) has therefore no default: a page that is opened without it goes to its own address
with the choice written out.  What was chosen is kept for the next page of the same visit.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from app import colours, parts, questions, rows
from app.rows import Row

__all__ = [
    "COLUMNS",
    "LINEAR",
    "LOGARITHMIC",
    "enter",
    "in_versions",
    "listed",
    "many",
    "narrow",
    "one",
    "recent",
    "scale",
    "since",
    "view",
]

LINEAR, LOGARITHMIC = "linear", "log"
#: Up to so many options are buttons, all in sight; more are a list.
_BUTTONS = 6
_KEPT = "flopwatch-choices"
_TRIED = "flopwatch-address-tried"


def _count_order(count: str) -> tuple[int, str]:
    return len(count), count


#: What narrows a page, in this order, and how the choices of each are sorted.
COLUMNS: dict[str, Callable[[str], Any]] = {
    "kernel": rows.kernel_order,
    "case_id": rows.case_order,
    "backend": colours.backend_order,
    "variant": colours.variant_order,
    "device": str,
    "threads": _count_order,
}

#: How far back a page looks.
_SPANS = {
    "24 hours": timedelta(hours=24),
    "7 days": timedelta(days=7),
    "30 days": timedelta(days=30),
    "90 days": timedelta(days=90),
    "1 year": timedelta(days=365),
}
_ALWAYS = "all time"


def _kept() -> dict[str, list[str]]:
    choices: dict[str, list[str]] = st.session_state.setdefault(_KEPT, {})
    return choices


def enter(page: str, required: Mapping[str, str]) -> None:
    """Make every required choice explicit in the URL; does not return where it was not and can be.

    To be called before the page asks for anything.  ``page`` is the page's file as the list of pages has it;
    ``required`` maps the name of each choice that cannot be left open to the label that is chosen where
    neither the URL nor this visit knows one.
    """
    given = {name: st.query_params.get_all(name) for name in st.query_params}
    if all(name in given for name in required):
        st.session_state.pop(_TRIED, None)
        return
    kept = {} if given else {name: labels for name, labels in _kept().items() if labels}
    wanted = {name: [label] for name, label in required.items()} | kept | given
    wanted |= {name: wanted[name][:1] for name in required}
    try:
        st.switch_page(page, query_params=wanted)
    except StreamlitAPIException as error:
        if error.error_id != "query-param-bound-cannot-set":
            raise
    # Back at the bare address in the browser's history, the widgets of the last run still hold on to the URL.
    # They let go when a run ends without them, and this one does.  A widget whose choice is not offered holds on for
    # good; then the page says what is missing.
    if st.session_state.get(_TRIED) != given:
        st.session_state[_TRIED] = given
        st.rerun()


def _remember(key: str, labels: Iterable[str]) -> None:
    _kept()[key] = list(labels)


def _marked(label: str) -> bool:
    """Whether a button would show a label as Markdown; a list shows each as it is, and the URL needs it as it is."""
    return any(character in label for character in "\\`*_[]<>$:~^|&") or "www." in label


def one(label: str, key: str, options: Sequence[Any], text: Callable[[Any], str] = str) -> Any | None:
    """Ask for one of ``options``; None where the URL names something that is not among them."""
    if len(options) <= _BUTTONS and not any(_marked(text(option)) for option in options):
        chosen = st.segmented_control(
            label, options, format_func=text, key=key, required=True, bind="query-params"
        )
    else:
        chosen = st.selectbox(
            label,
            options,
            index=None,
            format_func=text,
            key=key,
            bind="query-params",
            placeholder="choose one",
        )
    if chosen is not None:
        _remember(key, [text(chosen)])
    return chosen


def many(label: str, key: str, options: Sequence[Any], text: Callable[[Any], str] = str) -> list[Any]:
    """Ask for any of ``options``; an empty choice means all of them, and is returned as all."""
    chosen: list[Any] = st.multiselect(
        label, options, format_func=text, key=key, bind="query-params", placeholder="all"
    )
    _remember(key, (text(option) for option in chosen))
    return chosen or list(options)


def narrow(board: Sequence[Row], columns: Iterable[str] = COLUMNS) -> list[Row]:
    """Ask for any values of each of ``columns`` that ``board`` has, and return the rows that are left.

    Each filter offers what the ones before it have left.
    """
    left = list(board)
    for column in columns:
        name = column.removesuffix("_id")
        options = sorted({str(row.get(column)) for row in left}, key=COLUMNS[column])
        chosen = set(many(name.capitalize(), name, options))
        left = [row for row in left if str(row.get(column)) in chosen]
    return left


def in_versions(machine: str) -> list[Row]:
    """Ask for versions of what measured, and return the newest result of each series of a machine in them."""
    held = questions.environments(machine)
    chosen = tuple(many("Versions", "version", list(held), held.__getitem__)) if held else ()
    return questions.newest(machine, () if len(chosen) == len(held) else chosen)


def view(options: Sequence[str]) -> str:
    """Ask in which form to draw; the first of ``options`` is the usual one."""
    chosen = st.segmented_control(
        "View", options, default=options[0], required=True, key="view", bind="query-params"
    )
    return str(chosen or options[0])


def since() -> datetime | None:
    """Ask how far back to look; None means all the way."""
    chosen = st.selectbox("Since", [_ALWAYS, *_SPANS], key="since", bind="query-params")
    _remember("since", [] if chosen == _ALWAYS else [chosen])
    return None if chosen == _ALWAYS else datetime.now(UTC) - _SPANS[chosen]


def recent(board: Sequence[Row], start: datetime | None) -> list[Row]:
    """Return the rows whose run began at ``start`` or later."""
    if start is None:
        return list(board)
    moments = ((row, parts.moment(row.get("started"))) for row in board)
    return [row for row, began in moments if began is not None and began >= start]


def listed(label: str, key: str, names: Mapping[str, str]) -> str:
    """Ask for one of many things that have an id; the URL names the id, the list its name.

    The first of ``names`` (id → name), which must not be empty, is chosen where the URL names none of them.
    """
    options = list(names)
    given = st.query_params.get(key)
    wanted = given if given is not None else next(iter(_kept().get(key, [])), None)
    position = options.index(wanted) if wanted is not None and wanted in names else 0
    chosen = st.selectbox(label, options, index=position, format_func=names.__getitem__)
    _remember(key, [chosen])
    if chosen != given:
        st.query_params[key] = chosen
    return chosen


def scale() -> bool:
    """Ask for the kind of axis; True means logarithmic."""
    chosen = st.segmented_control(
        "Axis", [LINEAR, LOGARITHMIC], default=LINEAR, required=True, key="scale", bind="query-params"
    )
    _remember("scale", [] if chosen == LINEAR else [LOGARITHMIC])
    return chosen == LOGARITHMIC
