"""Pages that follow the store: when a result arrives, what is on the screen is drawn again."""

import time
from dataclasses import dataclass

import streamlit as st

from app import reading
from data.errors import FlopwatchError

__all__ = ["REST_S", "SECONDS", "State", "state", "watch"]

#: How often an open page asks whether there is anything new; the question costs no query.
SECONDS = 3.0
#: While results keep arriving, an open page is drawn again this often: many open pages must not busy the server.
REST_S = 10.0


@dataclass(frozen=True)
class State:
    """What a page was drawn from, and when: state of the store, theme, seconds of the monotonic clock."""

    generation: str
    theme: str | None
    drawn: float


def state() -> State:
    """Return the present state; ask before the page is drawn, so that what comes meanwhile is not missed."""
    # The theme too: whiskers and text have a colour for each, and a change of theme draws nothing by itself.
    try:
        generation = reading.store(0.0).generation
    except FlopwatchError as error:
        generation = str(error)
    return State(generation, st.context.theme.type, time.monotonic())


@st.fragment(run_every=SECONDS)
def watch(before: State) -> None:
    """Draw the page again when the store has changed since ``before``, or the theme."""
    now = state()
    rested = now.drawn - before.drawn >= REST_S
    if now.theme != before.theme or (rested and now.generation != before.generation):
        st.rerun()
