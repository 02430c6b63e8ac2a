"""The list of pages; a new page is a file in ``views`` and a line here."""

from pathlib import Path

import streamlit as st

from app import parts, refresh, signin

PAGES = [
    st.Page("views/overview.py", title="Overview", url_path="overview", default=True),
    st.Page("views/throughput.py", title="Throughput", url_path="throughput"),
    st.Page("views/speedups.py", title="Speedups", url_path="speedups"),
    st.Page("views/regressions.py", title="Regressions", url_path="regressions"),
    st.Page("views/hardware.py", title="Hardware", url_path="hardware"),
    st.Page("views/versions.py", title="Versions", url_path="versions"),
    st.Page("views/serialization.py", title="Serialization", url_path="serialization"),
    st.Page("views/claims.py", title="Claims", url_path="claims"),
    st.Page("views/run.py", title="Run", url_path="run"),
    st.Page("views/exchange.py", title="Upload and export", url_path="exchange"),
]

page = st.navigation(PAGES, position="top")
# An emoji, because a Material icon would be fetched from another host.
st.set_page_config(page_title=f"{page.title} · flopwatch", page_icon="📈", layout="wide")
parts.frame(Path(__file__).with_name("logo.svg"))
signin.require()
before = refresh.state()
with parts.trouble():
    page.run()
refresh.watch(before)
