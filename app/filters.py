"""Filters whose choices live in the URL, so that a link reopens exactly what was seen.

Streamlit leaves a value out of the URL while it equals the widget's default.  A choice that has to be made (the
machine, the unit) has therefore no default: a page that is opened without it goes to its own address with the choice
written out.  What was chosen is kept for the next page of the same visit.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

__all__ = ["LINEAR", "LOGARITHMIC", "enter", "listed", "many", "one", "scale"]

LINEAR, LOGARITHMIC = "linear", "log"
#: Up to so many options are buttons, all in sight; more are a list.
_BUTTONS = 6
_KEPT = "flopwatch-choices"


def _kept() -> dict[str, list[str]]:
    choices: dict[str, list[str]] = st.session_state.setdefault(_KEPT, {})
    return choices


def enter(page: str, required: Mapping[str, str]) -> None:
    """Make every required choice explicit in the URL; does not return where it was not.

    To be called before the page asks for anything.  ``page`` is the page's file as the list of pages has it;
    ``required`` maps the name of each choice that cannot be left open to the label that is chosen where
    neither the URL nor this visit knows one.
    """
    given = {name: st.query_params.get_all(name) for name in st.query_params}
    if all(name in given for name in required):
        return
    kept = {} if given else {name: labels for name, labels in _kept().items() if labels}
    wanted = {name: [label] for name, label in required.items()} | kept | given
    try:
        st.switch_page(page, query_params=wanted)
    except StreamlitAPIException as error:
        if error.error_id != "query-param-bound-cannot-set":
            raise
    # Back at the bare address in the browser's history, the widgets of the last run still hold on to the URL.
    # They let go when a run ends without them, and this one does.
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
