"""Pages that follow the store: when a result arrives, what is on the screen is drawn again."""

import streamlit as st

from app import reading
from data.errors import FlopwatchError

__all__ = ["SECONDS", "watch"]

#: How often an open page asks whether there is anything new; the question costs no query.
SECONDS = 3.0


@st.fragment(run_every=SECONDS)
def _look(drawn: tuple[str, str | None]) -> None:
    if _state() != drawn:
        st.rerun()


def _state() -> tuple[str, str | None]:
    # The theme too: whiskers and text have a colour for each, and a change of theme draws nothing by itself.
    try:
        generation = reading.generation()
    except FlopwatchError as error:
        generation = str(error)
    return generation, st.context.theme.type


def watch() -> None:
    """Draw the page again when the store has changed, or the theme."""
    _look(_state())
