"""The part of a page that starts a short measurement, shows how far it is, and can cancel it."""

import streamlit as st

from app import measuring, parts, texts
from data.errors import FlopwatchError

__all__ = ["offer"]

_ALL = "smoke profile"
#: How often the bar moves.
_SECONDS = 1.0
_ENDS = {
    0: "done; its results are on the pages",
    1: "done, and an answer was wrong: see above",
    3: "nothing could be measured",
    4: "cancelled; what was measured is kept",
}


def offer(kernels: list[str]) -> None:
    """Offer to measure, where the server is local and whoever started it allows that; else draw nothing."""
    if not (measuring.allowed() and parts.is_local()):
        return
    with st.container(border=True):
        st.markdown("**Measure on this machine**")
        _watch(kernels)


@st.fragment(run_every=_SECONDS)
def _watch(kernels: list[str]) -> None:
    found = measuring.progress()
    if found is not None and found.status is None:
        st.progress(found.share, text=f"{texts.escape(found.what)}: {texts.escape(found.text)}")
        if st.button("Cancel", key="measure-cancel"):
            measuring.cancel()
        return
    if found is not None:
        words = _ENDS.get(found.status or 0, f"ended with status {found.status}")
        detail = "" if found.status in (0, 4) else f" ({texts.escape(found.text)})"
        st.markdown(f"{texts.escape(found.what)}: {words}{detail}")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        what = st.selectbox("What", [_ALL, *kernels], key="measure-what", width=260)
        if st.button("Measure", type="primary", key="measure-start", help="Takes one to two minutes"):
            try:
                measuring.start(None if what == _ALL else what)
            except FlopwatchError as error:
                st.error(texts.escape(error))
            else:
                st.rerun(scope="fragment")
