"""What pages have in common: the title with its question, the empty store, a chart with its table, trouble in words."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import streamlit as st

from app import charts, colours, reading, tables, texts
from app.charts import Figure
from app.rows import Row
from data.errors import FlopwatchError
from data.words import Status

__all__ = [
    "PROBLEMS",
    "RUN_PAGE",
    "ago",
    "chart",
    "empty",
    "frame",
    "is_local",
    "moment",
    "problem_list",
    "table",
    "theme",
    "title",
    "trouble",
]

#: What a result that went wrong is called; what could not run at all is no problem of the run.
PROBLEMS = (Status.WRONG, Status.IMPOSSIBLE, Status.FAILED, Status.TIMEOUT, Status.INTERRUPTED)
#: The page that shows one run.
RUN_PAGE = "views/run.py"
#: Tables longer than this scroll in themselves, so that the next chart stays within reach.
_ROWS_SHOWN = 10
#: And longer ones than this are cut: nobody scrolls so far, and each row costs every visit time.
_ROWS_SENT = 300
_ROW_PIXELS = 34
#: A table takes a browser a tenth of a second and more, and what arrives together is shown together.
_HEAD_START_S = 0.25
_PAGE, _OPENED, _CHARTED = "flopwatch-page", "flopwatch-opened", "flopwatch-charted"


#: Streamlit leaves a hand's breadth above the title.  Without a pointer the buttons of tables are always there, and
#: need a place; on a narrow screen a chart keeps the button for its picture only, which hides nothing, and a wide
#: heatmap can be pushed sideways.
_STYLE = """<style>
[data-testid=stMainBlockContainer] { padding-top: 4.5rem; padding-bottom: 3rem }
@media (hover: none) { [data-testid=stElementContainer]:has([data-testid=stDataFrame]) { margin-top: 2.2rem } }
@media (max-width: 640px) {
    .js-plotly-plot .modebar-btn:not([data-attr=toImage], [data-title^=Download]) { display: none }
    .st-key-speedups, .st-key-matrix { overflow-x: auto }
    .st-key-speedups > *, .st-key-matrix > * { min-width: 44rem }
}
</style>"""


def frame(logo: Path) -> None:
    """Draw what stands around every page."""
    st.logo(str(logo), size="large")
    st.html(_STYLE)


@contextmanager
def trouble() -> Iterator[None]:
    """Say in words what hinders a page, and what the index lacks."""
    try:
        yield
        problem = reading.store().problem
        if problem:
            st.caption(f"The newest results may be missing: {texts.escape(problem)}")
    except FlopwatchError as error:
        st.warning(texts.escape(error))


def is_local() -> bool:
    """Tell whether this server listens on this machine alone, so that whoever sees a page is its owner."""
    address = str(st.get_option("server.address") or "")
    return address in ("localhost", "127.0.0.1", "::1")


def title(name: str, question: str) -> None:
    """Head the page with its name and the question that it answers."""
    if st.session_state.get(_PAGE) != name:
        st.session_state.update({_PAGE: name, _OPENED: True, _CHARTED: False})
    st.title(name, anchor=False)
    st.markdown(f":gray[{question}]")


def theme() -> colours.Theme:
    """Return the colours of the theme that the browser shows."""
    return colours.theme(st.context.theme.type)


def empty() -> None:
    """Say what fills an empty store."""
    with st.container(border=True):
        st.subheader("Nothing has been measured yet", anchor=False)
        st.markdown(
            "This command measures the quick profile on every backend that this machine has, in a few minutes. "
            "The results appear here by themselves."
        )
        st.code("flopwatch run --profile quick", language="bash")
        st.markdown(":gray[In a checkout, `just run` does the same.]")


def chart(figure: Figure, *, key: str, alt: str) -> None:
    """Draw a figure; ``alt`` says in words what it shows.  A click on a mark opens the run that it is from.

    A mark carries its measurement and run as ``customdata``.
    """
    st.session_state[_CHARTED] = True
    config = {
        **charts.CONFIG,
        "toImageButtonOptions": {**charts.CONFIG["toImageButtonOptions"], "filename": key},
    }
    if not any("customdata" in trace for trace in figure["data"]):
        st.plotly_chart(figure, key=key, config=config, alt=alt)
        return
    chosen: Any = st.plotly_chart(
        figure, key=key, config=config, alt=alt, on_select="rerun", selection_mode="points"
    )
    for point in chosen.selection.points if chosen else []:
        measurement, run = [*(point.get("customdata") or []), None, None][:2]
        if run:
            wanted = {"run": str(run)} | ({"measurement": str(measurement)} if measurement else {})
            st.switch_page(RUN_PAGE, query_params=wanted)


def table(
    board: Sequence[Row], columns: Sequence[tables.Column], *, key: str, alt: str, choose: bool = False
) -> Row | None:
    """Show rows as a table that can be sorted and searched; a button keeps them as CSV, all rows and columns in full.

    With ``choose``, a row can be chosen, and is returned once.
    """
    _head_start()
    height = _ROW_PIXELS * (1 + min(len(board), _ROWS_SHOWN)) + 3
    config: dict[str, Any] = {}
    for column in columns:
        if column.moment:
            config[column.title] = st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm")
        if column.sparkline:
            config[column.title] = st.column_config.LineChartColumn()
        if column.link:
            config[column.title] = st.column_config.LinkColumn(display_text=f"{re.escape(column.link)}(.*)")
    options: dict[str, Any] = {"on_select": "rerun", "selection_mode": "single-row"} if choose else {}
    shown: Any = st.dataframe(
        tables.styled(board[:_ROWS_SENT], columns),
        key=key,
        hide_index=True,
        height=height,
        row_height=_ROW_PIXELS,
        column_config=config,
        placeholder=texts.ABSENT,
        alt=alt,
        **options,
    )
    if len(board) > _ROWS_SENT:
        st.caption(f"The first {_ROWS_SENT} of {len(board):,} rows; the CSV has all of them.")
    if board:
        st.download_button(
            "CSV",
            data=lambda: tables.csv_of(board),
            file_name=f"flopwatch-{key}.csv",
            mime="text/csv",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
            key=f"{key}-csv",
            help=f"{alt}, with all digits and columns",
        )
    return _chosen(board, list(shown.selection.rows), key) if choose else None


def _head_start() -> None:
    """Let the browser draw the first chart of a page that was just opened, before a table keeps it busy."""
    if st.session_state.get(_OPENED) and st.session_state.get(_CHARTED):
        st.session_state[_OPENED] = False
        time.sleep(_HEAD_START_S)


def _chosen(board: Sequence[Row], places: list[int], key: str) -> Row | None:
    """Return the row that was chosen since the page was drawn last; a choice that stands is old news."""
    name = f"{key}-was-chosen"
    if places == st.session_state.get(name, []):
        return None
    st.session_state[name] = places
    return board[places[0]] if places and places[0] < len(board) else None


def problem_list(problems: Sequence[Row]) -> None:
    """Name results that are no speed: what, where and why; never a time."""
    for row in problems:
        place = " · ".join(texts.escape(row.get(name) or "?") for name in ("case_id", "backend", "variant"))
        reason = texts.escape(row.get("reason") or "no reason was given")
        where = ", ".join(texts.escape(name) for name in row.get("machines") or [])
        st.markdown(
            f":red-badge[{texts.escape(row.get('status'))}] **{place}**{where and f' on {where}'}: {reason}"
        )


def moment(value: Any) -> datetime | None:
    """Return a moment of a row in UTC, None where it is none."""
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def ago(value: Any) -> str:
    """Return how long ago a moment was: ``5 minutes ago``."""
    then = moment(value)
    if then is None:
        return texts.ABSENT
    seconds = max(0.0, (datetime.now(UTC) - then).total_seconds())
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"
