"""Throughput: how fast is each way to compute each case, and how far from the limit of the machine?"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app import charts, filters, parts, questions, reading, rows, tables, texts
from app.rows import Row

__all__ = ["render"]

PAGE = "views/throughput.py"

#: Units in the order in which they are offered.
UNITS = ("GFLOP/s", "GElement/s", "GB/s", "token/s", "s")

BARS, SIZES, ROOFLINE = "bars", "over size", "roofline"


def render() -> None:
    """Draw the page."""
    parts.title(
        "Throughput", "How fast is each way to compute a case, and how far is it from this machine's limit?"
    )
    machines = reading.machines()
    if not machines:
        parts.empty()
        return
    newest = next(iter(machines))
    filters.enter(PAGE, {"machine": machines[newest], "unit": _offered(questions.newest(newest))[0]})
    with st.sidebar:
        machine = filters.one("Machine", "machine", list(machines), machines.__getitem__)
        found = [] if machine is None else filters.in_versions(machine)
        unit = filters.one("Unit", "unit", _offered(found) if found else UNITS)
        view = filters.view([BARS, SIZES, ROOFLINE])
        logarithmic = view == BARS and filters.scale()
        board = [row for row in found if row.get("unit") == unit or view == ROOFLINE]
        board = filters.recent(filters.narrow(board), filters.since())
    if machine is None or unit is None:
        st.info("The link names a machine or a unit that is not here. Choose one in the side bar.")
        return
    if not board:
        st.info("No result fits these filters. Take one of them away in the side bar.")
    elif view == ROOFLINE:
        _roofline(board, machine)
    else:
        for kernel in sorted({str(row.get("kernel")) for row in board}, key=rows.kernel_order):
            _draw(kernel, [row for row in board if str(row.get("kernel")) == kernel], view, logarithmic)


def _offered(board: Sequence[Row]) -> list[str]:
    held = {str(row.get("unit")) for row in board if row.get("status") == "ok"}
    return [unit for unit in UNITS if unit in held] or [UNITS[0]]


def _draw(kernel: str, board: Sequence[Row], view: str, logarithmic: bool) -> None:
    """Draw one kernel: its chart, the table under it, and what is no speed."""
    speeds = sorted((row for row in board if rows.is_speed(row)), key=_position)
    st.subheader(texts.escape(kernel), anchor=False)
    if view == SIZES:
        figure, alt = charts.sizes(speeds, parts.theme()), charts.describe_sizes(kernel, speeds)
        if figure is None and speeds:
            st.caption("This kernel has no two sizes to draw a line between; its results are in the table.")
    else:
        figure = charts.throughput(board, parts.theme(), logarithmic=logarithmic)
        alt = charts.describe_throughput(kernel, speeds)
    if figure is not None:
        parts.chart(figure, key=f"chart-{kernel}", alt=alt)
    if speeds:
        parts.table(speeds, tables.MEASUREMENT, key=f"table-{kernel}", alt=f"Measurements of {kernel}")
    parts.problem_list([row for row in board if not rows.is_speed(row)])


def _roofline(board: Sequence[Row], machine: str) -> None:
    """Draw every result between the measured limits of its machine."""
    ceilings = reading.ask(questions.NEWEST_CEILINGS, machine)
    figure = charts.roofline(board, ceilings, parts.theme())
    if figure is None:
        st.info("None of these results has both work and traffic counted, as a roofline needs.")
        return
    st.subheader("Roofline", anchor=False)
    parts.chart(figure, key="roofline", alt=charts.describe_roofline(board, ceilings))
    st.markdown(
        ":gray[Traffic is what a case must read and write at least, so a result may lie left of the corner and still "
        "be bound by arithmetic. Open marks are counted in elements, one operation each.]"
    )
    placed = sorted((row for row in board if charts.place(row) is not None), key=_position)
    parts.table(placed, tables.MEASUREMENT, key="placed", alt="The results in the roofline")
    parts.problem_list([row for row in board if not rows.is_speed(row)])


def _position(row: Row) -> tuple[Any, float]:
    """Sort key of the table: cases in order, the fastest of each first."""
    return rows.case_order(str(row.get("case_id"))), texts.finite(row.get("time_ns")) or 0.0


if __name__ == "__main__":
    render()
