"""The server: pages and HTTP interface in one process.

``streamlit run app/main.py`` or ``uvicorn app.main:app`` starts it.  While it runs it owns the index where that is
free: it follows the ledger and publishes copies, which other commands read.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st

from app import api, measuring, reading
from app.api import access, runs
from data.processes import collect_rarely

__all__ = ["app"]


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[dict[str, Any]]:
    """Open the index without keeping anybody waiting, and let go of it in the end."""
    collect_rarely()
    reading.start()
    runs.checkers.open()
    try:
        yield {}
    finally:
        runs.checkers.close()
        measuring.cancel()
        await asyncio.to_thread(access.flush)
        await asyncio.to_thread(reading.close)


app = st.App(Path(__file__).with_name("dashboard.py"), lifespan=lifespan, routes=api.routes())
