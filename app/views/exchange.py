"""Upload and export: how do results get in and out?"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app import exports, filters, parts, reading, tables, texts
from app.rows import Row
from data.errors import FlopwatchError, NotFound
from data.question import ROWS, SECONDS, answer
from data.report.selection import Selection

__all__ = ["render"]

PAGE = "views/exchange.py"

UPLOAD, EXPORT, REPORT, SQL = "upload", "export", "report", "ask in SQL"
_TAKEN = "flopwatch-receipts"
_EXAMPLE = """\
SELECT machine, backend, variant, round(rate, 1) AS gflops, round(100 * share_of_ceiling) AS percent_of_ceiling
FROM latest
WHERE case_id = 'matmul/1024' AND status = 'ok'
ORDER BY rate DESC"""


def render() -> None:
    """Draw the page."""
    parts.title("Upload and export", "How do results get in, and how do they get out?")
    view = st.segmented_control(
        "What to do",
        [UPLOAD, EXPORT, REPORT, SQL],
        default=UPLOAD,
        required=True,
        key="do",
        bind="query-params",
        label_visibility="collapsed",
    )
    {EXPORT: _export, REPORT: _report, SQL: _ask}.get(str(view), _upload)()


def _upload() -> None:
    """Take run files, and show the receipt of each."""
    st.subheader("Upload run files", anchor=False)
    if not parts.is_local():
        st.info(
            "This server can be reached from other machines, so files are taken over HTTP with a token only: "
            "flopwatch upload FILE --to URL"
        )
        return
    files = st.file_uploader(
        "Drop run files here (*.run.jsonl, gzipped or not)",
        type=["jsonl", "gz"],
        accept_multiple_files=True,
        key="run-files",
    )
    held: dict[str, Row] = st.session_state.setdefault(_TAKEN, {})
    new = [file for file in files if file.file_id not in held]
    if new:
        with st.status(f"Checking {len(new)} file{'' if len(new) == 1 else 's'} …", expanded=False):
            for file in new:
                held[file.file_id] = _take(file.name, file.getvalue())
    receipts = [held[file.file_id] for file in files if file.file_id in held]
    for receipt in receipts:
        if receipt["error"]:
            st.error(texts.escape(receipt["error"]))
    taken = [receipt for receipt in receipts if not receipt["error"]]
    if taken:
        parts.table(taken, tables.RECEIPTS, key="receipts", alt="The receipts of the files")
    st.markdown(
        ":gray[Each file is checked whole before anything is stored; what is wrong is named with its line. A file that "
        "is held already gets the same receipt again.]"
    )


def _take(name: str, content: bytes) -> Row:
    """Record one file; return its receipt, or what is wrong with it."""
    try:
        receipt, is_new = reading.store().accept(content)
    except FlopwatchError as error:
        return {"file": name, "error": f"{name}: {error}"}
    return {
        "file": name,
        "error": "",
        "state": "new" if is_new else "held already",
        **receipt.to_json(),
    }


def _selection() -> Selection:
    """Ask in the side bar for what narrows an export or a report."""
    names = reading.machines()
    with st.sidebar:
        chosen = filters.many("Machines", "machine", list(names), names.__getitem__)
        start = filters.since()
    # To the day, so that a question that is asked again is the same question.
    day = None if start is None else start.replace(hour=0, minute=0, second=0, microsecond=0)
    return Selection(machines=tuple(chosen) if len(chosen) < len(names) else (), since=day)


def _export() -> None:
    """Offer each documented view as a file."""
    st.subheader("Export a view", anchor=False)
    if not reading.machines():
        parts.empty()
        return
    held = exports.views()
    with st.container(horizontal=True):
        view = str(
            st.selectbox(
                "View", list(held), index=list(held).index("latest"), key="export", bind="query-params"
            )
        )
        form = str(
            st.segmented_control(
                "Format",
                list(exports.FORMATS),
                default="CSV",
                required=True,
                key="format",
                bind="query-params",
            )
        )
    st.markdown(f":gray[{texts.escape(held[view][''])}]")
    selection = _selection()
    try:
        rows = exports.count(view, selection)
    except NotFound as error:
        st.info(texts.escape(error))
        return
    suffix, media = exports.FORMATS[form]
    too_many = rows > exports.MOST_ROWS
    # The file is made when it is asked for.
    st.download_button(
        f"Download {rows:,} rows",
        data=lambda: exports.file_of(view, form, selection),
        file_name=f"flopwatch-{view}.{suffix}",
        mime=media,
        on_click="ignore",
        type="primary",
        disabled=too_many or not rows,
        key="export-file",
    )
    if too_many:
        st.info(
            "These are more rows than a browser takes well. Narrow them in the side bar, or write them here:"
        )
        st.code(f"flopwatch export {view} -o {view}.parquet", language="bash")
    _columns({view: held[view]})


def _report() -> None:
    """Make the report, show it, and offer it as a file."""
    st.subheader("Report", anchor=False)
    if not reading.machines():
        parts.empty()
        return
    selection = _selection()
    try:
        with st.spinner("Writing the report …"):
            text, page = exports.report(selection)
    except NotFound as error:
        st.info(texts.escape(error))
        return
    with st.container(horizontal=True):
        st.download_button(
            "Download as HTML",
            data=page,
            file_name="flopwatch-report.html",
            mime="text/html",
            on_click="ignore",
            type="primary",
            key="report-html",
        )
        st.download_button(
            "Download as Markdown",
            data=text,
            file_name="flopwatch-report.md",
            mime="text/markdown",
            on_click="ignore",
            key="report-md",
        )
    st.markdown(
        ":gray[The charts are in the file of HTML; flopwatch report writes them beside the Markdown, too.]"
    )
    with st.container(border=True):
        st.markdown(text)


def _ask() -> None:
    """Answer a question in SQL about the views."""
    st.subheader("Ask in SQL", anchor=False)
    st.markdown(
        f":gray[Read-only, about the views below; at most {ROWS:,} rows and {SECONDS:.0f} seconds, "
        "no files and no network.]"
    )
    sql = st.text_area("SQL (DuckDB)", value=_EXAMPLE, height=140, key="sql", bind="query-params")
    if st.button("Ask", type="primary"):
        index = reading.store()
        try:
            with st.spinner("Asking …"):
                st.session_state["flopwatch-answer"] = (sql, answer(index.database, index.copies, sql))
        except FlopwatchError as error:
            st.session_state.pop("flopwatch-answer", None)
            st.error(texts.escape(error))
    asked, found = st.session_state.get("flopwatch-answer", (None, None))
    if found is not None and asked == sql:
        more = ", cut: there is more" if found.cut else ""
        st.caption(f"{len(found.rows):,} rows in {found.seconds:.2f} s{more}")
        # Names of columns may be equal in an answer; a table needs them different.
        board: list[Row] = [{str(place): value for place, value in enumerate(row)} for row in found.rows]
        parts.table(board, _answer_columns(found.columns), key="answer", alt="The answer")
    _columns(exports.views())


def _answer_columns(names: Sequence[str]) -> list[tables.Column]:
    return [
        tables.Column(name if names.count(name) == 1 else f"{name} ({place + 1})", _at(place))
        for place, name in enumerate(names)
    ]


def _at(place: int) -> Any:
    return lambda row: row[str(place)]


def _columns(views: dict[str, dict[str, str]]) -> None:
    """Explain the columns of views."""
    with st.expander("What the columns mean" if len(views) == 1 else "The views and their columns"):
        board: list[Row] = [
            {"view": view, "column": column, "meaning": meaning}
            for view, columns in views.items()
            for column, meaning in columns.items()
            if column
        ]
        parts.table(board, tables.DOCUMENTED, key="columns", alt="The views and their columns")


if __name__ == "__main__":
    render()
